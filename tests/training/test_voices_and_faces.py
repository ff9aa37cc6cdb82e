"""What the training recipe is made of: held-out speakers, augmentation, cues, and which face goes with a voice."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import speech_like
from tests.sphere import sphere
from voxface.runtime.errors import InputError
from voxface.training.augment import AugmentConfig, augment, change_speed
from voxface.training.speech import HELD_OUT, librispeech, voiced_audio
from voxface.training.world.synthetic_voice import Speaker, synthesise
from voxface.training.world.voice_cues import voice_cues

AUDIO = speech_like(3.0)


@pytest.mark.speech
def test_held_out_speakers_are_there_and_balanced(shared: Path) -> None:
    recordings = librispeech(shared / "speech" / "librispeech")
    held = {r.speaker: r.sex for r in recordings if r.held_out}
    assert set(held) == HELD_OUT
    assert sum(sex == "F" for sex in held.values()) == sum(sex == "M" for sex in held.values()) == 26
    assert len({r.speaker for r in recordings if not r.held_out}) == 153


def test_a_table_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no speakers\.csv"):
        librispeech(tmp_path)
    (tmp_path / "speakers.csv").write_text("speaker_id,sex,file\n1,F,gone.flac\n")
    with pytest.raises(InputError, match="line 2"):
        librispeech(tmp_path)


def test_voiced_audio_is_what_the_runtime_keeps() -> None:
    root = Path(__file__).parent.parent.parent / "examples"
    kept = voiced_audio(root / "sample_male.flac")
    assert 4 * 16_000 < len(kept) <= 8 * 16_000
    assert kept.dtype == np.int16


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_speed_changes_length_and_pitch(speed: float) -> None:
    changed = change_speed(AUDIO, speed)
    assert len(changed) == pytest.approx(len(AUDIO) / speed, rel=0.001)
    assert voice_cues(changed).f0_hz == pytest.approx(120 * speed, rel=0.03)


def test_augmentation_keeps_length_and_follows_the_seed() -> None:
    noises, rooms = [speech_like(1.0, 5)], [np.array([0, 1000, 500, 200], np.int16)]
    config = AugmentConfig(noise=1, room=1, equaliser=1)
    one, same, other = (augment(AUDIO, np.random.default_rng(s), config, noises, rooms) for s in (1, 1, 2))
    assert one.shape == AUDIO.shape
    assert one.dtype == np.int16
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_noise_is_added_at_the_ratio_asked_for() -> None:
    config = AugmentConfig(noise=1, room=0, equaliser=0, snr_db=(10, 10), gain_db=(0, 0))
    noisy = augment(AUDIO, np.random.default_rng(0), config)
    noise = noisy.astype(float) - AUDIO
    assert 20 * np.log10(AUDIO.astype(float).std() / noise.std()) == pytest.approx(10, abs=0.3)


def test_cues_follow_anatomy() -> None:
    rng = np.random.default_rng(4)
    cues = {}
    for sex in ("female", "male"):
        speakers = [Speaker.sample(rng, sex) for _ in range(5)]  # type: ignore[arg-type]
        found = [voice_cues((synthesise(s, 5, rng) * 32767).astype(np.int16)) for s in speakers]
        for speaker, cue in zip(speakers, found, strict=True):
            assert cue.f0_hz == pytest.approx(speaker.f0_hz, rel=0.12)
        cues[sex] = np.mean([c.tract_cm for c in found])
    assert cues["male"] > cues["female"] + 1


def test_too_little_voice_has_no_cues() -> None:
    with pytest.raises(ValueError, match="few"):
        voice_cues(AUDIO[:300])
    with pytest.raises(ValueError, match="periodic"):
        voice_cues(np.random.default_rng(0).normal(0, 1000, 16_000).astype(np.int16))


def test_expected_face_is_the_conditional_mean() -> None:
    from voxface.training.faces.population import FacePopulation
    from voxface.training.world.paired_faces import SizeCue, expected_face

    sizes = ("face_width", "face_length", "head_breadth", "head_length", "nose_length")
    model = sphere(measurements=dict.fromkeys(sizes, (0, 721)))
    population = FacePopulation(
        np.array([[-1, 0], [1, 0]], np.float32), np.array([np.eye(2), [[1, 0.5], [0.5, 1]]], np.float32)
    )
    cue = SizeCue((14, 17), (0.5, 0.5))
    np.testing.assert_array_equal(expected_face(model, population, "F", None, cue), [-1, 0])
    np.testing.assert_allclose(expected_face(model, population, "F", 14, cue), [-1, 0], atol=1e-6)
    # Only the second mode makes the sphere taller: one deviation of the tract moves it by r, and what is correlated along.
    np.testing.assert_allclose(expected_face(model, population, "M", 17.5, cue), [1 + 0.3 * 0.5, 0.3], atol=1e-3)
    np.testing.assert_allclose(expected_face(model, population, "M", 90, cue), [1 + 0.375, 0.75], atol=1e-3)
