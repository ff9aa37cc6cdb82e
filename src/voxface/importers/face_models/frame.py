"""From a format's own axes to those of voxface: x to the subject's left, y up, z out of the face (design §2)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError

ALONG = 0.7  # cosine: how nearly a direction of the face must lie along an axis of its file
CANTHI_MM = (60.0, 130.0)  # no adult's outer canthi are nearer or farther apart; another distance means another unit


def axes(path: Path, landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """The rotation [3, 3] by quarter turns from the file's frame to ours, read off 68 landmarks [68, 3] of the mean face.

    Published models look along one of their axes, so only axes are exchanged and turned round; the pose stays the model's.

    Raises:
        InputError: the landmarks are no face, have left and right exchanged, or it looks along no axis.
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
    """Raises InputError unless the outer canthi of the mean face are a plausible distance (mm) apart."""
    low, high = CANTHI_MM
    if not low <= outer_canthi <= high:
        raise InputError(
            f"{path}: the outer eye corners of the mean face are {outer_canthi:.4g} mm apart, not {low:.0f} to {high:.0f}; "
            "the file is in another unit than its format says, or the landmarks are not this model's"
        )
