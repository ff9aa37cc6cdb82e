"""Which faces go with a voice."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_ins.small_worlds import HEAD, POPULATION
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import InputError
from voxface.training.faces.are_metric import anatomical_pairs, are_ratios
from voxface.training.faces.population import FacePopulation
from voxface.training.world.directions import voice_directions
from voxface.training.world.speaker import Speaker
from voxface.training.world.voice_cues import VoiceCues
from voxface.training.world.voice_face_distribution import (
    LEAST_VOICES,
    PUBLISHED_COUPLING,
    SYNTHETIC_NORMS,
    Coupling,
    CueNorms,
    VoiceFaceDistribution,
    strong_coupling,
)

NORMS = CueNorms(tract_cm=((14.0, 0.5), (17.0, 1.0)), f0_hz=((200.0, 20.0), (120.0, 10.0)))


def correlated(seed: int = 3) -> FacePopulation:
    """A population whose coefficients go together."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(2, HEAD.modes, HEAD.modes)) * 0.4
    return FacePopulation(HEAD.sex_means, (mix @ mix.transpose(0, 2, 1) + 0.2 * np.eye(HEAD.modes)).astype(np.float32))


def ratios(faces: NDArray[np.float32]) -> NDArray[np.float64]:
    """ARE ratios [S, 4] of faces [S, P]: ear, forehead, midline, cheek."""
    pairs = anatomical_pairs(HEAD.landmarks)
    return np.array([list(are_ratios(HEAD.vertices(face), pairs).values()) for face in faces])


@pytest.mark.parametrize("axes", ["lengths", "ratios"])
@pytest.mark.parametrize("sex", [0, 1])
def test_scores_are_uncorrelated_and_of_variance_one(axes: str, sex: int) -> None:
    population = correlated()
    directions = voice_directions(HEAD, population, sex, axes)  # type: ignore[arg-type]
    np.testing.assert_allclose(directions @ population.covariance[sex] @ directions.T, np.eye(2), atol=1e-6)


def test_the_scores_are_size_and_breadth_as_measured_on_meshes() -> None:
    rng = np.random.default_rng(0)
    faces = (0.3 * POPULATION.sample(1, 600, rng) + 0.7 * POPULATION.mean[1]).astype(np.float32)  # where slopes hold
    first, second = voice_directions(HEAD, POPULATION, 1, "ratios") @ (faces - POPULATION.mean[1]).T
    measured = ratios(faces)
    ear, forehead, midline, cheek = ((measured - measured.mean(0)) / measured.std(0)).T
    assert np.corrcoef(first, ear + forehead + midline + cheek)[0, 1] > 0.99
    breadth = (ear + cheek + forehead) / 3 - midline
    rest = breadth - np.polyval(np.polyfit(first, breadth, 1), first)
    assert np.corrcoef(second, rest)[0, 1] > 0.98
    lengths = np.array([HEAD.measure(HEAD.vertices(face))["face_length"] for face in faces])
    first, _ = voice_directions(HEAD, POPULATION, 1, "lengths") @ (faces - POPULATION.mean[1]).T
    assert np.corrcoef(first, lengths)[0, 1] > 0.99


@pytest.mark.parametrize(
    "coupling", [PUBLISHED_COUPLING, strong_coupling(0.9), Coupling("uneven", (0.5, -0.3), (0.1, 1.0), "ratios")]
)
@pytest.mark.parametrize("sex", ["F", "M"])
def test_faces_follow_the_conditional_gaussian(coupling: Coupling, sex: str) -> None:
    """Against the formula for any Gaussian in blocks: μ + Σab Σbb⁻¹ b and Σaa − Σab Σbb⁻¹ Σba, with cues of unit variance."""
    population, index = correlated(), "FM".index(sex)
    distribution = VoiceFaceDistribution.from_population(HEAD, population, coupling, NORMS)
    cues = (235.0, 13.75) if sex == "F" else (110.0, 18.0)  # f0, tract
    z = np.array([-0.5, 1.75]) if sex == "F" else np.array([1.0, -1.0])  # tract, f0
    covariance = population.covariance[index].astype(np.float64)
    g = voice_directions(HEAD, population, index, coupling.axes)
    across = covariance @ g.T @ np.diag([coupling.tract[index], coupling.f0[index]])
    mean = population.mean[index] + across @ z
    spread = covariance - across @ across.T
    np.testing.assert_allclose(distribution.expected(sex, *cues), mean, atol=1e-5)  # type: ignore[arg-type]
    rng = np.random.default_rng(8)
    drawn = np.stack([distribution.draw(sex, *cues, rng) for _ in range(3000)])  # type: ignore[arg-type]
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(drawn.mean(0), mean, atol=5 * scale.max() / np.sqrt(3000))
    np.testing.assert_allclose(np.cov(drawn.T), spread, atol=6 * scale.max() ** 2 / np.sqrt(3000))


def test_over_all_voices_the_population_is_kept_and_correlations_are_as_asked() -> None:
    population = correlated()
    distribution = VoiceFaceDistribution.from_population(HEAD, population, strong_coupling(0.8), NORMS)
    rng = np.random.default_rng(1)
    z = rng.standard_normal((4000, 2))
    z = z[(np.abs(z) < 2.5).all(1)]  # tract, f0; further ones count as 2.5
    faces = np.stack([distribution.draw("M", 120 + 10 * b, 17 + a, rng) for a, b in z]).astype(np.float64)
    scale = np.sqrt(np.diag(population.covariance[1]))
    np.testing.assert_allclose(faces.mean(0), population.mean[1], atol=0.08 * scale.max())
    np.testing.assert_allclose(np.cov(faces.T), population.covariance[1], atol=0.1 * scale.max() ** 2)
    size, breadth = voice_directions(HEAD, population, 1, "ratios") @ (faces - population.mean[1]).T
    together = np.corrcoef(np.stack([z[:, 0], z[:, 1], size, breadth]))[:2, 2:]
    np.testing.assert_allclose(together, [[0.8, 0], [0, -0.8]], atol=0.05)


