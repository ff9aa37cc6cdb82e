"""The session state machine: any chunking, any start; equal to the offline result; when there is no face, and why."""

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.live_session import PlainEstimator, lines, noise, nothing, voice
from tests.stand_ins.ticks import Ticks
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.features.log_mel import LogMelStream
from voxface.runtime.features.speech import Speech, check_speech
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.events import (
    EngineFailed,
    Event,
    FaceEstimated,
    NoFace,
    Skipped,
    SpeakerChanged,
    VoiceEnded,
    VoiceStarted,
)
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.speaker_change import Change, SpeakerChangeDetector
from voxface.runtime.timing.trace import Trace


def run(samples: np.ndarray, session: LiveSession | None = None, sizes: list[int] | None = None) -> list[Event]:
    session = session or LiveSession(PlainEstimator())
    events, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)] if sizes else len(samples)
        events += session.feed(samples[at : at + size])
        at, turn = at + size, turn + 1
    return events + session.finish()


def reasons(samples: np.ndarray) -> list[str]:
    return [event.reason for event in run(samples) if isinstance(event, NoFace)]


MIXED = np.concatenate([nothing(1.2), voice()[:40_000], noise(1.5, 8), voice(1)[:30_000], noise(1, 3000), nothing(0.5)])
MIXED_LINES = lines(run(MIXED))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=6))
def test_any_chunking_gives_the_same_events(sizes: list[int]) -> None:
    assert lines(run(MIXED, sizes=sizes)) == MIXED_LINES


def test_single_samples_and_empty_blocks_give_the_same_events() -> None:
    part = voice()[:24_000]
    assert lines(run(part, sizes=[1, 0, 2])) == lines(run(part))


@pytest.mark.parametrize("start", [2**31 - 20_000, 2**40])
def test_events_move_with_the_start(start: int) -> None:
    moved = lines(run(MIXED, LiveSession(PlainEstimator(), start=start)))
    for before, after in zip(MIXED_LINES, moved, strict=True):
        for key in ("start", "end", "position"):
            if key in before:
                assert after[key] == before[key] + start
        assert {k: v for k, v in before.items() if k not in ("start", "end", "position", "heard_s")} == {
            k: v for k, v in after.items() if k not in ("start", "end", "position", "heard_s")
        }


def test_every_estimate_is_what_a_file_cut_there_gives(face_estimator: FaceEstimator) -> None:
    session = LiveSession(face_estimator, features=face_estimator.bundle.front_end, vad=face_estimator.bundle.vad)
    faces = [event for event in run(voice(), session, [997]) if isinstance(event, FaceEstimated)]
    assert len(faces) > 50
    for face in faces[::20] + faces[-1:]:
        speech = face_estimator.listen([voice()[: face.position]])
        offline = face_estimator.estimate(speech)
        for name in ("embedding", "image", "coefficients", "vertices"):
            np.testing.assert_array_equal(getattr(face.estimate, name), getattr(offline, name))
        assert (face.estimate.start, face.estimate.end, face.estimate.frames) == (
            offline.start, offline.end, offline.frames,
        )  # fmt: skip
        assert face.estimate.confidence == offline.confidence
        assert face.estimate.voiced_seconds == offline.voiced_seconds


def test_estimates_come_after_one_second_of_voice_and_then_each_hop() -> None:
    faces = [event.estimate for event in run(voice()) if isinstance(event, FaceEstimated)]
    assert 1.0 <= faces[0].voiced_seconds < 1.04
    voiced = [face.voiced_seconds for face in faces[:-1]]
    assert np.diff(voiced).max() < 0.14
    assert np.mean(np.diff(voiced)) == pytest.approx(0.1, abs=0.002)


