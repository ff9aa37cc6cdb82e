"""The events of voice activity detectors: a segment of speech began, its samples, it ended."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SpeechStarted:
    """A segment opened at absolute sample `start`; its samples follow as `SpeechAudio`."""

    start: int


class SpeechAudio(NamedTuple):
    """Samples of the open segment: int16 [n], the first one at absolute sample `start`."""

    start: int
    samples: NDArray[np.int16]


@dataclass(frozen=True)
class SpeechEnded:
    """The segment [start, end) closed."""

    start: int
    end: int


VadEvent = SpeechStarted | SpeechAudio | SpeechEnded
