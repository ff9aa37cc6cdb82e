"""The events of voice activity detectors: a segment of speech began, its samples, it ended."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class SpeechStarted(NamedTuple):
    """A segment opened at absolute sample `start`; its samples follow as `SpeechAudio`."""

    start: int


class SpeechAudio(NamedTuple):
    """Samples of the open segment: int16 [n], the first one at absolute sample `start`."""

    start: int
    samples: NDArray[np.int16]


class SpeechEnded(NamedTuple):
    """The segment [start, end) closed."""

    start: int
    end: int


VadEvent = SpeechStarted | SpeechAudio | SpeechEnded
