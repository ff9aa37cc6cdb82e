"""Faces fitted to 68 landmarks: the error on known faces, and the speed.

    VOXFACE_SHARED=… python -m benchmarks.fitting [--faces 1000]

Faces are drawn from the model's own prior (unit-normal coefficients): first neutral ones, with the identity modes alone, then
faces with expressions. They are turned at random, up to 40° in yaw, 20° in pitch and 20° in roll; the mean face is 120 pixels
wide. The error of a face is the median over all vertices of the distance between fitted and true vertex. Reported is the
median over faces, with a 95 % bootstrap interval. "Pose removed" means that the fitted head was first brought onto the true
one by rotation, translation and one scale (`mesh_error`). The trivial method is the mean face, treated in the same way. Speed:
the batched solver on two threads, on one thread, and the same solver called once per face; the three take turns.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

# One thread a BLAS call: the batches are what runs in parallel.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import record
from voxface.importers.face_models import read_face_model
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.camera import Camera, Pose
from voxface.training.faces.fitting import FitResult, LandmarkFitter
from voxface.training.faces.mesh_error import vertex_errors
from voxface.training.faces.prior import determined_span

FACE_WIDTH_PX = 120.0
EXACT = 1e-3  # the noise that the fitter is told of when there is none, pixels
ROUNDS = 9
Array = NDArray[np.float64]


def drawn(model: MorphableModel, count: int, seed: int) -> tuple[Array, Pose]:
    """Coefficients float64 [B, P] and poses."""
    rng = np.random.default_rng(seed)
    jaw = model.mean[model.landmarks[[0, 16]]]
    scale = np.full(count, FACE_WIDTH_PX / float(np.linalg.norm(jaw[1] - jaw[0])))
    degrees = rng.uniform(-1, 1, (count, 3)) * np.array([40, 20, 20])
    return rng.standard_normal((count, model.modes)), Pose.from_angles(degrees, scale, np.full((count, 2), 60.0))


def neutral(model: MorphableModel) -> MorphableModel:
    """The model without its expressions."""
    k = model.identity_modes
    types = {name: coefficients[:k] for name, coefficients in model.face_types.items()}
    return replace(model, basis=model.basis[:k], sex_means=model.sex_means[:, :k], face_types=types)


def median_with_interval(errors: Array, seed: int = 0) -> dict[str, Any]:
    """Median over faces, and the 2.5 and 97.5 percentiles of 2,000 bootstrap medians."""
    picks = np.random.default_rng(seed).integers(0, len(errors), (2000, len(errors)))
    low, high = np.quantile(np.median(errors[picks], axis=1), (0.025, 0.975))
    return {"mm": float(np.median(errors)), "mm_95": [float(low), float(high)]}


def accuracy(model: MorphableModel, fitter: LandmarkFitter, count: int, noise: float) -> dict[str, Any]:
    """Errors of fits to landmarks of known faces."""
    coefficients, pose = drawn(model, count, seed=1)
    landmarks = fitter.predict(coefficients, pose)
    landmarks += noise * np.random.default_rng(2).standard_normal(landmarks.shape)
    result = fitter.fit(landmarks, noise or EXACT, workers=2)
    off = result.coefficients - coefficients
    spans = [determined_span(covariance, fitter.prior) for covariance in result.covariance]
    within = np.stack([span.within(row) for span, row in zip(spans, off, strict=True)]).astype(np.float32)
    rows: dict[str, list[Array]] = {}
    for start in range(0, count, 50):  # meshes of 50 faces at a time fit into memory
        some = slice(start, start + 50)
        truth = model.vertices(coefficients[some].astype(np.float32))
        fitted = model.vertices(result.coefficients[some])
        mean = np.broadcast_to(model.mean, truth.shape)
        for name, errors in {
            "pose_removed": vertex_errors(fitted, truth),
            "size_kept": vertex_errors(fitted, truth, scale=False),
            "mean_face_pose_removed": vertex_errors(mean, truth),
            "mean_face_size_kept": vertex_errors(mean, truth, scale=False),
            "determined_span": np.linalg.norm(model.vertices(within[some]) - model.mean, axis=2),
        }.items():
            rows.setdefault(name, []).append(np.median(errors, axis=1))
    turned = np.median(np.abs(result.pose.angles - pose.angles), axis=0)
    squared = np.einsum("bp,bpq,bq->b", off, np.linalg.inv(result.covariance), off)
    return {
        "faces": count,
        "noise_px": noise,
        "not_converged": int((~result.converged).sum()),
        "iterations": {"p50": float(np.median(result.iterations)), "max": int(result.iterations.max())},
        "residual_px": float(np.median(result.residual_px)),
        "determined_directions": {"p50": float(np.median([span.count() for span in spans])), "of": model.modes},
        "half_determined_directions": float(np.median([span.count(0.5) for span in spans])),
        **{name: median_with_interval(np.concatenate(values)) for name, values in rows.items()},
        "angle_deg": {name: float(value) for name, value in zip(("yaw", "pitch", "roll"), turned, strict=True)},
        "squared_error_in_posterior_units": float(squared.mean()) / model.modes,
    }


def speed(fitter: LandmarkFitter, count: int) -> dict[str, Any]:
    """Faces a second at one pixel of noise, batched and one call a face, in turns."""
    coefficients, pose = drawn(fitter.model, count, seed=3)
    landmarks = fitter.predict(coefficients, pose)
    landmarks += np.random.default_rng(4).standard_normal(landmarks.shape)
    alone = count // 16

    def one_by_one() -> list[FitResult]:
        return [fitter.fit(landmarks[i : i + 1]) for i in range(alone)]

    ways: dict[str, tuple[Callable[[], object], int]] = {
        "batched_two_threads": (lambda: fitter.fit(landmarks, workers=2), count),
        "batched_one_thread": (lambda: fitter.fit(landmarks), count),
        "one_call_a_face": (one_by_one, alone),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(ROUNDS + 1):
        for name, (work, faces) in ways.items():
            began = time.perf_counter()
            work()
            if round_:
                rates[name].append(faces / (time.perf_counter() - began))
    ratio = [b / a for a, b in zip(rates["one_call_a_face"], rates["batched_two_threads"], strict=True)]
    return {
        "faces": count,
        "rounds": ROUNDS,
        "faces_per_s": {name: {"p50": statistics.median(values), "min": min(values)} for name, values in rates.items()},
        "batched_over_one_call_a_face": statistics.median(ratio),
    }


def main() -> None:
    """Runs the benchmark and records it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=500, help="how many faces a row (%(default)s)")
    count = parser.parse_args().faces
    shared = Path(os.environ.get("VOXFACE_SHARED", Path(__file__).parent.parent / ".." / "shared" / "data"))
    default = Bundle.open().morphable
    ict = read_face_model(shared / "ict-facekit", "ict", modes=(40, 10))
    models = {"default bundle": neutral(default), "ict-facekit": neutral(ict)}
    for name, model in (("default bundle", default), ("ict-facekit", ict)):
        if model.modes > model.identity_modes:
            models[f"{name}, with expressions"] = model
    # Others at work on this machine show in the speed; who reads it should know.
    measured: dict[str, Any] = {
        "face_width_px": FACE_WIDTH_PX,
        "load_average_before": os.getloadavg()[0],
        "models": {},
        "speed": {},
    }
    for name, model in models.items():
        weak = LandmarkFitter(model)
        measured["speed"][name] = speed(weak, 4096)
        rows = {
            "exact": accuracy(model, weak, count, 0.0),
            "exact, pinhole": accuracy(model, LandmarkFitter(model, Camera(700.0, (60.0, 60.0))), count, 0.0),
            "1 px": accuracy(model, weak, count, 1.0),
            "1 px, pinhole": accuracy(model, LandmarkFitter(model, Camera(700.0, (60.0, 60.0))), count, 1.0),
            "1 px, anatomical": accuracy(model, LandmarkFitter(model, contour="anatomical"), count, 1.0),
            "3 px": accuracy(model, weak, count, 3.0),
        }
        measured["models"][name] = {
            "name": model.name,
            "version": model.version,
            "vertices": len(model.mean),
            "coefficients": model.modes,
            "of_identity": model.identity_modes,
            "rows": rows,
        }
    record("fitting", "python -m benchmarks.fitting", measured, ("numpy",))


if __name__ == "__main__":
    main()
