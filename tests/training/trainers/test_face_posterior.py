"""The posterior of faces given a voice: exact where the world is known, calibrated, and written by the mesh's training."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.saying_mesh import Says  # noqa: E402
from tests.stand_ins.small_worlds import HEAD  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402
from voxface.training.data.pairs import Pairs, Person, joined  # noqa: E402
from voxface.training.evaluation.geometry.held_out import HeldOut  # noqa: E402
from voxface.training.faces.population import FacePopulation  # noqa: E402
from voxface.training.trainers.face_posterior import REGIONS, coverage, fit_face_posterior  # noqa: E402
from voxface.training.world.speaker import Speaker  # noqa: E402
from voxface.training.world.voice_face_distribution import (  # noqa: E402
    SYNTHETIC_NORMS,
    VoiceFaceDistribution,
    strong_coupling,
)

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]
SLOPE = 4.0


class Whole(Says):
    """Gives an embedding as coefficients."""

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        return embedding + self.still


def people(count: int, seed: int = 0) -> Pairs:
    """People of a synthetic world without voices or pictures, a third of them each to learn, validate and test."""
    rng = np.random.default_rng(varied(seed))
    mix = rng.normal(size=(2, HEAD.modes, HEAD.modes)) * 0.3
    covariance = (mix @ mix.transpose(0, 2, 1) + 0.1 * np.eye(HEAD.modes)).astype(np.float32)
    population = FacePopulation(4 * HEAD.sex_means, covariance)
    model = replace(HEAD, sex_means=4 * HEAD.sex_means)
    coupling = strong_coupling(0.9)
    distribution = VoiceFaceDistribution.from_population(model, population, coupling, SYNTHETIC_NORMS)
    who = [
        Person(f"p{i}", f"s{i}", "FM"[i % 2], ("train", "validation", "test")[i * 3 // count])  # type: ignore[arg-type]
        for i in range(count)
    ]
    speakers = [Speaker.sample(rng, ("female", "male")[i % 2]) for i in range(count)]  # type: ignore[arg-type]
    cues = np.array([(s.f0_hz, s.vocal_tract_length_cm) for s in speakers], np.float32)
    frames, offsets = joined([np.zeros((2, 64), np.float16)] * count)
    return Pairs(
        kind="synthetic",
        about={"coupling": asdict(coupling)},
        people=tuple(who),
        frames=frames,
        offsets=offsets,
        utterance_person=np.arange(count, dtype=np.int32),
        utterance_recording=np.arange(count, dtype=np.int32),
        utterance_clean=np.ones(count, bool),
        pictures=np.zeros((count, 8, 8, 3), np.uint8),
        picture_person=np.arange(count, dtype=np.int32),
        coefficients=np.stack([distribution.draw(p.sex, *map(float, c), rng) for p, c in zip(who, cues, strict=True)]),
        expected=np.stack([distribution.expected(p.sex, *map(float, c)) for p, c in zip(who, cues, strict=True)]),
        cues=cues,
        morphable=model,
        population=population,
    )


def heard(pairs: Pairs, split: str, off: NDArray[np.float32] | float = 0.0) -> HeldOut:
    """People of a split, whose voices tell their expected face, plus `off`."""
    own = pairs.split(split)  # type: ignore[arg-type]
    return HeldOut(pairs, own, (pairs.expected[own] + off).astype(np.float32), torch.device("cpu"))


def test_a_network_that_knows_all_leaves_what_the_world_leaves() -> None:
    pairs = people(60)
    weights = fit_face_posterior(heard(pairs, "validation"), Whole(), SLOPE)
    assert weights is not None
    world = VoiceFaceDistribution.from_pairs(pairs)
    assert world is not None
    assert np.abs(weights.errors).max() < 0.05, "the sexes are so far apart that there is no doubt"
    for sex in (0, 1):
        f0_hz, tract_cm = map(float, pairs.cues[sex])
        factor = weights.unexplained[sex].astype(np.float64)
        np.testing.assert_allclose(factor.T @ factor, world.covariance("FM"[sex], f0_hz, tract_cm), atol=1e-5)  # type: ignore[arg-type]
        among_all = weights.population[sex].astype(np.float64)
        np.testing.assert_allclose(among_all.T @ among_all, world.population.covariance[sex], atol=1e-5)


def test_the_covariance_of_a_world_is_that_of_its_draws() -> None:
    pairs = people(6)
    world = VoiceFaceDistribution.from_pairs(pairs)
    assert world is not None
    rng = np.random.default_rng(0)
    for cues in ((210.0, 13.5), (np.nan, 13.5), (np.nan, np.nan)):
        drawn = np.stack([world.draw("F", *cues, rng) for _ in range(8000)])
        sd = drawn.std(0)
        np.testing.assert_allclose(
            np.cov(drawn.T) / np.outer(sd, sd), world.covariance("F", *cues) / np.outer(sd, sd), atol=0.06
        )


@pytest.mark.parametrize("off", [0.0, 0.6])
def test_regions_hold_what_they_should(off: float) -> None:
    pairs = people(240)
    rng = np.random.default_rng(varied(2))
    errors = (off * rng.normal(size=(80, pairs.morphable.modes))).astype(np.float32)
    weights = fit_face_posterior(heard(pairs, "validation", errors), Whole(), SLOPE)
    assert weights is not None
    test = heard(pairs, "test", (off * rng.normal(size=errors.shape)).astype(np.float32))
    found = coverage(test, Whole(), SLOPE, weights)
    for region in REGIONS:
        assert found[f"coverage_{region}"] == pytest.approx(region / 100, abs=0.03)
        low, high = found[f"coverage_{region}_interval"]
        assert low < found[f"coverage_{region}"] < high
    # Errors that are left out of the posterior make it too sure of itself.
    if off:
        sure = replace(weights, errors=np.zeros_like(weights.errors))
        assert coverage(test, Whole(), SLOPE, sure)["coverage_80"] < 0.75


def test_own_people_whose_distribution_nobody_knows() -> None:
    pairs = people(300)
    own = replace(pairs, kind="own", about={}, expected=np.full_like(pairs.expected, np.nan), population=None)
    assert VoiceFaceDistribution.from_pairs(own) is None
    held, test = (replace(heard(pairs, split), pairs=own) for split in ("validation", "test"))
    weights = fit_face_posterior(held, Whole(), SLOPE)
    assert weights is not None
    found = coverage(test, Whole(), SLOPE, weights)
    for region in REGIONS:
        assert found[f"coverage_{region}"] == pytest.approx(region / 100, abs=0.12)
    few = replace(
        own,
        people=tuple(replace(p, split="test") if i > 2 and p.split == "train" else p for i, p in enumerate(own.people)),
    )
    assert fit_face_posterior(replace(held, pairs=few), Whole(), SLOPE) is None, "one man is no covariance"


def test_speakers_with_many_recordings_count_once() -> None:
    pairs = people(60)
    held = heard(pairs, "validation", 0.5)
    weights = fit_face_posterior(held, Whole(), SLOPE)
    first = np.concatenate([np.repeat(held.utterances[:1], 9), held.utterances])
    often = replace(held, utterances=first, embeddings=held.embeddings[[0] * 9 + list(range(len(held.utterances)))])
    again = fit_face_posterior(often, Whole(), SLOPE)
    assert weights is not None
    assert again is not None
    for sex in (0, 1):
        one, other = (each.errors[each.error_sex == sex].astype(np.float64) for each in (weights, again))
        np.testing.assert_allclose(one.T @ one, other.T @ other, atol=1e-4)


def test_pairs_that_do_not_say_how_faces_were_drawn() -> None:
    pairs = replace(people(6), about={"coupling": {"name": "strong"}})
    with pytest.raises(InputError, match="do not say how their faces were drawn"):
        VoiceFaceDistribution.from_pairs(pairs)
