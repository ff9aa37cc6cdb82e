"""Pairs: people with voices, pictures and coefficients, which every trainer learns from. `pairs_folder` keeps them on disk."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.array_shards import Rows
from voxface.training.data.fits import Fits
from voxface.training.data.pairs_folder import DAMAGE_OF_PAIRS, PairsWriter, damaged, read_folder
from voxface.training.faces.population import FacePopulation

Split = Literal["train", "validation", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")


@dataclass(frozen=True)
class Person:
    """A person with a voice and a face; a recording played faster or slower makes another person.

    Attributes:
        name: unique, "LibriSpeech-84" or "LibriSpeech-84@1.1".
        speaker: the speaker of the recordings; all persons of a speaker are in one split.
        sex: "F" or "M".
        split: part of the data.
    """

    name: str
    speaker: str
    sex: Literal["F", "M"]
    split: Split

    @property
    def altered(self) -> bool:
        """Whether the recordings are played at another speed: a voice that nobody has, and whose sex is uncertain."""
        return "@" in self.name


@dataclass(frozen=True)
class Pairs:
    """I people, U utterances, K pictures; frames and pictures are in memory or mapped.

    Attributes:
        kind: "paired" (real voices, drawn faces), "synthetic" (both made), or "own" (people's own data).
        about: provenance, licences, seed and configuration, as JSON values.
        people: length I.
        frames: float16 [ΣT, 64], log-mel of all utterances.
        offsets: int64 [U + 1], where each utterance begins in `frames`.
        utterance_person: int32 [U], the person of each utterance.
        utterance_recording: int32 [U]; renderings of one recording (noise, rooms) share a number.
        utterance_clean: bool [U], whether an utterance is without augmentation; evaluation uses these only.
        pictures: uint8 [K, H, W, 3].
        picture_person: int32 [K], the person of each picture.
        coefficients: float32 [I, P], each person's face: the truth in a synthetic world, a draw in a paired one, the reference
            in own data; NaN where it is not known.
        expected: float32 [I, P], the mean face of all people with such a voice, where the world knows it; else NaN.
        cues: float32 [I, 2], f0 in Hz and vocal-tract length in cm, measured (paired) or true (synthetic); else NaN.
        morphable: the morphable model of the coefficients.
        population: distribution of faces within each sex, where it is known.
        fits: faces fitted to single pictures, where there are any.
        digest: SHA-256 of the files and people of the folder it was read from; empty for pairs that are not saved yet.
    """

    kind: Literal["paired", "synthetic", "own"]
    about: dict[str, Any]
    people: tuple[Person, ...]
    frames: Rows
    offsets: NDArray[np.int64]
    utterance_person: NDArray[np.int32]
    utterance_recording: NDArray[np.int32]
    utterance_clean: NDArray[np.bool_]
    pictures: Rows
    picture_person: NDArray[np.int32]
    coefficients: NDArray[np.float32]
    expected: NDArray[np.float32]
    cues: NDArray[np.float32]
    morphable: MorphableModel
    population: FacePopulation | None = None
    fits: Fits | None = None
    digest: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        people, utterances = len(self.people), len(self.utterance_person)
        whole = self.offsets.shape == (utterances + 1,) and self.offsets[0] == 0
        wrong = [
            what
            for what, fails in {
                "offsets": not whole or bool((np.diff(self.offsets) < 1).any()) or self.offsets[-1] != len(self.frames),
                "frames": self.frames.ndim != 2,
                "pictures": self.pictures.ndim != 4 or self.pictures.shape[-1] != 3 or self.pictures.dtype != np.uint8,
                "utterance_recording": len(self.utterance_recording) != utterances,
                "utterance_clean": len(self.utterance_clean) != utterances or self.utterance_clean.dtype != np.bool_,
                "picture_person": len(self.picture_person) != len(self.pictures),
                "coefficients": self.coefficients.shape != (people, self.morphable.modes),
                "expected": self.expected.shape != (people, self.morphable.modes),
                "cues": self.cues.shape != (people, 2),
                "fits": self.fits is not None and not self.fits.fit(people, self.morphable.modes, self.picture_person),
                "names": len({person.name for person in self.people}) != people,
                "sexes and splits": any(p.sex not in ("F", "M") or p.split not in SPLITS for p in self.people),
                "utterances and pictures of people": any(
                    len(who) and not (0 <= int(who.min()) and int(who.max()) < people)
                    for who in (self.utterance_person, self.picture_person)
                ),
                "splits of speakers": len({(p.speaker, p.split) for p in self.people})
                != len({p.speaker for p in self.people}),
            }.items()
            if fails
        ]
        if wrong:
            raise InputError(f"invalid pairs: {', '.join(wrong)} do not fit {people} people, {utterances} utterances")

    # -- people --------------------------------------------------------------------------------------------------------

    def split(self, *splits: Split) -> NDArray[np.int32]:
        """Indices of the people of these splits."""
        return np.array([i for i, person in enumerate(self.people) if person.split in splits], np.int32)

    @cached_property
    def sexes(self) -> NDArray[np.int64]:
        """int64 [I]: 0 female, 1 male."""
        return np.array(["FM".index(person.sex) for person in self.people])

    @cached_property
    def utterances(self) -> list[NDArray[np.int32]]:
        """The utterances of each person."""
        return _by_person(self.utterance_person, len(self.people))

    @cached_property
    def clean_utterances(self) -> list[NDArray[np.int32]]:
        """The utterances of each person without augmentation."""
        return [of[self.utterance_clean[of]] for of in self.utterances]

    @cached_property
    def pictures_of(self) -> list[NDArray[np.int32]]:
        """The pictures of each person."""
        return _by_person(self.picture_person, len(self.people))

    def utterance(self, index: int) -> NDArray[np.float32]:
        """Log-mel frames float32 [T, 64] of one utterance, not normalised."""
        frames: NDArray[np.float32] = self.frames[int(self.offsets[index]) : int(self.offsets[index + 1])].astype(
            np.float32
        )
        return frames

    def provenance(self, people: NDArray[np.int32]) -> str:
        """One line for a model card: number of people, and source of voices and faces."""
        speakers = len({self.people[int(i)].speaker for i in people})
        many = f"{speakers} speakers" if speakers == len(people) else f"{len(people)} voices of {speakers} speakers"
        source = {
            "paired": f"{self.about.get('speech', 'real voices')}; faces drawn from {self.morphable.name}",
            "synthetic": f"synthetic voices and faces of {self.morphable.name}",
            "own": str(self.about.get("name", "own data")),
        }
        return f"{many}: {source[self.kind]}"

    # -- on disk -------------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> str:
        """Writes the folder, whole or not at all; returns its digest. See `pairs_folder`.

        Raises:
            InputError: the folder exists already, or cannot be written.
        """
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise InputError(f"{folder}: is there already; choose another name")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as room:
                digest = self._write(Path(room) / "new")
                if folder.exists():
                    folder.rmdir()
                (Path(room) / "new").rename(folder)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error
        return digest

    def _write(self, folder: Path) -> str:
        with PairsWriter(folder) as writer:
            for u, (person, recording, clean) in enumerate(
                zip(self.utterance_person, self.utterance_recording, self.utterance_clean, strict=True)
            ):
                frames = self.frames[int(self.offsets[u]) : int(self.offsets[u + 1])]
                writer.add_utterance(int(person), int(recording), frames, clean=bool(clean))
            for k, person in enumerate(self.picture_person):
                writer.add_pictures(int(person), self.pictures[k : k + 1])
            if self.fits is not None:
                writer.add_fits(self.fits)
            return writer.finish(
                kind=self.kind,
                about=self.about,
                people=rows_of(self.people),
                coefficients=self.coefficients,
                expected=self.expected,
                cues=self.cues,
                morphable=self.morphable,
                population=self.population,
            )

    @classmethod
    def load(cls, folder: Path, *, verify: bool = True) -> Self:
        """Reads a folder that was written; frames and pictures are mapped, so they stay on disk until they are used.

        Args:
            verify: see `pairs_folder.read_folder`.

        Raises:
            InputError: no pairs there, or a file is missing or has changed.
        """
        fields = read_folder(folder, verify=verify)
        try:
            return cls(**{**fields, "people": tuple(Person(*row) for row in fields["people"])})
        except DAMAGE_OF_PAIRS as error:
            raise damaged(folder, error) from error


def rows_of(people: Sequence[Person]) -> list[tuple[str, str, str, str]]:
    """People as a folder of pairs has them."""
    return [(person.name, person.speaker, person.sex, person.split) for person in people]


def _by_person(who: NDArray[np.int32], people: int) -> list[NDArray[np.int32]]:
    order = np.argsort(who, kind="stable").astype(np.int32)
    return np.split(order, np.searchsorted(who[order], np.arange(1, people)))


def joined(
    frames: Sequence[NDArray[np.float16]] | Sequence[NDArray[np.float32]],
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Concatenates utterances [T, 64]: (float16 [ΣT, 64], offsets int64 [U + 1])."""
    offsets = np.concatenate([[0], np.cumsum([len(f) for f in frames])]).astype(np.int64)
    return np.concatenate(list(frames), dtype=np.float16, casting="same_kind"), offsets
