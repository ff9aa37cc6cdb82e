"""The embedded head in the third dimension: depths beside their sources, modes beside ICT-FaceKit's, distance to a real scan.

    python -m benchmarks.head_depth [--model embedded.npz --population population.npz] [--ict FOLDER] [--scan FILE.obj]
        [--pictures FOLDER]

Without `--model` the model is built first (needs anny). Depths are those of the mean woman and the mean man, in millimetres
from the sellion. The principal directions of both models are compared at the 68 landmarks, turned, shifted and brought to
one size. A scan is compared with the mean face after a similarity that brings its points nearest to the face (ICP, the
nearest nine in ten of the points within 90 mm of the tip of the nose). `--pictures` writes both mean faces and the maps of
their distances to the scan from three sides.
"""

import argparse
import importlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.faces import intersections, statistics
from benchmarks.record import record
from voxface.importers.face_models.ict import read_ict
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.anthropometry import DEPTH, PLACES, SEXES
from voxface.training.faces.landmarks import RIGHT_OF, HeadLandmarks
from voxface.training.faces.offsets import X, Y, Z
from voxface.training.faces.population import FacePopulation, sample_faces
from voxface.training.faces.surface import Vertices

SAMPLES = 3000
MODES = (1, 3, 5, 10, 20)
REACH_MM, NEAREST, ROUNDS = 90.0, 0.9, 60
# Distance at which the colours of an error map are full.
FULL_MM = 3.0


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


def shapes_of_landmarks(model: MorphableModel, coefficients: NDArray[np.float64]) -> Vertices:
    """Landmarks float64 [S, 68, 3] of faces with coefficients float64 [S, P], brought to one place, pose and size."""
    marks = model.landmarks
    shapes = model.mean[marks] + np.tensordot(coefficients, model.basis[:, marks].astype(np.float64), axes=1)
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    size = np.sqrt((shapes**2).sum(axis=(1, 2)))
    shapes *= (size.mean() / size)[:, None, None]
    mean = shapes.mean(axis=0)
    for _ in range(3):
        u, _, vt = np.linalg.svd(np.einsum("skx,ky->sxy", shapes, mean))
        u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
        shapes = shapes @ (u @ vt)
        mean = shapes.mean(axis=0)
    return shapes


