"""Landmark files (68 vertices in Multi-PIE order), and the measurements that 68 landmarks determine on any model."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import DAMAGE, reason
from voxface.runtime.files.text import read_text

COUNT = 68

# The measurements that 68 landmarks determine, as pairs of landmarks. Widths of the face and the jaw are taken on the
# landmark contour, near the places where a calliper touches the bone but not at them, so they are approximations.
MEASUREMENTS = {
    "face_width": (0, 16),
    "face_length": (27, 8),
    "jaw_width": (4, 12),
    "nose_length": (27, 33),
    "nose_width": (31, 35),
    "mouth_width": (48, 54),
    "outer_canthal_width": (36, 45),
    "inner_canthal_width": (39, 42),
}


def read_landmarks(path: Path) -> NDArray[np.int64]:
    """Vertices int64 [68], counted from 0, from a JSON list or a text file of numbers (`#` starts a comment).

    A text file of 68 lines `vertex weight vertex weight vertex weight` (GNM's barycentric form) gives the heaviest vertex
    of each line.

    Raises:
        InputError: the file is missing, unreadable, or does not hold 68 whole numbers.
    """
    text = read_text(path)
    if text.lstrip().startswith(("version:", "n_points:")):
        raise InputError(
            f"{path}: holds points of a picture (.pts), not vertices of a model; give 68 vertex indices, counted from 0"
        )
    try:
        if text.lstrip().startswith(("[", "{")):
            table = np.array(json.loads(text), np.float64)
        else:
            lines = [line.split("#")[0].replace(",", " ").split() for line in text.splitlines()]
            rows = [[float(word) for word in line] for line in lines if line]
            table = np.array(rows if {len(row) for row in rows} == {6} else [x for row in rows for x in row])
    except DAMAGE as error:
        raise InputError(f"{path}: the landmarks are not numbers ({reason(error)}); give 68 vertex indices") from error
    if table.shape == (COUNT, 6):
        heaviest = table[:, 1::2].argmax(axis=1)
        table = table[np.arange(COUNT), 2 * heaviest]
    wanted = "give 68 whole vertex indices, counted from 0, in Multi-PIE order"
    if table.shape != (COUNT,):
        raise InputError(f"{path}: {table.size} landmarks; {wanted}")
    wrong = np.flatnonzero((table != np.rint(table)) | ~(np.abs(table) < 2**31))
    if len(wrong):
        raise InputError(f"{path}: number {wrong[0] + 1} of 68 is {table[wrong[0]]}, no vertex index; {wanted}")
    return table.astype(np.int64)


def require_landmarks(path: Path, what: str, landmarks: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The landmarks; InputError if there are none, because the format `what` carries none."""
    if landmarks is None:
        raise InputError(
            f"{path}: {what} carries no 68 landmarks; give --landmarks a text or JSON file of 68 vertex indices, "
            "counted from 0, in Multi-PIE order"
        )
    return landmarks


def measurement_paths(landmarks: NDArray[np.int64]) -> dict[str, tuple[int, ...]]:
    """The two vertices of each measurement by name; `landmarks` int64 [68]."""
    return {name: (int(landmarks[a]), int(landmarks[b])) for name, (a, b) in MEASUREMENTS.items()}
