"""Coefficients of a face whose vertices are known, such as the meshes of Voxceleb-3D (Wu 2022, §3.2), in any pose and scale."""

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.aligned_picture import similarity

SIGMA_MM = 1.0  # noise of a coordinate; the prior decides only what thousands of vertices leave open
ROUNDS = 20
_DONE = 1e-4  # standard deviations


class VertexFitter:
    """Fits one model to vertices in its own order.

    Attributes:
        model: the model.
    """

    def __init__(self, model: MorphableModel) -> None:
        self.model = model
        self._basis = model.basis.reshape(model.modes, -1).astype(np.float64)
        self._mean = model.mean.astype(np.float64)
        self._gram = self._basis @ self._basis.T

    def fit(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float32], float]:
        """Coefficients float32 [P] of vertices [N, 3] in any unit, and the root mean square distance left over, mm.

        The most probable face under a unit-normal prior, whatever its pose and scale. A scale is that of the picture, so the
        size of a face is what its shape tells of it. Gauss–Newton: the pose is eliminated in each step, together with what
        turning, scaling and moving the face does to its vertices.

        Raises:
            ValueError: there are more or fewer vertices than the model has.
        """
        if points.shape != self._mean.shape:
            raise ValueError(f"{list(points.shape)} vertices, {list(self._mean.shape)} wanted")
        coefficients = np.zeros(len(self._basis))
        vertices, rms = self._mean, np.inf
        for _ in range(ROUNDS):
            placed = self._placed(points, vertices)
            moves = _moves(vertices)
            cross = self._basis @ moves.T
            normal = np.block([[self._gram, cross], [cross.T, moves @ moves.T]])
            own = slice(len(coefficients))
            normal[own, own] += SIGMA_MM**2 * np.eye(len(coefficients))
            off = (placed - vertices).ravel()
            right = np.concatenate([self._basis @ off - SIGMA_MM**2 * coefficients, moves @ off])
            step = np.linalg.solve(normal, right)[own]
            coefficients += step
            vertices = self._mean + (coefficients @ self._basis).reshape(-1, 3)
            if np.abs(step).max() < _DONE:
                break
        rms = float(np.sqrt(np.square(self._placed(points, vertices) - vertices).sum(1).mean()))
        return coefficients.astype(np.float32), rms

    def _placed(self, points: NDArray[np.float64], vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        """The points brought to the vertices by the best similarity."""
        scale, turn, shift = similarity(points, vertices)
        placed: NDArray[np.float64] = scale * points @ turn.T + shift
        return placed


def _moves(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    """What growing, turning about three axes and moving along three does to vertices: [7, 3N]."""
    centred = vertices - vertices.mean(0)
    axes = np.eye(3)
    moves = [centred / np.sqrt(np.square(centred).mean())]
    moves += [np.cross(axis, moves[0]) for axis in axes]
    moves += [np.broadcast_to(axis, vertices.shape) for axis in axes]
    return np.stack([move.ravel() for move in moves])
