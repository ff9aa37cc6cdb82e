"""`voxface data fit`: 3D faces fitted to landmarks."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from voxface.cli.data.model import face_model, read_population
from voxface.cli.output import Progress, complain, print_json

if TYPE_CHECKING:
    from voxface.runtime.face.morphable_model import MorphableModel
    from voxface.training.faces.fitting import Contour
    from voxface.training.faces.landmark_files import LandmarkTable
    from voxface.training.faces.prior import Prior


def fit(options: argparse.Namespace) -> int:
    """Fits faces; landmarks that cannot be used are reported and left out, and the exit code is then 3."""
    import numpy as np

    from voxface.runtime.errors import InputError, UsageError
    from voxface.training.faces.fitted_faces import (
        count_determined_directions,
        fit_table,
        people_of_folders,
        write_fitted,
    )

    _check(options)
    model = face_model(options)
    prior = _prior(model, options.population)
    table, contour = _landmarks(options)
    if not len(table.landmarks):
        for skipped in table.skipped:
            complain(skipped.message)
        raise InputError(f"{options.landmarks}: no face that can be used")
    flat = table.landmarks.shape[2] == 2
    if not flat:
        if options.camera == "pinhole" or options.contour == "silhouette":
            raise UsageError(f"{options.landmarks}: 3-D landmarks go without --camera pinhole and --contour silhouette")
        contour = "anatomical"
    centres = table.centres
    if options.centre is not None:
        centres = np.tile(options.centre, (len(table.landmarks), 1))
    elif centres is None and options.camera == "pinhole":
        raise UsageError(
            "--camera pinhole: landmarks from a file need --centre X Y, the middle of the pictures in pixels"
        )
    progress = Progress(len(table.names), "faces")
    fitted = fit_table(
        model,
        table,
        prior=prior,
        contour=contour,
        focal=options.focal or np.inf,
        centres=centres,
        sigma=options.sigma,
        robust=options.robust,
        done=progress.step,
    )
    progress.close()
    result = fitted.result
    for skipped in fitted.table.skipped:
        complain(skipped.message)
    if not len(fitted.table.names):
        raise InputError(f"{options.landmarks}: no face that can be used")
    people = people_of_folders(model, fitted, prior) if options.by_folder else None
    try:
        write_fitted(options.out, fitted, people)
    except OSError as error:
        raise InputError(
            f"{options.out}: cannot be written ({error.strerror or error}); choose another --out"
        ) from error
    p50, p95, most = np.quantile(result.residual_px, (0.5, 0.95, 1.0))
    lost = int((~result.converged).sum())
    determined = count_determined_directions(result, prior)
    document = {
        "out": str(options.out),
        "given": len(table.names) + len(table.skipped),
        "fitted": len(fitted.table.names),
        "not_converged": lost,
        "morphable_model": {"name": model.name, "version": model.version, "licence": model.licence},
        "camera": {"kind": options.camera if flat else "space", "focal_px": options.focal},
        "contour": contour,
        "sigma_px": float(np.median(fitted.sigma)),
        "residual_px": {"p50": float(p50), "p95": float(p95), "max": float(most)},
        "determined": {"directions": determined, "of": model.modes},
        "errors": [
            {
                "file": str(options.landmarks),
                table.kind: skipped.where,
                "exit_code": InputError.exit_code,
                "message": skipped.message,
            }
            for skipped in fitted.table.skipped
        ],
        **({} if people is None else {"people": len(people.names)}),
    }
    if options.json:
        print_json(document)
    else:
        print(
            f"{options.out}: {document['fitted']} of {document['given']} faces fitted, residual {p50:.2f} px "
            f"(95 %: {p95:.2f}), {determined} of {model.modes} directions mostly determined"
            + (f"; {lost} did not converge" if lost else "")
            + ("" if people is None else f"; {len(people.names)} people")
        )
    return InputError.exit_code if fitted.table.skipped else 0


def _check(options: argparse.Namespace) -> None:
    """Checks the options of `fit` before anything heavy is loaded."""
    from voxface.runtime.errors import InputError, UsageError
    from voxface.runtime.files.existing import check_existing, holds_arrays

    if options.camera == "pinhole" and (options.focal is None or not options.focal > 0):
        raise UsageError("--camera pinhole: needs --focal PX, the focal length in pixels, greater than 0")
    if options.camera == "weak" and (options.focal is not None or options.centre is not None):
        raise UsageError("--focal and --centre: for --camera pinhole only")
    if not all(given is None or 0 < given < math.inf for given in (options.sigma, options.robust)):
        raise UsageError("--sigma and --robust: greater than 0, and finite")
    if not all(math.isfinite(given) for given in (options.focal or 1.0, *(options.centre or ()))):
        raise UsageError("--focal and --centre: finite numbers of pixels")
    if options.out.suffix != ".npz" or options.out.is_dir():
        raise UsageError(f"--out {options.out}: give a file name that ends in .npz")
    check_existing(
        options.out,
        "--out",
        "result of `voxface data fit`",
        lambda path: holds_arrays(path, "names", "coefficients", "variance", "residual_px", "converged"),
        options.landmarks,
        options.faces,
        options.population,
        force=options.force,
    )
    if not options.landmarks.exists():
        raise InputError(f"{options.landmarks}: no such file or folder")
    if options.landmarks.is_dir() and options.detector is None:
        from voxface.training.faces.landmark_files import find_points

        if not find_points(options.landmarks):
            raise UsageError(
                f"{options.landmarks}: is a folder of pictures; say what finds their landmarks: --detector"
            )
    if not options.landmarks.is_dir() and options.detector is not None:
        raise UsageError("--detector: for a folder of pictures only")
    if (options.face_detector is not None or options.crops) and not (options.detector or "").startswith("onnx:"):
        raise UsageError("--face-detector and --crops: go with --detector onnx:FILE")
    if options.by_folder and not options.landmarks.is_dir():
        raise UsageError("--by-folder: for a folder of folders, one for each person")


def _landmarks(options: argparse.Namespace) -> tuple["LandmarkTable", "Contour"]:
    """The landmarks, read from a file or detected in pictures, and where their jaw line is marked."""
    if options.detector is None:
        from voxface.training.faces.landmark_files import read_landmarks

        return read_landmarks(options.landmarks), options.contour or "silhouette"
    from voxface.training.faces.landmark_detectors import open_detector
    from voxface.training.faces.picture_landmarks import detect_landmarks, find_pictures

    files = find_pictures(options.landmarks)
    with open_detector(options.detector, options.face_detector, crops=options.crops) as detector:
        progress = Progress(len(files), "pictures")
        table = detect_landmarks(options.landmarks, files, detector, done=progress.step)
        progress.close()
        return table, options.contour or detector.contour


def _prior(model: "MorphableModel", file: Path | None) -> "Prior":
    from voxface.training.faces.prior import Prior

    return Prior.unit(model.modes) if file is None else Prior.from_population(model, read_population(file))
