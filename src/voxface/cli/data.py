"""`voxface data`: synthetic faces, and 3D faces fitted to landmarks.

`data synth` prints {"out", "count", "seed", "size", "female", "male", "morphable_model": {"name", "version", "licence"},
"files": {"faces", "manifest"}}; what the folder holds is described at `voxface.training.faces.face_set.write_face_set`.

`data fit` prints {"out", "given", "fitted", "not_converged", "morphable_model": {...}, "camera": {"kind", "focal_px"},
"contour", "sigma_px", "residual_px": {"p50", "p95", "max"}, "determined": {"directions", "of"}, "errors": [{"file",
"line" | "row" | "picture", "exit_code", "message"}]}; "determined" is the median, over faces, of how many directions of
coefficient space keep less than half their prior variance. It writes an `.npz`; arrays have the faces as first axis:
`names`, `coefficients` [B, P], `variance` [B, P] (the posterior covariance's diagonal), `rotation` [B, 3, 3], `scale` [B],
`translation` [B, D], `angles` [B, 3] (yaw, pitch, roll in degrees), `residual_px`, `iterations` and `converged` [B],
`landmarks` [B, 68, D].
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from voxface.cli.output import Progress, complain, print_json

if TYPE_CHECKING:
    from voxface.runtime.morphable import MorphableModel
    from voxface.training.faces.fitting import Contour
    from voxface.training.faces.landmark_files import LandmarkTable
    from voxface.training.faces.population import FacePopulation
    from voxface.training.faces.prior import Prior


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    synth = actions.add_parser(
        "synth", help="draw faces from a population", description="Draws faces from a population.", allow_abbrev=False
    )
    synth.add_argument("--out", type=Path, required=True, help="folder to make")
    synth.add_argument("--count", type=int, required=True, help="how many faces")
    synth.add_argument("--seed", type=int, default=0, help="another seed, other faces (%(default)s)")
    synth.add_argument("--size", type=int, choices=(64, 120), default=120, help="pictures' size, px (%(default)s)")
    synth.add_argument("--sex", choices=("F", "M", "both"), default="both", help="whose faces (%(default)s, in turns)")
    _add_model(synth)
    synth.add_argument("--population", type=Path, help="population.npz that goes with the model (the bundle's own)")

    fit = actions.add_parser(
        "fit", help="fit 3D faces to landmarks", description="Fits 3D faces to 68 landmarks.", allow_abbrev=False
    )
    fit.add_argument("--landmarks", type=Path, required=True, help="landmarks as .npz or .csv, or a folder of pictures")
    fit.add_argument("--out", type=Path, required=True, help=".npz file to write")
    fit.add_argument("--detector", help="for pictures: onnx:FILE, mediapipe:FILE.task, face-alignment[:FOLDER]")
    fit.add_argument("--camera", choices=("weak", "pinhole"), default="weak", help="(%(default)s)")
    fit.add_argument("--focal", type=float, help="focal length of the pinhole camera, px")
    fit.add_argument("--centre", type=float, nargs=2, metavar=("X", "Y"), help="its principal point, px (the middle)")
    fit.add_argument("--sigma", type=float, default=1.0, help="noise of the landmarks, px (%(default)s)")
    fit.add_argument("--robust", type=float, metavar="SIGMAS", help="landmarks further off than this count less")
    fit.add_argument(
        "--contour",
        choices=("silhouette", "anatomical"),
        help="where the jaw line is marked (as the detector does; silhouette)",
    )
    _add_model(fit)
    fit.add_argument("--population", type=Path, help="prior of the coefficients (unit-normal)")


def _add_model(parser: argparse.ArgumentParser) -> None:
    models = parser.add_mutually_exclusive_group()
    models.add_argument("--faces", type=Path, help="morphable model, an .npz file")
    models.add_argument("--bundle", type=Path, help="bundle whose morphable model to take (the default bundle)")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def run(options: argparse.Namespace) -> int:
    """Runs the action; see the module's documentation for what it prints."""
    return synth(options) if options.action == "synth" else fit(options)


