"""What happens to speech on its way to a microphone."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import speech_like
from voxface.training.data.voice_augmentation import AugmentConfig, augment, bell, change_speed
from voxface.training.world.voice_cues import measure_voice_cues

AUDIO = speech_like(3.0)


def test_a_band_of_the_equaliser() -> None:
    # 6 dB at 1 kHz, half of it half an octave away, (1/2)⁴ of it a whole octave away.
    hz = np.array([1000, 1000 * 2**0.5, 1000 / 2**0.5, 2000, 0])
    np.testing.assert_allclose(bell(hz, 1000, 1.0, 6.0), [6, 3, 3, 6 / 16, 0], atol=1e-9)


def test_the_equaliser_raises_as_many_decibels_as_it_is_told() -> None:
    speech = speech_like(2.0)
    config = AugmentConfig(
        noise=0,
        room=0,
        equaliser=1,
        gain_db=(0, 0),
        tilt_db=(0, 0),
        bands=(1, 1),
        band_db=(-9, -9),
        band_octaves=(1, 1),
    )
    before, after = (np.abs(np.fft.rfft(x)) for x in (speech, augment(speech, np.random.default_rng(0), config)))
    gain = 20 * np.log10(after / before)[before > 1e5]
    assert gain.min() == pytest.approx(-9, abs=0.6)
    assert np.median(gain) == pytest.approx(0, abs=0.2)
    none = replace(config, bands=(0, 0))
    np.testing.assert_array_equal(augment(speech, np.random.default_rng(0), none), speech)


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_speed_changes_length_and_pitch(speed: float) -> None:
    changed = change_speed(AUDIO, speed)
    assert len(changed) == pytest.approx(len(AUDIO) / speed, rel=0.001)
    assert measure_voice_cues(changed).f0_hz == pytest.approx(120 * speed, rel=0.03)


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
