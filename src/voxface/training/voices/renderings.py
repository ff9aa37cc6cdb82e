"""Voices as log-mel frames with what a teacher says of each piece, in a folder: what a voice encoder is distilled on.

The folder holds

    frames.npy         float16 [N, 64], all renderings one after another
    vectors.npy        float16 [P, size], the teacher's unit vectors
    tables.npz         the rows of `Renderings`
    renderings.json    voices, settings, the SHA-256 of the other files, and of itself
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.files.sealed_json import is_intact, sealed

Float32 = NDArray[np.float32]
MANIFEST: Final = "renderings.json"
FILES: Final = ("frames.npy", "vectors.npy", "tables.npz")
TABLES: Final = ("voice", "start", "length", "first", "pieces", "speed", "clean")
SCHEMA: Final = 1


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

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads a folder of `voxface data voices`; frames and vectors are mapped, so they stay on disk until they are used.

        Raises:
            InputError: it is not one, or a file is missing or has changed.
        """
        try:
            document = json.loads((folder / MANIFEST).read_text())
            if document["schema"] != SCHEMA:
                raise InputError(f"{folder}: schema {document['schema']}, this version reads {SCHEMA}; make it again")
            if not is_intact(document):
                raise InputError(f"{folder / MANIFEST}: is not the file that was written; make the voices again")
            for name in FILES:
                if sha256_of(folder / name) != document["files"][name]:
                    raise InputError(f"{folder / name}: is not the file that was written; make the voices again")
            with np.load(folder / "tables.npz", allow_pickle=False) as tables:
                columns = {name: tables[name] for name in TABLES}
            frames, vectors = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in FILES[:2])
            return cls(document["about"], frames, vectors, **columns, digest=document["seal"])
        except FileNotFoundError as error:
            raise InputError(
                f"{folder}: no rendered voices here ({Path(error.filename).name} is missing); `voxface data voices` makes them"
            ) from error
        except (LookupError, ValueError, TypeError, AttributeError, EOFError, OSError) as error:
            raise InputError(f"{folder}: cannot be read as rendered voices: {error}") from error

    def of(self, split: str, *, clean: bool | None = None) -> NDArray[np.int64]:
        """Renderings of voices of a split; only the clean or the degraded ones, if `clean` is said."""
        chosen = np.array([voice["split"] == split for voice in self.about["voices"]])[self.voice]
        return np.flatnonzero(chosen if clean is None else chosen & (self.clean == clean))

    @property
    def provenance(self) -> list[str]:
        """What was learnt from, one line a set."""
        train = [voice for voice in self.about["voices"] if voice["split"] == "train"]
        sets = sorted({voice["corpus"] for voice in train})
        return [f"{name}: {sum(voice['corpus'] == name for voice in train)} voices" for name in sets]

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
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
