"""3D faces fitted to a table of landmarks, and the file that holds them."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.atomic import write_atomically
from voxface.runtime.processor import usable_cores
from voxface.training.faces.camera import Camera, Projection, Space
from voxface.training.faces.fitting import Contour, FitResult, LandmarkFitter
from voxface.training.faces.landmark_files import LandmarkTable
from voxface.training.faces.prior import Prior, determined_span

# Faces fitted between two progress reports.
AT_ONCE = 1024


def fit_table(
    model: MorphableModel,
    table: LandmarkTable,
    *,
    prior: Prior,
    contour: Contour,
    focal: float = np.inf,
    centres: NDArray[np.float64] | None = None,
    sigma: float = 1.0,
    robust: float | None = None,
    done: Callable[[str], None] = lambda _: None,
) -> FitResult:
    """Fits every face of a table; faces with the same principal point are fitted together.

    Args:
        focal: focal length in pixels; infinite: weak perspective.
        centres: float64 [B, 2], principal points in pixels; without effect in weak perspective.
        sigma, robust: see `LandmarkFitter.fit`.
        done: called with the name of each finished face.
    """
    count = len(table.landmarks)
    if centres is None or not np.isfinite(focal):
        centres = np.zeros((count, 2))
    order: list[NDArray[np.intp]] = []
    parts: list[FitResult] = []
    for centre in np.unique(centres, axis=0):
        projection: Projection = Space()
        if table.landmarks.shape[2] == 2:
            projection = Camera(focal, (float(centre[0]), float(centre[1])))
        fitter = LandmarkFitter(model, projection, prior=prior, contour=contour)
        rows = np.nonzero((centres == centre).all(axis=1))[0]
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            workers = min(8, usable_cores())
            parts.append(fitter.fit(table.landmarks[some], sigma, robust=robust, workers=workers))
            order.append(some)
            for row in some:
                done(table.names[row])
    back = np.argsort(np.concatenate(order))
    return FitResult(
        **{f.name: np.concatenate([getattr(part, f.name) for part in parts])[back] for f in fields(FitResult)}
    )


def count_determined_directions(result: FitResult, prior: Prior) -> int:
    """Number of directions of coefficient space that keep less than half their prior variance; median over 1,000 faces."""
    counts = [determined_span(covariance, prior).count(0.5) for covariance in result.covariance[:1000]]
    return int(np.median(counts))


def write_fitted(path: Path, table: LandmarkTable, result: FitResult) -> None:
    """Writes an `.npz`, whole or not at all; `voxface data fit` describes the arrays."""
    arrays: dict[str, Any] = {
        "names": np.array(table.names),
        "landmarks": table.landmarks.astype(np.float32),
        "coefficients": result.coefficients,
        "variance": np.diagonal(result.covariance, axis1=1, axis2=2).astype(np.float32),
        "rotation": result.rotation.astype(np.float32),
        "scale": result.scale.astype(np.float32),
        "translation": result.translation.astype(np.float32),
        "angles": result.pose.angles.astype(np.float32),
        "residual_px": result.residual_px.astype(np.float32),
        "iterations": result.iterations,
        "converged": result.converged,
    }

    def write(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez_compressed(stream, **arrays)

    write_atomically(path, write)
