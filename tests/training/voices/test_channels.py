"""Telephone and codecs: as long as before, as loud, and what a telephone cuts off is gone."""

import numpy as np
import pytest
import soundfile

from tests.conftest import SAMPLES
from voxface.training.voices.channels import CODECS, _through, codec, telephone

SPEECH = soundfile.read(SAMPLES[0], dtype="int16")[0][:40_000]


def decibels(samples: np.ndarray, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / 16_000)
    return float(10 * np.log10(power[(hz >= low) & (hz < high)].sum() + 1e-9))


@pytest.mark.parametrize("seed", range(6))
def test_a_telephone_keeps_its_band_only(seed: int) -> None:
    heard = telephone(SPEECH, np.random.default_rng(seed))
    assert heard.dtype == np.int16
    assert len(heard) == len(SPEECH)
    assert abs(decibels(heard, 500, 3_000) - decibels(SPEECH, 500, 3_000)) < 3
    assert decibels(heard, 4_500, 8_000) < decibels(heard, 500, 3_000) - 40


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [1, 999, 16_001, 40_000])
def test_a_codec_keeps_length_and_level(seed: int, count: int) -> None:
    heard = codec(SPEECH[-count:], np.random.default_rng(seed))
    assert heard.dtype == np.int16
    assert len(heard) == count
    if count > 10_000:
        assert abs(decibels(heard, 200, 3_000) - decibels(SPEECH[-count:], 200, 3_000)) < 2
        assert not np.array_equal(heard, SPEECH[-count:])


@pytest.mark.parametrize(("container", "subtype", "least", "most"), CODECS)
def test_every_rate_of_a_codec_can_be_written(container: str, subtype: str, least: float, most: float) -> None:
    wave = SPEECH[:8_000].astype(np.float64)
    for level in (least, most, *np.random.default_rng(0).uniform(least, most, 5)):
        assert np.abs(_through(container, subtype, wave, 16_000, float(level))).max() > 100
