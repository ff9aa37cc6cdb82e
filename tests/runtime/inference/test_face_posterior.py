"""The distribution of faces given a voice: its moments, draws, and what it says that a voice tells."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SAMPLES
from tests.stand_ins.face_posterior import default_weights, with_posterior
from tests.stand_ins.sphere import sphere
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.face_posterior import FacePosteriorWeights
from voxface.runtime.errors import BundleError, UsageError
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.face_posterior import FacePosterior, posterior_json
from voxface.runtime.voice_to_face import VoiceToFace

DRAWS = 20_000
# Of the default face model; found here once, and to be found everywhere.
GOLDEN_DRAWS = [
    [-1.3638790845870972, -0.6549602746963501, -1.1921603679656982],
    [-0.4220539331436157, 0.5478456616401672, -1.7354904413223267],
]
GOLDEN_SPREAD = 4.62700
GOLDEN_WIDTH = 6.22411
GOLDEN_TOLD = [0.28744, 0.25222, 0.30808, -0.00025]


def posterior(bundle: Bundle, female: float) -> FacePosterior:
    model = bundle.morphable
    mean = female * model.sex_means[0] + (1 - female) * model.sex_means[1]
    mean[-1] = 0.25  # an expression
    return FacePosterior(mean.astype(np.float32), female, default_weights(), model)


@pytest.mark.parametrize("female", [0.0, 0.3, 0.97])
def test_draws_have_the_mean_and_the_covariance(default_bundle: Bundle, female: float) -> None:
    found = posterior(default_bundle, female)
    drawn = found.sample(DRAWS, seed=1)
    assert drawn.dtype == np.float32
    identity = default_bundle.morphable.identity_modes
    np.testing.assert_array_equal(drawn[:, identity:], np.repeat(found.mean[None, identity:], DRAWS, axis=0))
    sd = np.sqrt(np.diag(found.covariance)[:identity])
    off = (drawn[:, :identity].mean(0) - found.mean[:identity]) / (sd / np.sqrt(DRAWS))
    assert np.abs(off).max() < 4.5, "the mean of the posterior is the estimate"
    whitened = np.cov(drawn[:, :identity].T) / np.outer(sd, sd)
    expected = found.covariance[:identity, :identity] / np.outer(sd, sd)
    assert np.abs(whitened - expected).max() < 0.05
    assert not found.covariance[identity:].any()


@pytest.mark.parametrize("female", [0.3, 0.97])
def test_deviations_in_mm_are_those_of_the_draws(default_bundle: Bundle, female: float) -> None:
    found, model = posterior(default_bundle, female), default_bundle.morphable
    some = np.arange(0, len(model.mean), 97)
    drawn = found.sample(DRAWS, seed=2)
    places = drawn @ model.basis[:, some].reshape(model.modes, -1)
    spread = np.sqrt(places.reshape(DRAWS, len(some), 3).var(0).sum(1))
    assert found.vertex_sd_mm.shape == (len(model.mean),)
    np.testing.assert_allclose(found.vertex_sd_mm[some], spread, rtol=0.03)
    lengths = np.array([list(model.measurements_of(row).values()) for row in drawn[:4000]])
    np.testing.assert_allclose(list(found.measurements_sd_mm.values()), lengths.std(0), rtol=0.06)
    assert list(found.measurements_sd_mm) == list(model.measurements)
    np.testing.assert_array_equal(found.sample_vertices(2, 2), model.vertices(drawn[:2]))


def test_the_probability_below_is_the_share_of_draws_below(default_bundle: Bundle) -> None:
    found, model = posterior(default_bundle, 0.4), default_bundle.morphable
    lengths = np.array([list(model.measurements_of(row).values()) for row in found.sample(4000, seed=3)])
    for level in (0.1, 0.5, 0.9):
        quantiles = np.quantile(lengths, level, axis=0)[None]
        # Lengths are linear about the mean face; those of ears and arcs bend most.
        np.testing.assert_allclose(found.probability_below(quantiles)[0], level, atol=0.07)


def test_draws_follow_from_the_seed_and_come_in_order(default_bundle: Bundle) -> None:
    found = posterior(default_bundle, 0.5)
    ten = found.sample(10, seed=7)
    np.testing.assert_array_equal(found.sample(4, seed=7), ten[:4])
    assert (found.sample(10, seed=8) != ten).any()
    assert found.sample(0).shape == (0, default_bundle.morphable.modes)
    for n, seed in ((-1, 0), (100_001, 0), (1, -1)):
        with pytest.raises(UsageError):
            found.sample(n, seed)


def test_golden_values(default_bundle: Bundle) -> None:
    found = posterior(default_bundle, 0.9)
    np.testing.assert_allclose(found.sample(2, seed=0)[:, :3], GOLDEN_DRAWS, atol=2e-4)
    assert float(found.vertex_sd_mm.mean()) == pytest.approx(GOLDEN_SPREAD, rel=1e-4)
    assert found.measurements_sd_mm["face_width"] == pytest.approx(GOLDEN_WIDTH, rel=1e-4)
    told = found.told["face_width"]
    assert [told.share, told.low, told.high, told.within_sex] == pytest.approx(GOLDEN_TOLD, abs=1e-4)


def test_what_is_told_by_hand() -> None:
    """A sphere whose height is 2 mm per deviation of its second coefficient, twice; women and men are 4 mm x 2 apart."""
    weights = FacePosteriorWeights(
        unexplained=np.array([[[1, 0], [0, 0.5]], [[1, 0], [0, 0.8]]], np.float32),
        population=np.array([np.eye(2), np.eye(2)], np.float32),
        errors=np.array([[0, 0.3], [0, 0.4]], np.float32),
        error_sex=np.array([0, 0], np.uint8),
        error_speaker=np.array([0, 1]),
    )
    found = FacePosterior(np.zeros(2, np.float32), 0.75, weights, sphere())
    women, men, apart = 0.25 + 0.09 + 0.16, 0.64, 2.0  # of the second coefficient: variances, and the sexes' distance
    variance = 0.75 * women + 0.25 * men + 0.75 * 0.25 * apart**2
    assert found.measurements_sd_mm["height"] == pytest.approx(4 * np.sqrt(variance), rel=1e-5)
    told = found.told["height"]
    assert told.share == pytest.approx(1 - variance / (1 + apart**2 / 4), rel=1e-5)
    assert told.within_sex == pytest.approx(1 - (0.75 * women + 0.25 * men), rel=1e-5)
    # Of two speakers a bootstrap draws the better one twice, the worse one twice, or both.
    for end, error in ((told.high, 2 * 0.09), (told.low, 2 * 0.16)):
        assert end == pytest.approx(told.share - 0.75 * (error - 0.25) / 2, rel=1e-5)
    flat = sphere(basis=np.zeros_like(sphere().basis), measurements={})
    still = FacePosterior(np.zeros(2, np.float32), 0.75, weights, flat)
    assert still.told == {} == still.measurements_sd_mm
    assert (still.told_of_mesh.share, still.told_of_mesh.low) == (0, 0)
    assert not still.vertex_sd_mm.any()


def test_an_estimate_reads_it_when_asked_for(default_bundle: Bundle) -> None:
    with VoiceToFace(with_posterior(default_bundle)) as face:
        estimate = face.estimate_file(SAMPLES[0])[1]
    assert estimate.posterior_file is not None
    _ = estimate.vertices, estimate.measurements_mm
    assert "weights" not in estimate.posterior_file.__dict__, "not read before"
    found = estimate.posterior
    assert found is estimate.posterior
    assert found is not None
    np.testing.assert_array_equal(found.mean, estimate.coefficients)
    assert found.female == estimate.attributes.sex["female"]
    assert set(posterior_json(found)["measurements_sd_mm"]) == set(estimate.measurements_mm)

    again: Estimate = pickle.loads(pickle.dumps(estimate))
    with pytest.raises(UsageError, match="no morphable model"):
        _ = again.posterior
    restored = again.with_model(default_bundle.morphable).posterior
    assert restored is not None
    np.testing.assert_array_equal(restored.sample(3, 5), found.sample(3, 5))
    copied = copy.deepcopy(estimate).posterior
    assert copied is not None
    assert copied.model is found.model


def test_opening_a_bundle_and_a_first_face_load_nothing_of_it(default_bundle: Bundle, tmp_path: Path) -> None:
    path = with_posterior(default_bundle).write(tmp_path / "with.voxface").path
    program = (
        "import sys, voxface\n"
        f"with voxface.VoiceToFace({str(path)!r}) as face:\n"
        f"    face.estimate_file({str(SAMPLES[0])!r})[1].save({str(tmp_path / 'out')!r})\n"
        "loaded = [name for name in sys.modules if name.startswith('voxface') and "
        "('posterior' in name or 'heat_map' in name) and name != 'voxface.runtime.bundle.face_posterior_file']\n"
        "print(loaded)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"


def test_without_the_part_there_is_none(default_bundle: Bundle) -> None:
    from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR

    with VoiceToFace(default_bundle.replacing(files={FACE_POSTERIOR: None}, face_posterior=None)) as face:
        assert face.estimate_file(SAMPLES[0])[1].posterior is None


def test_of_other_faces_it_is_refused(default_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="of 40 identity coefficients, the morphable model has 2"):
        FacePosterior(np.zeros(2, np.float32), 0.5, default_weights(), sphere())
