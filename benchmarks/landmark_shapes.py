"""Landmarks of many faces brought to one place and pose, so that only their shapes differ (Procrustes)."""

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel


def aligned_landmarks(
    model: MorphableModel, coefficients: NDArray[np.float64], *, scaled: bool = True
) -> NDArray[np.float64]:
    """Landmarks float64 [S, 68, 3], mm, of faces with coefficients float64 [S, P].

    Args:
        scaled: whether they are brought to one size too.
    """
    marks = model.landmarks
    shapes = model.mean[marks] + np.tensordot(coefficients, model.basis[:, marks].astype(np.float64), axes=1)
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    if scaled:
        size = np.sqrt((shapes**2).sum(axis=(1, 2)))
        shapes *= (size.mean() / size)[:, None, None]
    mean = shapes.mean(axis=0)
    for _ in range(3):
        u, _, vt = np.linalg.svd(np.einsum("skx,ky->sxy", shapes, mean))
        u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
        shapes = shapes @ (u @ vt)
        mean = shapes.mean(axis=0)
    aligned: NDArray[np.float64] = shapes
    return aligned
