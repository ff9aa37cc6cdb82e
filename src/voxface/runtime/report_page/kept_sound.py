"""The beginning of a voice for the page, kept while it is heard: only where somebody asked for it."""

import io
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.sample_rate import SAMPLE_RATE

LONGEST_S: Final = 60.0  # some 1.5 MB of a page


class KeptSound:
    """Lets sound through, and keeps its first minute.

    Attributes:
        heard: samples that went through.
    """

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        self._room = round(longest_s * SAMPLE_RATE)
        self._blocks: list[NDArray[np.int16]] = []
        self.heard = 0

    def through(self, blocks: Iterable[NDArray[np.int16]]) -> Iterator[NDArray[np.int16]]:
        """The same blocks int16 [n] at 16 kHz."""
        for block in blocks:
            if room := self._room - min(self._room, self.heard):
                self._blocks.append(block[:room].copy())
            self.heard += len(block)
            yield block

    @property
    def seconds(self) -> float:
        """Of what is kept."""
        return min(self.heard, self._room) / SAMPLE_RATE

    @property
    def whole(self) -> bool:
        """Whether nothing was left out."""
        return self.heard <= self._room

    def flac(self) -> bytes:
        """What is kept as a FLAC file, which every browser plays: 16 bits, 16 kHz, one channel."""
        import soundfile  # takes a while, and most runs have it loaded already

        file = io.BytesIO()
        sound = np.concatenate([np.empty(0, np.int16), *self._blocks])
        soundfile.write(file, sound, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        return file.getvalue()
