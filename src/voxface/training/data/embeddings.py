"""Embeddings of voices by a frozen encoder: of random crops, computed once before a training, and of whole utterances."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from voxface.runtime.features.normalisation import network_input
from voxface.training.data.crops import Normalised, crops
from voxface.training.data.pairs import Pairs
from voxface.training.models.frozen import Frozen

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class PrecomputedEmbeddings:
    """Embeddings of N random crops, so that the frozen encoder need not run at every step.

    Attributes:
        embeddings: float32 [N, E], unit length.
        person: int32 [N], whose voice each crop is.
        recording: int32 [N], the recording of each crop.
    """

    embeddings: Float32
    person: NDArray[np.int32]
    recording: NDArray[np.int32]

    @classmethod
    def from_pairs(
        cls,
        pairs: Pairs,
        encoder: Frozen,
        people: NDArray[np.int32],
        *,
        each: int,
        length: tuple[int, int] = (300, 800),
        seed: int = 0,
        over: Normalised = "crop",
        device: torch.device | str = "cpu",
        done: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> "PrecomputedEmbeddings":
        """Encodes `each` crops of every utterance of `people`; the crops of one utterance have one random length.

        Args:
            encoder: log-mel [B, mels, T] -> (embedding [B, E], frame embeddings).
            people: int32, indices of people.
            each: crops of every utterance.
            length: shortest and longest crop in frames (Wen 2019: 300 to 800).
            over: what is normalised, see `crop`.
            done: called with (utterances done, utterances in all).
        """
        rng = np.random.default_rng([seed, 71])
        utterances = np.concatenate([pairs.utterances[int(i)] for i in people])
        rows = _Rows(each * len(utterances))
        for k, u in enumerate(utterances):
            batch = crops(
                pairs, np.repeat(u, each), int(rng.integers(length[0], length[1] + 1)), rng, encoder.normalisation, over
            )
            rows.add(encoder(torch.from_numpy(batch).to(device))[0])
            done(k + 1, len(utterances))
        person, recording = (
            np.repeat(of[utterances], each).astype(np.int32)
            for of in (pairs.utterance_person, pairs.utterance_recording)
        )
        return cls(rows.table, person, recording)


def embed_whole(
    pairs: Pairs,
    encoder: Frozen,
    utterances: NDArray[np.int32],
    device: torch.device | str = "cpu",
    done: Callable[[int, int], None] = lambda _done, _total: None,
) -> Float32:
    """Embeddings float32 [len(utterances), E] of whole utterances, as the runtime encodes them: short ones are repeated."""
    rows = _Rows(len(utterances))
    for k, u in enumerate(utterances):
        heard = network_input(pairs.utterance(int(u)), how=encoder.normalisation)
        rows.add(encoder(torch.from_numpy(heard).to(device))[0])
        done(k + 1, len(utterances))
    return rows.table


class _Rows:
    """A table that is filled batch by batch.

    It is one array from the beginning: thousands of small results, each kept where the network had put it, lie between what the
    network needs for the next one, and memory grows by a hundred times their size.
    """

    def __init__(self, count: int) -> None:
        self.table: Float32 = np.empty((count, 0), np.float32)
        self._done = 0

    def add(self, batch: torch.Tensor) -> None:
        """Copies the next rows [B, E]."""
        if not self._done:
            self.table = np.empty((len(self.table), batch.shape[1]), np.float32)
        self.table[self._done : self._done + len(batch)] = batch.float().cpu().numpy()
        self._done += len(batch)
