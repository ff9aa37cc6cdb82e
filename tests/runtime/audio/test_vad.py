"""The collector: golden segments, any chunking, and what it does at the edges."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import webrtcvad
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import speech_like
from voxface.runtime.audio.vad import VoiceActivityDetector, WebRtcJudge
from voxface.runtime.audio.vad_events import SpeechAudio, SpeechEnded, SpeechStarted, VadEvent
from voxface.runtime.config.vad import VadConfig

AUDIO = speech_like(6.0)


def heard(events: list[VadEvent]) -> tuple[list[tuple[int, int]], NDArray[np.int16]]:
    segments = [(e.start, e.end) for e in events if isinstance(e, SpeechEnded)]
    audio = [e.samples for e in events if isinstance(e, SpeechAudio)]
    return segments, np.concatenate(audio) if audio else np.empty(0, np.int16)


def whole(samples: NDArray[np.int16]) -> list[VadEvent]:
    detector = VoiceActivityDetector()
    return detector.feed(samples) + detector.finish()


@pytest.mark.speech
@pytest.mark.parametrize("clip", ["clip1", "clip2", "clip3", "clip4"])
def test_segments_of_the_authors_front_end(shared: Path, clip: str) -> None:
    samples, _ = soundfile.read(shared / "conformance" / f"{clip}.wav", dtype="int16")
    golden = np.load(shared / "conformance" / f"{clip}.npz")
    segments, voiced = heard(whole(samples))
    assert [end - start for start, end in segments] == golden["segments"].tolist()
    np.testing.assert_array_equal(voiced, golden["voiced"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.integers(0, 700), st.sampled_from([1, 319, 320, 321, 640, 16_000, 160_000])), max_size=400)
)
def test_any_chunking_gives_the_same_events(sizes: list[int]) -> None:
    detector = VoiceActivityDetector()
    events: list[VadEvent] = []
    at = 0
    for size in [*sizes, len(AUDIO)]:
        events += detector.feed(AUDIO[at : at + size])
        at += size
    segments, voiced = heard(events + detector.finish())
    expected_segments, expected = heard(whole(AUDIO))
    assert segments == expected_segments
    np.testing.assert_array_equal(voiced, expected)


def test_events_are_in_order_and_name_the_samples_they_carry() -> None:
    events = whole(AUDIO)
    assert sum(isinstance(e, SpeechStarted) for e in events) == sum(isinstance(e, SpeechEnded) for e in events) >= 3
    position = None
    for event in events:
        if isinstance(event, SpeechStarted):
            assert position is None
            position = event.start
        elif isinstance(event, SpeechAudio):
            assert event.start == position
            np.testing.assert_array_equal(event.samples, AUDIO[event.start : event.start + len(event.samples)])
            position = event.start + len(event.samples)
        else:
            assert event.end == position
            position = None


class ScriptedJudge:
    """Says what it is told, call by call, and writes down what it was asked."""

    def __init__(self, voiced: set[int]) -> None:
        self.voiced = voiced
        self.asked: list[int] = []

    def is_speech(self, frame: bytes, sample_rate: int) -> bool:
        number = int(np.frombuffer(frame, np.int16)[0])
        self.asked.append(number)
        return number in self.voiced


def test_the_judge_is_asked_about_the_whole_ring_at_every_step() -> None:
    judge = ScriptedJudge({2, 3, 4, 5})
    detector = VoiceActivityDetector(judge=judge)
    frames = np.repeat(np.arange(9, dtype=np.int16), 320)
    segments, _ = heard(detector.feed(frames) + detector.finish())
    # Frames 2 and 3 open the segment and empty the ring; 6 and 7 close it; frame 8, exactly fitting, is never judged.
    assert judge.asked == [0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6, 7]
    assert segments == [(2 * 320, 8 * 320)]


@pytest.mark.parametrize(("extra", "frames"), [(0, 2), (1, 3)])
def test_an_exactly_fitting_last_frame_is_dropped(extra: int, frames: int) -> None:
    judge = ScriptedJudge({0, 1, 2})
    detector = VoiceActivityDetector(judge=judge)
    samples = np.repeat(np.arange(3, dtype=np.int16), 320)
    segments, voiced = heard(detector.feed(np.append(samples, np.zeros(extra, np.int16))) + detector.finish())
    assert segments == [(0, frames * 320)]
    assert len(voiced) == frames * 320


def test_silence_and_nothing_at_all() -> None:
    assert whole(np.zeros(48_000, np.int16)) == []
    assert whole(np.empty(0, np.int16)) == []


def test_indices_stay_exact_past_2_to_the_31() -> None:
    detector = VoiceActivityDetector()
    detector.position = 2**31 + 320 * 7  # 37 hours in
    segments, voiced = heard(detector.feed(AUDIO) + detector.finish())
    expected, same = heard(whole(AUDIO))
    assert segments == [
        (start + detector.position - len(AUDIO), end + detector.position - len(AUDIO)) for start, end in expected
    ]
    np.testing.assert_array_equal(voiced, same)


@pytest.mark.parametrize("samples", [np.zeros(10, np.float32), np.zeros((10, 2), np.int16)])
def test_wrong_samples_are_refused(samples: NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match=r"expected int16 \[n\]"):
        VoiceActivityDetector().feed(samples)


@pytest.mark.parametrize("arguments", [{"mode": 4}, {"frame": 400}, {"ring": 0}])
def test_settings_that_cannot_be(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"VAD|ring"):
        VadConfig(**arguments)


@pytest.mark.parametrize("mode", range(4))
def test_the_judge_is_that_of_the_webrtcvad_module(mode: int, rng: np.random.Generator) -> None:
    ours, theirs = WebRtcJudge(mode), webrtcvad.Vad(mode)
    sound = np.concatenate([speech_like(2.0), rng.normal(0, 30, 16_000).astype(np.int16)])
    frames = [part.tobytes() for part in np.split(sound[: len(sound) // 320 * 320], len(sound) // 320)]
    said = [ours.is_speech(frame, 16_000) for frame in frames]
    assert said == [theirs.is_speech(frame, 16_000) for frame in frames]
    assert len(set(said)) == 2


@pytest.mark.parametrize("offset", [-20_000, -3276, 500, 3276, 20_000])
@pytest.mark.parametrize("noise", [0.0, 0.4, 3.0])
def test_a_constant_offset_is_no_speech(offset: int, noise: float) -> None:
    """WebRTC's VAD takes the step from nothing to the offset for sound."""
    sound = np.rint(offset + np.random.default_rng(2).normal(0, noise, 48_000)).astype(np.int16)
    assert WebRtcJudge(3).is_speech(sound[:320].tobytes(), 16_000) or abs(offset) < 3000
    assert whole(sound) == []


def test_speech_on_a_constant_offset_is_still_speech() -> None:
    quiet = np.zeros(16_000, np.int16)
    voice = np.concatenate([quiet, AUDIO // 2])
    plain, shifted = heard(whole(voice)), heard(whole(voice + np.int16(3000)))
    assert shifted[0]
    assert sum(end - start for start, end in shifted[0]) == pytest.approx(sum(e - s for s, e in plain[0]), rel=0.1)
