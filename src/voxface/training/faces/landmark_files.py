"""Files with landmarks of faces, `.npz`, `.csv` or `.pts`. Unusable faces are reported with their line and left out."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import DAMAGE, is_damage, reason
from voxface.runtime.files.folders import files_in
from voxface.runtime.files.npz import npz_names, read_npz
from voxface.runtime.files.regular import read_bytes
from voxface.runtime.files.separators import separator
from voxface.runtime.files.text import read_text
from voxface.training.faces.fitting import flat_faces

# Bounds of what can be a face, in pixels or any unit of length; beyond them squares overflow or vanish.
FARTHEST, NEAREST = 1e7, 1e-5
# Names of the array in an `.npz`; the first one found is read.
NPZ_KEYS = ("landmarks2d", "landmarks3d", "landmarks")


@dataclass(frozen=True)
class Skipped:
    """A face that could not be used.

    Attributes:
        where: line of a CSV file (from 1), row of an array (from 0), or name of a picture or `.pts` file.
        message: one line that names the file.
    """

    where: int | str
    message: str


@dataclass(frozen=True)
class LandmarkTable:
    """Landmarks of B faces.

    Attributes:
        landmarks: float64 [B, 68, D], D 2 or 3. names: B names, from a CSV file's first column if it is text, otherwise
        numbers of lines or rows; or names of pictures or
            `.pts` files.
        skipped: the faces left out.
        kind: meaning of `Skipped.where`: "line", "row", "file" or "picture".
        centres: float64 [B, 2], middles of the pictures in pixels; None if the landmarks come from a file.
    """

    landmarks: NDArray[np.float64]
    names: list[str]
    skipped: list[Skipped]
    kind: str
    centres: NDArray[np.float64] | None = None


def read_landmarks(file: Path) -> LandmarkTable:
    """Reads `.npz` (an array [B, 68, 2] or [B, 68, 3] called landmarks2d, landmarks3d or landmarks), `.csv`, `.pts`, or a
    folder of `.pts` files.

    A CSV line holds x0, y0, x1, y1, … x67, y67 (136 numbers, or 204 with z), after a name if its first field is no number.
    A first line whose first two fields are no numbers is a header; empty lines are ignored. A `.pts` file (ibug's, of 300-W)
    holds the points of one face, counted from 1 as in MATLAB: pixel 1 is the first.

    Raises:
        InputError: the file is missing, of another kind, or holds no usable face.
    """
    if file.is_dir():
        return _read_points_of(find_points(file), file)
    readers = {".npz": _read_npz, ".csv": _read_csv, ".pts": _read_points}
    if file.suffix.lower() not in readers and file.exists():
        raise InputError(f"{file}: landmarks are read from .npz, .csv and .pts files, or found in a folder of pictures")
    return readers.get(file.suffix.lower(), _read_csv)(file)


def find_points(folder: Path) -> list[Path]:
    """The `.pts` files of a folder and its subfolders, sorted; none is no error.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return files_in(folder, {".pts"}, below=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror or error})") from error


def _read_points(file: Path) -> LandmarkTable:
    return _read_points_of([file], file.parent)


def _read_points_of(files: list[Path], folder: Path) -> LandmarkTable:
    rows: list[tuple[str, str, NDArray[np.float64]]] = []
    skipped: list[Skipped] = []
    for file in files:
        name = str(file.relative_to(folder))
        points = _points(file)
        if len(points) == 68:
            rows.append((name, name, points))
        else:
            skipped.append(Skipped(name, f"{file}: {len(points)} points, not 68; left out"))
    return _table(folder, "file", rows, skipped, 2)


def _points(file: Path) -> NDArray[np.float64]:
    """The points float64 [n, 2] of a `.pts` file, counted from 0.

    Raises:
        InputError: the file cannot be read, or is none.
    """
    text = read_text(file)
    found = re.fullmatch(r"\s*(?:version:\s*(\S+)\s*)?n_points:\s*(\d{1,9})\s*\{([^{}]*)\}\s*", text)
    if found is None:
        raise InputError(
            f"{file}: no .pts file: version: 1, n_points: 68 and the points between {{ and }} are expected"
        )
    try:
        points = np.array([[float(word) for word in line.split()] for line in found[3].splitlines() if line.strip()])
        points = points.reshape(-1, 2).astype(np.float64)
    except DAMAGE as error:
        raise InputError(f"{file}: its points are no pairs of numbers ({reason(error)})") from error
    if len(points) != int(found[2]):
        raise InputError(f"{file}: holds {len(points)} points and says {found[2]}; fetch it again")
    return points - 1


