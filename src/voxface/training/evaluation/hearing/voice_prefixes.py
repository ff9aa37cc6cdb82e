"""What the runtime says of a voice after so many seconds: the networks, confidence and posterior that a live session has."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.face_posterior import FacePosteriorWeights
from voxface.runtime.features.log_mel import FrameWindow
from voxface.runtime.features.speech import HOP, Speech
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.inference.face_posterior import FacePosterior
from voxface.training.data.pairs import Pairs

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
REGIONS: Final = (50, 80, 95)  # per cent of a posterior that lie in its central region
FRAMES: Final = 100  # of a second


@dataclass(frozen=True)
class Heard:
    """Estimates of U utterances after so many seconds of each, one row an utterance.

    Attributes:
        coefficients: float32 [U, P].
        confidence: float64 [U].
        female: float64 [U], the probability that the speaker is a woman.
        update_ms: float64 [U], how long the estimate took: normalisation, networks, attributes.
        inside: bool [U, M, R], whether each measurement of the person's own face lies in each region of its posterior;
            None where the bundle has no posterior.
        sd_mm: float64 [U, M], the posterior's standard deviation of each measurement; None as before.
    """

    coefficients: Float32
    confidence: Float64
    female: Float64
    update_ms: Float64
    inside: NDArray[np.bool_] | None
    sd_mm: Float64 | None


def hear(
    estimator: FaceEstimator,
    pairs: Pairs,
    utterances: Sequence[int],
    seconds: float | None,
    done: Callable[[int, int], None] = lambda _done, _total: None,
) -> Heard:
    """Estimates from the first seconds of utterances, each encoded whole as a live session's exact mode does.

    Args:
        seconds: None: the whole utterance.
    """
    estimator.warm_up()
    rows, inside, spread = [], [], []
    for number, utterance in enumerate(utterances):
        frames = pairs.utterance(utterance)
        speech = speech_of(frames if seconds is None else frames[: round(FRAMES * seconds)])
        began = time.perf_counter()
        estimate = estimator.estimate(speech)
        rows.append((estimate, 1000 * (time.perf_counter() - began)))
        file = estimate.posterior_file
        if file is not None and pairs.morphable.measurements:
            # Of the faces' mean age, which those of the data have, whatever age is heard.
            posterior = FacePosterior(estimate.coefficients, female_of(estimate), file.weights, estimator.morphable)
            inside.append(in_regions(posterior, true_measurements(pairs, utterance)))
            spread.append(list(posterior.measurements_sd_mm.values()))
        done(number + 1, len(utterances))
    estimates = [estimate for estimate, _ in rows]
    return Heard(
        np.stack([estimate.coefficients for estimate in estimates]),
        np.array([estimate.confidence for estimate in estimates]),
        np.array([female_of(estimate) for estimate in estimates]),
        np.array([ms for _, ms in rows]),
        np.stack(inside) if inside else None,
        np.array(spread) if spread else None,
    )


def speech_of(frames: Float32) -> Speech:
    """Speech of log-mel frames float32 [T, 64] that a front end has kept already."""
    samples = HOP * len(frames)
    return Speech(samples, [(0, samples)], samples, 1.0, FrameWindow.whole(frames))


def female_of(estimate: Estimate) -> float:
    """The probability that the speaker is a woman."""
    return estimate.attributes.sex["female"]


def true_measurements(pairs: Pairs, utterance: int) -> Float64:
    """The measurements of the speaker's own face, float64 [M], in millimetres."""
    face = pairs.coefficients[int(pairs.utterance_person[utterance])]
    return np.array(list(pairs.morphable.measurements_of(face).values()))


def in_regions(posterior: FacePosterior, measurements: Float64) -> NDArray[np.bool_]:
    """Whether measurements float64 [M] lie in the central regions of a posterior, bool [M, R]."""
    off = np.abs(posterior.probability_below(measurements[None])[0] - 0.5)
    found: NDArray[np.bool_] = off[:, None] <= np.array(REGIONS) / 200
    return found


def population_posterior(bundle: Bundle, female: float) -> FacePosterior | None:
    """The trivial posterior: all faces of the sexes, mixed by the probability of each; None where the bundle has none."""
    file, model = bundle.face_posterior, bundle.morphable
    if file is None:
        return None
    weights = file.weights
    trivial = FacePosteriorWeights(
        unexplained=weights.population,
        population=weights.population,
        errors=np.zeros((0, weights.modes), np.float32),
        error_sex=np.zeros(0, np.uint8),
        error_speaker=np.zeros(0, np.int64),
    )
    mean = (female * model.sex_means[0] + (1 - female) * model.sex_means[1]).astype(np.float32)
    return FacePosterior(mean, female, trivial, model)
