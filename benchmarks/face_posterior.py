"""The face that a mesh network makes of a voice beside trivial answers, and how well its posterior is calibrated.

    python -m benchmarks.face_posterior PAIRS ENCODER MESH [PAIRS ENCODER MESH …]

For each world: a folder of pairs, of the training of a voice encoder, and of that of the mesh (`voxface train mesh --set
target=expected`). Errors are of the test people, in millimetres RMS over vertices, with 95 % intervals over speakers: against
the one face that was drawn for each, and expected, over all faces that the world pairs with the voice.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import parser
from benchmarks.record import record
from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR, read_face_posterior
from voxface.runtime.inference.attributes import read_attributes
from voxface.runtime.inference.face_posterior import FacePosterior
from voxface.training.data.pairs import Pairs
from voxface.training.engine.trained_networks import describe, load_network
from voxface.training.evaluation.geometry.held_out import HeldOut
from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.models.frozen import Frozen
from voxface.training.models.shrunk_mesh import ShrunkMesh
from voxface.training.trainers.face_posterior import REGIONS, coverage


def beside(errors: NDArray[np.float64], base: NDArray[np.float64]) -> dict[str, Any]:
    """Mean error over speakers, and how much more it is than that of a baseline, with its interval."""

    def mean(rows: NDArray[np.int64]) -> float:
        return float((errors - base)[rows].mean())

    every = np.arange(len(errors))
    return {
        "rms_mm": float(errors.mean()),
        "above_trivial_mm": mean(every),
        "above_trivial_95": list(bootstrap(mean, every, rng=np.random.default_rng(0))),
    }


def drawn_once(
    held: HeldOut, predicted: NDArray[np.float32], slope: float, posterior: FacePosterior
) -> dict[str, float]:
    """Shares of the measurements of everybody's own face in the regions of their posterior."""
    model, inside = held.pairs.morphable, []
    for row, i in zip(predicted, held.person, strict=True):
        own = FacePosterior(row, read_attributes(model, row, slope).sex["female"], posterior.weights, model)
        true = np.array([list(model.measurements_of(held.pairs.coefficients[i]).values())])
        off = np.abs(own.probability_below(true) - 0.5)
        inside.append([float((off <= region / 200).mean()) for region in REGIONS])
    return {f"coverage_{region}": float(share) for region, share in zip(REGIONS, np.mean(inside, axis=0), strict=True)}


def world(pairs: Pairs, encoder: Frozen, run: Path) -> dict[str, Any]:
    """Measures the mesh of one world."""
    network, about = load_network(run, "mesh"), describe(run)
    assert isinstance(network, ShrunkMesh)
    slope = float(about["calibration"]["sex_slope"])
    weights = read_face_posterior((run / FACE_POSTERIOR).read_bytes())
    fit, held, valid = (HeldOut.from_pairs(pairs, encoder, split) for split in ("train", "test", "validation"))
    assert fit is not None
    assert held is not None
    assert valid is not None
    trivial = held.errors(held.mean_face_per_sex(fit)).rms_mm
    model, person = pairs.morphable, held.person
    predicted = held.predictions(network)
    rows: dict[str, NDArray[np.float32]] = {
        "mesh": predicted,
        "mesh_before_shrinkage": held.predictions(network.regressor),
        "mean_face_of_the_sex_heard": held.mean_face_per_sex(fit),
        "population_mean_of_the_true_sex": model.sex_means[pairs.sexes[person]],
        "conditional_mean_of_the_world": pairs.expected[person],
    }
    # Against the mean of all faces that go with a voice, and how far one of them lies from it: what the error is in the mean of
    # all draws, without the chance of the one that was drawn.
    exact = replace(held, pairs=replace(pairs, coefficients=pairs.expected))
    spread = float((held.errors(pairs.expected[person]).rms_mm ** 2).mean())

    def expected_error(of: NDArray[np.float32]) -> NDArray[np.float64]:
        error: NDArray[np.float64] = np.sqrt(exact.errors(of).rms_mm ** 2 + spread)
        return error

    base = expected_error(rows["mean_face_of_the_sex_heard"])
    told: dict[str, list[list[float]]] = {}
    for row in predicted:
        posterior = FacePosterior(row, read_attributes(model, row, slope).sex["female"], weights, model)
        for name, of in {"whole mesh": posterior.told_of_mesh, **posterior.told}.items():
            told.setdefault(name, []).append([of.share, of.low, of.high, of.within_sex])
    means = {name: np.mean(values, axis=0).tolist() for name, values in told.items()}
    return {
        "speakers": len(trivial),
        "shrinkage": about["shrinkage"],
        "errors": {name: beside(held.errors(of).rms_mm, trivial) for name, of in rows.items()},
        "expected_errors": {name: beside(expected_error(of), base) for name, of in rows.items()},
        "coverage": {
            "validation": coverage(valid, network, slope, weights),
            "test": coverage(held, network, slope, weights),
            "test, everybody's own face": drawn_once(held, predicted, slope, posterior),
        },
        "told": {
            name: dict(zip(("share", "low", "high", "within_sex"), row, strict=True)) for name, row in means.items()
        },
        "posterior_bytes": (run / FACE_POSTERIOR).stat().st_size,
    }


def main() -> None:
    """Measures every world."""
    options = parser(__doc__)
    options.add_argument("folders", nargs="+", type=Path, metavar="PAIRS ENCODER MESH", help="for each world")
    folders = options.parse_args().folders
    if len(folders) % 3:
        options.error("three folders for each world: pairs, encoder, mesh")
    measured: dict[str, Any] = {}
    for at in range(0, len(folders), 3):
        pairs = Pairs.load(folders[at], verify=False)
        frozen = Frozen(load_network(folders[at + 1], "encoder"))
        measured[pairs.kind] = world(pairs, frozen, folders[at + 2])
    record(
        "face_posterior",
        f"python -m benchmarks.face_posterior {' '.join(map(str, folders))}",
        measured,
        packages=("numpy", "torch", "onnxruntime"),
    )


if __name__ == "__main__":
    main()
