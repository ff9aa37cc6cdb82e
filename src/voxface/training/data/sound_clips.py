"""Clips of speech and of other sounds at 16 kHz: recordings cut short, in noise or in a room, and noise from a seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.training.data.speech_corpus import Recording

Samples = NDArray[np.int16]
SNR_DB: Final = 10.0
NOISES: Final = ("white", "pink", "brown", "hum", "clicks", "waves")
SPEECH: Final = ("speech", "speech 2 to 4 s", "speech in noise", "speech in a room")


@dataclass(frozen=True)
class Clip:
    """A sound.

    Attributes:
        kind: what it is, such as one of `SPEECH`.
        source: the speaker, file or style it comes from.
        samples: int16 [n] at 16 kHz.
    """

    kind: str
    source: str
    samples: Samples


def read(path: Path) -> Samples:
    """A whole file."""
    return np.concatenate(list(read_blocks(path)))


def window(samples: Samples, seconds: float, rng: np.random.Generator) -> Samples:
    """A random stretch; what is shorter is repeated."""
    count = int(seconds * SAMPLE_RATE)
    start = int(rng.integers(max(1, len(samples) - count + 1)))
    return np.resize(samples[start : start + count], count)


def scaled(sound: NDArray[Any], decibels: float) -> Samples:
    """A sound at a level below full scale."""
    wave = sound.astype(np.float64)
    wave *= 32768 * 10 ** (decibels / 20) / (np.sqrt((wave**2).mean()) + 1e-9)
    return _int16(wave)


def noisy(samples: Samples, noise: NDArray[Any], decibels: float = SNR_DB) -> Samples:
    """Speech with noise so many decibels below it."""
    speech, other = samples.astype(np.float64), np.resize(noise, len(samples)).astype(np.float64)
    ratio = np.sqrt((speech**2).mean() / ((other**2).mean() + 1e-9))
    return _int16(speech + other * ratio * 10 ** (-decibels / 20))


def reverberant(samples: Samples, room: Samples) -> Samples:
    """Speech heard in a room."""
    response = room.astype(np.float64) / np.sqrt((room.astype(np.float64) ** 2).sum())
    size = 1 << (len(samples) + len(response)).bit_length()
    return _int16(np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)[: len(samples)])


def synthetic_noise(seed: int) -> NDArray[np.float64]:
    """4 to 8 s of noise of kind `NOISES[seed % 6]`, float64 [n]."""
    rng = np.random.default_rng([seed, 50])
    return noise_of(NOISES[seed % len(NOISES)], int(rng.uniform(4, 8) * SAMPLE_RATE), rng)


def noise_of(kind: str, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of one of the kinds `NOISES`, float64 [count], at no level in particular."""
    t = np.arange(count) / SAMPLE_RATE
    if kind == "hum":
        mains = rng.choice([50, 60])
        tones = sum(rng.random() / k * np.sin(2 * np.pi * mains * k * t + 6 * rng.random()) for k in range(1, 25))
        return np.asarray(tones + 0.05 * rng.normal(size=count))
    if kind == "clicks":
        burst = rng.normal(size=800) * np.exp(-np.arange(800) / rng.uniform(30, 300))
        hits = (rng.random(count) < rng.uniform(1, 12) / SAMPLE_RATE) * rng.normal(size=count)
        return np.convolve(hits, burst)[:count] + 1e-3 * rng.normal(size=count)
    slope = {"white": 0.0, "pink": 0.5, "brown": 1.0, "waves": float(rng.uniform(0, 0.7))}[kind]
    spectrum = np.fft.rfft(rng.normal(size=count)) / np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), 20) ** slope
    noise = np.fft.irfft(spectrum, count)
    return noise * (1 + np.sin(2 * np.pi * rng.uniform(0.5, 8) * t)) if kind == "waves" else noise


def silence(seed: int) -> Samples:
    """5 s of nothing, or of a quiet room: noise of up to three units, with or without mains hum."""
    rng = np.random.default_rng([seed, 60])
    hum = rng.choice([0.0, 4.0]) * np.sin(2 * np.pi * 50 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE)
    return _int16((seed % 4 > 0) * (hum + rng.normal(0, rng.uniform(0.3, 3), 5 * SAMPLE_RATE)))


def _int16(wave: NDArray[np.float64]) -> Samples:
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


def speech_clips(
    recordings: Sequence[Recording], noises: Sequence[NDArray[Any]], rooms: Sequence[Samples], seed: int
) -> Iterator[Clip]:
    """Every recording four times: as it is, 2 to 4 s of it, in noise, in a room."""
    rng = np.random.default_rng([seed, 70])
    for recording in recordings:
        samples = read(recording.path)
        noise, room = noises[int(rng.integers(len(noises)))], rooms[int(rng.integers(len(rooms)))]
        made = (
            samples,
            window(samples, min(rng.uniform(2, 4), len(samples) / SAMPLE_RATE), rng),
            noisy(samples, window(noise.astype(np.float64), len(samples) / SAMPLE_RATE, rng)),
            reverberant(samples, room),
        )
        yield from (Clip(kind, recording.speaker, sound) for kind, sound in zip(SPEECH, made, strict=True))
