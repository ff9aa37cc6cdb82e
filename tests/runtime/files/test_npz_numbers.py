"""Numbers of every kind that a file may hold, in FP32: no warning, and whoever reads them refuses what is not finite."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stand_ins.small_head import small_head, small_population
from tests.stand_ins.sphere import sphere
from voxface.runtime.bundle.speaker_embedding_file import read_layers, write_layers
from voxface.runtime.config.speaker_change import SpeakerChangeWeights
from voxface.runtime.errors import BundleError, InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.npz import to_float32
from voxface.training.faces.population import FacePopulation
from voxface.training.models.experts.published import Whitening

pytestmark = pytest.mark.filterwarnings("error")
SIGNALLING: int = (
    0x7FF0_0000_0000_0001  # of the NaNs, those that raise the processor's flag "invalid" when they are cast
)


def signalling(like: np.ndarray) -> np.ndarray:
    """Float64 numbers, the first of them a signalling NaN."""
    wide = like.astype(np.float64)
    wide.reshape(-1).view(np.uint64)[0] = SIGNALLING
    return wide


def too_large(like: np.ndarray) -> np.ndarray:
    """Float64 numbers, the first of them beyond FP32."""
    wide = like.astype(np.float64)
    wide.reshape(-1)[0] = 1e300
    return wide


KINDS = (signalling, too_large)


def test_what_does_not_fit_becomes_what_is_not_finite() -> None:
    assert np.isnan(to_float32(signalling(np.ones(3))))[0]
    assert to_float32(too_large(np.ones(3)))[0] == np.inf
    np.testing.assert_array_equal(to_float32(np.arange(3)), np.arange(3, dtype=np.float32))
    for other in (np.ones(2, complex), np.array(["1"]), np.ones(2, bool), np.array([1], "m8[s]")):
        with pytest.raises(ValueError, match="no real numbers"):
            to_float32(other)


def changed(data: bytes, name: str, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """An archive with one array changed."""
    arrays: dict[str, Any] = dict(np.load(io.BytesIO(data)))
    out = io.BytesIO()
    np.savez(out, **{**arrays, name: change(arrays[name])})
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mean", "basis", "sex_means"])
def test_morphable_models(name: str, kind: Callable[[np.ndarray], np.ndarray]) -> None:
    with pytest.raises(BundleError):
        MorphableModel.from_bytes(changed(sphere().to_bytes(), name, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mean", "covariance"])
def test_populations(name: str, kind: Callable[[np.ndarray], np.ndarray]) -> None:
    with pytest.raises(BundleError):
        FacePopulation.from_bytes(changed(small_population(small_head()).to_bytes(), name, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["weight0", "bias0"])
def test_speaker_embedding_networks(default_bundle: Any, name: str, kind: Callable[[np.ndarray], np.ndarray]) -> None:
    weights = default_bundle.speaker_change
    assert isinstance(weights, SpeakerChangeWeights)
    with pytest.raises(BundleError):
        read_layers(changed(write_layers(weights.layers), name, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mean", "std"])
def test_whitenings(tmp_path: Path, name: str, kind: Callable[[np.ndarray], np.ndarray]) -> None:
    arrays = {"mean": np.zeros(62), "std": np.ones(62)}
    np.savez(tmp_path / "w.npz", **{**arrays, name: kind(arrays[name])})
    with pytest.raises(InputError):
        Whitening.load(tmp_path / "w.npz")
