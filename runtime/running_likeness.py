"""Whether a window that slides along a stream moves as speech does, at a cost that does not grow with the window.

The likeness of `voxface.runtime.confidence`, from summaries of stretches of 1 s that begin every 25 frames. A stretch's
summary depends on how loud the window is, below which sound is background; the one that was made at the most different
loudness is made anew at each update, and so is every other one that was made at a far different loudness.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.confidence import (
    HOP,
    LOUD,
    STEP,
    WINDOW,
    cepstra,
    changes,
    likeness,
    likeness_of,
    modulation,
    movement_of,
    quantile,
)

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

WHOLE: Final = 2 * WINDOW  # frames; a shorter window is measured as it is
# Natural logarithm of power, 1 dB: seldom reached while one voice speaks, but at once when a loud noise begins.
FAR: Final = 0.25


class RunningLikeness:
    """Measures the windows of one stream in turn."""

    def __init__(self) -> None:
        self._first = 0  # the first summary's stretch begins at frame 25 times this
        self._loud: Float64 = np.empty(0)
        self._change: Float64 = np.empty(0)  # sum over the stretch's first 25 frames
        self._energy: Float64 = np.empty((0, 2))

    def of(self, first: int, frames: Float32, final: int, peaks: Float32) -> float:
        """How much frames float32 [T, mels] move as speech does, 0 to 1.

        Args:
            first: number of the first of them in the stream; it never falls.
            final: how many of them will be the same the next time.
            peaks: float32 [T], the highest of each.
        """
        if len(frames) < WHOLE:
            return likeness(frames)
        loud = quantile(peaks, LOUD)
        begin, end = -(-first // HOP), (first + final - WINDOW) // HOP + 1  # stretches wholly in the window
        self._forget(begin)
        for stretch in range(self._first + len(self._loud), end):
            self._set(stretch, first, frames, loud)
        away = np.abs(self._loud - loud)
        for place in {int(away.argmax()), *np.flatnonzero(away > FAR).tolist()}:
            if away[place]:
                self._set(self._first + place, first, frames, loud)
        young = changes(cepstra(frames[end * HOP - first :], loud))
        moved = (self._change.sum() + young.sum()) / (HOP * len(self._change) + len(young))
        return likeness_of(movement_of(float(moved), self._energy.sum(0)))

    def _set(self, stretch: int, first: int, frames: Float32, loud: float) -> None:
        begin = stretch * HOP - first
        shape = cepstra(frames[begin : begin + WINDOW], loud)
        summary = loud, changes(shape[:, : HOP + STEP]).sum(), modulation(shape)
        place = stretch - self._first
        if place == len(self._loud):
            self._loud = np.append(self._loud, summary[0])
            self._change = np.append(self._change, summary[1])
            self._energy = np.concatenate([self._energy, summary[2][None]])
        else:
            self._loud[place], self._change[place], self._energy[place] = summary

    def _forget(self, begin: int) -> None:
        gone = begin - self._first
        self._loud, self._change, self._energy = (part[gone:] for part in (self._loud, self._change, self._energy))
        self._first = begin
