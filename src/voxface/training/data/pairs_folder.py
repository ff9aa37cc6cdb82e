"""A folder of pairs: written person after person, utterance after utterance, in memory for one of them.

    pairs.json             schema, kind, about (seed, configuration, provenance), the people, SHA-256 of the files, of what is
                           learnt from (digest), and of pairs.json itself (seal)
    frames-00000.npy …     float16 [n, 64], log-mel frames before normalisation, utterance after utterance (`array_shards`)
    pictures-00000.npy …   uint8 [n, H, W, 3], RGB
    tables.npz             the index arrays of `Pairs`
    morphable.npz          the morphable model of the coefficients
    fits.npz               3D faces fitted to single pictures (where there are any: then the schema is 3, else 2)
    population.npz         distribution of faces within each sex (where known)
    rejected.csv           files that could not be used, with the reason (of own data)
    verified.json          sizes and times of the files as they were written: while they stay, a file is not read to be verified

Folders of schema 1 have one `frames.npy` and one `pictures.npy` instead, and are read as well.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import BundleError, InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.damage import reason
from voxface.runtime.files.sealed_json import is_intact, sealed
from voxface.training.data.array_shards import SHARD_BYTES, ShardWriter, is_shard, open_shards
from voxface.training.data.fits import Fits
from voxface.training.faces.population import FacePopulation

MANIFEST: Final = "pairs.json"
VERIFIED: Final = "verified.json"
REJECTED: Final = "rejected.csv"
SCHEMA: Final = 3
_WITHOUT_FITS: Final = 2  # what earlier versions read
_MELS: Final = 64
_TABLES: Final = (
    "offsets",
    "utterance_person",
    "utterance_recording",
    "utterance_clean",
    "picture_person",
    "coefficients",
    "expected",
    "cues",
)
_MODEL, _POPULATION, _FITS = "morphable.npz", "population.npz", "fits.npz"


class PairsWriter:
    """Writes a folder of pairs, in memory for one utterance and one person's pictures; a context manager.

    Utterances and pictures may come in any order. `finish` writes what is left; without it the folder is no pairs.
    """

    def __init__(self, folder: Path, *, shard_bytes: int = SHARD_BYTES) -> None:
        """`folder`: an empty one, or one that is not there yet.

        Raises:
            OSError: it cannot be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._shard_bytes = folder, shard_bytes
        self._frames = ShardWriter(folder, "frames", (_MELS,), np.float16, shard_bytes)
        self._pictures: ShardWriter | None = None
        self._offsets = [0]
        self._utterances: list[tuple[int, int, bool]] = []
        self._picture_person: list[int] = []
        self._fits: list[Fits] = []

    @property
    def utterances(self) -> int:
        """How many utterances have been written."""
        return len(self._utterances)

    def add_utterance(self, person: int, recording: int, frames: NDArray[np.float16], *, clean: bool) -> None:
        """Writes log-mel frames float16 [T, 64] of a person; renderings of one recording share its number.

        Raises:
            OSError: it cannot be written.
        """
        self._frames.append(frames)
        self._offsets.append(self._frames.rows)
        self._utterances.append((person, recording, clean))

    def add_pictures(self, person: int, pictures: NDArray[np.uint8]) -> None:
        """Writes pictures uint8 [n, H, W, 3] of a person; all of one size.

        Raises:
            OSError: they cannot be written.
        """
        if self._pictures is None:
            self._pictures = ShardWriter(self._folder, "pictures", pictures.shape[1:], np.uint8, self._shard_bytes)
        self._pictures.append(pictures)
        self._picture_person += [person] * len(pictures)

    @property
    def pictures(self) -> int:
        """How many pictures have been written."""
        return len(self._picture_person)

    def add_fits(self, fits: Fits) -> None:
        """Keeps fitted faces, to be written in the end."""
        if len(fits):
            self._fits.append(fits)

    def finish(
        self,
        *,
        kind: str,
        about: dict[str, Any],
        people: Sequence[Sequence[str]],
        coefficients: NDArray[np.float32],
        expected: NDArray[np.float32],
        cues: NDArray[np.float32],
        morphable: MorphableModel,
        population: FacePopulation | None = None,
    ) -> str:
        """Writes the rest, see `Pairs`; `people` are rows of name, speaker, sex and split. Returns the digest.

        Raises:
            OSError: they cannot be written.
        """
        self._frames.close()
        if self._pictures is None:
            self._pictures = ShardWriter(self._folder, "pictures", (64, 64, 3), np.uint8)
        self._pictures.close()
        who, recording, clean = zip(*self._utterances, strict=True) if self._utterances else ((), (), ())
        tables = {
            "offsets": np.array(self._offsets, np.int64),
            "utterance_person": np.array(who, np.int32),
            "utterance_recording": np.array(recording, np.int32),
            "utterance_clean": np.array(clean, np.bool_),
            "picture_person": np.array(self._picture_person, np.int32),
            "coefficients": coefficients,
            "expected": expected,
            "cues": cues,
        }
        np.savez(self._folder / "tables.npz", **tables)  # type: ignore[arg-type]
        morphable.save(self._folder / _MODEL)
        if population is not None:
            population.save(self._folder / _POPULATION)
        if self._fits:
            np.savez(self._folder / _FITS, **Fits.joined(self._fits).arrays)  # type: ignore[arg-type]
        written = sorted(file for file in self._folder.iterdir() if file.name not in (MANIFEST, VERIFIED))
        document: dict[str, Any] = {
            "schema": SCHEMA if self._fits else _WITHOUT_FITS,
            "kind": kind,
            "about": about,
            "files": {file.name: _sha256(file) for file in written},
            "people": [list(person) for person in people],
        }
        document["digest"] = digest_of(document)
        marks = {file.name: _mark(file, document["files"][file.name]) for file in written}
        (self._folder / VERIFIED).write_text(json.dumps(marks) + "\n")
        (self._folder / MANIFEST).write_text(json.dumps(sealed(document), indent=1) + "\n")
        return str(document["digest"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._frames.__exit__(kind, *rest)
        if self._pictures is not None:
            self._pictures.__exit__(kind, *rest)


def read_folder(folder: Path, *, verify: bool = True) -> dict[str, Any]:
    """Reads a folder that was written: the attributes of `Pairs` by name, `people` as rows of name, speaker, sex and split.

    Args:
        verify: whether every file is compared with its SHA-256 that is not, by `verified.json`, as it was written.

    Raises:
        InputError: no pairs there, or a file is missing or has changed.
    """
    try:
        document = json.loads((folder / MANIFEST).read_text())
        if document["schema"] not in (1, _WITHOUT_FITS, SCHEMA):
            raise InputError(f"{folder}: schema {document['schema']}, this version reads {SCHEMA}; make it again")
        if document["digest"] != digest_of(document) or not is_intact(document):
            raise InputError(f"{folder / MANIFEST}: is not the file that was written; make the pairs again")
        files: dict[str, str] = document["files"]
        frames, pictures = (
            [f"{name}.npy"] if document["schema"] == 1 else sorted(file for file in files if is_shard(file, name))
            for name in ("frames", "pictures")
        )
        known = {*frames, *pictures, "tables.npz", _MODEL}
        for name in (*known, *files):
            if name not in known | {_POPULATION, REJECTED, _FITS}:
                raise InputError(f"{folder}: {MANIFEST} names a file that does not belong here: {name}")
            if name not in files:
                raise InputError(f"{folder}: {MANIFEST} does not name {name}; make the pairs again")
        if verify:
            _verify(folder, files)
        tables = np.load(io.BytesIO((folder / "tables.npz").read_bytes()), allow_pickle=False)
        return {
            "kind": document["kind"],
            "about": document["about"],
            "people": document["people"],
            "frames": open_shards(folder, frames),
            "pictures": open_shards(folder, pictures),
            "morphable": MorphableModel.from_bytes((folder / _MODEL).read_bytes()),
            "population": FacePopulation.load(folder / _POPULATION) if _POPULATION in files else None,
            "fits": _read_fits(folder / _FITS) if _FITS in files else None,
            "digest": document["digest"],
            **{name: tables[name] for name in _TABLES},
        }
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: no pairs here ({Path(error.filename).name} is missing); make some with "
            "`voxface data prepare` (real voices) or `voxface data synth --people N` (synthetic ones)"
        ) from error
    except DAMAGE_OF_PAIRS as error:
        raise damaged(folder, error) from error
    except BundleError as error:
        raise InputError(f"{folder}: {error}") from error


def _read_fits(file: Path) -> Fits:
    return Fits.from_arrays(np.load(io.BytesIO(file.read_bytes()), allow_pickle=False))


DAMAGE_OF_PAIRS: Final = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    OSError,
    zipfile.BadZipFile,
)


def damaged(folder: Path, error: Exception) -> InputError:
    """The error about a folder that is there and cannot be read."""
    return InputError(f"{folder}: cannot be read as pairs ({reason(error)})")


def _verify(folder: Path, files: dict[str, str]) -> None:
    """Compares files with their SHA-256 that are not as they were written, by size, time and place.

    A training of VoxCeleb's size has 17 GB of them, which would be read at every start. Of a copied folder they are.

    Raises:
        InputError: one is not what was written.
        OSError: one cannot be read.
    """
    try:
        known = json.loads((folder / VERIFIED).read_text())
        known = known if isinstance(known, dict) else {}
    except (OSError, ValueError):
        known = {}
    for name, digest in files.items():
        if known.get(name) != _mark(folder / name, digest) and _sha256(folder / name) != digest:
            raise InputError(f"{folder / name}: is not the file that was written; make the pairs again")


def _mark(file: Path, digest: str) -> list[Any]:
    stat = file.stat()
    return [digest, stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def digest_of(document: dict[str, Any]) -> str:
    """SHA-256 of what is learnt from: files and people."""
    known = {key: document[key] for key in ("kind", "files", "people")}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
