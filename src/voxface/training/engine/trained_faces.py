"""What a folder of trained networks knows of the faces that they give: morphable model, population and posterior."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR, read_face_posterior
from voxface.runtime.errors import BundleError, InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.population import FacePopulation

MORPHABLE: Final = "morphable.npz"
POPULATION: Final = "population.npz"


@dataclass(frozen=True)
class TrainedFaces:
    """The files beside networks that give coefficients.

    Attributes:
        morphable: the morphable model of the coefficients.
        population: distribution of faces within each sex, where it is known.
        posterior: the file of the distribution of faces given a voice, where it could be fitted.
    """

    morphable: MorphableModel
    population: FacePopulation | None
    posterior: bytes | None

    def contents(self) -> dict[str, bytes]:
        """File name -> bytes."""
        return {
            MORPHABLE: self.morphable.to_bytes(),
            **({} if self.population is None else {POPULATION: self.population.to_bytes()}),
            **({} if self.posterior is None else {FACE_POSTERIOR: self.posterior}),
        }


def read_trained_faces(folder: Path, hashes: Mapping[str, str] | None) -> TrainedFaces:
    """Reads the files of a folder.

    Args:
        folder: of trained networks.
        hashes: SHA-256 of each file, as the folder's description has them; None where an early version recorded none.

    Raises:
        InputError: a file is missing, damaged, of another run, or of other faces than the morphable model.
    """

    def read(name: str) -> bytes:
        data = (folder / name).read_bytes()
        if hashes is not None and hashlib.sha256(data).hexdigest() != hashes[name]:
            raise InputError(
                f"{folder / name}: not a checkpoint that can be loaded: it does not match the SHA-256 in checkpoint.json, so "
                "it is damaged or another run's"
            )
        return data

    try:
        morphable = MorphableModel.from_bytes(read(MORPHABLE))
        known = (folder / POPULATION).is_file() if hashes is None else POPULATION in hashes
        population = FacePopulation.from_bytes(read(POPULATION)) if known else None
        posterior = read(FACE_POSTERIOR) if hashes is not None and FACE_POSTERIOR in hashes else None
        if posterior is not None and read_face_posterior(posterior).modes != morphable.identity_modes:
            raise BundleError(f"{FACE_POSTERIOR} is of other faces than {MORPHABLE}")
        return TrainedFaces(morphable, population, posterior)
    except (OSError, KeyError, TypeError, BundleError) as error:
        raise InputError(f"{folder}: not a checkpoint that can be loaded: {error}") from error
