"""Confidence: its three parts by hand, and speech against noise, silence and music through the default bundle."""

import numpy as np
import pytest

from tests.conftest import SAMPLES
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.inference.confidence import agreement, confidence
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.training.data.sound_clips import reverberant, scaled, silence, synthetic_noise
from voxface.training.data.synthetic_music import STYLES, music


def heard(face_estimator: FaceEstimator, samples: np.ndarray) -> float:
    try:
        return face_estimator.estimate(face_estimator.listen([samples])).confidence
    except NoSpeechError:
        return 0.0


def sample(k: int) -> np.ndarray:
    return np.concatenate(list(read_blocks(SAMPLES[k])))


# -- by hand ---------------------------------------------------------------------------------------------------------------


def test_agreement_by_hand() -> None:
    same = np.ones((4, 12), np.float32)
    assert agreement(same) == pytest.approx(1)
    assert agreement(same[:, :1]) == 0
    turns = np.arange(12) // 3 % 2
    assert agreement(np.where(turns, -1, 1) * same) == pytest.approx(0, abs=1e-6)
    across = np.stack([turns, 1 - turns]).astype(np.float32)  # the hands are at right angles
    assert agreement(across) == pytest.approx(0.5)
    assert agreement(np.array([[1, 0], [1, 1]], np.float32)) == pytest.approx((1 + np.sqrt(0.5)) / 2)


def test_confidence_puts_the_three_together() -> None:
    same = np.ones((4, 12), np.float32)
    assert confidence(0.8, same, 1.0) == pytest.approx(0.8 * np.sqrt(0.5))
    assert confidence(0.8, same, 3.0) == pytest.approx(0.8 * np.sqrt(0.75))
    assert confidence(0.8, same[:, :1], 9.0) == 0
    assert confidence(0.0, same, 9.0) == 0
    assert confidence(0.8, same, 0.0) == 0


# -- what is heard ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 1])
def test_speech_is_trusted_in_noise_and_in_a_room_too(face_estimator: FaceEstimator, k: int) -> None:
    speech = sample(k)
    rng = np.random.default_rng(3)
    noise = rng.normal(0, np.sqrt((speech.astype(float) ** 2).mean()) / 10 ** (15 / 20), len(speech))
    room = rng.normal(0, 300, 3000) * np.exp(-np.arange(3000) / 600)
    room[0] = 3000
    assert heard(face_estimator, speech) > 0.6
    assert heard(face_estimator, (speech + noise).clip(-32768, 32767).astype(np.int16)) > 0.5
    assert heard(face_estimator, reverberant(speech, room.astype(np.int16))) > 0.5
    assert heard(face_estimator, speech // 8) > 0.5


def test_noise_and_silence_are_not_trusted(face_estimator: FaceEstimator) -> None:
    for seed in range(3000, 3012):
        assert heard(face_estimator, scaled(synthetic_noise(seed), -15)) < 0.3, seed
    for seed in range(4):
        assert heard(face_estimator, silence(seed)) == 0


def test_music_is_trusted_less_than_speech(face_estimator: FaceEstimator) -> None:
    least = min(heard(face_estimator, sample(k)) for k in (0, 1))
    trusted = [heard(face_estimator, music(seed, 5.0)) for seed in range(3000, 3020)]
    assert np.mean(np.array(trusted) < least) >= 0.95
    assert np.median(trusted) < 0.1


def test_blocks_change_nothing(face_estimator: FaceEstimator) -> None:
    speech = sample(1)
    blocks = face_estimator.estimate(face_estimator.listen(np.array_split(speech, 41)))
    assert blocks.confidence == heard(face_estimator, speech)


def test_synthetic_music_is_seeded_and_of_every_style() -> None:
    assert len(STYLES) == 10
    np.testing.assert_array_equal(music(5, 1.0), music(5, 1.0))
    assert (music(5, 1.0) != music(15, 1.0)).mean() > 0.5
    for seed in range(10):
        clip = music(seed, 1.0)
        assert clip.dtype == np.int16
        assert clip.shape == (16_000,)
        assert clip.std() > 100