def modes_beside_ict(model: MorphableModel, population: FacePopulation, ict: MorphableModel) -> dict[str, Any]:
    """Spectra and principal directions of both models at the 68 landmarks."""
    rng = np.random.default_rng(3)
    own = np.concatenate([sample_faces(model, population, sex, SAMPLES // 2, rng) for sex in (0, 1)])
    drawn = {"ours": (model, own.astype(np.float64)), "ict": (ict, rng.standard_normal((SAMPLES, ict.modes)))}
    spectra: dict[str, NDArray[np.float64]] = {}
    directions: dict[str, NDArray[np.float64]] = {}
    for name, (which, coefficients) in drawn.items():
        shapes = shapes_of_landmarks(which, coefficients)
        # ICT's faces are not symmetric, ours are: only what is symmetric can be compared.
        flipped = shapes[:, MIRROR] * np.array([-1.0, 1.0, 1.0])
        off = ((shapes + flipped) / 2).reshape(len(shapes), -1)
        _, values, rows = np.linalg.svd(off - off.mean(axis=0), full_matrices=False)
        spectra[name], directions[name] = values**2 / len(off), rows
    variance = {name: values.sum() / 68 for name, values in spectra.items()}
    return {
        "symmetric_rms_mm": {name: np.sqrt(value) for name, value in variance.items()},
        "mode_sd_mm": {name: np.sqrt(values[:10] / 68).tolist() for name, values in spectra.items()},
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
        "cosines_of_principal_angles_of_first_10": np.linalg.svd(
            directions["ours"][:10] @ directions["ict"][:10].T, compute_uv=False
        ).tolist(),
    }


# Landmark -> the one at the mirrored place.
MIRROR = np.array(
    [RIGHT_OF.get(k, next((left for left, right in RIGHT_OF.items() if right == k), k)) for k in range(68)]
)


def _explained(values: NDArray[np.float64], rows: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    inside = np.square(rows @ others.T).sum(axis=1)
    return float((values * inside).sum() / values.sum())


def read_scan(path: Path) -> tuple[Vertices, NDArray[np.int32], Vertices]:
    """Vertices, triangles and the 68 marks (Multi-PIE order) of a menpo3d scan: an `.obj` with its `.ljson` beside it."""
    vertices, triangles = [], []
    for line in path.read_text().splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(entry) for entry in rest[:3]])
        elif word == "f":
            triangles.append([int(entry.split("/")[0]) - 1 for entry in rest[:3]])
    points = json.loads(path.with_suffix(".ljson").read_text())["groups"]["LJSON"]["landmarks"]["points"]
    jaw, eyes, brows_nose, mouth = range(17), range(17, 29), range(29, 48), range(48, 68)
    right_brow, nose, left_brow = brows_nose[:5], brows_nose[5:14], brows_nose[14:]
    order = [*jaw, *right_brow, *left_brow, *nose, *eyes, *mouth]
    return np.array(vertices), np.array(triangles, np.int32), np.array(points, float)[order]


class ScanFit:
    """A scan brought to a face by the similarity that minimises the distances of its nearest points (ICP).

    Attributes:
        placed: float64 [S, 3], the whole scan in the face's frame.
        signed: float64 [S], distance to the face in millimetres of the scan, positive in front of it.
        face: bool [S], points within `REACH_MM` of the tip of the nose.
    """

    def __init__(self, mean: NDArray[np.float32], model: MorphableModel, scan: Vertices, marks: Vertices) -> None:
        open3d: Any = importlib.import_module("open3d")
        scene = open3d.t.geometry.RaycastingScene()
        scene.add_triangles(open3d.core.Tensor(mean), open3d.core.Tensor(model.triangles.astype(np.uint32)))
        self.face: NDArray[np.bool_] = np.linalg.norm(scan - marks[30], axis=1) < REACH_MM
        near = scan[self.face]
        size, turn, shift = similarity(marks, mean[model.landmarks].astype(np.float64))
        for _ in range(ROUNDS):
            places = size * near @ turn.T + shift
            answer = scene.compute_closest_points(open3d.core.Tensor(places.astype(np.float32)))
            closest = answer["points"].numpy().astype(np.float64)
            off = np.linalg.norm(places - closest, axis=1)
            kept = off <= np.quantile(off, NEAREST)
            size, turn, shift = similarity(near[kept], closest[kept])
        self.placed: Vertices = size * scan @ turn.T + shift
        answer = scene.compute_closest_points(open3d.core.Tensor(self.placed.astype(np.float32)))
        away = self.placed - answer["points"].numpy()
        normals = answer["primitive_normals"].numpy()
        self.signed: NDArray[np.float64] = np.linalg.norm(away, axis=1) * np.sign((away * normals).sum(axis=1)) / size

    def summary(self) -> dict[str, float]:
        """Median, mean and 90 % quantile of the distances, mm."""
        off = np.abs(self.signed[self.face])
        return {"median_mm": np.median(off), "mean_mm": off.mean(), "p90_mm": np.quantile(off, 0.9)}


def similarity(points: Vertices, others: Vertices) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Scale, rotation [3, 3] and shift [3] that bring points to others in least squares (Umeyama 1991)."""
    middle, other = points.mean(axis=0), others.mean(axis=0)
    here, there = points - middle, others - other
    u, s, vt = np.linalg.svd(there.T @ here)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (u * flip) @ vt
    size = float((s * flip).sum() / (here**2).sum())
    return size, turn, other - size * turn @ middle


def write_pictures(
    folder: Path, models: dict[str, MorphableModel], fits: dict[str, ScanFit], scan: NDArray[np.int32]
) -> None:
    """Mean faces from three sides, and the scan coloured by its distance to each: red in front, blue behind."""
    from voxface.training.faces.render import Framing, render, write_picture_sheet

    framing = Framing((0.0, -35.0, -30.0), 215.0, 1500.0)
    views = ((0.0, 0.0), (45.0, 0.0), (90.0, 0.0))

    def three(vertices: NDArray[np.float32], triangles: NDArray[np.int32], colours: NDArray[np.float32]) -> Any:
        return [render(vertices, triangles, colours, size=400, view=view, framing=framing) for view in views]

    folder.mkdir(parents=True, exist_ok=True)
    clay = {name: np.full(model.mean.shape, 0.72, np.float32) for name, model in models.items()}
    own = models["ours"]
    rows = [three(head, own.triangles, clay["ours"]) for head in own.mean_faces]
    rows += [three(model.mean, model.triangles, clay[name]) for name, model in models.items() if name != "ours"]
    write_picture_sheet(rows, folder / "means.png")
    maps = []
    for fit in fits.values():
        shade = np.clip(fit.signed / FULL_MM, -1, 1)[:, None]
        red, blue, white = np.array([0.85, 0.1, 0.1]), np.array([0.1, 0.2, 0.85]), np.full(3, 0.93)
        colours = np.where(shade > 0, white + (red - white) * shade, white + (blue - white) * -shade)
        maps.append(three(fit.placed.astype(np.float32), scan[fit.face[scan].all(axis=1)], colours.astype(np.float32)))
    if maps:
        write_picture_sheet(maps, folder / "scan-error.png")


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
