"""What a person says in some data, as one stretch of log-mel frames, and windows of it."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.pairs import Pairs

Float32 = NDArray[np.float32]
FRAMES_A_SECOND: Final = 100


def speech_of(pairs: Pairs, utterances: Sequence[int] | NDArray[np.integer], most: int | None = None) -> Float32:
    """Utterances one after another, float32 [T, 64]; no more of them than `most` frames need.

    The runtime too puts the voiced stretches of a clip one after another.
    """
    parts: list[Float32] = [np.empty((0, pairs.frames.shape[1]), np.float32)]
    length = 0
    for u in utterances:
        if most is not None and length >= most:
            break
        parts.append(pairs.utterance(int(u)))
        length += len(parts[-1])
    return np.concatenate(parts)[:most]


def frames_of(pairs: Pairs, utterances: NDArray[np.integer]) -> int:
    """How many frames some utterances have together."""
    return int((pairs.offsets[utterances + 1] - pairs.offsets[utterances]).sum())


def evenly(frames: Float32, length: int, count: int) -> list[Float32]:
    """`count` windows of `length` frames, evenly apart from the first to the last; of little speech they overlap.

    Raises:
        ValueError: there are fewer frames than one window has.
    """
    if len(frames) < length:
        raise ValueError(f"{len(frames)} frames, fewer than {length}")
    starts = np.rint(np.linspace(0, len(frames) - length, count)).astype(int)
    return [frames[start : start + length] for start in starts]
