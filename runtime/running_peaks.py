"""The highest mel bin of every frame of a window that slides along a stream: how loud it is, frame by frame."""

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


class RunningPeaks:
    """Looks at each frame of a stream once."""

    def __init__(self) -> None:
        self._first = 0
        self._peaks: Float32 = np.empty(0, np.float32)

    def of(self, first: int, frames: Float32, final: int) -> Float32:
        """Peaks float32 [T] of frames float32 [T, mels].

        Args:
            first: number of the first of them in the stream; it never falls.
            final: how many of them will be the same the next time.
        """
        known = self._peaks[first - self._first :]
        peaks = np.concatenate([known, frames[len(known) :].max(1)])
        self._first, self._peaks = first, peaks[:final]
        return peaks
