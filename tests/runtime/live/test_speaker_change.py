"""Another speaker, the gate, levels and percentiles."""

from dataclasses import replace

import numpy as np
import pytest

from tests.stand_ins.live_session import noise, nothing, voice
from voxface.runtime.audio.levels import LOWEST_DB, LevelMeter
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.features.log_mel import FrameWindow
from voxface.runtime.features.speech_gate import SpeechGate
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.events import Event, FaceEstimated, SpeakerChanged
from voxface.runtime.live.pipeline import STAGES
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.speaker_change import STEADY, Differences, SpeakerChangeDetector, evidence
from voxface.runtime.live.speaker_embedding import SpeakerEmbeddingNetwork
from voxface.runtime.timing.histogram import StageHistograms


def hear(face_estimator: FaceEstimator, samples: np.ndarray, **settings: bool) -> list[Event]:
    session = LiveSession(face_estimator, LiveConfig(hop=3200, **settings))  # type: ignore[arg-type]
    return session.feed(samples) + session.finish()


def test_another_voice_starts_afresh(face_estimator: FaceEstimator) -> None:
    events = hear(face_estimator, np.concatenate([voice(0), voice(1)]))
    (change,) = [e for e in events if isinstance(e, SpeakerChanged)]
    assert change.speaker == 2
    assert len(voice()) - 8000 < change.start < change.position < len(voice()) + 2.5 * 16_000
    after = [e for e in events if isinstance(e, FaceEstimated) and e.position >= change.position]
    assert all(e.speaker == 2 and e.estimate.start >= change.start for e in after)
    assert after[0].moved_mm is None
    assert after[0].estimate.voiced_seconds < 2
    male = face_estimator.estimate(face_estimator.listen([voice(1)]))
    assert np.dot(after[-1].estimate.embedding, male.embedding) > 0.9
    assert after[-1].estimate.attributes.sex["male"] > 0.9


def test_one_voice_stays_one(face_estimator: FaceEstimator) -> None:
    assert not [e for e in hear(face_estimator, np.tile(voice(1), 2)) if isinstance(e, SpeakerChanged)]
    both = np.concatenate([voice(0), voice(1)])
    unwatched = hear(face_estimator, both, detect_speaker_change=False)
    assert not [e for e in unwatched if isinstance(e, SpeakerChanged)]


def test_evidence_has_to_last(face_estimator: FaceEstimator) -> None:
    speech = face_estimator.listen([np.concatenate([voice(0)[:64_000], voice(1)[:30_000]])])
    frame_embeddings = face_estimator.frame_embeddings(speech)
    weights = face_estimator.speaker_change
    network = SpeakerEmbeddingNetwork(weights.layers)
    watch = SpeakerChangeDetector(replace(weights, threshold=-100))
    told = [watch.judge(speech, frame_embeddings) for _ in range(STEADY)]
    assert [change is None for change in told] == [True] * (STEADY - 1) + [False]
    assert told[-1] is not None
    assert told[-1].voiced == speech.voiced_samples - 24_000
    watch.restart()
    assert watch.judge(speech, frame_embeddings) is None
    again = replace(speech, window=FrameWindow.whole(np.tile(speech.log_mel[:150], (3, 1))))
    alike = Differences(network).measure(again, np.ones((64, 14), np.float32))
    assert alike == pytest.approx(0, abs=0.02)
    assert evidence(alike, weights) < 0 < evidence(Differences(network).measure(speech, frame_embeddings), weights)


def test_the_gate_lets_speech_through_and_holds_on_to_it(face_estimator: FaceEstimator) -> None:
    gate = SpeechGate(face_estimator.speech_modulation)
    speech = face_estimator.listen([voice()])
    hiss = face_estimator.listen([noise(5, 6000)])
    assert gate.refuse(hiss) == "noise"
    assert gate.refuse(speech) is None
    assert gate.begins_anew(speech)
    assert not gate.begins_anew(face_estimator.listen([voice()[:30_000]])), "too short to tell"


def test_levels() -> None:
    meter = LevelMeter()
    meter.feed(nothing(1))
    level = meter.read()
    assert (level.rms_db, level.peak_db, level.zeros) == (LOWEST_DB, LOWEST_DB, 1.0)
    meter.feed(np.full(1000, 16_384, np.int16))
    meter.feed(np.full(1000, -32_768, np.int16))
    level = meter.read()
    assert level.samples == 2000
    assert level.peak_db == pytest.approx(0)
    assert level.clipped == 0.5
    assert level.rms_db == pytest.approx(10 * np.log10((0.25 + 1) / 2 - 0.25**2), abs=1e-6), "without the mean"
    assert meter.read().samples == 0


def test_stage_histograms_tell_only_what_was_measured() -> None:
    histograms = StageHistograms(STAGES)
    histograms.add({"encoder": 2_000_000, "total": 3_000_000})
    assert set(histograms.milliseconds()) == {"encoder", "total"}
    assert histograms.milliseconds()["total"]["max"] == 3.0
