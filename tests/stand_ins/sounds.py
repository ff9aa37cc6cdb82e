"""Sounds that are no speech, by name, made when they are asked for."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.sound_clips import scaled, silence, synthetic_noise
from voxface.training.data.synthetic_music import STYLES, music

Samples = NDArray[np.int16]
SECONDS = 4


def tones(*hertz: float, level: float = -15) -> Samples:
    """Tones held together."""
    t = np.arange(SECONDS * 16_000) / 16_000
    return scaled(sum((np.sin(2 * np.pi * f * t + f) for f in hertz), np.zeros(len(t))), level)


def sweep() -> Samples:
    """A tone that rises from 100 to 4,000 Hz."""
    t = np.arange(SECONDS * 16_000) / 16_000
    return scaled(np.sin(2 * np.pi * (100 * t + 3900 / (2 * SECONDS) * t**2)), -15)


def siren() -> Samples:
    """A tone that wails between 500 and 1,100 Hz."""
    t = np.arange(SECONDS * 16_000) / 16_000
    return scaled(np.sin(2 * np.pi * 800 * t - 300 / 0.7 * np.cos(2 * np.pi * 0.7 * t)), -15)


def beeps() -> Samples:
    """A busy line: 425 Hz, half a second on, half a second off."""
    t = np.arange(SECONDS * 16_000) / 16_000
    return scaled(np.sin(2 * np.pi * 425 * t) * (t % 1 < 0.5), -18)


def _noise(kind: int) -> Samples:
    return scaled(np.resize(synthetic_noise(6 * 70 + kind), SECONDS * 16_000), -22)


NO_SPEECH: dict[str, Callable[[], Samples]] = {
    **{f"tone of {f} Hz": partial(tones, f) for f in (80, 100, 220, 440, 1000, 3000)},
    "chord": partial(tones, 261.6, 329.6, 392.0),
    "chord with octaves": partial(tones, 110, 220, 277.2, 329.6, 440),
    "two tones that beat": partial(tones, 200, 204),
    "mains hum and its harmonics": partial(tones, *range(50, 1000, 50)),
    "sweep": sweep,
    "siren": siren,
    "beeps": beeps,
    **{f"{kind} noise": partial(_noise, k) for k, kind in enumerate(("white", "pink", "brown"))},
    "hum": partial(_noise, 3),
    "clicks": partial(_noise, 4),
    "waves": partial(_noise, 5),
    **{f"music: {style}": partial(music, 9020 + k, SECONDS) for k, style in enumerate(STYLES)},
    "a quiet room": partial(silence, 3),
    "zeros": partial(np.zeros, SECONDS * 16_000, np.int16),
}
