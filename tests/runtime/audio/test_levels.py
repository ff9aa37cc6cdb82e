"""The level of sound: what it alone shows, whatever constant offset a device adds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.sound_files import speech
from voxface.runtime.audio.levels import LOWEST_DB, Level, LevelMeter, clipped, decibels

NOISE = np.random.default_rng(3).normal(0, 1, 16_000)


def level(offset: float, amplitude: float) -> Level:
    return Level.from_samples(np.clip(np.rint(offset + amplitude * NOISE), -32768, 32767).astype(np.int16))


@pytest.mark.parametrize("offset", [-22_000, -3276, -100, 0, 100, 3276, 22_000])
@pytest.mark.parametrize(
    ("amplitude", "reason"), [(3.3, "silence"), (20, "silence"), (40, "too quiet"), (300, "noise"), (2000, "noise")]
)
def test_the_reason_does_not_depend_on_an_offset(offset: int, amplitude: float, reason: str) -> None:
    got = level(offset, amplitude)
    assert got.reason() == reason
    assert got.rms_db == pytest.approx(decibels(amplitude), abs=0.3)


def test_an_offset_without_anything_is_silence_and_zeros_are_a_dead_microphone() -> None:
    assert level(1234, 0).reason() == "silence"
    assert level(1234, 0).rms_db == LOWEST_DB
    assert level(1234, 0).peak_db == pytest.approx(decibels(1234))
    assert level(0, 0).reason() == "all-zero microphone"


def test_speech_is_as_loud_as_before() -> None:
    samples = speech()
    usual = decibels(float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))))
    assert Level.from_samples(samples).rms_db == pytest.approx(usual, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(-20_000, 20_000), st.lists(st.integers(0, 16_000), max_size=5))
def test_a_meter_may_be_fed_in_pieces(offset: int, cuts: list[int]) -> None:
    samples = np.rint(offset + 50 * NOISE).astype(np.int16)
    meter = LevelMeter()
    for piece in np.split(samples, sorted(cuts)):
        meter.feed(piece)
    got, whole = meter.read(), Level.from_samples(samples)
    assert got.rms_db == pytest.approx(whole.rms_db, abs=1e-6)
    assert (got.samples, got.peak_db, got.zeros, got.clipped) == (
        whole.samples,
        whole.peak_db,
        whole.zeros,
        whole.clipped,
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([-32768, -32767, -32766, 0, 32766, 32767]), max_size=20))
def test_the_clipped_share_needs_no_level(values: list[int]) -> None:
    samples = np.array(values, np.int16)
    assert clipped(samples) == Level.from_samples(samples).clipped
    assert clipped(samples) * len(values) == pytest.approx(sum(abs(value) >= 32767 for value in values))
