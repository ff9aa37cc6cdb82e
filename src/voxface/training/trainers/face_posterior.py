"""The posterior of faces given a voice: how the faces of people with such a voice lie about the mesh network's face.

Given the voice, faces are a mixture of two Gaussians, one for each sex, weighted by the probability of the sex. Their means lie
about the network's face as the mean woman and the mean man lie about the mixture of these two, so that the mean of the whole is
the network's face. The covariance given the sex is what no voice tells, exact where a world knows it, and what the network
misses of what a voice tells, measured on people that it was not trained on.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import nn

from voxface.runtime.config.face_posterior import FacePosteriorWeights
from voxface.runtime.inference.attributes import read_attributes
from voxface.runtime.inference.face_posterior import FacePosterior
from voxface.training.evaluation.geometry.held_out import HeldOut
from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.faces.gaussian import square_root
from voxface.training.world.voice_face_distribution import Sex, VoiceFaceDistribution

Float64 = NDArray[np.float64]
REGIONS: Final = (50, 80, 95)  # per cent of the posterior of a measurement that lie in its central region
DRAWS: Final = 100  # faces drawn of everybody who is measured, where the world knows their distribution
SEXES: Final[tuple[Sex, Sex]] = ("F", "M")


def fit_face_posterior(held: HeldOut, network: nn.Module, sex_slope: float) -> FacePosteriorWeights | None:
    """The posterior about the faces of a network embedding -> coefficients.

    Where the distribution of faces is not known (people's own data), the covariance is that of the network's errors on the
    people held out, drawn towards the covariance of the training people of the sex as by K + 1 more people, because a
    covariance of K coefficients is not to be had from fewer people than that.

    Args:
        held: people that the network was not trained on, of both sexes.
        sex_slope: see `read_attributes`.

    Returns:
        None where the training people of a sex are fewer than two.
    """
    pairs, modes = held.pairs, held.pairs.morphable.identity_modes
    person = held.person
    sexes = pairs.sexes[person]
    speaker = np.unique([pairs.people[int(i)].speaker for i in person], return_inverse=True)[1]
    of_speaker = np.bincount(speaker)[speaker]
    people = np.array([len(np.unique(speaker[sexes == sex])) for sex in (0, 1)])
    middle = _means(held, held.predictions(network), sex_slope)[np.arange(len(person)), sexes]
    world = VoiceFaceDistribution.from_pairs(pairs)
    if world is not None and np.isfinite(pairs.expected[person]).all():
        known = np.unique(person)
        unexplained = np.stack(
            [
                np.mean(
                    [
                        world.covariance(sex, *map(float, pairs.cues[i]))
                        for i in known
                        if pairs.people[int(i)].sex == sex
                    ],
                    axis=0,
                )
                for sex in SEXES
            ]
        )
        population = world.population.covariance.astype(np.float64)
        errors, counted = pairs.expected[person, :modes] - middle, np.ones(2)
    else:
        fitted = np.asarray(np.isfinite(pairs.coefficients).all(axis=1))
        learners = [i for i in pairs.split("train") if fitted[i] and not pairs.people[int(i)].altered]
        by_sex = [[i for i in learners if pairs.sexes[i] == sex] for sex in (0, 1)]
        if min(map(len, by_sex)) < 2:
            return None
        population = np.stack([np.atleast_2d(np.cov(pairs.coefficients[own, :modes].T)) for own in by_sex])
        counted = people / (people + modes + 1)
        unexplained = population * (1 - counted)[:, None, None]
        errors = pairs.coefficients[person, :modes] - middle
    scale = np.sqrt(counted[sexes] / (people[sexes] * of_speaker))
    return FacePosteriorWeights(
        unexplained=_factors(unexplained[:, :modes, :modes]),
        population=_factors(population[:, :modes, :modes]),
        errors=(errors * scale[:, None]).astype(np.float32),
        error_sex=sexes.astype(np.uint8),
        error_speaker=speaker.astype(np.int64),
    )


def coverage(held: HeldOut, network: nn.Module, sex_slope: float, weights: FacePosteriorWeights) -> dict[str, Any]:
    """How many measurements of people's faces lie in the central regions of their posterior, which is how many should.

    Returns:
        "coverage_50", "coverage_80", "coverage_95": shares of all measurements of all people, a speaker counting once, with
        95 % intervals over speakers as "coverage_50_interval", …; "trivial": what they should be. Where the world knows the
        distribution of faces given a voice, `DRAWS` faces are drawn of everybody; else it is the one face that they have. {}
        for a morphable model without measurements.
    """
    pairs = held.pairs
    if not pairs.morphable.measurements:
        return {}
    world = VoiceFaceDistribution.from_pairs(pairs)
    predicted = held.predictions(network)
    inside: list[list[float]] = []
    for row, i in zip(predicted, held.person, strict=True):
        person = pairs.people[int(i)]
        faces = pairs.coefficients[i][None]
        if world is not None:
            rng = np.random.default_rng([int(i), 3])
            f0_hz, tract_cm = map(float, pairs.cues[i])
            faces = np.stack([world.draw(person.sex, f0_hz, tract_cm, rng) for _ in range(DRAWS)])
        true = np.array([list(pairs.morphable.measurements_of(face).values()) for face in faces])
        female = read_attributes(pairs.morphable, row, sex_slope).sex["female"]
        off = np.abs(FacePosterior(row, female, weights, pairs.morphable).probability_below(true) - 0.5)
        inside.append([float((off <= region / 200).mean()) for region in REGIONS])
    speakers = [pairs.people[int(i)].speaker for i in held.person]
    names, which = np.unique(speakers, return_inverse=True)
    by_speaker = np.array([np.array(inside)[which == k].mean(0) for k in range(len(names))])
    found: dict[str, Any] = {}
    for k, region in enumerate(REGIONS):
        of_region = by_speaker[:, k]

        def mean(rows: NDArray[np.int64], of_region: Float64 = of_region) -> float:
            return float(of_region[rows].mean())

        found[f"coverage_{region}"] = float(of_region.mean())
        found[f"coverage_{region}_interval"] = list(bootstrap(mean, names, rng=np.random.default_rng(0)))
    return found | {"trivial": {f"coverage_{region}": region / 100 for region in REGIONS}}


def _means(held: HeldOut, predicted: NDArray[np.float32], sex_slope: float) -> Float64:
    """The identity coefficients float64 [U, 2, K] that are expected of every voice if it is a woman's, and if it is a man's."""
    model = held.pairs.morphable
    modes = model.identity_modes
    female = np.array([read_attributes(model, row, sex_slope).sex["female"] for row in predicted])
    apart = (model.sex_means[0] - model.sex_means[1])[:modes].astype(np.float64)
    steps = np.stack([1 - female, -female], axis=1)
    return np.asarray(predicted[:, None, :modes] + steps[:, :, None] * apart)


def _factors(covariances: Float64) -> NDArray[np.float32]:
    """Factors float32 [2, K, K] of two covariances."""
    return np.stack([square_root(covariance) for covariance in covariances]).astype(np.float32)
