"""Loudness of the sound, and what it alone shows: a dead microphone, silence, speech too quiet, clipping."""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import NoFaceReason

FULL_SCALE: Final = 32768.0
LOWEST_DB: Final = -100.0

SILENCE_DB: Final = -62.0  # RMS, without a constant offset, below which a room is silent
QUIET_DB: Final = -48.0  # RMS below which the VAD misses speech, which it hears from about -50 dB on
CLIPPED: Final = 0.05  # share of samples at full scale; shouting into a good microphone stays below 1 %


class Level(NamedTuple):
    """Loudness of a piece of sound.

    Attributes:
        samples: length of the piece.
        rms_db: loudness without a constant offset, which is no sound, in decibels relative to full scale; `LOWEST_DB` for
            silence.
        peak_db: the largest sample, offset included.
        zeros, clipped: shares of samples that are exactly zero, and that are at full scale.
    """

    samples: int
    rms_db: float
    peak_db: float
    zeros: float
    clipped: float

    @classmethod
    def from_samples(cls, samples: NDArray[np.int16]) -> "Level":
        """The level of samples int16 [n]."""
        meter = LevelMeter()
        meter.feed(samples)
        return meter.read()

    def reason(self) -> NoFaceReason:
        """Why a VAD found no speech in the piece."""
        if self.zeros == 1:
            return "all-zero microphone"
        if self.rms_db < SILENCE_DB:
            return "silence"
        return "too quiet" if self.rms_db < QUIET_DB else "noise"


class LevelMeter:
    """Measures the level of all samples since it was last read."""

    def __init__(self) -> None:
        self._samples = self._zeros = self._clipped = self._peak = 0
        self._sum, self._squares = 0, 0.0

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Takes samples int16 [n]."""
        if not len(samples):
            return
        wide = samples.astype(np.float64)
        peak = _peak(samples)
        self._samples += len(samples)
        self._sum += int(samples.sum(dtype=np.int64))
        # Not `dot`: a BLAS divides a sum of this length among threads, which then spin for a tenth of each second.
        self._squares += float(np.einsum("n,n->", wide, wide))
        self._peak = max(self._peak, peak)
        self._zeros += len(samples) - int(np.count_nonzero(samples))
        self._clipped += _at_full_scale(samples, peak)

    def read(self) -> Level:
        """The level of the samples since the last reading."""
        count = max(1, self._samples)
        power = self._squares / count - (self._sum / count) ** 2
        level = Level(
            self._samples,
            decibels(math.sqrt(max(0.0, power))),
            decibels(self._peak),
            self._zeros / count,
            self._clipped / count,
        )
        self._samples = self._zeros = self._clipped = self._peak = 0
        self._sum, self._squares = 0, 0.0
        return level


class SecondLevels:
    """Measures the level of each second of a sound, as a live session does.

    Attributes:
        levels: level of each whole second.
    """

    def __init__(self) -> None:
        self.levels: list[Level] = []
        self._meter = LevelMeter()
        self._samples = 0

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Takes samples int16 [n] at 16 kHz."""
        while len(samples):
            part = samples[: SAMPLE_RATE - self._samples]
            self._meter.feed(part)
            self._samples += len(part)
            samples = samples[len(part) :]
            if self._samples == SAMPLE_RATE:
                self.levels.append(self._meter.read())
                self._samples = 0

    def finish(self) -> tuple[Level, ...]:
        """The level of each whole second; of a sound that is shorter than a second, its level."""
        if self._samples and not self.levels:
            self.levels.append(self._meter.read())
        return tuple(self.levels)


def clipped(samples: NDArray[np.int16]) -> float:
    """The share of samples int16 [n] that are at full scale, as `Level.clipped`, in a fraction of the time of a level."""
    return _at_full_scale(samples, _peak(samples)) / len(samples) if len(samples) else 0.0


def _peak(samples: NDArray[np.int16]) -> int:
    return max(int(samples.max()), -int(samples.min()))


def _at_full_scale(samples: NDArray[np.int16], peak: int) -> int:
    return int(np.count_nonzero(np.abs(samples.astype(np.int32)) >= 32767)) if peak >= 32767 else 0


def decibels(amplitude: float) -> float:
    """Decibels of an `amplitude` at int16 scale relative to full scale; at least `LOWEST_DB`."""
    return max(LOWEST_DB, float(20 * np.log10(max(amplitude, 1e-9) / FULL_SCALE)))
