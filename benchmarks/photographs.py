"""Landmarks of real photographs, how their errors go together, and a real scan fitted from its marks.

    python -m benchmarks.photographs

Reads `real/` of the shared data: six photographs with 68 hand marks, a face detector, a landmark network, a scan with marks;
and ICT-FaceKit, which is fitted to the scan beside the default bundle's model. What `training/faces/landmark_noise.py` assumes
is measured here, on the same six faces; the scan had no part in it.
"""

import csv
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import no_options
from benchmarks.record import record
from benchmarks.scan_distance import ScanFit, read_scan
from voxface.importers.face_models import read_face_model
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.face_boxes import FaceDetector
from voxface.training.faces.fitting import FitResult, LandmarkFitter
from voxface.training.faces.landmark_detectors import open_detector
from voxface.training.faces.landmark_noise import fit_with_noise, of_one_person
from voxface.training.faces.picture_landmarks import read_picture

Array = NDArray[np.float64]
YAWS: Final = (0.0, 20.0, -20.0)
NOISES: Final = (0.01, 0.03, 0.1)
WIDER: Final = (1, 2, 4, 8)
GREY: Final = 127
NEARLY_MEAN: Final = 0.1  # of the eye distance: a noise with which a fit hardly leaves the mean face
FIRST: Final = 10


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    shared = Path(os.environ.get("VOXFACE_SHARED", "../shared/data"))
    real, model = shared / "real", Bundle.open().morphable
    models = {"default bundle": model, "ict-facekit": read_face_model(shared / "ict-facekit", "ict", modes=(40, 10))}
    marks = hand_marks(real / "photos" / "marks.csv")
    graph, faces = real / "faceapi" / "faceapi68.onnx", real / "ultra_light_face" / "version-RFB-320.onnx"
    found = {}
    for name, detector in (
        ("behind a face detector", open_detector(f"onnx:{graph}", faces)),
        ("of the whole picture", open_detector(f"onnx:{graph}", crops=True)),
    ):
        with detector:
            seen = [detector.detect(read_picture(real / "photos" / f"{photo}.png")) for photo in marks]
        found[name] = np.array(seen, np.float64)
    truth = np.array(list(marks.values()))
    detected = found["behind a face detector"]
    record(
        "photographs",
        "python -m benchmarks.photographs",
        {
            "faces": len(marks),
            "detector": {str(wider): recall(real / "photos", marks, faces, wider) for wider in WIDER},
            "landmarks": {name: errors(places, truth) for name, places in found.items()},
            "beside_the_mean_face": {
                name: residuals(model, places) for name, places in (("hand marks", truth), ("network", detected))
            },
            "together": together(model, detected, truth),
            "scan": {name: scan(one, real / "scans" / "james.obj") for name, one in models.items()},
        },
        ("numpy", "onnxruntime"),
    )


def hand_marks(table: Path) -> dict[str, Array]:
    """Name of a photograph -> its marks float64 [68, 2]."""
    with table.open() as lines:
        rows = [row for row in csv.reader(lines) if len(row) == 137 and row[0] != "name"]
    return {row[0]: np.array(row[1:], float).reshape(68, 2) for row in rows}


def recall(folder: Path, marks: dict[str, Array], graph: Path, wider: int) -> dict[str, int]:
    """How many faces a detector finds in photographs in the middle of grey pictures `wider` times as wide and high.

    Found is a face with the middle of a box within its marks, of half to four times their area; other boxes are false.
    """
    detector, found, false = FaceDetector(graph), 0, 0
    try:
        for name, places in marks.items():
            photo = read_picture(folder / f"{name}.png")
            height, width = photo.shape[:2]
            picture = np.full((wider * height, wider * width, 3), GREY, np.uint8)
            top, left = (wider - 1) * height // 2, (wider - 1) * width // 2
            picture[top : top + height, left : left + width] = photo
            corner = np.array([left, top])
            low, high = places.min(0) + corner, places.max(0) + corner
            boxes = detector.detect(picture)
            middle = (boxes[:, :2] + boxes[:, 2:4]) / 2
            share = np.prod(boxes[:, 2:4] - boxes[:, :2], 1) / np.prod(high - low)
            right = ((middle > low) & (middle < high)).all(1) & (share > 0.5) & (share < 4)
            found += bool(right.any())
            false += len(boxes) - int(right.any())
    finally:
        detector.close()
    return {"found": found, "false": false}


