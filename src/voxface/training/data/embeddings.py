"""Embeddings of voices by a frozen encoder: of random crops, computed once before a training, and of whole utterances."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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

    @cached_property
    def _of_people(self) -> "_OfPeople":
        return _OfPeople(self.person, self.recording)

    @property
    def people(self) -> NDArray[np.int32]:
        """Indices of the people whose voices these are, each once, in order."""
        return self._of_people.people

    def draw(self, people: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int64]:
        """One row of each person, drawn uniformly: int64 [len(people)]."""
        own = self._of_people
        return own.draw(np.searchsorted(own.people, people), rng)

    def positives(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """For each row another row of the same person, of another recording where there is one (Wu 2022, §4): int64."""
        own = self._of_people
        k = np.searchsorted(own.people, self.person[rows])
        found = rows.copy()
        again = np.flatnonzero(own.count[k] > 1)  # whose only row it is has no other
        while len(again):
            who, whose = k[again], rows[again]
            found[again] = other = own.draw(who, rng)
            same = np.where(own.several[who], self.recording[other] == self.recording[whose], other == whose)
            again = again[same]
        return found

    def negatives(
        self, rows: NDArray[np.int64], speakers: NDArray[np.integer[Any]], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """For each row a row of another speaker (Wu 2022, §4): int64.

        Args:
            speakers: integers [I], the speaker of every person.

        Raises:
            ValueError: there is no other speaker.
        """
        of_people = speakers[self.people]
        if (of_people == of_people[0]).all():
            raise ValueError("a triplet needs voices of two speakers")
        own = speakers[self.person[rows]]
        found = rng.integers(len(self.person), size=len(rows))
        # Nothing here grows with the number of rows, which may be millions.
        while len(again := np.flatnonzero(speakers[self.person[found]] == own)):
            found[again] = rng.integers(len(self.person), size=len(again))
        return found


class _OfPeople:
    """Which rows are whose.

    Attributes:
        people: int32 [P], sorted.
        order: int64 [N], the rows of one person after those of another.
        first, count: int64 [P], where a person's rows begin in `order`, and how many they are.
        several: bool [P], whether they are of more than one recording.
    """

    def __init__(self, person: NDArray[np.int32], recording: NDArray[np.int32]) -> None:
        self.order = np.argsort(person, kind="stable")
        self.people, self.first, self.count = np.unique(person[self.order], return_index=True, return_counts=True)
        own = recording[self.order]
        self.several = np.minimum.reduceat(own, self.first) != np.maximum.reduceat(own, self.first)

    def draw(self, places: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One row, drawn uniformly, of each of the people at these places of `people`: int64."""
        # A third of the time of `rng.integers(counts)`.
        within = (rng.random(len(places)) * self.count[places]).astype(np.int64)
        rows: NDArray[np.int64] = self.order[self.first[places] + within]
        return rows


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