def test_a_cue_that_is_not_known_tells_nothing() -> None:
    distribution = VoiceFaceDistribution.from_population(HEAD, POPULATION, strong_coupling(0.9), NORMS)
    unknown = (np.nan, np.nan)
    np.testing.assert_array_equal(distribution.expected("F", *unknown), POPULATION.mean[0])
    plain = POPULATION.sample(0, 1, np.random.default_rng(5))[0]
    np.testing.assert_allclose(distribution.draw("F", *unknown, np.random.default_rng(5)), plain, atol=1e-6)
    # At the mean f0 only the tract tells; held within 2.5 deviations.
    np.testing.assert_allclose(
        distribution.expected("F", np.nan, 15.0), distribution.expected("F", 200.0, 15.0), atol=1e-6
    )
    np.testing.assert_array_equal(distribution.expected("F", 200.0, 15.25), distribution.expected("F", 200.0, 99.0))


def test_expression_is_neutral() -> None:
    few = FacePopulation(POPULATION.mean[:, :7], POPULATION.covariance[:, :7, :7])
    distribution = VoiceFaceDistribution.from_population(
        replace(HEAD, identity_modes=7), few, PUBLISHED_COUPLING, NORMS
    )
    face = distribution.draw("F", 200, 14, np.random.default_rng(0))
    assert face.shape == (HEAD.modes,)
    assert (face[7:] == 0).all()
    assert (face[:7] != 0).all()


def test_what_cannot_be_coupled() -> None:
    with pytest.raises(InputError, match="between -1 and 1"):
        strong_coupling(1.2)
    with pytest.raises(InputError, match="made with the model"):
        VoiceFaceDistribution.from_population(
            HEAD, FacePopulation(POPULATION.mean[:, :4], POPULATION.covariance[:, :4, :4]), PUBLISHED_COUPLING, NORMS
        )
    with pytest.raises(InputError, match="none of the measurements"):
        voice_directions(replace(HEAD, measurements={}), POPULATION, 0, "lengths")
    with pytest.raises(InputError, match="do not vary"):
        voice_directions(HEAD, FacePopulation(POPULATION.mean, 0 * POPULATION.covariance), 0, "ratios")


def test_norms_are_measured_where_there_are_enough_voices() -> None:
    women = [("F", VoiceCues(180.0 + 10 * k, 14.0 + 0.1 * k)) for k in range(LEAST_VOICES)]
    norms = CueNorms.from_voices([*women, ("M", VoiceCues(100.0, 20.0))])  # type: ignore[list-item]
    assert norms.f0_hz[0] == pytest.approx((215.0, 10 * np.std(range(8))))
    assert norms.tract_cm[0] == pytest.approx((14.35, 0.1 * np.std(range(8))))
    assert (norms.f0_hz[1], norms.tract_cm[1]) == (SYNTHETIC_NORMS.f0_hz[1], SYNTHETIC_NORMS.tract_cm[1])
    drawn = [Speaker.sample(np.random.default_rng(k), "male") for k in range(400)]
    assert np.mean([s.f0_hz for s in drawn]) == pytest.approx(SYNTHETIC_NORMS.f0_hz[1][0], abs=3)
    assert np.std([s.vocal_tract_length_cm for s in drawn]) == pytest.approx(SYNTHETIC_NORMS.tract_cm[1][1], rel=0.1)


def test_in_the_strong_world_a_voice_tells_much_of_the_face_and_in_the_published_one_little(
    default_bundle: Bundle,
) -> None:
    """Mean ARE of the conditional mean against that of the mean face of the sex, over drawn faces."""
    model = default_bundle.morphable
    population = FacePopulation.from_bytes(default_bundle.files[default_bundle.manifest.population.file])
    pairs = anatomical_pairs(model.landmarks)
    vertices = sorted({v for pair in pairs.values() for v in pair})
    mean, basis = model.mean[vertices], model.basis[:, vertices]
    renumbered = {name: (vertices.index(a), vertices.index(b)) for name, (a, b) in pairs.items()}

    def are(face: NDArray[np.float32]) -> NDArray[np.float64]:
        places = mean + np.tensordot(face, basis, 1)
        return np.array(list(are_ratios(places, renumbered).values()))

    gains = {}
    for coupling in (PUBLISHED_COUPLING, strong_coupling(0.9)):
        distribution = VoiceFaceDistribution.from_population(model, population, coupling, SYNTHETIC_NORMS)
        rng = np.random.default_rng(2)
        told, plain = [], []
        for k in range(300):
            speaker, sex = Speaker.sample(rng, ("female", "male")[k % 2]), "FM"[k % 2]
            cues = (speaker.f0_hz, speaker.vocal_tract_length_cm)
            truth = are(distribution.draw(sex, *cues, rng))  # type: ignore[arg-type]
            told.append(np.abs(are(distribution.expected(sex, *cues)) - truth) / truth)  # type: ignore[arg-type]
            plain.append(np.abs(are(distribution.expected(sex, np.nan, np.nan)) - truth) / truth)  # type: ignore[arg-type]
        gains[coupling.name] = 1 - np.mean(told) / np.mean(plain)
    assert 0.4 < gains["strong 0.9"] < 0.6
    assert -0.02 < gains["published"] < 0.05
