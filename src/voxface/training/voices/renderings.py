"""Voices as log-mel frames with what a teacher says of each piece, in a folder: what a voice encoder is distilled on.

The folder holds

    frames.npy         float16 [N, 64], all renderings one after another
    vectors.npy        float16 [P, size], the teacher's unit vectors
    tables.npz         the rows of `Renderings`
    renderings.json    voices, settings, the SHA-256 of the other files, and of itself
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import is_damage, reason
from voxface.runtime.files.npz import read_npz
from voxface.runtime.files.regular import open_regular, read_bytes
from voxface.runtime.files.sealed_json import is_intact, sealed
from voxface.runtime.files.text import decode_text
from voxface.training.data.pairs import SPLITS

Float32 = NDArray[np.float32]
MANIFEST: Final = "renderings.json"
FILES: Final = ("frames.npy", "vectors.npy", "tables.npz")
TABLES: Final = ("voice", "start", "length", "first", "pieces", "speed", "clean")
SCHEMA: Final = 1
_AT_ONCE: Final = 1 << 16  # rows of an array that are read at once to see whether they are finite
_INFINITY: Final = 0x7C00  # of float16 without its sign, as a whole number; NaNs are above


@dataclass(frozen=True)
class Renderings:
    """Voices with the teacher's vectors, in a folder and mapped into memory.

    Rendering number r is voice `voice[r]` at speed `speed[r]`, its frames are `frames[start[r] : start[r] + length[r]]`, and
    `vectors[first[r] + p]` is of the piece that begins at its frame `every · p`.

    Attributes:
        about: `voices` (the attributes of `Voice`; of the path its name only), `every` and `piece` (frames), `settings`.
        frames: float16 [N, 64].
        vectors: float16 [P, size].
        voice, start, length, first, pieces: int64 [R].
        speed: float64 [R].
        clean: bool [R].
        digest: SHA-256 of all files.

    Raises:
        ValueError: they do not fit each other, or a number is not finite.
        Exception: another one of `damage.DAMAGE`, of what `about` should have.
    """

    about: dict[str, Any]
    frames: NDArray[np.float16]
    vectors: NDArray[np.float16]
    voice: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    first: NDArray[np.int64]
    pieces: NDArray[np.int64]
    speed: NDArray[np.float64]
    clean: NDArray[np.bool_]
    digest: str

    def __post_init__(self) -> None:
        wrong = ", ".join(self._wrong())
        if wrong:
            raise ValueError(wrong)

    def _wrong(self) -> Iterator[str]:
        """What does not fit; the first of it, where the rest cannot be looked at without."""
        about, people = self.about, self.about["voices"]
        if not all(type(about[name]) is int and 1 <= about[name] < 1 << 31 for name in ("every", "piece")):
            yield "every and piece are no numbers of frames"
        if not about["teacher"].isprintable() or not all(map(_is_person, people)):
            yield "the teacher or a voice is not described"
        mels = FrontEndConfig.mels
        for name, array, widths in (("frames", self.frames, (mels,)), ("vectors", self.vectors, range(2, 1 << 16))):
            if array.ndim != 2 or array.dtype != np.float16 or not len(array) or array.shape[1] not in widths:
                yield f"{name} are {array.dtype} {list(array.shape)[:8]}"
                return
        count = len(self.voice) if self.voice.ndim == 1 else -1
        for name in TABLES:
            column = getattr(self, name)
            kind = {"speed": np.float64, "clean": np.bool_}.get(name, np.int64)
            if column.shape != (count,) or column.dtype != kind or not count:
                yield f"{name} is {column.dtype} {list(column.shape)[:8]}"
                return
        for name, begin, number, most in (
            ("voice", self.voice, np.ones_like(self.voice), len(people)),
            ("start and length", self.start, self.length, len(self.frames)),
            ("first and pieces", self.first, self.pieces, len(self.vectors)),
        ):
            if min(begin.min(), number.min() - 1) < 0 or (begin > most - np.minimum(number, most + 1)).any():
                yield f"{name} lead beyond {most} rows"
        if not ((self.speed > 0) & (self.speed < np.inf)).all():
            yield "speed has numbers that are no speeds"
        for name, array in (("frames", self.frames), ("vectors", self.vectors)):
            bits = array.view(np.uint16)  # several times as fast as `isfinite` of half precision
            if any(((bits[at : at + _AT_ONCE] & 0x7FFF) >= _INFINITY).any() for at in range(0, len(bits), _AT_ONCE)):
                yield f"{name} hold NaN or infinity"

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads a folder of `voxface data voices`; frames and vectors are mapped, so they stay on disk until they are used.

        Raises:
            InputError: it is not one, or a file is missing or has changed.
        """
        for name in (MANIFEST, *FILES):
            if not (folder / name).exists():
                raise InputError(
                    f"{folder}: no rendered voices here ({name} is missing); `voxface data voices` makes them"
                )
        try:
            document = json.loads(decode_text(read_bytes(folder / MANIFEST), folder / MANIFEST))
            if document["schema"] != SCHEMA:
                raise InputError(f"{folder}: schema {document['schema']}, this version reads {SCHEMA}; make it again")
            if not is_intact(document):
                raise InputError(f"{folder / MANIFEST}: is not the file that was written; make the voices again")
            for name in FILES:
                if sha256_of(folder / name) != document["files"][name]:
                    raise InputError(f"{folder / name}: is not the file that was written; make the voices again")
            tables = read_npz(read_bytes(folder / "tables.npz"), TABLES)
            columns = {name: tables[name] for name in TABLES}
            frames, vectors = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in FILES[:2])
            return cls(document["about"], frames, vectors, **columns, digest=document["seal"])
        except Exception as error:
            if not is_damage(error):
                raise
            raise InputError(f"{folder}: cannot be read as rendered voices: {reason(error)}") from error

    def of(self, split: str, *, clean: bool | None = None) -> NDArray[np.int64]:
        """Renderings of voices of a split; only the clean or the degraded ones, if `clean` is said."""
        chosen = np.array([voice["split"] == split for voice in self.about["voices"]])[self.voice]
        return np.flatnonzero(chosen if clean is None else chosen & (self.clean == clean))

    @cached_property
    def speaker(self) -> NDArray[np.int64]:
        """The speaker of each voice, int64 [V], from 0 in the order of the voices: recordings of one speaker share a number."""
        numbers: dict[tuple[str, str], int] = {}
        people = self.about["voices"]
        return np.array([numbers.setdefault((p["corpus"], p["speaker"]), len(numbers)) for p in people], np.int64)

    @property
    def provenance(self) -> list[str]:
        """What was learnt from, one line a set, and the teacher."""
        heard = np.unique(self.voice[self.of("train")])
        train = [self.about["voices"][int(number)] for number in heard]
        lines = []
        for name in sorted({voice["corpus"] for voice in train}):
            own = [voice for voice in train if voice["corpus"] == name]
            licences = ", ".join(sorted({voice["licence"] for voice in own if voice.get("licence")}))
            lines.append(f"{name}: {len(own)} voices" + (f" ({licences})" if licences else ""))
        return [*lines, f"teacher: {self.about['teacher']}"]

    def targets(self, rendering: int, begin: int, end: int) -> Float32:
        """Mean of the teacher's vectors of the pieces that lie mostly within frames [begin, end) of a rendering."""
        every, piece = self.about["every"], self.about["piece"]
        count = int(self.pieces[rendering])
        middles = np.arange(count) * every + min(piece, int(self.length[rendering])) // 2
        inside = np.flatnonzero((middles >= begin) & (middles < end))
        if not len(inside):
            inside = np.array([int(np.argmin(np.abs(middles - (begin + end) / 2)))])
        rows = self.vectors[self.first[rendering] + inside]
        mean: Float32 = rows.astype(np.float32).mean(0)
        return mean


def _is_person(person: Any) -> bool:
    """Whether a voice of the manifest has what training looks at."""
    age = person["age"]
    return (
        all(person[name].isprintable() for name in ("corpus", "speaker", "path", "language"))
        and person.get("licence", "").isprintable()  # folders of earlier versions do not say
        and person["sex"] in ("F", "M", None)
        and (age is None or (len(age) == 2 and all(type(years) is int and 0 < years < 200 for years in age)))
        and person["split"] in SPLITS
    )


def is_renderings(folder: Path) -> bool:
    """Whether a folder looks like one of rendered voices; whether it is whole, `Renderings.load` tells."""
    return (folder / MANIFEST).is_file()


def write_manifest(folder: Path, about: dict[str, Any]) -> str:
    """Writes the last file of a folder that holds the others; returns the digest of all."""
    files = {name: sha256_of(folder / name) for name in FILES}
    document = sealed({"schema": SCHEMA, "about": about, "files": files})
    (folder / MANIFEST).write_text(json.dumps(document) + "\n")
    return str(document["seal"])


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open_regular(file) as data:
        while block := data.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
