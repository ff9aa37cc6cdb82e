"""Rotation from a format's axes to those of voxface: x to the subject's left, y up, z out of the face."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError

ALONG = 0.7  # least cosine between a direction of the face and an axis of its file
CANTHI_MM = (60.0, 130.0)  # range of adults' distances between the outer canthi; another distance means another unit


def axis_rotation(path: Path, landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """The rotation [3, 3] by quarter turns from the file's frame to ours, from the 68 landmarks [68, 3] of the mean face.

    Published models look along one of their axes, so axes are only exchanged or reversed, and the model's pose is kept.

    Raises:
        InputError: the landmarks are no face, left and right are exchanged, or the face looks along no axis.
    """
    across = landmarks[45] - landmarks[36]
    up = landmarks[17:27].mean(axis=0) - landmarks[8]
    out = np.cross(across, up)
    nose = landmarks[30] - (landmarks[36] + landmarks[45]) / 2
    if not (np.linalg.norm(across) > 0 and np.linalg.norm(up) > 0 and nose @ out > 0):
        raise InputError(
            f"{path}: the 68 landmarks are no face seen from the front; they must be vertices in Multi-PIE order, "
            "36 on the subject's right, 45 on the left, 8 at the chin"
        )
    directions = np.stack([across, up, out]) / np.linalg.norm([across, up, out], axis=1, keepdims=True)
    nearest = np.abs(directions).argmax(axis=1)
    turn = np.zeros((3, 3))
    turn[range(3), nearest] = np.sign(directions[range(3), nearest])
    if round(float(np.linalg.det(turn))) != 1 or (turn * directions).sum(axis=1).min() < ALONG:
        raise InputError(f"{path}: the mean face looks along no axis of its file; are these the model's 68 landmarks?")
    return turn


def check_size(path: Path, outer_canthi: float) -> None:
    """Checks the distance in mm between the mean face's outer canthi; InputError if it is implausible."""
    low, high = CANTHI_MM
    if not low <= outer_canthi <= high:
        raise InputError(
            f"{path}: the outer eye corners of the mean face are {outer_canthi:.4g} mm apart, not {low:.0f} to {high:.0f}; "
            "the file is in another unit than its format says, or the landmarks are not this model's"
        )
