"""Confidence: its three parts by hand, and speech against noise, silence and music through the default bundle."""

import numpy as np
import pytest
from benchmarks.confidence import reverberant, scaled, silence, synthetic_noise
from benchmarks.music import STYLES, music

from tests.conftest import SAMPLES
from voxface.runtime.audio import read_blocks
from voxface.runtime.confidence import (
    BIAS,
    CENTRE,
    SHORTEST,
    WEIGHT,
    agreement,
    confidence,
    likeness,
    modulation,
    movement,
    quantile,
)
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.features import log_mel
from voxface.runtime.voice_to_face import VoiceToFace


def shapes(cosines: dict[int, np.ndarray]) -> np.ndarray:
    """Log-mel frames [T, 64] with these cepstra over time; 5 is within the range that counts."""
    place = (np.arange(64) + 0.5) / 64
    frames = sum(
        track[:, None] * np.sqrt(2 / 64) * np.cos(np.pi * order * place)[None] for order, track in cosines.items()
    )
    return (5 + frames).astype(np.float32)


def heard(voice_to_face: VoiceToFace, samples: np.ndarray) -> float:
    try:
        return voice_to_face.estimate(voice_to_face.listen([samples])).confidence
    except NoSpeechError:
        return 0.0


def sample(k: int) -> np.ndarray:
    return np.concatenate(list(read_blocks(SAMPLES[k])))


# -- by hand ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 30, 799, 800, 801])
def test_thequantile_is_numpys(length: int, rng: np.random.Generator) -> None:
    for _ in range(50):
        values = rng.normal(scale=10, size=length).astype(np.float32)
        assert quantile(values, 0.9) == float(np.quantile(values, 0.9))


def test_agreement_by_hand() -> None:
    same = np.ones((4, 12), np.float32)
    assert agreement(same) == pytest.approx(1)
    assert agreement(same[:, :1]) == 0
    turns = np.arange(12) // 3 % 2
    assert agreement(np.where(turns, -1, 1) * same) == pytest.approx(0, abs=1e-6)
    across = np.stack([turns, 1 - turns]).astype(np.float32)  # the hands are at right angles
    assert agreement(across) == pytest.approx(0.5)
    assert agreement(np.array([[1, 0], [1, 1]], np.float32)) == pytest.approx((1 + np.sqrt(0.5)) / 2)


def test_modulation_of_a_sine_is_in_its_bin() -> None:
    t = np.arange(400) / 100

    def share(*hertz: float) -> float:
        syllabic, whole = modulation(np.stack([np.sin(2 * np.pi * h * t) + 3 for h in hertz]))
        return float(syllabic / whole)

    assert share(4) == pytest.approx(1, abs=1e-4)  # Hann: the neighbours only
    assert share(6) == pytest.approx(1.25 / 1.5, abs=0.01), "a sixth of it in the bin beyond"
    assert share(9) == pytest.approx(0, abs=1e-4)
    assert share(4, 9) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("frames", [30, 99, 100, 124, 125, 800, 7000])
def test_modulation_is_the_sum_over_windows(frames: int) -> None:
    tracks = np.random.default_rng(0).normal(5, 1, size=(6, frames))
    expected, whole = np.zeros(51), np.resize(tracks.T, (max(frames, 100), 6)).T
    for start in range(0, whole.shape[1] - 99, 25):
        for track in whole[:, start : start + 100]:
            expected += np.abs(np.fft.fft((track - track.mean()) * np.hanning(100))[:51]) ** 2
    np.testing.assert_allclose(modulation(tracks), [expected[3:7].sum(), expected[1:].sum()], rtol=1e-9)


def test_movement_by_hand() -> None:
    t = np.arange(500) / 100
    # A swing of 2.5 Hz is opposite after 0.2 s: the distance is |2·3·sin|, whose mean is 2·3·2/π, root mean square of five.
    found = movement(shapes({3: 3 * np.sin(2 * np.pi * 2.5 * t)}))
    assert np.exp(found.change) == pytest.approx(2 * 3 * 2 / np.pi / np.sqrt(5), rel=0.01)
    # One of 5 Hz is itself again; its energy is syllabic.
    found = movement(shapes({3: 3 * np.sin(2 * np.pi * 5 * t)}))
    assert found.change < np.log(0.01)
    assert found.syllables == pytest.approx(1, abs=1e-4)
    assert movement(shapes({3: 3 * np.sin(2 * np.pi * 12 * t)})).syllables < 1e-3
    # Level moves no shape, and the first cepstrum, the tilt, counts for syllables only.
    assert movement(shapes({1: 3 * np.sin(2 * np.pi * 2.5 * t)})).change < np.log(0.01)
    assert movement(shapes({1: 3 * np.sin(2 * np.pi * 4 * t)})).syllables == pytest.approx(1, abs=1e-4)


