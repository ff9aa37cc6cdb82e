"""Samples that a program or a file hands over: which arrays, sample rates and numbers of channels they may come in."""

import operator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError, UsageError

MOST_CHANNELS: Final = 256
LOWEST_RATE: Final = 4_000  # Hz
HIGHEST_RATE: Final = 768_000
LIMIT: Final = 8.0  # float samples of a larger magnitude are garbage, not loudness


FULL_SCALES: Final = (32_768, 8_388_608, 2_147_483_648)


def scale_of_integers(peak: float) -> int | None:
    """Full scale of the integers at whose scale float samples lie that reach `peak`; None if it is not clear."""
    return next((scale for scale in FULL_SCALES if 256 < peak <= 1.01 * scale), None)


def check_samples(samples: NDArray[Any]) -> NDArray[Any]:
    """Samples int16, or float32 in [-1, 1], [n] or [n, channels], as a table [n, channels] without a copy.

    Raises:
        UsageError: no numpy array, or one of another type or shape.
    """
    if not isinstance(samples, np.ndarray):
        raise UsageError(f"samples are a {type(samples).__name__}; give a numpy array, int16 or float32")
    if samples.dtype not in (np.dtype(np.int16), np.dtype(np.float32)):
        hint = "; samples.astype(numpy.float32) if they lie in [-1, 1]" if samples.dtype.kind == "f" else ""
        raise UsageError(f"samples are {samples.dtype}; give int16, or float32 in [-1, 1]{hint}")
    if samples.ndim not in (1, 2):
        raise UsageError(f"samples have the shape {list(samples.shape)}; give [n] or [n, channels]")
    if samples.ndim == 1:
        return samples[:, None]
    if not 1 <= samples.shape[1] <= MOST_CHANNELS:
        raise UsageError(
            f"samples have the shape {list(samples.shape)}, so {samples.shape[1]} channels; give [n, channels], "
            f"1 to {MOST_CHANNELS} of them (is it transposed?)"
        )
    return samples


def check_rate(rate: int) -> int:
    """A sample rate in Hz.

    Raises:
        UsageError: no whole number, or none from 4,000 to 768,000 Hz.
    """
    try:
        whole = operator.index(rate)
    except TypeError:
        raise UsageError(f"sample rate {rate!r}: give a whole number of Hz") from None
    if not LOWEST_RATE <= whole <= HIGHEST_RATE:
        raise UsageError(f"sample rate {whole} Hz: give {LOWEST_RATE} to {HIGHEST_RATE} Hz")
    return whole


def check_header(rate: int, channels: int) -> None:
    """Checks what the header of a sound file says of it, before anything is allocated for it.

    Raises:
        InputError: a rate outside 4,000 to 768,000 Hz, or no channel, or more than 256.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        said = f"{rate}" if abs(rate) < 1 << 40 else f"{rate:.3g}"
        raise InputError(
            f"its header says {said} Hz, which is no rate of a voice ({LOWEST_RATE} to {HIGHEST_RATE} Hz are read); "
            "is it damaged?"
        )
    if not 1 <= channels <= MOST_CHANNELS:
        raise InputError(f"its header says {channels} channels (1 to {MOST_CHANNELS} are read); is it damaged?")