def test_the_window_slides() -> None:
    long = np.concatenate([voice(), voice()])
    faces = [event.estimate for event in run(long) if isinstance(event, FaceEstimated)]
    assert {face.frames for face in faces if face.voiced_seconds > 8.05} <= set(range(800, 800 + STRIDE))
    assert max(face.voiced_seconds for face in faces) < 8.37
    starts = [face.start for face in faces]
    assert starts == sorted(starts)
    assert starts[-1] > 80_000
    short = LiveSession(PlainEstimator(), LiveConfig(window=32_000))
    frames = {e.estimate.frames for e in run(voice(), short) if isinstance(e, FaceEstimated)}
    assert 200 <= max(frames) < 200 + STRIDE


def test_turns_have_a_hangover() -> None:
    events = run(np.concatenate([nothing(0.5), voice()[:30_000], nothing(1), voice()[:30_000], nothing(1)]))
    turns = [e for e in events if isinstance(e, VoiceStarted | VoiceEnded)]
    assert [type(e) for e in turns] == [VoiceStarted, VoiceEnded] * 2
    assert 8000 <= turns[0].start < 16_000
    patient = LiveSession(PlainEstimator(), LiveConfig(hangover=40_000))
    again = run(np.concatenate([voice()[:30_000], nothing(1), voice()[:30_000]]), patient)
    assert sum(isinstance(e, VoiceStarted) for e in again) == 1


def test_why_there_is_no_face() -> None:
    t = np.arange(48_000) / 16_000
    assert reasons(nothing(3)) == ["all-zero microphone"]
    assert reasons(noise(3, 3)) == ["silence"]
    assert reasons(noise(3, 60)) == ["too quiet"]
    assert reasons((3000 * np.sin(2 * np.pi * 100 * t)).astype(np.int16)) == ["music"]
    assert reasons(noise(4, 6000))[-1] == "noise"
    assert reasons(voice()[:12_000]) == ["too little speech"]
    clipped = np.clip(voice().astype(np.int32) * 60, -32768, 32767).astype(np.int16)
    assert reasons(clipped)[-1] == "clipping"
    buzz = sum(np.sin(2 * np.pi * 150 * k * np.arange(80_000) / 16_000) / k for k in range(1, 20))
    assert reasons((4000 * buzz).astype(np.int16))[-1] == "music"


def test_a_face_below_the_least_confidence_is_none() -> None:
    """The stand-in's estimates have a confidence of 0.5."""
    just = run(voice(), LiveSession(PlainEstimator(), LiveConfig(min_confidence=0.5)))
    assert lines(just) == lines(run(voice(), LiveSession(PlainEstimator(), LiveConfig(min_confidence=0.0))))
    events = run(voice(), LiveSession(PlainEstimator(), LiveConfig(min_confidence=0.51)))
    assert not [e for e in events if isinstance(e, FaceEstimated)]
    assert [e.reason for e in events if isinstance(e, NoFace)] == ["confidence"]


def test_recordings_made_before_there_was_a_least_confidence_have_none() -> None:
    stored = LiveConfig(min_confidence=0.7).to_json()
    assert LiveConfig.from_json(stored).min_confidence == 0.7
    del stored["min_confidence"]
    assert LiveConfig.from_json(stored).min_confidence == 0.0


class OfAge(PlainEstimator):
    """Hears a child in the first seconds of speech."""

    def estimate(self, speech: Speech, *others: Any, **more: Any) -> Estimate:
        estimate = super().estimate(speech, *others, **more)
        child = speech.voiced_seconds < 2
        return replace(estimate, attributes=replace(estimate.attributes, child=0.9 if child else 0.1, is_child=child))


def test_a_childs_voice_gets_no_face_as_long_as_it_is_one() -> None:
    events = run(voice(), LiveSession(OfAge()))
    refused = next(k for k, e in enumerate(events) if isinstance(e, NoFace))
    face = next(k for k, e in enumerate(events) if isinstance(e, FaceEstimated))
    assert [e.reason for e in events if isinstance(e, NoFace)] == ["child"]
    assert refused < face
    assert all(e.estimate.voiced_seconds >= 2 for e in events if isinstance(e, FaceEstimated))
    asked = run(voice(), LiveSession(OfAge(), LiveConfig(any_age=True)))
    assert not [e for e in asked if isinstance(e, NoFace)]
    assert next(e for e in asked if isinstance(e, FaceEstimated)).estimate.attributes.is_child


