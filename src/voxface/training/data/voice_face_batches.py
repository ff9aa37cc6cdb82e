"""Voices and pictures drawn for adversarial training: embeddings of one half of a batch, images of the other."""

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxface.runtime.errors import InputError
from voxface.training.data.embeddings import EmbeddingBank
from voxface.training.data.images import as_images, mean_colour
from voxface.training.data.pairs import Pairs
from voxface.training.models.frozen import Frozen

Float32 = NDArray[np.float32]
Sampling = Literal["independent", "balanced"]


class Batch(NamedTuple):
    """What one step of a GAN sees; k identities are the people both halves come from.

    Attributes:
        embedding: float32 [B, E], of voices.
        voice: int64 [B], whose, 0 to k − 1.
        image: float32 [B, 3, H, W] in [-1, 1], real pictures.
        face: int64 [B], whose.
    """

    embedding: Tensor
    voice: Tensor
    image: Tensor
    face: Tensor


class Voices(Protocol):
    """Something that has voices of people, by row."""

    person: NDArray[np.int32]

    def embed(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Embeddings float32 [B, E] of these rows."""


class FreshVoices:
    """Runs the frozen encoder on new crops at every step, as the published code does; a row is an utterance.

    Each voice gives one stretch of the longest length, of a recording normalised as a whole; of all of them the same part is
    taken, one random length and place for the batch (facts §1).
    """

    def __init__(
        self,
        pairs: Pairs,
        encoder: Frozen,
        utterances: NDArray[np.int32],
        length: tuple[int, int],
        device: torch.device,
    ) -> None:
        self.person = pairs.utterance_person[utterances]
        self._pairs, self._encoder, self._utterances = pairs, encoder, utterances
        self._length, self._device = length, device
        whole = [pairs.utterance(int(u)) for u in utterances]
        self._mean = np.stack([frames.mean(0, dtype=np.float64) for frames in whole]).astype(np.float32)
        spread = np.stack([frames.std(0, dtype=np.float64) for frames in whole]).astype(np.float32)
        self._scale = 1 / (spread + np.finfo(np.float32).eps)

    def crops(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Float32:
        """Network input float32 [B, mels, T], shortest ≤ T ≤ longest."""
        shortest, longest = self._length
        frames = int(rng.integers(shortest, longest + 1))
        start = int(rng.integers(longest - frames + 1))
        return np.stack([self._stretch(int(row), longest, rng)[start : start + frames].T for row in rows])

    def _stretch(self, row: int, length: int, rng: np.random.Generator) -> Float32:
        frames = self._pairs.utterance(int(self._utterances[row]))
        if len(frames) < length:
            frames = np.tile(frames, (-(-length // len(frames)), 1))
        start = int(rng.integers(len(frames) - length + 1))
        normal: Float32 = (frames[start : start + length] - self._mean[row]) * self._scale[row]
        return normal

    def embed(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Embeddings float32 [B, E] of new crops of these utterances."""
        embedded: Tensor = self._encoder(torch.from_numpy(self.crops(rows, rng)).to(self._device))[0]
        return embedded.float()


class BankedVoices:
    """Embeddings of crops made once, before training; a row is a crop."""

    def __init__(self, bank: EmbeddingBank, device: torch.device) -> None:
        self.person = bank.person
        self._embeddings = torch.from_numpy(bank.embeddings).to(device)

    def embed(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Embeddings float32 [B, E] of these rows; nothing is random here."""
        return self._embeddings[torch.from_numpy(rows).to(self._embeddings.device)]


class VoiceFaceBatches:
    """Batches of voices and pictures of the same people.

    "independent", as in the published code: voices are drawn from all recordings alike and pictures from all pictures alike,
    each draw on its own; people with more recordings (or pictures) come more often, and the voices of a batch belong to other
    people than its pictures. (The published code goes through shuffled lists; here draws are with replacement, so that a step
    follows from its seed.)

    "balanced": people are drawn alike, as many different ones as the batch holds, and each gives a voice and a picture.

    Attributes:
        people: int32 [k], those who have both; identity c is person `people[c]`.
    """

    def __init__(self, pairs: Pairs, people: NDArray[np.int32], voices: Voices, device: torch.device) -> None:
        """Takes the people's pictures to the device.

        Raises:
            InputError: nobody has both a voice and a picture.
        """
        pictured = np.unique(pairs.picture_person)
        heard = np.unique(voices.person)
        self.people = people[np.isin(people, pictured) & np.isin(people, heard)]
        if not len(self.people):
            raise InputError("nobody to train on has both a voice and a picture")
        rows = np.flatnonzero(np.isin(pairs.picture_person, self.people))
        self._device, self._voices = device, voices
        self._pictures = torch.from_numpy(pairs.pictures[rows]).to(device)
        self._heard = _ByIdentity(voices.person, self.people)
        self._seen = _ByIdentity(pairs.picture_person[rows], self.people)

    @property
    def mean_colour(self) -> Tensor:
        """Mean of all pixels of all pictures, float32 [3] in [-1, 1]."""
        return mean_colour(self._pictures)

    def draw(self, count: int, sampling: Sampling, flip: float, rng: np.random.Generator) -> Batch:
        """`count` voices and `count` pictures, these mirrored with probability `flip`."""
        if sampling == "independent":
            voices = self._heard.rows[rng.integers(len(self._heard.rows), size=count)]
            pictures = self._seen.rows[rng.integers(len(self._seen.rows), size=count)]
        else:
            turns = -(-count // len(self.people))
            identity = np.concatenate([rng.permutation(len(self.people)) for _ in range(turns)])[:count]
            voices, pictures = self._heard.one_each(identity, rng), self._seen.one_each(identity, rng)
        mirrored = torch.from_numpy(rng.random(count) < flip).to(self._device)
        chosen = torch.from_numpy(pictures).to(self._device)
        return Batch(
            self._voices.embed(voices, rng),
            torch.from_numpy(self._heard.identity[voices]).to(self._device),
            as_images(self._pictures[chosen], mirrored),
            torch.from_numpy(self._seen.identity[pictures]).to(self._device),
        )


class _ByIdentity:
    """Rows that belong to people, in the order of the people.

    Attributes:
        rows: int64, those that belong to one of the people.
        identity: int64, of every row; −1 for a stranger's.
    """

    def __init__(self, person: NDArray[np.int32], people: NDArray[np.int32]) -> None:
        place = {int(i): c for c, i in enumerate(people)}
        self.identity = np.array([place.get(int(i), -1) for i in person], np.int64)
        known = np.flatnonzero(self.identity >= 0)
        self.rows = known[np.argsort(self.identity[known], kind="stable")].astype(np.int64)
        self._counts = np.bincount(self.identity[known], minlength=len(people))
        self._starts = np.cumsum(self._counts) - self._counts

    def one_each(self, identity: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One row of each of these people, uniformly."""
        within = (rng.random(len(identity)) * self._counts[identity]).astype(np.int64)
        chosen: NDArray[np.int64] = self.rows[self._starts[identity] + within]
        return chosen


def held_recordings(pairs: Pairs, people: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool [U]: utterances kept from training, to be generated from later: all renderings of the last recording of each of
    these people who have two or more."""
    held = np.zeros(len(pairs.utterance_person), np.bool_)
    for i in people:
        own = pairs.utterances[int(i)]
        recordings = np.unique(pairs.utterance_recording[own])
        if len(recordings) > 1:
            held[own[pairs.utterance_recording[own] == recordings[-1]]] = True
    return held


def banked(
    pairs: Pairs,
    encoder: Frozen,
    people: NDArray[np.int32],
    held: NDArray[np.bool_],
    each: int,
    length: tuple[int, int],
    seed: int,
    device: torch.device,
    done: Callable[[int, int], None] = lambda _done, _total: None,
) -> BankedVoices:
    """A bank of `each` crops of every utterance of these people that is not `held` back."""
    bank = EmbeddingBank.of(pairs, encoder, people, each=each, length=length, seed=seed, device=device, done=done)
    kept = {(int(pairs.utterance_person[u]), int(pairs.utterance_recording[u])) for u in np.flatnonzero(~held)}
    rows = np.array([pair in kept for pair in zip(bank.person.tolist(), bank.recording.tolist(), strict=True)])
    return BankedVoices(EmbeddingBank(bank.embeddings[rows], bank.person[rows], bank.recording[rows]), device)
