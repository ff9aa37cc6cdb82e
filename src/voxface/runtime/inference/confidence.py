"""How far an estimate can be trusted: whether it was speech at all, how far the voice agrees with itself, and how long.

The encoder finds music and noise as consistent as a voice, so the agreement of embeddings says nothing about whether it was
speech; `voxface.runtime.features.speech_modulation` does.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def agreement(frame_embeddings: Float32) -> float:
    """How far a voice agrees with itself, 0 to 1.

    The encoder's columns [E, C], one each 0.32 s, are dealt into two hands by turns of three; the result is (1 + c) / 2 for
    the cosine c between the means of the hands. One column alone has nothing to agree with.
    """
    count = frame_embeddings.shape[1]
    if count < 2:
        return 0.0
    hands = frame_embeddings @ _hands(count)
    (one, together), (_, other) = (hands.T @ hands).tolist()
    cosine = float(together / (math.sqrt(one * other) + 1e-12))
    return max(0.0, min(1.0, (1 + cosine) / 2))


def confidence(speech_modulation: float, frame_embeddings: Float32, voiced_seconds: float) -> float:
    """How far an embedding can be trusted, 0 to 1: likeness to speech × √(agreement × t / (1 s + t)).

    Args:
        speech_modulation: how much the sound moves as speech does, 0 to 1, see
            `voxface.runtime.features.speech_modulation`; 1 where the bundle has no weights for it.
        frame_embeddings: the voice encoder's, float32 [E, C], of the speech alone.
        voiced_seconds: t, the length of the speech in seconds.
    """
    return speech_modulation * math.sqrt(agreement(frame_embeddings) * voiced_seconds / (voiced_seconds + 1.0))


@lru_cache(maxsize=256)
def _hands(count: int) -> Float32:
    """Which of two hands each of `count` columns is dealt to, by turns of three; float32 [count, 2] of zeros and ones."""
    turn = (np.arange(count) // 3 if count >= 6 else np.arange(count)) % 2
    return np.stack([turn == 0, turn == 1], 1).astype(np.float32)
