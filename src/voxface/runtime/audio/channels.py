"""Channels to one: their mean, or the loudest where they cancel each other out.

A balanced microphone in a stereo jack gives one voice on both channels with opposite signs, and the mean of that is silence.
Every 0.1 s the powers of the channels and of their mean, each without its constant offset and forgotten over about a second,
are compared: the mean of n unrelated channels has the sum of their powers, divided by n². Where it is far below that (-13 dB)
twice in a row, they cancel, and the loudest channel is taken from the next 0.1 s on, until the mean is back within 5 dB. Where
they begin to cancel within a sound, the newest 0.3 s decide, if they are about as loud: what was heard before would outweigh
them for seconds. The comparison stands on a grid of frames counted from the stream's beginning, so it does not depend on how
the sound is split into blocks; it looks only back, so a live stream and a file of the same sound give the same.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

STRETCHES: Final = 10  # a second
KEPT: Final = 0.9  # share of the powers that is kept from one stretch to the next
CANCEL: Final = 0.05  # power of the mean, of what unrelated channels would have, below which the channels cancel
BACK: Final = 0.3  # and above which they no longer do
LOUD: Final = 1e-6  # mean square of the loudest channel, -60 dB; what is quieter decides nothing
TWICE: Final = 2
NEWEST: Final = 3  # stretches that decide against what was before them
ALIKE: Final = 0.1  # if their power is not below that share of it, as in a pause
CHANGE: Final = 4.0  # a channel so much stronger than the chosen one takes its place


class ChannelMixer:
    """Makes one channel of several, block by block, for one stream."""

    def __init__(self, rate: int, channels: int) -> None:
        """For a stream of so many `channels` at `rate` Hz."""
        self._stretch, self._count = max(1, rate // STRETCHES), channels
        self._held: list[NDArray[np.float32]] = []
        self._have = 0
        self._powers = np.zeros(channels + 1)  # of the channels, and of their sum
        self._newest: list[NDArray[np.float64]] = []  # the same of each of the newest stretches
        self._cancelled = 0  # judgements in a row
        self._chosen: int | None = None

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes float32 [n, channels] in [-1, 1]; returns float32 [n]."""
        if self._count == 1:
            return samples[:, 0]
        mixed: NDArray[np.float32] = samples.mean(1, dtype=np.float32)
        at = 0
        while at < len(samples):
            count = min(len(samples) - at, self._stretch - self._have)
            if self._chosen is not None:
                mixed[at : at + count] = samples[at : at + count, self._chosen]
            self._held.append(samples[at : at + count])
            self._have += count
            at += count
            if self._have == self._stretch:
                self._judge(self._held[0] if len(self._held) == 1 else np.concatenate(self._held))
                self._held, self._have = [], 0
        if self._held:  # the caller may use its block again
            self._held = [np.concatenate(self._held)]
        return mixed

    def restart(self) -> None:
        """Begins a new grid of stretches, where sound was lost."""
        self._held, self._have = [], 0

    def _judge(self, stretch: NDArray[np.float32]) -> None:
        rows = np.ascontiguousarray(stretch.T)
        rows -= rows.mean(1)[:, None]
        powers = np.array([_power(row) for row in (*rows, rows.sum(0))]) / len(stretch)
        self._powers = KEPT * self._powers + (1 - KEPT) * powers
        self._newest = [*self._newest, powers][-NEWEST:]
        *channels, together = self._powers.tolist()
        if max(channels) < LOUD:
            return
        *alone, newest = sum(self._newest, np.zeros(len(powers))).tolist()
        anew = (
            len(self._newest) == NEWEST and sum(alone) > NEWEST * ALIKE * sum(channels) and newest < CANCEL * sum(alone)
        )
        share, loudest = together / sum(channels), int(np.argmax(alone if anew else channels))
        if anew:
            share = min(share, newest / sum(alone))
        self._cancelled = self._cancelled + 1 if share < CANCEL else 0
        if share > BACK:
            self._chosen = None
        elif self._chosen is not None:
            self._chosen = loudest if channels[loudest] > CHANGE * channels[self._chosen] else self._chosen
        elif self._cancelled >= TWICE:
            self._chosen = loudest
            if anew:  # the mean is to come back by what is heard from now on
                self._powers = sum(self._newest, np.zeros(len(powers))) / NEWEST


def _power(row: NDArray[np.float32]) -> float:
    """The sum of squares. Not `dot`, which a BLAS may divide among threads."""
    return float(np.einsum("n,n->", row, row))
