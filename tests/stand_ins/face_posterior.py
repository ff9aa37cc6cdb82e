"""A face posterior for the default bundle's faces: nearly the population's covariance, and the errors of six speakers."""

from functools import cache

import numpy as np

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR, write_face_posterior
from voxface.runtime.bundle.manifest import FacePosteriorEntry
from voxface.runtime.config.face_posterior import FacePosteriorWeights
from voxface.training.faces.gaussian import square_root
from voxface.training.faces.population import FacePopulation


@cache
def default_weights() -> FacePosteriorWeights:
    """Of a voice that tells 4 % of the variance within a sex, and errors of a tenth of a standard deviation."""
    bundle = Bundle.open()
    assert bundle.manifest.population is not None
    population = FacePopulation.from_bytes(bundle.files[bundle.manifest.population.file])
    factors = np.stack([square_root(covariance.astype(np.float64)) for covariance in population.covariance])
    rng = np.random.default_rng(4)
    return FacePosteriorWeights(
        unexplained=(0.98 * factors).astype(np.float32),
        population=factors.astype(np.float32),
        errors=(0.1 / np.sqrt(3) * rng.normal(size=(8, factors.shape[1]))).astype(np.float32),
        error_sex=np.array([0, 0, 0, 0, 1, 1, 1, 1], np.uint8),
        error_speaker=np.array([0, 0, 1, 2, 3, 4, 5, 5], np.int64),
    )


def small_weights(modes: int = 2) -> FacePosteriorWeights:
    """Of as many identity coefficients, as of a network that misses nothing."""
    factors = np.stack([np.eye(modes, dtype=np.float32)] * 2)
    none = np.zeros(0, np.int64)
    return FacePosteriorWeights(factors, factors, np.zeros((0, modes), np.float32), none.astype(np.uint8), none)


def with_posterior(bundle: Bundle, data: bytes | None = None) -> Bundle:
    """The bundle, in memory, with this file as its face posterior (`default_weights`)."""
    file = write_face_posterior(default_weights()) if data is None else data
    return bundle.replacing(files={FACE_POSTERIOR: file}, face_posterior=FacePosteriorEntry(file=FACE_POSTERIOR))
