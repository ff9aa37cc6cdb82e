"""Random crops of voices, normalised as in the runtime, and random utterances of people."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.features.normalisation import normalise
from voxface.training.data.pairs import Pairs

Float32 = NDArray[np.float32]
Normalised = Literal["crop", "utterance"]


def crop(
    frames: Float32, length: int, rng: np.random.Generator, how: str = "bands", over: Normalised = "crop"
) -> Float32:
    """A random crop of `length` frames, normalised; shorter recordings are repeated.

    Args:
        frames: float32 [T, mels], T ≥ 1.
        how: the encoder's kind of normalisation.
        over: what is normalised: the "crop", as the runtime normalises each window that it hears, or the whole "utterance",
            as both papers say (Wu 2022, §4), of which the crop is then a part.

    Returns:
        float32 [length, mels].
    """
    if over == "utterance":
        frames = normalise(frames, how)
    if len(frames) < length:
        frames = np.tile(frames, (-(-length // len(frames)), 1))
    start = int(rng.integers(len(frames) - length + 1))
    piece: Float32 = frames[start : start + length]
    return normalise(piece, how) if over == "crop" else piece


def crops(
    pairs: Pairs,
    utterances: Sequence[int] | NDArray[np.int32],
    length: int,
    rng: np.random.Generator,
    how: str = "bands",
    over: Normalised = "crop",
) -> Float32:
    """One crop of each utterance, see `crop`: network input float32 [B, mels, length]."""
    return np.stack([crop(pairs.utterance(int(u)), length, rng, how, over).T for u in utterances])


def utterances_of(pairs: Pairs, people: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int32]:
    """One utterance of each person, drawn uniformly from all renderings: int32 [B]."""
    return np.array([rng.choice(pairs.utterances[int(i)]) for i in people], np.int32)