def synth(options: argparse.Namespace) -> int:
    """`voxface data synth`."""
    from voxface.runtime.errors import InputError, UsageError

    if options.count < 1:
        raise UsageError(f"--count {options.count}: at least 1")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: not negative")
    if options.out.exists() and not (options.out.is_dir() and not any(options.out.iterdir())):
        raise UsageError(f"--out {options.out}: is there already; choose another name")
    population = _population(options.population) if options.population else _bundled_population(options)
    if population is None:
        raise UsageError(
            "--population: needed; this morphable model holds the mean woman and man but not how people differ from them "
            "(python -m voxface.training.faces.embedded --out FACES.npz --population-out POPULATION.npz makes both)"
        )
    model = _model(options)
    from voxface.training.faces.face_set import FaceSetConfig, write_face_set

    known = population.mean.shape[1]
    if known > model.modes or known < model.identity_modes:
        raise UsageError(
            f"--population {options.population or 'of the bundle'}: has {known} coefficients, "
            f"model {model.name} has {model.identity_modes} of identity; give the population that was made with it"
        )
    sexes = {"F": (0,), "M": (1,), "both": (0, 1)}[options.sex]
    config = FaceSetConfig(options.count, options.seed, options.size, sexes)
    progress = Progress(options.count, "faces")
    try:
        manifest = write_face_set(options.out, model, population, config, done=progress.step)
    except OSError as error:
        raise InputError(
            f"{options.out}: cannot be written ({error.strerror or error}); choose another --out"
        ) from error
    finally:
        progress.close()
    men = sum(sexes[i % len(sexes)] for i in range(options.count))
    document = {
        "out": str(options.out),
        "count": options.count,
        "seed": options.seed,
        "size": options.size,
        "female": options.count - men,
        "male": men,
        "morphable_model": manifest["morphable_model"],
        "files": {"faces": str(options.out / "faces.npz"), "manifest": str(options.out / "manifest.json")},
    }
    if options.json:
        print_json(document)
    else:
        print(
            f"{options.out}: {options.count} faces of {options.size} × {options.size} px "
            f"({document['female']} female, {men} male) of {model.name} {model.version}; they show no real person"
        )
    return 0