def test_recordings_made_before_age_was_heard_are_of_any_age() -> None:
    stored = LiveConfig().to_json()
    assert LiveConfig.from_json(stored).any_age is False
    del stored["any_age"]
    assert LiveConfig.from_json(stored).any_age is True


def test_a_voice_after_noise_gets_its_face() -> None:
    events = run(np.concatenate([noise(9, 6000), voice()]))
    faces = [e for e in events if isinstance(e, FaceEstimated)]
    assert faces
    assert faces[0].position < (9 + 6.5) * 16_000


def test_estimates_go_on_at_once_after_a_long_refusal() -> None:
    buzz = sum(np.sin(2 * np.pi * 150 * k * np.arange(320_000) / 16_000) / k for k in range(1, 20))
    long = np.concatenate([(4000 * buzz).astype(np.int16), voice(), voice()])
    faces = [e.position for e in run(long) if isinstance(e, FaceEstimated)]
    assert faces[0] < (20 + 7) * 16_000
    assert np.diff(faces).max() < 16_000
    assert len(faces) > 80


def test_the_level_is_that_of_the_newest_whole_hop() -> None:
    session = LiveSession(PlainEstimator())
    assert session.level.samples == 0
    session.feed(noise(1, 100)[:1600])
    session.feed(noise(1, 10_000)[:2400])
    loud = session.level
    assert (loud.samples, round(loud.rms_db)) == (1600, round(20 * np.log10(10_000 / 32_768)))
    session.feed(nothing(1)[:800])
    assert session.level.rms_db < loud.rms_db - 2, "half of it was loud"


def test_a_loss_closes_the_turn_and_moves_the_index() -> None:
    session = LiveSession(PlainEstimator())
    before = session.feed(voice()[:20_100])
    events = session.lose(1_000_000)
    assert [type(e) for e in events] == [VoiceEnded]
    assert events[0].end <= 20_100
    assert session.position == 1_000_000
    after = session.feed(voice()[20_100:]) + session.finish()
    started = [e.start for e in after if isinstance(e, VoiceStarted)]
    assert min(started) >= 1_000_000
    assert max(e.position for e in after if isinstance(e, FaceEstimated)) <= 1_000_000 + 107_900
    assert not [e for e in before if isinstance(e, VoiceEnded)]
    with pytest.raises(ValueError, match="has been heard already"):
        session.lose(5)


def test_what_was_too_loud_before_a_loss_says_nothing_of_what_comes_after() -> None:
    session = LiveSession(PlainEstimator())
    loud = np.clip(voice()[:48_000].astype(int) * 12, -32768, 32767).astype(np.int16)
    assert "clipping" in [event.reason for event in session.feed(loud) if isinstance(event, NoFace)]
    session.lose(1_000_000)
    faces = [event for event in session.feed(voice()[:16_000]) if isinstance(event, FaceEstimated)]
    assert faces[0].position < 1_005_000


def test_listening_to_a_pause_is_no_part_of_an_estimate() -> None:
    """A clock that ticks at every look: the longer a pause, the more looks."""
    spent = []
    for pause in (2, 60):
        session = LiveSession(PlainEstimator(), trace=Trace(Ticks(1)))
        events = run(np.concatenate([voice(), nothing(pause), voice()]), session, [320])
        after = [
            event for event in events if isinstance(event, FaceEstimated) and event.position > len(voice()) + 32_000
        ]
        spent.append(after[0].estimate.stages_ns["vad"])
    assert spent[0] == spent[1]


def test_a_session_can_be_as_short_as_its_settings_allow() -> None:
    config = LiveConfig(first=160, hop=160, window=1600)
    assert any(
        isinstance(event, FaceEstimated) for event in run(voice()[:40_000], LiveSession(PlainEstimator(), config))
    )
    with pytest.raises(ValueError, match=r"0\.01 s is not within 0\.1 to 60 s"):
        LiveConfig(first=160, hop=160, window=160)


