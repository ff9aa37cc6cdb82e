"""Whether the newest speech of a window is in the voice of the speech before it, for windows that slide along a stream."""

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.live.speaker_embedding import SEEN, STRIDE, VoicePrint

Float32 = NDArray[np.float32]


class RunningVoicePrint:
    """Takes each step of the network once. Steps begin at multiples of their stride, counted from the stream's beginning."""

    def __init__(self, voice_print: VoicePrint) -> None:
        self._print = voice_print
        self._first = 0  # step
        self._steps: Float32 = np.empty((0, voice_print.width), np.float32)

    def disagreement(self, first: int, frames: Float32, final: int, newest: int, compared: int) -> float:
        """How far the voices are apart, 0 to 2, see `VoicePrint.disagreement`.

        Args:
            first: number of the first frame in the stream; it never falls.
            frames: log-mel float32 [T, mels].
            final: how many of them will be the same the next time.
            newest: how many frames at the end are compared with those before.
            compared: how many of those before, at most.
        """
        end = first + len(frames)
        begin = -(-max(first, end - newest - compared) // STRIDE)
        known = self._steps[begin - self._first :] if begin >= self._first else self._steps[:0]
        fresh = begin + len(known)
        steps, rest = known, frames[fresh * STRIDE - first :]
        if len(rest) >= SEEN:
            steps = np.concatenate([known, self._print.steps(rest)])
        self._first, self._steps = begin, steps[: max(0, (first + final - SEEN) // STRIDE + 1 - begin)]
        before = (end - newest - SEEN) // STRIDE + 1 - begin
        return self._print.disagreement(steps[:before], steps[-(-(end - newest) // STRIDE) - begin :])
