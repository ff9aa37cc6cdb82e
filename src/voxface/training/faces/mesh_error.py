"""Vertex errors of meshes after the pose is removed."""

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.camera import Array


def vertex_errors(
    meshes: NDArray[np.float32] | Array, truth: NDArray[np.float32] | Array, *, scale: bool = True
) -> Array:
    """Distances float64 [B, N] between vertices of meshes and of true ones, both float [B, N, 3], in their unit.

    Each mesh is first aligned to its true one by rotation, translation and (unless `scale` is false) one scale, in least
    squares over all vertices (Umeyama 1991). Landmarks in a picture cannot distinguish a large face far away from a small one
    nearby, so scale belongs to the pose.
    """
    here, there = (v.astype(np.float64) - v.mean(axis=1, keepdims=True, dtype=np.float64) for v in (meshes, truth))
    u, s, v = np.linalg.svd(there.transpose(0, 2, 1) @ here)
    mirrored = np.where(np.linalg.det(u @ v) < 0, -1.0, 1.0)
    u[:, :, 2] *= mirrored[:, None]
    s[:, 2] *= mirrored
    size = s.sum(axis=1) / np.maximum(np.square(here).sum(axis=(1, 2)), 1e-300) if scale else np.ones(len(here))
    moved = size[:, None, None] * (here @ (u @ v).transpose(0, 2, 1))
    errors: Array = np.linalg.norm(moved - there, axis=2)
    return errors
