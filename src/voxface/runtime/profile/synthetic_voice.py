"""A synthetic voice for measurements: vowels and hisses a few times a second, which VAD and speech gate take for speech.

It says no words and sounds like no person; `voxface.training.world` has voices that sound like people.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.sample_rate import SAMPLE_RATE

PITCH_HZ: Final = 120.0
SYLLABLE_S: Final = 0.22
HISS: Final = 0.3  # share of a syllable
# Formants 1 to 3 of five vowels, Hz (Peterson & Barney 1952, men), and their bandwidths.
VOWELS: Final = ((270, 2290, 3010), (730, 1090, 2440), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
BANDWIDTHS: Final = (80.0, 100.0, 150.0)
STEP: Final = 160  # samples between the moments at which formants are computed


def synthetic_voice(seconds: float, seed: int = 0) -> NDArray[np.int16]:
    """Samples int16 [n] at 16 kHz; the same seed gives the same samples."""
    rng = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE)
    t = np.arange(count) / SAMPLE_RATE
    moments = np.arange(0, count + STEP, STEP) / SAMPLE_RATE
    syllable = moments / SYLLABLE_S
    vowels = np.array(VOWELS, np.float64)[rng.integers(len(VOWELS), size=int(syllable[-1]) + 2)]
    place, share = syllable.astype(int), syllable % 1.0
    glide = 0.5 - 0.5 * np.cos(np.pi * np.clip((share - 0.6) / 0.4, 0, 1))[:, None]
    formants = vowels[place] * (1 - glide) + vowels[place + 1] * glide
    open_ = np.sin(np.pi * np.clip((share - HISS) / (1 - HISS), 0, 1)) ** 0.5
    pitch = PITCH_HZ * (1 + 0.12 * np.sin(2 * np.pi * 0.7 * t) + 0.03 * np.sin(2 * np.pi * 4.3 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voice = np.zeros(count)
    for harmonic in range(1, int(3800 / PITCH_HZ)):
        strength = _resonance(PITCH_HZ * harmonic, formants) * open_ / harmonic
        voice += np.interp(t, moments, strength) * np.sin(harmonic * phase)
    hiss = np.diff(rng.normal(size=count + 1)) * np.interp(
        t, moments, np.where(share < HISS, np.sin(np.pi * share / HISS), 0)
    )
    mixed = 6000 * voice / np.abs(voice).max(initial=1e-9) + 500 * hiss + 5 * rng.normal(size=count)
    samples: NDArray[np.int16] = np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)
    return samples


def _resonance(hz: float, formants: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gain float64 [k] of a frequency through resonances [k, 3]: second-order filters in series."""
    gains = formants**2 / np.hypot(formants**2 - hz**2, np.array(BANDWIDTHS) * hz)
    product: NDArray[np.float64] = gains.prod(1)
    return product
