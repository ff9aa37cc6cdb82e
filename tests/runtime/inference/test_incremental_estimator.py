"""A live session in mode incremental: the same events however the samples come, near the exact ones, after faults as before."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.live_session import Notebook, PlainEstimator, cut, lines, noise, nothing, voice
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.features.speech_modulation import measurable_movement
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.clock import VirtualClock
from voxface.runtime.live.events import EngineFailed, Event, FaceEstimated, NoFace, SpeakerChanged
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.recording import Recording
from voxface.runtime.live.replay import Comparison, run_replay
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.live.sinks.recorder import Recorder
from voxface.runtime.live.speech_window import SpeechWindow
from voxface.runtime.live.stop import Stop
from voxface.training.data.speech_corpus import librispeech

INCREMENTAL = LiveConfig(mode="incremental", image_reuse_distance=0.0)
SELDOM = LiveConfig(mode="incremental", hop=3200, image_reuse_distance=0.0)
MIXED = np.concatenate([nothing(0.7), voice()[:70_000], noise(1, 8), voice()[20_000:50_000]])


def run(
    face_estimator: FaceEstimator, samples: np.ndarray, sizes: list[int] | None = None, config: LiveConfig = INCREMENTAL
) -> list[Event]:
    session = LiveSession(face_estimator, config)
    events, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)] if sizes else len(samples)
        events += session.feed(samples[at : at + size])
        at, turn = at + size, turn + 1
    return events + session.finish()


@lru_cache
def at_once(face_estimator: FaceEstimator) -> list[dict[str, object]]:
    return lines(run(face_estimator, MIXED, config=SELDOM))


@settings(max_examples=3, deadline=None)
@given(sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=6))
def test_any_chunking_gives_the_same_events(face_estimator: FaceEstimator, sizes: list[int]) -> None:
    assert lines(run(face_estimator, MIXED, sizes, SELDOM)) == at_once(face_estimator)


def test_events_are_those_of_mode_exact(face_estimator: FaceEstimator) -> None:
    """Two voices and noise, so that it slides, restarts and refuses: the same decisions, and the same faces to a fraction of
    a millimetre. Decisions can fall one estimate apart where the evidence lies so near a threshold that the modes stand on its
    two sides; in this sound that of another speaker comes no nearer than 0.3, and the modes differ by 0.1 at most."""
    sound = np.concatenate([nothing(0.5), voice(0), noise(1, 20), voice(0)[:46_000], voice(1), noise(2, 8000)])
    ours = run(face_estimator, sound, config=SELDOM)
    exact = run(face_estimator, sound, config=LiveConfig(hop=3200))
    assert [type(event) for event in ours] == [type(event) for event in exact]
    assert any(isinstance(event, SpeakerChanged) for event in ours)
    assert any(isinstance(event, NoFace) for event in ours)
    for mine, theirs in zip(ours, exact, strict=True):
        if isinstance(mine, FaceEstimated) and isinstance(theirs, FaceEstimated):
            one, other = mine.estimate, theirs.estimate
            assert (mine.position, mine.speaker, one.start, one.frames) == (
                theirs.position, theirs.speaker, other.start, other.frames,
            )  # fmt: skip
            assert one.frame_embeddings.shape == other.frame_embeddings.shape
            assert one.embedding @ other.embedding > 0.99
            assert np.sqrt(((one.vertices - other.vertices) ** 2).sum(1).mean()) < 0.5
            assert one.confidence == pytest.approx(other.confidence, abs=0.05)
        elif isinstance(mine, NoFace):
            assert mine == theirs


class Faulty(FaceEstimator):
    """Fails in the encoder, or after it, at some calls."""

    def __init__(self, at: str) -> None:
        super().__init__(threads=1)
        self._at, self.calls = at, 0
        self.failing = False

    @property
    def encoder(self) -> Any:
        return self

    @property
    def inputs(self) -> Any:
        return self._encoder.inputs

    @property
    def outputs(self) -> Any:
        return self._encoder.outputs

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self._count("encoder")
        return self._encoder.run(feeds)

    def decode(self, *what: Any, **more: Any) -> Any:
        self._count("decoder")
        return super().decode(*what, **more)

    def _count(self, where: str) -> None:
        if where == self._at:
            self.calls += 1
            if self.calls % 5 == 3:
                raise RuntimeError("no more memory on the device")


@pytest.mark.parametrize("at", ["encoder", "decoder"])
def test_failures_cost_their_estimates_and_no_others(at: str) -> None:
    with Faulty(at) as faulty:
        events = run(faulty, voice()[:80_000])
    failures = [event.position for event in events if isinstance(event, EngineFailed)]
    faces = [event for event in events if isinstance(event, FaceEstimated)]
    assert len(failures) >= 5
    assert len(faces) > 3 * len(failures)
    with FaceEstimator(threads=1) as sound:
        right = {e.position: e.estimate for e in run(sound, voice()[:80_000]) if isinstance(e, FaceEstimated)}
    for face in faces:
        assert np.isfinite(face.estimate.embedding).all()
        assert face.estimate.embedding @ right[face.position].embedding > 0.99


def test_a_loss_keeps_the_window(face_estimator: FaceEstimator) -> None:
    found = []
    for config in (SELDOM, LiveConfig(hop=3200)):
        session = LiveSession(face_estimator, config)
        events = session.feed(voice()[:60_000]) + session.lose(1_000_000)
        events += session.feed(voice()[60_000:90_000]) + session.finish()
        found.append([event for event in events if isinstance(event, FaceEstimated)])
    ours, exact = found
    assert [face.position for face in ours] == [face.position for face in exact]
    for mine, theirs in zip(ours, exact, strict=True):
        assert mine.estimate.embedding @ theirs.estimate.embedding > 0.99


@pytest.mark.parametrize("config", [INCREMENTAL, LiveConfig()])
def test_a_recording_is_heard_again_in_its_own_mode(
    face_estimator: FaceEstimator, tmp_path: Path, config: LiveConfig
) -> None:
    clock = VirtualClock()
    about = {"config": {**config.__dict__}, "start": 0}
    session = LiveSession(face_estimator, config)
    pipeline = Pipeline(session, clock)
    pipeline.sink_workers.append(SinkWorker(Recorder(tmp_path / "r", about), clock, "here", lambda _: None))
    for block in cut(voice()[:64_000]):
        pipeline.feed(block)
    pipeline.finish()
    for sink_worker in pipeline.sink_workers:
        sink_worker.close(1)
    recording = Recording(tmp_path / "r")
    assert recording.config.mode == config.mode
    again = Pipeline(LiveSession(face_estimator, recording.config, skips=recording.skips), clock)
    comparison, seen = Comparison(recording), Notebook()
    again.sink_workers += [SinkWorker(sink, clock, "here", lambda _: None) for sink in (comparison, seen)]
    run_replay(recording, again, Stop(), [])
    assert comparison.to_json()["identical"]
    assert any(isinstance(told.event, FaceEstimated) for told in seen.told)


def test_it_asks_for_an_estimator_in_two_steps() -> None:
    with pytest.raises(TypeError, match="encoder"):
        LiveSession(PlainEstimator(), INCREMENTAL)  # type: ignore[arg-type]


def test_peaks_and_likeness_of_a_window_are_those_of_its_frames() -> None:
    window = SpeechWindow(FrontEndConfig(), 128_000)
    for at in range(0, 170_000, 1600):
        window.add(at, np.resize(voice(), 170_000)[at : at + 1600])
        speech = window.speech(at + 1600)
        np.testing.assert_array_equal(speech.peaks, speech.log_mel.max(1))
        assert speech.known_movement == measurable_movement(speech.log_mel)
    assert len(speech.peaks) < 832


@pytest.mark.slow
@pytest.mark.speech
def test_real_speech_stays_within_the_bound(face_estimator: FaceEstimator, shared: Path) -> None:
    """Held-out speakers, from 3 s of voice on: cosine to the exact embedding of the same window."""
    held = {r.speaker: r.path for r in librispeech(shared / "speech" / "librispeech") if r.held_out}
    cosines = []
    for path in list(held.values())[::13]:
        sound = np.concatenate(list(read_blocks(path)))[: 12 * 16_000]
        config = LiveConfig(mode="incremental", image_reuse_distance=0.0, detect_speaker_change=False)
        ours = [e for e in run(face_estimator, sound, config=config) if isinstance(e, FaceEstimated)]
        exact = run(face_estimator, sound, config=replace(config, mode="exact"))
        theirs = {e.position: e.estimate for e in exact if isinstance(e, FaceEstimated)}
        for face in ours:
            if face.estimate.voiced_seconds >= 3 and face.position in theirs:
                cosines.append(float(face.estimate.embedding @ theirs[face.position].embedding))
    assert len(cosines) > 150
    assert np.mean(cosines) > 0.997
    assert np.quantile(cosines, 0.01) > 0.995