def eyes(landmarks: Array) -> Array:
    """Distance between the outer eye corners [B] of landmarks [B, 68, 2]."""
    return np.asarray(np.linalg.norm(landmarks[:, 36] - landmarks[:, 45], axis=1))


def errors(found: Array, truth: Array) -> dict[str, float]:
    """Median distances from the marks as shares of the eye distance, of all landmarks and of the inner 51."""
    share = np.linalg.norm(found - truth, axis=2) / eyes(truth)[:, None]
    return {"median": float(np.median(share)), "inner": float(np.median(share[:, 17:]))}


def residuals(model: MorphableModel, places: Array) -> dict[str, float]:
    """RMS distance of landmarks, along an axis, from those of nearly the mean face; and the share that all faces have alike."""
    fitter = LandmarkFitter(model)
    distance = eyes(places)
    result = fitter.fit(places, NEARLY_MEAN * distance[:, None])
    off = (places - fitter.predict(result.coefficients, result.pose)) / distance[:, None, None]
    return {
        "rms": float(np.sqrt(np.square(off).mean())),
        "alike": float(np.square(off.mean(0)).mean() / np.square(off).mean()),
    }


def together(model: MorphableModel, found: Array, truth: Array) -> dict[str, float]:
    """Errors of a network along a face's modes, beside what independent errors would have there.

    What a similarity explains, which a fit takes up in the pose, is left out of errors and modes.
    """
    off = ((found - truth) / eyes(truth)[:, None, None]).reshape(len(truth), -1)
    rest = np.stack([_without_pose(marks, row[None])[0] for marks, row in zip(truth, off, strict=True)])
    flip = np.array([1.0, -1.0])
    modes = (model.basis[:FIRST][:, model.landmarks, :2].astype(np.float64) * flip).reshape(FIRST, -1)
    modes = _without_pose(model.mean[model.landmarks][:, :2].astype(np.float64) * flip, modes)
    along = np.square(rest @ (modes / np.linalg.norm(modes, axis=1, keepdims=True)).T).mean()
    return {"rms": float(np.sqrt(np.square(rest).mean())), "variance_ratio": float(along / np.square(rest).mean())}


def _without_pose(points: Array, rows: Array) -> Array:
    """Displacements [n, 136] of points [68, 2] without their part that a similarity explains."""
    placed = points - points.mean(0)
    turned = placed[:, ::-1] * [-1, 1]
    shifts = np.tile(np.eye(2), (len(points), 1))
    explained = np.concatenate([shifts, placed.reshape(-1, 1), turned.reshape(-1, 1)], 1)
    rest: Array = rows - (explained @ np.linalg.lstsq(explained, rows.T, rcond=None)[0]).T
    return rest


def scan(model: MorphableModel, file: Path) -> dict[str, Any]:
    """Median distance in mm from a scan to faces that are fitted to its marks, seen from three sides; and to the mean face."""
    vertices, _, marks = read_scan(file)

    def distance(face: NDArray[np.float32]) -> float:
        return float(ScanFit(face, model, vertices, marks).summary()["median_mm"])

    views = []
    for yaw in YAWS:
        angle = np.radians(yaw)
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        placed = 2 * (marks - marks.mean(0)) @ turn.T
        views.append(np.stack([300 + placed[:, 0], 300 - placed[:, 1]], 1))
    seen, fitter = np.array(views), LandmarkFitter(model)
    wide = eyes(seen[:1])[0]

    def shown(result: FitResult) -> dict[str, Any]:
        coefficients = result.coefficients.copy()
        coefficients[:, model.identity_modes :] = 0
        whole = np.zeros((1, model.modes), np.float32)
        whole[0, : model.identity_modes] = of_one_person(
            result, fitter.prior.mean, fitter.prior.covariance, model.identity_modes
        )[0]
        return {
            "each_mm": [distance(face) for face in model.vertices(coefficients)],
            "all_mm": distance(model.vertices(whole)[0]),
            "coefficients_sd": float(np.sqrt(np.square(coefficients[:, : model.identity_modes]).mean())),
        }

    return {
        "mean_face_mm": distance(model.mean),
        "told": {str(noise): shown(fitter.fit(seen, noise * wide)) for noise in NOISES},
        "estimated": shown(fit_with_noise(fitter, seen)[0]),
    }


if __name__ == "__main__":
    main()
