"""The voice encoder's input in blocks of 32 frames: which frame embeddings it gives, which of them a stream can keep, and which
are interpolated.

An input that is shorter than the network's shortest repeats its window. A copy begins where the window ends, at any frame, so
its frame embeddings lie between those of the window itself and shift with every update. Interpolated from these two neighbours
they need not be encoded.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import STRIDE

Float32 = NDArray[np.float32]


class EncoderBlocks(NamedTuple):
    """An input of B blocks, of whose B frame embeddings K are encoded or kept; the others are interpolated from these."""

    total: int  # B
    block: list[int]  # [K], the block at which each begins; it needs the block before, too, except the first
    place: list[int]  # [K], the frame of the window at which each begins
    lasting: list[bool]  # [K], whether it sees no edge, no seam and no frame that may still change, so can be kept
    share: list[float]  # [K], how often each is in the sum of all B, interpolated ones counted by their weights
    weights: Float32 | None  # [B, K], each of all B by these; None: all B are among these
    frames: NDArray[np.intp]  # [B, STRIDE], the frames of the window
    lacking: int  # frames that the last block lacks


@lru_cache(maxsize=64)
def encoder_blocks(count: int, total: int, final: int, interpolated: int) -> EncoderBlocks:
    """The blocks of an input of `total` frames, which repeats a window of `count`, of which `final` will not change.

    Args:
        interpolated: of so many blocks at the end of the input those are interpolated that lie within a copy. At the end this
            saves most: a frame embedding behind it would need the block before its own. The last one sees zeros behind the
            input, which its neighbours do not see.
    """
    starts = range(0, total, STRIDE)
    local = [start % count for start in starts]  # in each copy counted from its beginning
    inner = [at >= STRIDE and at + STRIDE <= final for at in local]
    known = [b for b, start in enumerate(starts) if inner[b] and start < count and start + STRIDE <= total]
    last = range(max(0, len(starts) - interpolated), len(starts))
    between = {b for b in last if known and inner[b] and starts[b] >= count}
    block = [b for b in range(len(starts)) if b not in between]
    lasting = [inner[b] and starts[b] + STRIDE <= total for b in block]
    lasting[0] = final >= STRIDE
    weights = np.zeros((len(starts), len(block)), np.float32)
    weights[block, range(len(block))] = 1
    for b in between:
        before = min(max((local[b] - starts[known[0]]) // STRIDE, 0), len(known) - 1)
        after = min(before + 1, len(known) - 1)
        part = (local[b] - starts[known[before]]) / STRIDE if after > before else 0.0
        weights[b, known[before]] += 1 - part
        weights[b, known[after]] += part
    return EncoderBlocks(
        total=len(starts),
        block=block,
        place=[local[b] for b in block],
        lasting=lasting,
        share=weights.sum(0).tolist(),
        weights=weights if between else None,
        frames=np.arange(len(starts) * STRIDE).reshape(-1, STRIDE) % count,
        lacking=len(starts) * STRIDE - total,
    )
