"""VAD, voicing and features together, streamed and whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import speech_like
from voxface.runtime.audio.resample import Resampler, to_int16
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.features.front_end import FrontEnd
from voxface.runtime.features.periodicity import PeriodicityMeter, periodicity
from voxface.runtime.features.speech import Speech, check_speech

AUDIO = speech_like(12.0)


def hear(samples: NDArray[np.int16], sizes: list[int] | None = None) -> Speech:
    front_end = FrontEnd()
    at = 0
    for size in [*(sizes or []), len(samples)]:
        front_end.feed(samples[at : at + size])
        at += size
    return front_end.finish()


WHOLE = hear(AUDIO)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 3000), st.sampled_from([1, 16_001, 160_000])), max_size=120))
def test_any_chunking_hears_the_same(sizes: list[int]) -> None:
    speech = hear(AUDIO, sizes)
    assert speech.segments == WHOLE.segments
    assert (speech.samples, speech.voiced_samples, speech.periodic) == (
        len(AUDIO),
        WHOLE.voiced_samples,
        WHOLE.periodic,
    )
    np.testing.assert_array_equal(speech.log_mel.view(np.uint32), WHOLE.log_mel.view(np.uint32))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([8000, 22_050, 44_100, 48_000]), st.lists(st.integers(1, 5000), max_size=60))
def test_resampling_does_not_depend_on_the_chunking(rate: int, sizes: list[int]) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, rate).astype(np.float32)
    one = Resampler(rate)
    expected = np.concatenate([one.feed(sound), one.feed(np.empty(0, np.float32), last=True)])
    stream, parts, at = Resampler(rate), [], 0
    for size in [*sizes, len(sound)]:
        parts.append(stream.feed(sound[at : at + size]))
        at += size
    parts.append(stream.feed(np.empty(0, np.float32), last=True))
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert abs(len(expected) - 16_000) <= 1


def test_sixteen_bit_samples_survive_the_way_through_float() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(to_int16(every.astype(np.float32) / 32768), every)
    np.testing.assert_array_equal(to_int16(np.array([-3.0, 3.0], np.float32)), [-32768, 32767])


def test_voiced_time_is_the_length_of_the_segments() -> None:
    assert sum(end - start for start, end in WHOLE.segments) == WHOLE.voiced_samples
    assert WHOLE.log_mel.shape == (WHOLE.voiced_samples // 160 + 1, 64)
    assert WHOLE.seconds == 12.0


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(48_000, np.int16), "silence"),
        (np.empty(0, np.int16), "no samples"),
        (np.random.default_rng(0).normal(0, 3000, 80_000).astype(np.int16), "noise"),
        (np.random.default_rng(0).normal(0, 100, 80_000).astype(np.int16), "noise|silence"),
    ],
)
def test_what_is_no_speech_is_refused_with_the_reason(samples: NDArray[np.int16], reason: str) -> None:
    with pytest.raises(NoSpeechError, match=reason):
        check_speech(hear(samples))


def test_a_vowel_is_periodic_and_noise_is_not(rng: np.random.Generator) -> None:
    t = np.arange(640) / 16_000
    for pitch in (80, 120, 220, 380):
        vowel = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 8))
        assert periodicity(1000 * np.asarray(vowel)[None])[0] > 0.8
    assert (periodicity(rng.normal(0, 1000, (200, 640))) < 0.5).all()
    assert (periodicity(np.zeros((1, 640))) == 0).all()


@given(st.lists(st.integers(1, 5000), max_size=50))
@settings(max_examples=25, deadline=None)
def test_the_periodicity_count_does_not_depend_on_the_chunking(sizes: list[int]) -> None:
    one, many, at = PeriodicityMeter(), PeriodicityMeter(), 0
    one.feed(AUDIO)
    for size in [*sizes, len(AUDIO)]:
        many.feed(AUDIO[at : at + size])
        at += size
    assert (many.frames, many.periodic) == (one.frames, one.periodic)
