"""Formants that move on their own: the envelope does, pitch, length and loudness do not."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import SAMPLES
from voxface.training.data.formants import move_formants

RATE = 16_000


def vowel(pitch: float, formants: tuple[float, ...], seconds: float = 1.0) -> NDArray[np.int16]:
    """Pulses at a pitch in Hz through resonators at formants in Hz."""
    count = int(RATE * seconds)
    pulses = np.zeros(count)
    pulses[(np.arange(0, count / RATE, 1 / pitch) * RATE).astype(int)] = 1
    spectrum = np.fft.rfft(pulses)
    at = np.fft.rfftfreq(count, 1 / RATE)
    for formant in formants:
        spectrum *= 1 / (1 + 1j * (at - formant) / 60) + 0.02
    sound = np.fft.irfft(spectrum, count)
    return np.asarray(np.rint(sound / np.abs(sound).max() * 20_000), np.int16)


def peak(sound: NDArray[np.int16], low: float, high: float) -> float:
    """Frequency in Hz of the largest value of the smoothed spectrum within a band."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    smooth = np.convolve(power, np.hanning(301), "same")
    at = np.fft.rfftfreq(len(sound), 1 / RATE)
    band = (at > low) & (at < high)
    return float(at[band][np.argmax(smooth[band])])


@pytest.mark.parametrize("factor", [0.87, 1.15])
def test_a_formant_moves_and_the_pitch_stays(factor: float) -> None:
    sound = vowel(110, (700.0, 1500.0, 2600.0))
    moved = move_formants(sound, factor)
    for low, formant, high in ((1100, 1500, 2000), (2050, 2600, 3300)):
        assert peak(sound, low, high) == pytest.approx(formant, rel=0.03)
        assert peak(moved, low, high) == pytest.approx(formant * factor, rel=0.03)
    lags = [np.fft.irfft(np.abs(np.fft.rfft(s.astype(float), 2 * len(s))) ** 2)[100:250] for s in (sound, moved)]
    periods = [100 + int(np.argmax(lag)) for lag in lags]
    assert abs(periods[0] - RATE / 110) <= 1
    assert abs(periods[1] - periods[0]) <= 1


@pytest.fixture
def voice() -> NDArray[np.int16]:
    """A real recording, int16 [n]."""
    return np.asarray(soundfile.read(SAMPLES[0], dtype="int16")[0], np.int16)


def test_speech_keeps_its_length_and_about_its_loudness(voice: NDArray[np.int16]) -> None:
    for factor in (0.85, 1.18):
        moved = move_formants(voice, factor)
        assert moved.shape == voice.shape
        assert moved.dtype == np.int16
        assert 0.7 < np.std(moved) / np.std(voice) < 1.4


def test_a_factor_of_one_is_the_same_and_one_next_to_it_nearly(voice: NDArray[np.int16]) -> None:
    assert move_formants(voice, 1.0) is voice
    off = move_formants(voice, 1 + 1e-9).astype(int) - voice
    assert np.abs(off).max() <= 1


@given(st.integers(0, 3000), st.floats(0.5, 2.0), st.sampled_from([0, 1, 300, 32_767]), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_any_sound_of_any_length(count: int, factor: float, loudness: int, seed: int) -> None:
    sound = np.random.default_rng(seed).integers(-loudness, loudness + 1, count).astype(np.int16)
    moved = move_formants(sound, factor)
    assert moved.shape == sound.shape
    assert moved.dtype == np.int16
    if not loudness:
        assert not moved.any()