def _read_npz(file: Path) -> LandmarkTable:
    data = read_bytes(file)
    try:
        arrays = read_npz(data, NPZ_KEYS)
        key = next((name for name in NPZ_KEYS if name in arrays), None)
        if key is None:
            there = ", ".join(npz_names(data)[:12]) or "none"
            raise InputError(f"{file}: has no array {', '.join(NPZ_KEYS)}, only {there}")
        given = arrays[key]
    except DAMAGE as error:
        raise InputError(f"{file}: not an .npz file, or a damaged one ({reason(error)})") from error
    if given.ndim != 3 or given.shape[1] != 68 or given.shape[2] not in (2, 3) or given.dtype.kind not in "fiu":
        raise InputError(f"{file}: {key} is {given.dtype} {list(given.shape)}, not numbers [faces, 68, 2] (or 3)")
    rows = [(i, str(i), given[i].astype(np.float64)) for i in range(len(given))]
    return _table(file, "row", rows, [], given.shape[2])


def _read_csv(file: Path) -> LandmarkTable:
    rows: list[tuple[int, str, NDArray[np.float64]]] = []
    skipped: list[Skipped] = []
    dimensions = 0
    text = read_text(file)
    try:
        for number, fields in enumerate(csv.reader(io.StringIO(text), delimiter=separator(text)), 1):
            values = [field.strip() for field in fields]
            if not any(values):
                continue
            named = _number(values[0]) is None
            name = values[0] if named else str(number)
            numbers = [_number(value) for value in values[1 if named else 0 :]]
            if number == 1 and named and (not numbers or numbers[0] is None):
                continue
            problem = None
            if None in numbers:
                column = numbers.index(None) + (2 if named else 1)
                problem = f"column {column} is {values[column - 1]!r}, not a number"
            elif len(numbers) not in (136, 204):
                problem = f"{len(numbers)} numbers, not 136 (68 landmarks; 204 with depth)"
            elif dimensions and len(numbers) != 68 * dimensions:
                problem = f"{len(numbers)} numbers where earlier lines have {68 * dimensions}"
            if problem is not None:
                skipped.append(Skipped(number, f"{file}: line {number}: {problem}; left out"))
                continue
            dimensions = len(numbers) // 68
            rows.append((number, name, np.array(numbers, np.float64).reshape(68, dimensions)))
    except Exception as error:
        if not is_damage(error):
            raise
        raise InputError(f"{file}: cannot be read as CSV ({reason(error)})") from error
    return _table(file, "line", rows, skipped, dimensions)


def _table(
    file: Path,
    what: str,
    rows: Sequence[tuple[int | str, str, NDArray[np.float64]]],
    skipped: list[Skipped],
    dimensions: int,
) -> LandmarkTable:
    good: list[NDArray[np.float64]] = []
    names: list[str] = []
    for where, name, landmarks in rows:
        problem = unusable(landmarks)
        if problem is None:
            good.append(landmarks)
            names.append(name)
        else:
            skipped.append(Skipped(where, f"{file}: {what} {where}: {problem}; left out"))
    skipped.sort(key=lambda left_out: str(left_out.where).zfill(12))
    return LandmarkTable(np.array(good).reshape(len(good), 68, dimensions or 2), names, skipped, what)


def unusable(landmarks: NDArray[np.float64]) -> str | None:
    """The reason why landmarks float64 [68, D] of a face cannot be used, or None."""
    wrong = np.argwhere(~np.isfinite(landmarks))
    if len(wrong):
        return f"landmark {wrong[0][0]} is not finite"
    far = np.argwhere(np.abs(landmarks) > FARTHEST)
    if len(far):
        return f"landmark {far[0][0]} lies at {landmarks[tuple(far[0])]:.3g}, which is in no picture"
    if flat_faces(landmarks[None])[0]:
        return "all landmarks lie in one point or on a line"
    if np.ptp(landmarks, axis=0).max() < NEAREST:
        return f"all landmarks lie within {NEAREST:g} of each other"
    return None


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None
