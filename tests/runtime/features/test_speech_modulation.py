"""Likeness to speech: what is measured, by hand, and windows that slide along a stream against whole ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SAMPLES
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.front_end import PROVISIONAL
from voxface.runtime.features.log_mel import FrameWindow, log_mel
from voxface.runtime.features.speech_modulation import (
    SHORTEST,
    RunningSpeechModulation,
    measurable_movement,
    modulation,
    movement,
    speech_modulation,
)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return np.concatenate(list(read_blocks(SAMPLES[0])))


def shapes(cosines: dict[int, np.ndarray]) -> np.ndarray:
    """Log-mel frames [T, 64] with these cepstra over time; 5 is within the range that counts."""
    place = (np.arange(64) + 0.5) / 64
    frames = sum(
        track[:, None] * np.sqrt(2 / 64) * np.cos(np.pi * order * place)[None] for order, track in cosines.items()
    )
    return (5 + frames).astype(np.float32)


def test_modulation_of_a_sine_is_in_its_bin() -> None:
    t = np.arange(100) / 100

    def share(*hertz: float) -> float:
        syllabic, whole = modulation(np.stack([np.sin(2 * np.pi * h * t) + 3 for h in hertz]))
        return float(syllabic / whole)

    assert share(4) == pytest.approx(1, abs=1e-4)  # Hann: the neighbours only
    assert share(6) == pytest.approx(1.25 / 1.5, abs=0.01), "a sixth of it in the bin beyond"
    assert share(9) == pytest.approx(0, abs=1e-4)
    assert share(4, 9) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("frames", [21, 30, 99, 100])
def test_modulation_is_that_of_the_spectra(frames: int) -> None:
    tracks = np.random.default_rng(0).normal(5, 1, size=(6, frames))
    expected, whole = np.zeros(51), np.resize(tracks.T, (100, 6)).T
    for track in whole:
        expected += np.abs(np.fft.fft((track - track.mean()) * np.hanning(100))[:51]) ** 2
    np.testing.assert_allclose(modulation(tracks), [expected[3:7].sum(), expected[1:].sum()], rtol=1e-9)


def test_movement_by_hand() -> None:
    t = np.arange(500) / 100
    # A swing of 2.5 Hz is opposite after 0.2 s: the distance is |2·3·sin|, whose mean is 2·3·2/π, root mean square of five.
    found = movement(shapes({3: 3 * np.sin(2 * np.pi * 2.5 * t)}))
    assert np.exp(found.change) == pytest.approx(2 * 3 * 2 / np.pi / np.sqrt(5), rel=0.01)
    # One of 5 Hz is itself again; its energy is syllabic.
    found = movement(shapes({3: 3 * np.sin(2 * np.pi * 5 * t)}))
    assert found.change < np.log(0.01)
    assert found.syllables == pytest.approx(1, abs=1e-4)
    assert movement(shapes({3: 3 * np.sin(2 * np.pi * 12 * t)})).syllables < 1e-3
    # Level moves no shape, and the first cepstrum, the tilt, counts for syllables only.
    assert movement(shapes({1: 3 * np.sin(2 * np.pi * 2.5 * t)})).change < np.log(0.01)
    assert movement(shapes({1: 3 * np.sin(2 * np.pi * 4 * t)})).syllables == pytest.approx(1, abs=1e-4)


def test_how_loud_it_is_does_not_matter_nor_what_is_far_below() -> None:
    frames = np.random.default_rng(1).normal(8, 2, (300, 64)).astype(np.float32)
    for louder in (frames + 5, frames - 3):
        assert movement(louder).change == pytest.approx(movement(frames).change, abs=1e-5)
        assert movement(louder).syllables == pytest.approx(movement(frames).syllables, abs=1e-5)
    deep = frames.copy()
    deep[100:150] = -11.5  # digital silence
    shallow = frames.copy()
    shallow[100:150] = np.quantile(frames.max(1), 0.9) - 10
    assert movement(deep).change == pytest.approx(movement(shallow).change, abs=0.02)


def test_likeness_is_the_logistic_function_of_movement(speech: np.ndarray) -> None:
    weights = Bundle.open().speech_modulation
    centre, weight = weights.centre, weights.weight
    frames = log_mel(speech)
    found = movement(frames)
    score = (
        weights.bias
        + weight.change * (found.change - centre.change)
        + weight.syllables * (found.syllables - centre.syllables)
    )
    assert speech_modulation(frames, weights) == pytest.approx(1 / (1 + np.exp(-score)))
    assert speech_modulation(frames[: SHORTEST - 1], weights) == 0
    assert 0 <= speech_modulation(frames[:SHORTEST], weights) <= 1
    assert speech_modulation(np.zeros((200, 64), np.float32), weights) < 1e-6


def test_each_stretch_counts_alike() -> None:
    """Movement of 8 s, of which the last 3 frames may still change, is that of stretches of 1 s every 32 frames."""
    frames = np.random.default_rng(2).normal(8, 2, (800, 64)).astype(np.float32)
    parts = [movement(frames[begin : begin + 100]) for begin in range(0, 698, 32)]
    assert np.exp(movement(frames).change) == pytest.approx(np.mean([np.exp(part.change) for part in parts]), rel=1e-6)
    later = frames.copy()
    later[-3:] = 20
    assert movement(later) == movement(frames)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 0, 32, 64, 96, 7, 800]), st.integers(0, 120)), min_size=1, max_size=25))
def test_a_sliding_window_is_measured_as_it_would_be_alone(steps: list[tuple[int, int]]) -> None:
    """Also where it jumps off the grid, as it does when another speaker begins, and where its last frames change."""
    frames = np.random.default_rng(3).normal(8, 2, (30_000, 64)).astype(np.float32)
    running, first, end = RunningSpeechModulation(), 0, 100
    for dropped, added in steps:
        first, end = first + dropped, max(end + added, first + dropped + 40)
        window = frames[first:end].copy()
        window[-3:] = window[-4]
        assert running.measure(FrameWindow(first, window, len(window) - PROVISIONAL)) == measurable_movement(window)
        assert len(window) < 103 or len(running._known) == (len(window) - 103) // 32 + 1


def test_a_sliding_window_measures_no_stretch_twice(speech: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, measured = log_mel(np.resize(speech, 800_000)), []
    measure = RunningSpeechModulation.measure.__globals__["measure"]
    monkeypatch.setitem(
        RunningSpeechModulation.measure.__globals__, "measure", lambda part: measured.append(1) or measure(part)
    )
    running = RunningSpeechModulation()
    for end in range(200, 4000, 10):
        first = max(0, end - 800) // 32 * 32
        running.measure(FrameWindow(first, frames[first:end], end - first - PROVISIONAL))
    assert len(measured) == (3990 - 3 - 100) // 32 + 1
