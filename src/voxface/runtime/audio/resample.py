"""Streaming resampling to 16 kHz, and the step from float samples to int16."""

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.sample_rate import SAMPLE_RATE


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Float samples in [-1, 1] as int16, rounded and clipped. Samples of a 16-bit file come back exactly."""
    scaled: NDArray[np.int16] = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767).astype(np.int16)
    return scaled


class Resampler:
    """Converts a stream of mono float32 from `rate` to 16 kHz; the result does not depend on how the samples are split."""

    def __init__(self, rate: int) -> None:
        self._stream = None
        if rate != SAMPLE_RATE:
            import soxr

            self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")

    def feed(self, samples: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        """Takes float32 [n]; returns the samples that are ready, float32 [m]. `last`: ends the stream and returns the rest."""
        if self._stream is None:
            return samples
        ready: NDArray[np.float32] = self._stream.resample_chunk(np.ascontiguousarray(samples), last=last)
        return ready
