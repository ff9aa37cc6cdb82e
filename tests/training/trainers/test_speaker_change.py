"""The trainer of the speaker change detector: the fit, the threshold's rule, and what goes into a bundle."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.conftest import SAMPLES
from tests.stand_ins.live_session import voice
from tests.stand_ins.small_bundle import small_bundle
from tests.stand_ins.small_voices import small_renderings
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.speaker_embedding_file import SPEAKER_EMBEDDING
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.errors import InputError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.events import SpeakerChanged
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.speaker_change import evidence
from voxface.runtime.live.speaker_embedding import SpeakerEmbeddingNetwork
from voxface.training.data.speech_corpus import Recording
from voxface.training.trainers import speaker_change
from voxface.training.trainers.speaker_change import (
    GROUPS,
    HIGHEST,
    Evidence,
    choose_threshold,
    first_noticed,
    fit,
    group,
    long_enough,
    noticed_in_time,
    with_speaker_change,
)
from voxface.training.trainers.speaker_change_streams import DifferenceRecorder, Stream, lasting, swapped

pytestmark = pytest.mark.train
FIRST = Evidence(np.eye(15)[0], 0.0)  # the first difference alone


def stream(change: int | None, *scores: tuple[int, float]) -> Stream:
    return Stream(change, [(at, np.eye(15)[0] * score) for at, score in scores])


def test_two_estimates_in_a_row_have_to_agree() -> None:
    found = stream(0, (100, 2.0), (200, 0.0), (300, 2.0), (400, 3.0))
    assert first_noticed(found, 1.0, FIRST) == 400
    assert first_noticed(found, 2.5, FIRST) is None
    assert noticed_in_time(found, 1.0, FIRST)
    assert not noticed_in_time(stream(0, (32_001, 2.0), (32_002, 2.0)), 1.0, FIRST), "2 s have passed"
    assert noticed_in_time(stream(10_000, (32_001, 2.0), (32_002, 2.0)), 1.0, FIRST)


def test_the_threshold_is_the_lowest_with_few_false_alarms() -> None:
    same = [(stream(None, (100, k / 10), (200, k / 10)), FIRST) for k in range(100)]
    assert choose_threshold(same) == 9.6, "9.7, 9.8 and 9.9 are above it"
    assert choose_threshold([(stream(None), FIRST)]) == 0.0
    assert choose_threshold([(stream(None, (100, 99.0), (200, 99.0)), FIRST)]) == HIGHEST


def test_a_fit_finds_what_differs() -> None:
    rng = np.random.default_rng(0)
    newest = 150 * 160
    changes = [Stream(0, [(newest + 100 * k, rng.normal(1, 0.3, 15)) for k in range(10)]) for _ in range(20)]
    same = [Stream(None, [(newest + 100 * k, rng.normal(0, 0.3, 15)) for k in range(10)]) for _ in range(20)]
    found = fit(changes, same)
    assert all(found(row) > 0 for stream in changes for _, row in stream.rows)
    assert all(found(row) < 0 for stream in same for _, row in stream.rows)


def test_a_speaker_is_always_of_the_same_group() -> None:
    assert {group(Recording(str(k), "F", Path("a.flac"))) for k in range(100)} == set(range(GROUPS))
    assert group(Recording("7", "F", Path("a.flac"))) == group(Recording("7", "F", Path("b.flac")))


def test_recordings_that_streams_can_be_made_of(tmp_path: Path) -> None:
    sound = np.tile(voice(0), 3)
    for speaker, seconds in (("19", 9), ("26", 7), ("89", 9), ("1", 9)):
        soundfile.write(tmp_path / f"{speaker}.wav", sound[: seconds * 16_000], 16_000)
        soundfile.write(tmp_path / f"{speaker}-again.wav", sound[: seconds * 16_000], 16_000)
    rows = [f"{s},{s}{again}.wav" for s in ("19", "26", "89", "1") for again in ("", "-again")]
    (tmp_path / "speakers.csv").write_text("\n".join(["speaker_id,file", *rows]))
    found = long_enough(tmp_path, "validation")
    assert [voice.path.name for voice in found] == ["19.wav"], "of the split, 8 s long, one of each speaker"
    assert [voice.speaker for voice in long_enough(tmp_path, "test")] == ["89"]


def test_differences_are_those_of_a_session(face_estimator: FaceEstimator) -> None:
    """The recorder sees the windows that the detector judges: by its evidence the change is found where a session finds it."""
    weights = face_estimator.speaker_change
    assert weights is not None
    both = np.concatenate([voice(0), voice(1)])
    recorder = DifferenceRecorder(face_estimator, SpeakerEmbeddingNetwork(weights.layers))
    rows = recorder.record(both)
    found = first_noticed(Stream(len(voice(0)), rows), weights.threshold, lambda row: evidence(row, weights))
    session = LiveSession(face_estimator, LiveConfig())
    change = next(event for event in session.feed(both) if isinstance(event, SpeakerChanged))
    assert found is not None
    assert abs(found - change.position) < 1600
    late = [row for row in rows if row[0] >= len(voice(0))]
    again = recorder.record(both, begin=len(voice(0)))
    assert [at for at, _ in again] == [at for at, _ in late]
    for (_, one), (_, other) in zip(again, late, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_streams_of_one_speaker(face_estimator: FaceEstimator) -> None:
    weights = face_estimator.speaker_change
    assert weights is not None
    recorder = DifferenceRecorder(face_estimator, SpeakerEmbeddingNetwork(weights.layers))
    recordings = [Recording("one", "F", SAMPLES[0])]
    for streams in (lasting(recorder, recordings), swapped(recorder, recordings)):
        (found,) = streams
        assert found.change is None
        assert found.rows
        assert first_noticed(found, weights.threshold, lambda row: evidence(row, weights)) is None


def test_a_detector_goes_into_a_bundle(default_bundle: Bundle, tmp_path: Path) -> None:
    weights = default_bundle.speaker_change
    assert weights is not None
    other = replace(weights, threshold=1.25)
    small = small_bundle(tmp_path / "small")
    made = with_speaker_change(small, other, ("a test",)).write(tmp_path / "out.voxface")
    entry, found = made.manifest.speaker_change, made.speaker_change
    assert entry is not None
    assert found is not None
    assert entry.encoder_sha256 == small.graph_digests()["encoder"], "what it was fitted to"
    assert entry.file in made.files
    assert (found.threshold, found.encoder, found.cepstra) == (1.25, weights.encoder, weights.cepstra)
    np.testing.assert_array_equal(found.layers[0][0], weights.layers[0][0])
    again = with_speaker_change(default_bundle, weights, default_bundle.manifest.speaker_change.trained_on)
    assert again.manifest.speaker_change == default_bundle.manifest.speaker_change
    assert list(again.files) == [
        *(name for name in default_bundle.files if name != SPEAKER_EMBEDDING),
        SPEAKER_EMBEDDING,
    ]


@pytest.mark.slow
def test_the_whole_training_on_a_few_speakers(
    face_estimator: FaceEstimator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Real networks and streams, of a few steps and speakers: the result is a detector a bundle takes."""
    monkeypatch.setattr(speaker_change, "group", lambda recording: int(recording.speaker[1:]) % 4)
    renderings = small_renderings(tmp_path / "voices")
    recordings = [Recording(f"s{k}", "FM"[(k // 4) % 2], SAMPLES[(k // 4) % 2]) for k in range(8)]
    made = speaker_change.train(face_estimator, renderings, [recordings], steps=2)
    assert 0 <= made.noticed <= 1
    assert set(made.false_alarms) == {"one_recording", "halves", "moved_halves"}
    bundle = with_speaker_change(face_estimator.bundle, made.weights, ()).write(tmp_path / "out")
    assert bundle.speaker_change.threshold == made.weights.threshold
    with pytest.raises(InputError, match="too few validation speakers"):
        speaker_change.train(face_estimator, renderings, [recordings[:5]], steps=2)
