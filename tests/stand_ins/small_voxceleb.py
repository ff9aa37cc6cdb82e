"""A miniature of VoxCeleb: people with ids, genders and nationalities, paths of voices and faces, and lists as published."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

VOICES = 3  # of a person
FACES = 4


class Listed(NamedTuple):
    """A person of the lists."""

    number: str  # "id10002"
    gender: str
    nationality: str
    part: str  # 1 train, 2 validation, 4 test


@dataclass(frozen=True)
class SmallVoxCeleb:
    """What a test needs of it.

    Attributes:
        folder: identity splits, metadata and lists of the test people.
        names: of the test people.
        voices, faces: path -> number of the person in `names`.
    """

    folder: Path
    names: tuple[str, ...]
    voices: Mapping[str, int]
    faces: Mapping[str, int]


def write_splits(folder: Path, people: Mapping[str, Listed]) -> None:
    """Identity splits and metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "identity_splits.txt").write_text("".join(f"{name} {of.part} \n" for name, of in people.items()))
    rows = [f"{of.number}\t{name}\t{of.gender}\t{of.nationality}\tdev" for name, of in people.items()]
    (folder / "vox1_meta.csv").write_text("\n".join(["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet", *rows, ""]))


def small_voxceleb(folder: Path, people: Mapping[str, Listed], trials: int = 3000) -> SmallVoxCeleb:
    """Lists of the test people: matching both ways, unstratified and by gender, verification, retrieval."""
    write_splits(folder, people)
    names = tuple(name for name, of in people.items() if of.part == "4")
    voices, faces = {}, {}
    for k, name in enumerate(names):
        for n in range(VOICES):
            voices[f"{people[name].number}/video{n}/0000{n}.wav"] = voices[f"{name}/video{n}_000000{n}.wav"] = k
        for n in range(FACES):
            faces[f"{name}/1.6/video{n}/000{n}.jpg"] = faces[f"{name}/video{n}/000{n}.jpg"] = k
    rng = np.random.default_rng(5)
    wav = [path for path in voices if path.startswith("id")]
    jpg = [path for path in faces if "/1.6/" in path]

    def one(paths: list[str], whose: Mapping[str, int], person: int) -> str:
        own = [path for path in paths if whose[path] == person]
        return own[int(rng.integers(len(own)))]

    def other(person: int, *, alike: bool) -> int:
        gender = [people[name].gender for name in names]
        rest = [k for k in range(len(names)) if k != person and (not alike or gender[k] == gender[person])]
        return rest[int(rng.integers(len(rest)))]

    for letters in "UG":
        to_faces, to_voices = [], []
        for _ in range(trials):
            person = int(rng.integers(len(names)))
            wrong, voice, face = other(person, alike=letters == "G"), one(wav, voices, person), one(jpg, faces, person)
            to_faces.append(f"{voice} {face} {one(jpg, faces, wrong)}")
            to_voices.append(f"{face} {voice} {one(wav, voices, wrong)}")
        (folder / f"matching_v2f_{letters}.csv").write_text("\n".join(to_faces) + "\n")
        (folder / f"matching_f2v_{letters}.csv").write_text("\n".join(to_voices) + "\n")
    spoken = [path for path in voices if path not in wav]
    shown = [path for path in faces if path not in jpg]
    rows = ["id,voice-speaker-id,face-speaker-id,label,voice-path,face-path"]
    for k in range(trials):
        person = int(rng.integers(len(names)))
        seen = person if k % 2 else other(person, alike=False)
        rows.append(f"{k},{person},{seen},{k % 2},{one(spoken, voices, person)},{one(shown, faces, seen)}")
    (folder / "veriflist_test_random_unseenunheard.txt").write_text("\n".join(rows) + "\n")
    for stem, paths, whose in (("wav", wav, voices), ("jpg", jpg, faces)):
        items = [f"{people[names[whose[path]]].number}\t{path}" for path in paths]
        (folder / f"{stem}_20k.csv").write_text("\n".join([f"VoxCeleb1 ID\t{stem}", *items]) + "\n")
    return SmallVoxCeleb(folder, names, voices, faces)


def write_embeddings(
    file: Path, voices: Mapping[str, NDArray[np.float32]], faces: Mapping[str, NDArray[np.float32]]
) -> Path:
    """A file of vectors by path, see `voxface.training.evaluation.matching.embeddings_file`."""
    np.savez(
        file,
        voice_paths=np.array(list(voices)),
        voices=np.stack(list(voices.values())),
        face_paths=np.array(list(faces)),
        faces=np.stack(list(faces.values())),
    )
    return file
