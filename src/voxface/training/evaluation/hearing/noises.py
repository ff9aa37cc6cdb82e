"""Noise as the front end hears it: four synthetic kinds, and folders of recordings; alone, or beside a voice.

Wen et al. 2019 do not say which four noises they took (Fig. 2). The frames of noise come from the same front end as a voice's,
but without voice activity detection, which would leave nothing of them.

Data hold no sound but log-mel frames, so noise is put beside a voice in these: the exponential of a frame is the power of each
mel band, and powers of sounds that know nothing of each other add up in the mean. What is left out is the product of the two
waves, whose mean is zero. The ratio of voice to noise is that of their mean powers over all frames and mel bands, behind the
pre-emphasis of the front end, which takes most of the power from brown noise and mains hum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.errors import UsageError
from voxface.runtime.features.log_mel import log_mel
from voxface.training.data.sound_clips import noise_of, scaled
from voxface.training.data.sounds import read_sounds

Float32 = NDArray[np.float32]
KINDS: Final = {
    "white noise": "white",
    "pink noise": "pink",
    "brown noise": "brown",
    "mains hum": "hum",
}  # as `noise_of` has them
LEVEL_DB: Final = -26.0  # of full scale: noise alone is about as loud as speech


@dataclass(frozen=True)
class Noise:
    """A kind of noise.

    Attributes:
        name: "white noise", or the name of a folder of recordings.
    """

    name: str
    _wave: Callable[[int, np.random.Generator], NDArray[np.float64]]

    def frames(self, count: int, front_end: FrontEndConfig, rng: np.random.Generator) -> Float32:
        """Log-mel float32 [count, 64] of so many frames of it, drawn anew."""
        samples = scaled(self._wave(count * front_end.hop, rng), LEVEL_DB)
        return log_mel(samples, front_end)[:count]


def noises(folders: tuple[Path, ...] = ()) -> tuple[Noise, ...]:
    """The four synthetic kinds, and one of each folder of recordings.

    Raises:
        InputError: a folder holds no sound that can be read.
        UsageError: two kinds have one name.
    """
    found = [Noise(name, _synthetic(kind)) for name, kind in KINDS.items()]
    for folder in folders:
        sounds = [sound for sound in read_sounds(folder)[0] if len(sound)]
        name = folder.resolve().name
        if name in {noise.name for noise in found} or not sounds:
            raise UsageError(
                f"--noise: {folder}: {'empty' if not sounds else 'another kind is called ' + name}; rename it"
            )
        found.append(Noise(name, _recorded(sounds)))
    return tuple(found)


def beside(voice: Float32, noise: Float32, decibels: float) -> Float32:
    """Log-mel frames [T, mels] of a voice with noise [T, mels] beside it, whose mean power is so many decibels lower."""
    wanted = np.log(np.exp(voice, dtype=np.float64).mean() / np.exp(noise, dtype=np.float64).mean())
    gain = wanted - decibels / 10 * np.log(10)
    both: Float32 = np.logaddexp(voice, noise + np.float32(gain)).astype(np.float32)
    return both


def _synthetic(kind: str) -> Callable[[int, np.random.Generator], NDArray[np.float64]]:
    return lambda count, rng: noise_of(kind, count, rng)


def _recorded(sounds: list[NDArray[np.int16]]) -> Callable[[int, np.random.Generator], NDArray[np.float64]]:
    def stretch(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        sound = sounds[int(rng.integers(len(sounds)))]
        return np.resize(np.roll(sound, -int(rng.integers(len(sound)))), count).astype(np.float64)

    return stretch
