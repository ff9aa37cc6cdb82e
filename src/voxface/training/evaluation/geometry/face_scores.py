"""Errors of predicted meshes against true ones, one number an utterance: ratios, landmarks, vertices, measurements.

`are_table` computes the first of them from coefficients alone, for trainers; here a face is its vertices, so that meshes of
other methods are measured by the same rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.pairs import Pairs
from voxface.training.engine.phases import Done, not_told
from voxface.training.evaluation.geometry.are_table import key_point_errors, pair_sets, ratios_of
from voxface.training.evaluation.subject import at_rest
from voxface.training.faces.are_metric import REFERENCE

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Rows = NDArray[np.int64]
_AT_A_TIME: Final = 1 << 25  # numbers of vertices


@dataclass(frozen=True)
class FaceScores:
    """Errors of U faces.

    Attributes:
        are: absolute error of each ratio, by set of point pairs ("anatomical", and "paper" where the model has it) and ratio:
            float64 [U].
        key_points: by set: float64 [U], see `are_table.key_point_errors`, scaled by the set's outer-interocular distance.
        landmarks_mm: float64 [U], mean distance of the 68 landmarks in mm, once the predicted ones are moved and turned (not
            scaled) onto the true ones in least squares.
        rms_mm: float64 [U], root mean square distance of the vertices in mm, as they stand.
        measured: each measurement of the predicted faces in mm: float64 [U].
    """

    are: Mapping[str, Mapping[str, Float64]]
    key_points: Mapping[str, Float64]
    landmarks_mm: Float64
    rms_mm: Float64
    measured: Mapping[str, Float64]

    def mean_are(self, pairs: str = "anatomical") -> Float64:
        """Mean over the ratios, float64 [U]."""
        return np.asarray(np.mean(list(self.are[pairs].values()), axis=0), np.float64)


def face_scores(
    pairs: Pairs, utterances: NDArray[np.int32], vertices: Callable[[Rows], Float32], done: Done = not_told
) -> FaceScores:
    """Scores one predicted face an utterance against the true face of the person, both at rest.

    Args:
        utterances: int32 [U].
        vertices: rows int64 [B] of `utterances` -> predicted vertices float32 [B, N, 3] in mm.

    Raises:
        ValueError: there are no utterances.
    """
    if not len(utterances):
        raise ValueError("no utterances")
    model, person = pairs.morphable, pairs.utterance_person[utterances]
    size = max(1, _AT_A_TIME // (3 * len(model.mean)))
    parts = []
    for begin in range(0, len(utterances), size):
        rows = np.arange(begin, min(begin + size, len(utterances)))
        true = model.vertices(at_rest(model, pairs.coefficients[person[rows]]))
        parts.append(_scores(model, vertices(rows), true))
        done(int(rows[-1]) + 1, len(utterances))
    return _joined(parts)


def rigid(points: Float64, others: Float64) -> tuple[Float64, Float64]:
    """Rotations [U, 3, 3] and shifts [U, 1, 3] that bring points [U, K, 3] to others, p @ Rᵀ + t, in least squares (Kabsch)."""
    middle, other = points.mean(1, keepdims=True), others.mean(1, keepdims=True)
    u, _, v = np.linalg.svd((others - other).transpose(0, 2, 1) @ (points - middle))
    u[:, :, 2] *= np.where(np.linalg.det(u @ v) < 0, -1.0, 1.0)[:, None]
    turn = u @ v
    return turn, other - middle @ turn.transpose(0, 2, 1)


def lengths(vertices: Float32, paths: Mapping[str, tuple[int, ...]]) -> dict[str, Float64]:
    """Lengths float64 [U] in mm of paths along vertices of meshes [U, N, 3], by name."""
    return {
        name: np.linalg.norm(np.diff(vertices[:, list(path)].astype(np.float64), axis=1), axis=2).sum(1)
        for name, path in paths.items()
    }


def _scores(model: MorphableModel, mine: Float32, true: Float32) -> FaceScores:
    are, key_points = {}, {}
    marks, true_marks = (faces[:, model.landmarks].astype(np.float64) for faces in (mine, true))
    for name, ends in pair_sets(model).items():
        found, wanted = (
            ratios_of(lambda of, faces=faces: faces[:, of].astype(np.float64), ends)  # type: ignore[misc]
            for faces in (mine, true)
        )
        are[name] = {ratio: np.abs(found[ratio] - wanted[ratio]) for ratio in found}
        eyes = list(ends[REFERENCE])
        key_points[name] = key_point_errors(
            marks, true_marks, (mine[:, eyes].astype(np.float64), true[:, eyes].astype(np.float64))
        )
    turn, shift = rigid(marks, true_marks)
    off = marks @ turn.transpose(0, 2, 1) + shift - true_marks
    return FaceScores(
        are,
        key_points,
        np.linalg.norm(off, axis=2).mean(1),
        np.sqrt(np.square((mine - true).astype(np.float64)).sum(2).mean(1)),
        lengths(mine, model.measurements),
    )


def _joined(parts: list[FaceScores]) -> FaceScores:
    first = parts[0]
    return FaceScores(
        {
            name: {ratio: np.concatenate([part.are[name][ratio] for part in parts]) for ratio in of}
            for name, of in first.are.items()
        },
        {name: np.concatenate([part.key_points[name] for part in parts]) for name in first.key_points},
        np.concatenate([part.landmarks_mm for part in parts]),
        np.concatenate([part.rms_mm for part in parts]),
        {name: np.concatenate([part.measured[name] for part in parts]) for name in first.measured},
    )
