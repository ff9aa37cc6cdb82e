"""A block of sound as a device or file delivers it."""

from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from voxface.runtime.live.events import LossCause

Samples = NDArray[Any]  # int16, or float32 in [-1, 1]


@dataclass(frozen=True)
class Block:
    """Some frames of a stream; a frame is one sample of each channel.

    Attributes:
        samples: int16 or float32 [n, channels].
        rate: frames a second.
        captured_ns: when, on the clock of the run, the frame after its last was due at the converter (ADC).
        arrived_ns: when it was handed over.
        stream: number of the stream; a device that was opened again begins another.
        first: index of its first frame since the stream began, lost frames counted.
        lost: frames lost since the block before, by cause; (cause, frames) in order.
        source: what delivers it, for a person.
        gone: the device went away after it.
    """

    samples: Samples
    rate: int
    captured_ns: int
    arrived_ns: int
    stream: int = 0
    first: int = 0
    lost: tuple[tuple[LossCause, int], ...] = field(default=())
    source: str = ""
    gone: bool = False

    @property
    def frames(self) -> int:
        """How many it has."""
        return len(self.samples)

    @property
    def length_ns(self) -> int:
        """How long it is."""
        return len(self.samples) * 1_000_000_000 // self.rate

    def newest(self, frames: int, cause: LossCause) -> "Block":
        """Its last `frames` frames; what was before them is lost to `cause`."""
        gone = self.frames - frames
        lost = (*self.lost, (cause, gone))
        return replace(self, samples=self.samples[gone:], first=self.first + gone, lost=lost)