def fit(options: argparse.Namespace) -> int:
    """`voxface data fit`; faces that cannot be used are reported and left out, and the exit code is then 3."""
    import numpy as np

    from voxface.runtime.errors import InputError, UsageError
    from voxface.training.faces.fitted_faces import fit_table, mostly_determined, write_fitted

    _check(options)
    model = _model(options)
    prior = _prior(model, options.population)
    table, contour = _landmarks(options)
    for skipped in table.skipped:
        complain(skipped.message)
    if not len(table.landmarks):
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
    result = fit_table(
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
    try:
        write_fitted(options.out, table, result)
    except OSError as error:
        raise InputError(
            f"{options.out}: cannot be written ({error.strerror or error}); choose another --out"
        ) from error
    p50, p95, most = np.quantile(result.residual_px, (0.5, 0.95, 1.0))
    lost = int((~result.converged).sum())
    determined = mostly_determined(result, prior)
    document = {
        "out": str(options.out),
        "given": len(table.names) + len(table.skipped),
        "fitted": len(table.names),
        "not_converged": lost,
        "morphable_model": {"name": model.name, "version": model.version, "licence": model.licence},
        "camera": {"kind": options.camera if flat else "space", "focal_px": options.focal},
        "contour": contour,
        "sigma_px": options.sigma,
        "residual_px": {"p50": float(p50), "p95": float(p95), "max": float(most)},
        "determined": {"directions": determined, "of": model.modes},
        "errors": [
            {
                "file": str(options.landmarks),
                table.kind: skipped.where,
                "exit_code": InputError.exit_code,
                "message": skipped.message,
            }
            for skipped in table.skipped
        ],
    }
    if options.json:
        print_json(document)
    else:
        print(
            f"{options.out}: {document['fitted']} of {document['given']} faces fitted, residual {p50:.2f} px "
            f"(95 %: {p95:.2f}), {determined} of {model.modes} directions mostly determined"
            + (f"; {lost} did not converge" if lost else "")
        )
    return InputError.exit_code if table.skipped else 0


def _check(options: argparse.Namespace) -> None:
    """What can be said of the options of `fit` before anything is loaded."""
    from voxface.runtime.errors import InputError, UsageError

    if options.camera == "pinhole" and (options.focal is None or not options.focal > 0):
        raise UsageError("--camera pinhole: needs --focal PX, the focal length in pixels, greater than 0")
    if options.camera == "weak" and (options.focal is not None or options.centre is not None):
        raise UsageError("--focal and --centre: for --camera pinhole only")
    if not options.sigma > 0 or not (options.robust is None or options.robust > 0):
        raise UsageError("--sigma and --robust: greater than 0")
    if options.out.suffix != ".npz" or options.out.is_dir():
        raise UsageError(f"--out {options.out}: give a file name that ends in .npz")
    if not options.landmarks.exists():
        raise InputError(f"{options.landmarks}: no such file or folder")
    if options.landmarks.is_dir() and options.detector is None:
        raise UsageError(f"{options.landmarks}: is a folder of pictures; say what finds their landmarks: --detector")
    if not options.landmarks.is_dir() and options.detector is not None:
        raise UsageError("--detector: for a folder of pictures only")


def _landmarks(options: argparse.Namespace) -> tuple["LandmarkTable", "Contour"]:
    """The landmarks, read or found, and where their jaw line is marked."""
    if not options.landmarks.is_dir():
        from voxface.training.faces.landmark_files import read_landmarks

        return read_landmarks(options.landmarks), options.contour or "silhouette"
    from voxface.training.faces.landmark_detectors import open_detector
    from voxface.training.faces.picture_landmarks import detect_landmarks, find_pictures

    files = find_pictures(options.landmarks)
    with open_detector(options.detector) as detector:
        progress = Progress(len(files), "pictures")
        table = detect_landmarks(options.landmarks, files, detector, done=progress.step)
        progress.close()
        return table, options.contour or detector.contour


def _model(options: argparse.Namespace) -> "MorphableModel":
    from voxface.runtime.bundle import Bundle
    from voxface.runtime.errors import BundleError, InputError
    from voxface.runtime.morphable import MorphableModel

    if options.faces is None:
        return Bundle.open(options.bundle).morphable
    try:
        return MorphableModel.from_bytes(options.faces.read_bytes())
    except OSError as error:
        raise InputError(f"--faces {options.faces}: cannot be read ({error.strerror})") from error
    except BundleError as error:
        raise InputError(f"--faces {options.faces}: {error}") from error


def _population(file: Path) -> "FacePopulation":
    from voxface.runtime.errors import BundleError, InputError
    from voxface.training.faces.population import FacePopulation

    try:
        return FacePopulation.load(file)
    except OSError as error:
        raise InputError(f"--population {file}: cannot be read ({error.strerror or error})") from error
    except BundleError as error:
        raise InputError(f"--population {file}: {error}") from error


def _bundled_population(options: argparse.Namespace) -> "FacePopulation | None":
    """The population of the bundle the model comes from, where there is one."""
    from voxface.runtime.bundle import Bundle
    from voxface.training.faces.population import FacePopulation

    if options.faces is not None:
        return None
    bundle = Bundle.open(options.bundle)
    entry = bundle.manifest.get("population")
    return FacePopulation.from_bytes(bundle.files[entry["file"]]) if entry else None


def _prior(model: "MorphableModel", file: Path | None) -> "Prior":
    from voxface.training.faces.prior import Prior

    return Prior.unit(model.modes) if file is None else Prior.of_population(model, _population(file))
