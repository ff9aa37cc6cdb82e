"""The speech gate of whole sounds: no speech is refused as live; speech is heard, alone and among other sound."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.live_session import PlainEstimator, noise, nothing, voice
from tests.stand_ins.sounds import NO_SPEECH, Samples, tones
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.features.front_end import listen
from voxface.runtime.features.speech import Speech
from voxface.runtime.features.speech_gate import speech_in
from voxface.runtime.live.events import FaceEstimated, NoFace
from voxface.runtime.live.session import LiveSession
from voxface.training.data.sound_clips import noisy, synthetic_noise
from voxface.training.data.synthetic_music import music

WEIGHTS = PlainEstimator.speech_modulation


def reason(samples: Samples) -> str | None:
    """Why a whole sound gets no face; None if it gets one."""
    try:
        speech_in(listen([samples]), WEIGHTS)
    except NoSpeechError as error:
        return error.reason if f"({error.reason}" in str(error) else f"it is not in the message: {error}"
    return None


def live(samples: Samples) -> tuple[bool, list[str]]:
    """Whether a live session makes a face, and the reasons it gives for none."""
    session = LiveSession(PlainEstimator())
    events = session.feed(samples) + session.finish()
    faces = any(isinstance(event, FaceEstimated) for event in events)
    return faces, [event.reason for event in events if isinstance(event, NoFace)]


@pytest.mark.parametrize("name", NO_SPEECH)
def test_no_speech_gets_no_face_for_a_reason_that_live_gives_too(name: str) -> None:
    samples = NO_SPEECH[name]()
    face, reasons = live(samples)
    assert not face
    assert reason(samples) in reasons


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (tones(440), "music"),
        (noise(4, 6000), "noise"),
        (noise(3, 3), "silence"),
        (noise(3, 60), "too quiet"),
        (nothing(3), "all-zero microphone"),
        (nothing(0.2), "all-zero microphone"),
        (np.empty(0, np.int16), "too little speech"),
        (voice()[:8000], "too little speech"),
        (np.clip(voice().astype(np.int32) * 60, -32768, 32767).astype(np.int16), "clipping"),
    ],
)
def test_each_reason(samples: Samples, expected: str) -> None:
    assert reason(samples) == expected


EIGHT_BIT = (voice() // 256 * 256).astype(np.int16)
SPEECH: dict[str, Samples] = {
    "female": voice(0),
    "male": voice(1),
    "one second": voice(0)[:16_000],
    "one second of the male": voice(1)[40_000:56_000],
    "two seconds": voice(1)[:32_000],
    "quiet": (voice() // 16).astype(np.int16),
    "8 bits": EIGHT_BIT,
    "pink noise at 10 dB": noisy(voice(1), synthetic_noise(421)),
    "white noise at 5 dB": noisy(voice(0), synthetic_noise(420), 5),
    "hum at 5 dB": noisy(voice(1), synthetic_noise(423), 5),
    "a pause of ten seconds": np.concatenate([voice()[:40_000], nothing(10), voice()[40_000:]]),
}


@pytest.mark.parametrize("name", SPEECH)
def test_speech_is_heard_whole(name: str) -> None:
    speech = listen([SPEECH[name]])
    assert speech_in(speech, WEIGHTS) is speech


BESIDE: dict[str, Samples] = {
    "tone": np.resize(tones(440), 12 * 16_000),
    "music": music(9001, 12),
    "chord": np.resize(tones(261.6, 329.6, 392.0), 12 * 16_000),
    "noise": noise(12, 5000),
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("place", ["before", "after", "between"])
def test_speech_is_found_among_other_sound(name: str, place: str) -> None:
    other, own = BESIDE[name], voice()
    parts = {"before": [own, other], "after": [other, own], "between": [other, own, other]}[place]
    start = 0 if place == "before" else len(other)
    samples = np.concatenate(parts)
    assert live(samples)[0]
    heard = listen([samples])
    speech = speech_in(heard, WEIGHTS)
    inside = sum(max(0, min(end, start + len(own)) - max(begin, start)) for begin, end in speech.segments)
    assert inside > 0.7 * listen([own]).voiced_samples, "most of what was said is used"
    assert inside / speech.voiced_samples > 0.75, "and most of what is used was said"
    assert speech.voiced_samples == sum(end - begin for begin, end in speech.segments)
    assert abs(len(speech.log_mel) - speech.voiced_samples / 160) <= 1 + len(speech.segments)


def test_what_is_clipped_is_left_out() -> None:
    loud = np.clip(voice()[:64_000].astype(np.int32) * 60, -32768, 32767).astype(np.int16)
    speech = speech_in(listen([np.concatenate([voice(), loud])]), WEIGHTS)
    assert 7 * 16_000 < speech.segments[-1][1] < 9.5 * 16_000
    short = listen([np.concatenate([loud[:32_000], voice()[:64_000]])])
    assert speech_in(short, WEIGHTS) is short, "a live session's window holds all of it"


def test_what_was_found_is_speech_when_it_is_judged_again() -> None:
    speech = speech_in(listen([np.concatenate([BESIDE["music"], voice(), BESIDE["music"]])]), WEIGHTS)
    assert len(speech_in(speech, WEIGHTS).log_mel) > 0.8 * len(speech.log_mel)


def test_without_weights_noise_is_refused_and_music_is_not() -> None:
    assert speech_in(listen([tones(440)]), None)
    with pytest.raises(NoSpeechError, match="noise"):
        speech_in(listen([noise(4, 6000)]), None)


def test_a_minute_of_music_do_not_become_speech_by_chance() -> None:
    assert [reason(music(seed, 60)) for seed in (9101, 9105, 9108)] == ["music"] * 3


@lru_cache
def _mixed() -> Speech:
    return listen([np.concatenate([voice(), nothing(1), voice(1)])])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 400)), min_size=1, max_size=5))
def test_a_part_has_the_segments_of_its_frames(ranges: list[tuple[int, int]]) -> None:
    whole = _mixed()
    kept = np.zeros(len(whole.log_mel), bool)
    for first, length in ranges:
        kept[first : first + length] = True
    part = whole.part(kept)
    np.testing.assert_array_equal(part.log_mel, whole.log_mel[kept])
    voiced = np.concatenate([np.arange(begin, end) for begin, end in whole.segments])
    frames = [voiced[160 * k : 160 * (k + 1)] for k in np.flatnonzero(kept)]
    expected = np.concatenate([np.empty(0, np.int64), *frames])
    got = np.concatenate([np.empty(0, np.int64), *(np.arange(begin, end) for begin, end in part.segments)])
    np.testing.assert_array_equal(got, expected)
    assert part.voiced_samples == len(expected)


def test_a_position_is_where_a_frame_begins() -> None:
    whole = _mixed()
    voiced = np.concatenate([np.arange(begin, end) for begin, end in whole.segments])
    for frame in range(0, len(voiced) // 160, 7):
        assert whole.position(frame) == voiced[160 * frame]
    assert whole.position(10**6) == whole.segments[-1][1]