def test_how_loud_it_is_does_not_matter_nor_what_is_far_below() -> None:
    frames = np.random.default_rng(1).normal(8, 2, (300, 64)).astype(np.float32)
    for louder in (frames + 5, frames - 3):
        assert movement(louder).change == pytest.approx(movement(frames).change, abs=1e-5)
        assert movement(louder).syllables == pytest.approx(movement(frames).syllables, abs=1e-5)
    deep = frames.copy()
    deep[100:150] = -11.5  # digital silence
    shallow = frames.copy()
    shallow[100:150] = np.quantile(frames.max(1), 0.9) - 10
    assert movement(deep).change == pytest.approx(movement(shallow).change, abs=0.02)


def test_likeness_is_the_logistic_function_of_movement() -> None:
    frames = log_mel(sample(0))
    found = movement(frames)
    score = (
        BIAS + WEIGHT.change * (found.change - CENTRE.change) + WEIGHT.syllables * (found.syllables - CENTRE.syllables)
    )
    assert likeness(frames) == pytest.approx(1 / (1 + np.exp(-score)))
    assert likeness(frames[: SHORTEST - 1]) == 0
    assert 0 <= likeness(frames[:SHORTEST]) <= 1
    assert likeness(np.zeros((200, 64), np.float32)) < 1e-6


def test_confidence_puts_the_three_together() -> None:
    frames = log_mel(sample(0))
    same = np.ones((4, 12), np.float32)
    assert confidence(same, frames, 1.0) == pytest.approx(likeness(frames) * np.sqrt(0.5))
    assert confidence(same, frames, 3.0) == pytest.approx(likeness(frames) * np.sqrt(0.75))
    assert confidence(same[:, :1], frames, 9.0) == 0
    assert confidence(same, frames[:10], 9.0) == 0
    assert confidence(same, frames, 0.0) == 0


def test_a_long_clip_is_measured_in_parts() -> None:
    frames = np.random.default_rng(2).normal(8, 2, (30_000, 64)).astype(np.float32)
    assert np.isfinite(movement(frames).syllables)
    assert movement(frames).syllables == pytest.approx(movement(frames[:3000]).syllables, abs=0.02)


# -- what is heard ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 1])
def test_speech_is_trusted_in_noise_and_in_a_room_too(voice_to_face: VoiceToFace, k: int) -> None:
    speech = sample(k)
    rng = np.random.default_rng(3)
    noise = rng.normal(0, np.sqrt((speech.astype(float) ** 2).mean()) / 10 ** (15 / 20), len(speech))
    room = rng.normal(0, 300, 3000) * np.exp(-np.arange(3000) / 600)
    room[0] = 3000
    assert heard(voice_to_face, speech) > 0.6
    assert heard(voice_to_face, (speech + noise).clip(-32768, 32767).astype(np.int16)) > 0.5
    assert heard(voice_to_face, reverberant(speech, room.astype(np.int16))) > 0.5
    assert heard(voice_to_face, speech // 8) > 0.5


def test_noise_and_silence_are_not_trusted(voice_to_face: VoiceToFace) -> None:
    for seed in range(3000, 3012):
        assert heard(voice_to_face, scaled(synthetic_noise(seed), -15)) < 0.3, seed
    for seed in range(4):
        assert heard(voice_to_face, silence(seed)) == 0


def test_music_is_trusted_less_than_speech(voice_to_face: VoiceToFace) -> None:
    least = min(heard(voice_to_face, sample(k)) for k in (0, 1))
    trusted = [heard(voice_to_face, music(seed, 5.0)) for seed in range(3000, 3020)]
    assert np.mean(np.array(trusted) < least) >= 0.95
    assert np.median(trusted) < 0.1


def test_blocks_change_nothing(voice_to_face: VoiceToFace) -> None:
    speech = sample(1)
    blocks = voice_to_face.estimate(voice_to_face.listen(np.array_split(speech, 41)))
    assert blocks.confidence == heard(voice_to_face, speech)


def test_synthetic_music_is_seeded_and_of_every_style() -> None:
    assert len(STYLES) == 10
    np.testing.assert_array_equal(music(5, 1.0), music(5, 1.0))
    assert (music(5, 1.0) != music(15, 1.0)).mean() > 0.5
    for seed in range(10):
        clip = music(seed, 1.0)
        assert clip.dtype == np.int16
        assert clip.shape == (16_000,)
        assert clip.std() > 100
