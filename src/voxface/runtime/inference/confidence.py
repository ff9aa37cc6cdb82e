"""The confidence of an estimate, from three things: whether the sound is speech, how consistent the voice is, and its length.

The encoder's embeddings of music and noise are as consistent as those of a voice, so consistency does not tell speech from
other sound. `voxface.runtime.features.speech_modulation` tells that.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError

Float32 = NDArray[np.float32]


def agreement(frame_embeddings: Float32) -> float:
    """The consistency of a voice, 0 to 1: the agreement of the two halves of its frame embeddings.

    Frame embeddings float32 [E, C], one every 0.32 s, go into two halves by turns, three at a time. The result is (1 + c) / 2,
    where c is the cosine between the means of the halves. A single frame embedding gives 0.
    """
    count = frame_embeddings.shape[1]
    if count < 2:
        return 0.0
    halves = frame_embeddings @ _halves(count)
    (one, together), (_, other) = (halves.T @ halves).tolist()
    cosine = float(together / (math.sqrt(one * other) + 1e-12))
    return max(0.0, min(1.0, (1 + cosine) / 2))


def confidence(speech_modulation: float, frame_embeddings: Float32, voiced_seconds: float) -> float:
    """The confidence of an embedding, 0 to 1: speech modulation × √(agreement × t / (1 s + t)).

    Args:
        speech_modulation: how much the sound moves as speech does, 0 to 1, see
            `voxface.runtime.features.speech_modulation`; 1 where the bundle has no weights for it.
        frame_embeddings: float32 [E, C], of the speech without its repetitions.
        voiced_seconds: t, the length of the speech in seconds.
    """
    return speech_modulation * math.sqrt(agreement(frame_embeddings) * voiced_seconds / (voiced_seconds + 1.0))


def check_min_confidence(least: float) -> None:
    """Raises UsageError for a least confidence that cannot be."""
    if not 0 <= least <= 1:
        raise UsageError(f"a least confidence of {least:g}: 0 (none) to 1")


@lru_cache(maxsize=256)
def _halves(count: int) -> Float32:
    """Which half each of `count` frame embeddings belongs to: float32 [count, 2] of zeros and ones."""
    turn = (np.arange(count) // 3 if count >= 6 else np.arange(count)) % 2
    return np.stack([turn == 0, turn == 1], 1).astype(np.float32)
