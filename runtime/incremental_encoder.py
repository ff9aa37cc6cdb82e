"""The voice encoder on a window that slides along a stream: a fixed number of frames an update, whatever the window holds.

The exact way (`voxface.runtime.voice_to_face`) encodes the whole window each time: a column every 32 frames, each made of 63
of them, and a window shorter than the network's shortest input is tiled to it. Little of that can be kept from one update to
the next: the copies of a tiled window shift against the stride as the window grows, and so does a window that slides. Every
column then stands at another place, and neighbouring places are alike only up to some ten frames. Besides, all frames are
normalised with statistics of the window, which change with each of them.

So the network's input is cut into blocks of 32 frames, a column needs the two blocks it stands between, and each update
encodes as many blocks: the edges and the seams between copies, which change most; then the run of blocks whose columns are
in most doubt. The other columns are read off those of earlier updates, between the nearest remembered places on either side.
What is in doubt is what is far from a remembered place, or was encoded with statistics that have moved since. With as many
blocks as the input has, the result is the exact one.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.engines import Array, Engine
from voxface.runtime.running_statistics import RunningStatistics

STRIDE: Final = 32  # frames a column, and a block; a column sees one frame less on either side of its place
PROVISIONAL: Final = 3  # frames at the end of a window that repeat the last samples, until the sound goes on

# Chosen on training speakers: every estimate from 3 s of speech on keeps a cosine of 0.995 to the exact one (the least of seven
# speakers was 0.997; with 24 blocks it was 0.993, and 1 in 150 fell below). Up to 10 s there are 32.
BLOCKS: Final = 28
SETTLED: Final = 300  # frames of a voice; before them its statistics change too fast, and all blocks are encoded
ARRIVED: Final = 25  # frames since the update before; after more of them all blocks are encoded too
CELL: Final = 8  # frames of which no more than one column is remembered
AGEING: Final = 200.0  # frames of distance that are as bad as statistics that moved by a standard deviation

Places = NDArray[np.int64]


class IncrementalEncoder:
    """Encodes the windows of one stream in turn; not thread-safe."""

    def __init__(self, engine: Engine, shortest: int, *, blocks: int = BLOCKS) -> None:
        """`engine` is the voice encoder, `shortest` its shortest input in frames.

        Args:
            blocks: how many blocks of 32 frames an update encodes.
        """
        self._engine, self._shortest, self._blocks = engine, shortest, blocks
        self._mels = int(engine.inputs["log_mel"].shape[1])
        self._width = int(engine.outputs["columns"].shape[1])
        self.restart()

    def restart(self) -> None:
        """Another voice: what was encoded with the statistics of the one before is of no use."""
        self._statistics = RunningStatistics(self._mels)
        self._begun: int | None = None  # the voice's first frame
        self._end = -ARRIVED  # of the window before
        self._places: Places = np.empty(0, np.int64)  # frames of the stream, ascending
        self._normals: Array = np.empty((0, 2, self._mels), np.float32)  # mean and deviation that each was encoded with
        self._columns: Array = np.empty((0, self._width), np.float32)

    def encode(self, first: int, frames: Array) -> tuple[Array, Array]:
        """Embedding float32 [E] and columns float32 [E, C] of a window, C as of the whole, tiled input.

        Args:
            first: number of its first frame in the stream; it never falls but by a restart.
            frames: log-mel float32 [T, mels] before normalisation; the last three may be others the next time.

        Raises:
            FloatingPointError: the engine gave what is no number. After this or any exception of the engine, what is
                remembered is right as before.
        """
        self._begun = first if self._begun is None else self._begun
        count, final = len(frames), max(0, len(frames) - PROVISIONAL)
        total = max(count, self._shortest)
        starts = STRIDE * np.arange(-(-total // STRIDE))
        local = starts % count  # in the window; beyond the first copy again from its beginning
        # Columns that see neither an edge nor a seam nor a frame that may still change: these can be remembered.
        inner = (local >= STRIDE) & (local + STRIDE <= final) & (starts + STRIDE <= total)
        places = first + local
        mean, deviation = self._statistics.of(first, frames, final)
        normal = np.stack([mean, deviation + np.finfo(np.float32).eps]).astype(np.float32)
        age = self._age(first, normal)
        columns, doubt = self._read_off(places, age)

        end = first + count
        settled = end - self._begun >= SETTLED and end - self._end <= ARRIVED and len(self._places)
        chosen = self._choose(inner, doubt) if settled else np.arange(len(starts))
        at = (STRIDE * chosen[:, None] + np.arange(STRIDE)).ravel()
        ready = frames[at[at < total] % count]
        ready -= normal[0]
        ready /= normal[1]
        fresh = self._engine.run({"log_mel": np.ascontiguousarray(ready.T[None])})["columns"][0].T
        if not np.isfinite(fresh).all():
            raise FloatingPointError("the voice encoder gave numbers that are not finite")
        whole = np.diff(chosen, prepend=-1) == 1  # the block before it is there too, or it is the first
        columns[chosen[whole]] = fresh[whole]
        kept = whole & inner[chosen]
        self._remember(places[chosen[kept]], fresh[kept], normal)
        self._end = end

        mean = columns.mean(0, dtype=np.float64)
        return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32), np.ascontiguousarray(columns.T)

    def _age(self, first: int, normal: Array) -> Array:
        """How far, in standard deviations, the statistics moved since each column was encoded; drops columns that left."""
        kept = self._places >= first + STRIDE
        self._places, self._normals, self._columns = self._places[kept], self._normals[kept], self._columns[kept]
        moved = (self._normals - normal) / normal[1]
        age: Array = np.sqrt((moved**2).sum(1).mean(1))
        return age

    def _read_off(self, places: Places, age: Array) -> tuple[Array, NDArray[np.float64]]:
        """Columns [C, E] at places [C] from those remembered, and how much each is in doubt [C], in frames of distance."""
        if not len(self._places):
            return np.zeros((len(places), self._width), np.float32), np.zeros(len(places))
        after = np.searchsorted(self._places, places)
        sides = np.clip(np.stack([after - 1, after]), 0, len(self._places) - 1)
        far = np.abs(places - self._places[sides]) + AGEING * age[sides] + 1e-6
        share = (far[1] / far.sum(0)).astype(np.float32)[:, None]
        return share * self._columns[sides[0]] + (1 - share) * self._columns[sides[1]], far.min(0)

    def _choose(self, inner: NDArray[np.bool_], doubt: NDArray[np.float64]) -> Places:
        """Which blocks to encode, ascending: both edges, seams while there is room, and the run in most doubt."""
        blocks = len(inner)
        wanted = np.zeros(blocks, bool)
        wanted[[0, -1]] = wanted[max(0, blocks - 2)] = True
        for column in np.flatnonzero(~inner[1:-1]) + 1:
            if np.count_nonzero(wanted) + 2 <= self._blocks:
                wanted[[column - 1, column]] = True
        left = self._blocks - np.count_nonzero(wanted)
        if left > 0:
            gained = np.where(wanted[:-1] & wanted[1:], 0.0, np.where(inner, doubt, doubt.max())[1:])
            cost = np.concatenate([[0], np.cumsum(~wanted)])  # blocks to add before each
            begin = np.arange(blocks)
            end = np.searchsorted(cost, cost[begin] + left, "right") - 1
            before = np.concatenate([[0.0], np.cumsum(gained)])  # doubt removed by all columns up to each block
            best = int(np.argmax(before[np.maximum(end - 1, begin)] - before[begin]))
            wanted[best : end[best]] = True
        return np.flatnonzero(wanted)

    def _remember(self, places: Places, columns: Array, normal: Array) -> None:
        """Takes new columns in, in place of those next to them."""
        new, unique = np.unique(places, return_index=True)  # copies of a tiled window may stand at the same place
        kept = ~np.isin(self._places // CELL, new // CELL)
        merged = np.concatenate([self._places[kept], new])
        order = np.argsort(merged)
        self._places = merged[order]
        used = np.broadcast_to(normal, (len(new), *normal.shape))
        self._normals = np.concatenate([self._normals[kept], used])[order]
        self._columns = np.concatenate([self._columns[kept], columns[unique]])[order]
