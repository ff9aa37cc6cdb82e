"""The morphable model and the population that a command asks for."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxface.runtime.face.morphable_model import MorphableModel
    from voxface.training.faces.population import FacePopulation


def face_model(options: argparse.Namespace) -> "MorphableModel":
    """The model of `--faces` or of a bundle."""
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.errors import BundleError, InputError
    from voxface.runtime.face.morphable_model import MorphableModel
    from voxface.runtime.files.regular import read_bytes

    if options.faces is None:
        return Bundle.open(options.bundle).morphable
    try:
        return MorphableModel.from_bytes(read_bytes(options.faces))
    except InputError as error:
        raise InputError(f"--faces {error}") from error
    except BundleError as error:
        raise InputError(f"--faces {options.faces}: {error}") from error


def read_population(file: Path) -> "FacePopulation":
    """The population of a file."""
    from voxface.runtime.errors import BundleError, InputError
    from voxface.training.faces.population import FacePopulation

    try:
        return FacePopulation.load(file)
    except InputError as error:
        raise InputError(f"--population {error}") from error
    except BundleError as error:
        raise InputError(f"--population {file}: {error}") from error


def model_and_population(options: argparse.Namespace) -> "tuple[MorphableModel, FacePopulation]":
    """The model and its population: the one asked for, or that of the model's bundle."""
    from voxface.runtime.errors import UsageError

    population = read_population(options.population) if options.population else _bundled_population(options)
    if population is None:
        raise UsageError(
            "--population: needed; this morphable model holds the mean woman and man but not how people differ from them "
            "(python -m voxface.training.faces.embedded --out FACES.npz --population-out POPULATION.npz makes both)"
        )
    model = face_model(options)
    known = population.mean.shape[1]
    if known > model.modes or known < model.identity_modes:
        raise UsageError(
            f"--population {options.population or 'of the bundle'}: has {known} coefficients, "
            f"model {model.name} has {model.identity_modes} of identity; give the population that was made with it"
        )
    return model, population


def check_out(options: argparse.Namespace, what: str, is_own: Callable[[Path], bool]) -> None:
    """Checks the folder `--out`: nothing is there, or with `--force` a result of the same kind.

    Args:
        what: the kind, such as "folder of pairs".
        is_own: whether a folder is one of this kind, and nothing else.

    Raises:
        UsageError: something would be lost.
        InputError: it cannot be made.
    """
    from voxface.runtime.errors import InputError, UsageError
    from voxface.runtime.files.atomic import check_folder
    from voxface.runtime.files.existing import check_existing

    out: Path = options.out
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is there already and is no folder; choose another name")
    check_existing(out, "--out", what, is_own, force=options.force)
    try:
        check_folder(out)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror}); choose another name") from error


def _bundled_population(options: argparse.Namespace) -> "FacePopulation | None":
    """The population of the bundle that the model comes from; None if it has none."""
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.training.faces.population import FacePopulation

    if options.faces is not None:
        return None
    bundle = Bundle.open(options.bundle)
    entry = bundle.manifest.population
    return FacePopulation.from_bytes(bundle.files[entry.file]) if entry else None
