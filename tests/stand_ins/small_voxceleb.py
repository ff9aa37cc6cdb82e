"""A miniature of VoxCeleb: people of the public splits with synthetic voices and rendered faces, and lists as published."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.stand_ins.small_worlds import HEAD, POPULATION, synthetic
from voxface.training.data.pairs import Pairs
from voxface.training.world.pictures import PictureConfig
from voxface.training.world.synthetic import SyntheticConfig

assert HEAD is not None
assert POPULATION is not None
VOICES = 3  # of a person
FACES = 4


@dataclass(frozen=True)
class SmallVoxCeleb:
    """What a test needs of it.

    Attributes:
        folder: identity splits, metadata and lists of the test people.
        names: of the test people.
        voices, faces: path -> number of the person in `names`.
        pairs: the sound and the renders; person k of the pairs is `names[k]`.
        utterance, picture: path -> number in the pairs.
    """

    folder: Path
    names: tuple[str, ...]
    voices: Mapping[str, int]
    faces: Mapping[str, int]
    pairs: Pairs
    utterance: Mapping[str, int]
    picture: Mapping[str, int]


def write_splits(folder: Path, people: Mapping[str, tuple[str, str, str, str]]) -> None:
    """Identity splits and metadata of people: name -> (id, gender, nationality, part)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "identity_splits.txt").write_text("".join(f"{name} {of[3]} \n" for name, of in people.items()))
    rows = [f"{of[0]}\t{name}\t{of[1]}\t{of[2]}\tdev" for name, of in people.items()]
    (folder / "vox1_meta.csv").write_text("\n".join(["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet", *rows, ""]))


def small_voxceleb(folder: Path, people: Mapping[str, tuple[str, str, str, str]]) -> SmallVoxCeleb:
    """Makes it of people of the test part (4) and of others, all named with ids, genders and nationalities."""
    write_splits(folder, people)
    names = tuple(name for name, of in people.items() if of[3] == "4")
    config = SyntheticConfig(
        people=len(names), utterances=VOICES, seconds=1.6, pictures=PictureConfig(each=FACES, size=16)
    )
    pairs = synthetic(config)
    voices, faces, utterance, picture = {}, {}, {}, {}
    for k, name in enumerate(names):
        number = people[name][0]
        for n, u in enumerate(pairs.utterances[k][:VOICES].tolist()):
            for path in (f"{number}/video{n}/0000{n}.wav", f"{name}/video{n}_000000{n}.wav"):
                voices[path], utterance[path] = k, u
        for n, row in enumerate(pairs.pictures_of[k].tolist()):
            for path in (f"{name}/1.6/video{n}/000{n}.jpg", f"{name}/video{n}/000{n}.jpg"):
                faces[path], picture[path] = k, row
    _lists(folder, people, names, voices, faces)
    return SmallVoxCeleb(folder, names, voices, faces, pairs, utterance, picture)


def _lists(
    folder: Path,
    people: Mapping[str, tuple[str, str, str, str]],
    names: tuple[str, ...],
    voices: Mapping[str, int],
    faces: Mapping[str, int],
) -> None:
    rng = np.random.default_rng(5)
    wav = [path for path in voices if path.startswith("id")]
    jpg = [path for path in faces if "/1.6/" in path]

    def one(paths: list[str], whose: Mapping[str, int], person: int) -> str:
        own = [path for path in paths if whose[path] == person]
        return own[int(rng.integers(len(own)))]

    def other(person: int, same: int | None) -> int:
        alike = [
            k
            for k in range(len(names))
            if k != person and (same is None or people[names[k]][same] == people[names[person]][same])
        ]
        return alike[int(rng.integers(len(alike)))]

    for letters, same in (("U", None), ("G", 1)):
        to_faces, to_voices = [], []
        for _ in range(400):
            person = int(rng.integers(len(names)))
            wrong = other(person, same)
            right = one(wav, voices, person), one(jpg, faces, person)
            to_faces.append(f"{right[0]} {right[1]} {one(jpg, faces, wrong)}")
            to_voices.append(f"{right[1]} {right[0]} {one(wav, voices, wrong)}")
        (folder / f"matching_v2f_{letters}.csv").write_text("\n".join(to_faces) + "\n")
        (folder / f"matching_f2v_{letters}.csv").write_text("\n".join(to_voices) + "\n")
    spoken = [path for path in voices if not path.startswith("id")]
    shown = [path for path in faces if "/1.6/" not in path]
    rows = ["id,voice-speaker-id,face-speaker-id,label,voice-path,face-path"]
    for k in range(600):
        person = int(rng.integers(len(names)))
        face = person if k % 2 else other(person, None)
        rows.append(f"{k},{person},{face},{k % 2},{one(spoken, voices, person)},{one(shown, faces, face)}")
    (folder / "veriflist_test_random_unseenunheard.txt").write_text("\n".join(rows) + "\n")
    for stem, paths, whose in (("wav", wav, voices), ("jpg", jpg, faces)):
        items = [f"{people[names[whose[path]]][0]}\t{path}" for path in paths]
        (folder / f"{stem}_20k.csv").write_text("\n".join([f"VoxCeleb1 ID\t{stem}", *items]) + "\n")


def write_embeddings(
    file: Path, voices: Mapping[str, NDArray[np.float32]], faces: Mapping[str, NDArray[np.float32]]
) -> Path:
    """A file of vectors by path, see `voxface.training.evaluation.embeddings_file`."""
    np.savez(
        file,
        voice_paths=np.array(list(voices)),
        voices=np.stack(list(voices.values())),
        face_paths=np.array(list(faces)),
        faces=np.stack(list(faces.values())),
    )
    return file
