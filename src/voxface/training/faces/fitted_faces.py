"""3D faces fitted to a table of landmarks, and the file that holds them."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.atomic import write_atomically
from voxface.runtime.processor import usable_cores
from voxface.training.faces.camera import Camera, Projection, Space
from voxface.training.faces.fitting import Contour, FitResult, LandmarkFitter
from voxface.training.faces.landmark_files import LandmarkTable, Skipped
from voxface.training.faces.landmark_noise import MOST_RESIDUAL, fit_with_noise, of_one_person, relative_residual
from voxface.training.faces.prior import Prior, determined_span

# Faces fitted between two progress reports.
AT_ONCE = 1024


@dataclass(frozen=True)
class FittedTable:
    """Faces of a table that could be fitted.

    Attributes:
        table: their landmarks; also the faces left out.
        result: the fits.
        sigma: float64 [B], noise that each fit was told, in the landmarks' unit.
    """

    table: LandmarkTable
    result: FitResult
    sigma: NDArray[np.float64]


def fit_table(
    model: MorphableModel,
    table: LandmarkTable,
    *,
    prior: Prior,
    contour: Contour,
    focal: float = np.inf,
    centres: NDArray[np.float64] | None = None,
    sigma: float | None = None,
    robust: float | None = None,
    done: Callable[[str], None] = lambda _: None,
) -> FittedTable:
    """Fits every face of a table; faces with the same principal point are fitted together.

    With a noise that is estimated, faces whose landmarks the model cannot come near (`landmark_noise.MOST_RESIDUAL`) are taken
    for none and left out.

    Args:
        focal: focal length in pixels; infinite: weak perspective.
        centres: float64 [B, 2], principal points in pixels; without effect in weak perspective.
        sigma: noise of the landmarks in their unit; None: estimated for each face (`landmark_noise`).
        robust: see `LandmarkFitter.fit`.
        done: called with the name of each finished face.
    """
    count = len(table.landmarks)
    if centres is None or not np.isfinite(focal):
        centres = np.zeros((count, 2))
    order: list[NDArray[np.intp]] = []
    parts: list[FitResult] = []
    noise: list[NDArray[np.float64]] = []
    off: list[NDArray[np.float64]] = []
    for centre in np.unique(centres, axis=0):
        projection: Projection = Space()
        if table.landmarks.shape[2] == 2:
            projection = Camera(focal, (float(centre[0]), float(centre[1])))
        fitter = LandmarkFitter(model, projection, prior=prior, contour=contour)
        rows = np.nonzero((centres == centre).all(axis=1))[0]
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            workers = min(8, usable_cores())
            if sigma is None:
                part, found = fit_with_noise(fitter, table.landmarks[some], robust=robust, workers=workers)
            else:
                part = fitter.fit(table.landmarks[some], sigma, robust=robust, workers=workers)
                found = np.full(len(some), sigma)
            parts.append(part)
            noise.append(found)
            off.append(relative_residual(fitter, part))
            order.append(some)
            for row in some:
                done(table.names[row])
    back = np.argsort(np.concatenate(order))
    share = np.concatenate(off)[back]
    kept = back if sigma is not None else back[share <= MOST_RESIDUAL]
    refused = [
        Skipped(
            table.names[row] if table.kind in ("picture", "file") else int(row),
            f"{table.names[row]}: the landmarks are of no face: the nearest of {model.name} is off by {share[row]:.0%} of the "
            "distance between the outer eye corners; left out",
        )
        for row in (np.flatnonzero(share > MOST_RESIDUAL) if sigma is None else [])
    ]
    whole = {f.name: np.concatenate([getattr(part, f.name) for part in parts])[kept] for f in fields(FitResult)}
    left = np.arange(count) if sigma is not None else np.flatnonzero(share <= MOST_RESIDUAL)
    fitted = LandmarkTable(
        table.landmarks[left],
        [table.names[row] for row in left],
        [*table.skipped, *refused],
        table.kind,
        None if table.centres is None else table.centres[left],
    )
    return FittedTable(fitted, FitResult(**whole), np.concatenate(noise)[kept])


@dataclass(frozen=True)
class FittedPeople:
    """People of whom there are several pictures.

    Attributes:
        names: of the people.
        coefficients: float32 [I, P], identity from all pictures; expressions are zero.
        variance: float32 [I, P], of the posterior; 1 for expressions.
        pictures: int64 [I], how many each has.
    """

    names: list[str]
    coefficients: NDArray[np.float32]
    variance: NDArray[np.float32]
    pictures: NDArray[np.int64]


def people_of_folders(model: MorphableModel, fitted: FittedTable, prior: Prior) -> FittedPeople:
    """The people of pictures in folders, one folder each, from all pictures of each (`landmark_noise.of_one_person`)."""
    folder = np.array([str(Path(name).parent) for name in fitted.table.names])
    names = sorted(set(folder.tolist()))
    coefficients = np.zeros((len(names), model.modes), np.float32)
    variance = np.ones((len(names), model.modes), np.float32)
    own = slice(model.identity_modes)
    for row, name in enumerate(names):
        theirs = fitted.result.of(np.flatnonzero(folder == name))
        mean, covariance = of_one_person(theirs, prior.mean, prior.covariance, model.identity_modes)
        coefficients[row, own], variance[row, own] = mean, np.diagonal(covariance)
    return FittedPeople(names, coefficients, variance, np.array([(folder == name).sum() for name in names], np.int64))


def count_determined_directions(result: FitResult, prior: Prior) -> int:
    """Number of directions of coefficient space that keep less than half their prior variance; median over 1,000 faces."""
    counts = [determined_span(covariance, prior).count(0.5) for covariance in result.covariance[:1000]]
    return int(np.median(counts))


def write_fitted(path: Path, fitted: FittedTable, people: FittedPeople | None = None) -> None:
    """Writes an `.npz`, whole or not at all; `voxface data fit` describes the arrays."""
    table, result = fitted.table, fitted.result
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
        "sigma_px": fitted.sigma.astype(np.float32),
    }
    if people is not None:
        arrays |= {
            "people": np.array(people.names),
            "people_coefficients": people.coefficients,
            "people_variance": people.variance,
            "people_pictures": people.pictures,
        }

    def write(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez_compressed(stream, **arrays)

    write_atomically(path, write)