def test_an_engine_that_fails_once_costs_one_estimate() -> None:
    estimator = PlainEstimator()
    estimator.fails = lambda call: call == 3
    events = run(voice(), LiveSession(estimator))
    failures = [e for e in events if isinstance(e, EngineFailed)]
    assert [e.message for e in failures] == ["RuntimeError: no more memory on the device"]
    assert sum(isinstance(e, FaceEstimated) for e in events) == estimator.calls - 1


def test_behind_leaves_estimates_out_but_never_all() -> None:
    session = LiveSession(PlainEstimator())
    events = session.feed(voice(), behind=True) + session.finish()
    faces = sum(isinstance(e, FaceEstimated) for e in events)
    skipped = [e.position for e in events if isinstance(e, Skipped)]
    assert faces == len(skipped) // 5 + 1
    # The same leaving out, told beforehand, gives the same events: so recordings replay.
    again = LiveSession(PlainEstimator(), skips=frozenset(skipped))
    assert lines(run(voice(), again, [320])) == lines(events)


def test_the_tail_of_a_stream_does_not_end_it() -> None:
    stream, whole = LogMelStream(), LogMelStream()
    nothing_new = np.empty(0, np.int16)
    first, once = stream.feed_with_tail(voice()[:5000])
    none, twice = stream.feed_with_tail(nothing_new)
    assert len(none) == 0
    np.testing.assert_array_equal(once, twice)
    ended = LogMelStream()
    ended.feed(voice()[:5000])
    np.testing.assert_array_equal(once, ended.finish())
    rest = stream.feed(voice()[5000:9000])
    np.testing.assert_array_equal(np.concatenate([first, rest]), whole.feed(voice()[:9000]))
    np.testing.assert_array_equal(stream.feed_with_tail(nothing_new)[1], stream.finish())


@pytest.mark.parametrize("wrong", [{"hop": 0}, {"first": 100}, {"window": 10**9}, {"mode": "magic"}, {"hangover": -1}])
def test_settings_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"samples|mode|window|hangover"):
        LiveConfig(**wrong)


class Checking(PlainEstimator):
    """Refuses what is no speech, as the real one does."""

    def estimate(self, speech: Speech, *more: Any, **named: Any) -> Estimate:
        check_speech(speech)
        return super().estimate(speech, *more, **named)


class Jumpy(SpeakerChangeDetector):
    """Hears another speaker in the newest second, once it has heard enough."""

    def judge(self, speech: Speech, frame_embeddings: np.ndarray) -> Change | None:
        return Change(speech.voiced_samples - 16_000, 1.0) if speech.voiced_seconds > 6.5 else None


def test_another_speaker_who_says_nothing_gets_no_face() -> None:
    """Noise that a VAD lets through makes no second voice: that is no failure of an engine."""
    session = LiveSession(Checking())
    session._change_detector = Jumpy(PlainEstimator.speaker_change)
    events = run(np.concatenate([voice()[:90_000], noise(3, 3000)]), session)
    changed = next(at for at, event in enumerate(events) if isinstance(event, SpeakerChanged))
    after = [event for event in events[changed:] if not isinstance(event, VoiceStarted | VoiceEnded)]
    assert [type(event) for event in after] == [SpeakerChanged, NoFace]
    assert after[1].reason == "noise"


def test_no_other_thread_works_for_a_session_of_one() -> None:
    """Numpy's BLAS shares what is large among threads, which spin while they wait; nobody has forbidden it here."""
    program = """
import time
import os
import subprocess
import sys

import numpy as np
from tests.stand_ins.live_session import voice
from voxface.runtime.live.session import LiveSession
from voxface.runtime.inference.face_estimator import FaceEstimator

with FaceEstimator(threads=1) as face:
    session = LiveSession(face)
    session.feed(np.resize(voice(), 128_000))  # threads that worked before, for the loading, spin for a moment more
    whole, own = time.process_time(), time.thread_time()
    session.feed(np.resize(voice(), 128_000))
    whole, own = time.process_time() - whole, time.thread_time() - own
    print(whole / own)
"""
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", program], env=free, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.1
