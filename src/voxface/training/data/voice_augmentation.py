"""Augmentation of speech: room, noise, equaliser, level, as on the way to a microphone; and speed, which makes another voice.

A change of speed moves pitch and formants together, as with a smaller or larger speaker. Pitch is not changed alone, because no
vocal tract makes such voices, and a vocoder would leave traces that a network learns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class AugmentConfig:
    """Probabilities and ranges of the augmentations.

    Attributes:
        noise, room, equaliser: probability of each.
        snr_db: range of the speech-to-noise ratio, dB.
        gain_db: range of the level change, dB.
        tilt_db: range of the spectral tilt from the lowest to the highest frequency, dB.
        bands: smallest and largest number of bands that the equaliser raises or lowers beside the tilt.
        band_db: range of the gains of bands, dB.
        band_octaves: range of the widths of bands at half of their gain in dB, octaves.
    """

    noise: float = 0.6
    room: float = 0.3
    equaliser: float = 0.5
    snr_db: tuple[float, float] = (8.0, 35.0)
    gain_db: tuple[float, float] = (-12.0, 6.0)
    tilt_db: tuple[float, float] = (-8.0, 8.0)
    bands: tuple[int, int] = (0, 3)
    band_db: tuple[float, float] = (-8.0, 8.0)
    band_octaves: tuple[float, float] = (0.3, 1.5)


def change_speed(samples: NDArray[np.int16], speed: float) -> NDArray[np.int16]:
    """Plays int16 samples faster (speed > 1) or slower: pitch and formants move together, as with a smaller speaker."""
    import soxr

    if speed == 1.0:
        return samples
    out: Float32 = soxr.resample(samples.astype(np.float32), 16_000 * speed, 16_000)
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def augment(
    samples: NDArray[np.int16],
    rng: np.random.Generator,
    config: AugmentConfig,
    noises: Sequence[NDArray[np.int16]] = (),
    rooms: Sequence[NDArray[np.int16]] = (),
) -> NDArray[np.int16]:
    """One random rendering of speech int16 [n] at 16 kHz.

    Args:
        noises: recordings of noise; white noise is one more choice.
        rooms: impulse responses; without any there is no room.
    """
    x = samples.astype(np.float64)
    if rooms and rng.random() < config.room:
        response = rooms[int(rng.integers(len(rooms)))].astype(np.float64)
        response = response[np.argmax(np.abs(response)) :]
        x = _convolve(x, response / np.sqrt((response**2).sum()))
    if rng.random() < config.equaliser:
        x = _equalise(x, rng, config)
    level = np.sqrt((x**2).mean()) + 1e-9
    if rng.random() < config.noise:
        noise = _noise(len(x), rng, noises)
        x += noise * level / (np.sqrt((noise**2).mean()) + 1e-9) * 10 ** (-rng.uniform(*config.snr_db) / 20)
    x *= 10 ** (rng.uniform(*config.gain_db) / 20)
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def _noise(count: int, rng: np.random.Generator, noises: Sequence[NDArray[np.int16]]) -> NDArray[np.float64]:
    pick = int(rng.integers(len(noises) + 1))
    if pick == len(noises):
        return rng.normal(size=count)
    source = noises[pick]
    start = int(rng.integers(len(source)))
    return np.resize(np.roll(source, -start), count).astype(np.float64)


def _convolve(x: NDArray[np.float64], response: NDArray[np.float64]) -> NDArray[np.float64]:
    size = 1 << (len(x) + len(response) - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(response, size), size)[: len(x)]


def _equalise(x: NDArray[np.float64], rng: np.random.Generator, config: AugmentConfig) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(x)
    hz = np.asarray(np.fft.rfftfreq(len(x), 1 / 16_000), np.float64)
    decibels = np.linspace(-0.5, 0.5, len(spectrum)) * rng.uniform(*config.tilt_db)
    for _ in range(int(rng.integers(config.bands[0], config.bands[1] + 1))):
        centre = float(np.exp(rng.uniform(np.log(80), np.log(7000))))  # Hz, evenly over octaves
        decibels += bell(hz, centre, rng.uniform(*config.band_octaves), rng.uniform(*config.band_db))
    return np.fft.irfft(spectrum * 10 ** (decibels / 20), len(x))


def bell(hz: NDArray[np.float64], centre: float, octaves: float, decibels: float) -> NDArray[np.float64]:
    """Gain in dB of a peaking band at frequencies [n]: a Gaussian over octaves, `octaves` wide at half its height."""
    away = np.log2(np.maximum(hz, 1.0) / centre)
    return np.asarray(decibels * 2.0 ** (-((2 * away / octaves) ** 2)))
