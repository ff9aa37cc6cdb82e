"""Sampler of batches for the face GAN: embeddings of voices, and real pictures."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxface.runtime.errors import InputError
from voxface.training.data.crops import crops
from voxface.training.data.embeddings import PrecomputedEmbeddings
from voxface.training.data.images import as_images, mean_colour
from voxface.training.data.pairs import Pairs
from voxface.training.models.frozen import Frozen

Float32 = NDArray[np.float32]
Sampling = Literal["independent", "balanced"]


class Batch(NamedTuple):
    """Batch of one step of the GAN, from k people.

    Attributes:
        embedding: embeddings of voices, float32 [B, E].
        voice: whose voices, int64 [B], 0 to k − 1.
        image: real pictures, float32 [B, 3, H, W] in [-1, 1].
        face: whose pictures, int64 [B], 0 to k − 1.
    """

    embedding: Tensor
    voice: Tensor
    image: Tensor
    face: Tensor


class EmbeddingSource(Protocol):
    """Source of voice embeddings, by row.

    Attributes:
        person: int32, whose voice each row is.
    """

    person: NDArray[np.int32]

    def prepare(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[Any]:
        """What `embed` needs for these rows [B]: all that is random and that needs no device."""

    def embed(self, prepared: NDArray[Any]) -> Tensor:
        """Embeddings float32 [B, E]."""


class PreparedBatch(NamedTuple):
    """A batch before its voices are encoded, as arrays.

    Attributes:
        voice_input: what the source of embeddings needs.
        voice, face: as in `Batch`.
        pictures: uint8 [B, H, W, 3].
        mirrored: bool [B].
    """

    voice_input: NDArray[Any]
    voice: NDArray[np.int64]
    pictures: NDArray[np.uint8]
    mirrored: NDArray[np.bool_]
    face: NDArray[np.int64]


class OnTheFlyEmbeddings:
    """Embeddings of new crops at every step, as in the authors' published code; a row is an utterance.

    Each utterance, normalised as a whole, gives one crop of the longest length. Of all these crops the same part is encoded,
    with one random length and start for the batch, as in the published code.
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

    def prepare(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Float32:
        """Crops of these utterances: network input float32 [B, mels, T], shortest ≤ T ≤ longest."""
        shortest, longest = self._length
        frames = int(rng.integers(shortest, longest + 1))
        start = int(rng.integers(longest - frames + 1))
        whole = crops(self._pairs, self._utterances[rows], longest, rng, self._encoder.normalisation, "utterance")
        return np.ascontiguousarray(whole[:, :, start : start + frames])

    def embed(self, prepared: Float32) -> Tensor:
        """Embeddings float32 [B, E] of crops."""
        embedded: Tensor = self._encoder(torch.from_numpy(prepared).to(self._device))[0]
        return embedded.float()


class PrecomputedSource:
    """Embeddings of crops that were encoded once, before the training; a row is a crop."""

    def __init__(self, precomputed: PrecomputedEmbeddings, device: torch.device) -> None:
        self.person = precomputed.person
        self._embeddings = torch.from_numpy(precomputed.embeddings).to(device)

    def prepare(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """The rows themselves."""
        return rows

    def embed(self, prepared: NDArray[np.int64]) -> Tensor:
        """Embeddings float32 [B, E] of rows."""
        return self._embeddings[torch.from_numpy(prepared).to(self._embeddings.device)]


class VoiceFaceSampler:
    """Draws voices and pictures of the same people.

    Sampling "independent", as in the authors' published code: voices are drawn uniformly from all recordings, and pictures
    from all pictures, independently. People with more recordings (or pictures) come more often, and the voices of a batch
    belong to other people than its pictures. (The published code goes through shuffled lists; here draws are with replacement,
    so that a step follows from its seed.)

    Sampling "balanced": people are drawn uniformly, as many different ones as the batch holds, and each gives a voice and a
    picture.

    Attributes:
        people: int32 [k], the people who have both voices and pictures; class c is person `people[c]`.
    """

    def __init__(self, pairs: Pairs, people: NDArray[np.int32], voices: EmbeddingSource, device: torch.device) -> None:
        """`voices`: the source of their embeddings.

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
        self._pictures, self._rows = pairs.pictures, rows
        self._heard = _ByIdentity(voices.person, self.people)
        self._seen = _ByIdentity(pairs.picture_person[rows], self.people)

    @property
    def mean_colour(self) -> Tensor:
        """Mean of all pixels of all pictures, float32 [3] in [-1, 1]."""
        return mean_colour(self._pictures, self._rows)

    def draw(self, count: int, sampling: Sampling, flip: float, rng: np.random.Generator) -> Batch:
        """Draws `count` voices and `count` pictures; each picture is mirrored with probability `flip`."""
        return self.finish(self.prepare(count, sampling, flip, rng))

    def prepare(self, count: int, sampling: Sampling, flip: float, rng: np.random.Generator) -> PreparedBatch:
        """What `draw` does before it needs a device."""
        if sampling == "independent":
            voices = self._heard.rows[rng.integers(len(self._heard.rows), size=count)]
            pictures = self._seen.rows[rng.integers(len(self._seen.rows), size=count)]
        else:
            turns = -(-count // len(self.people))
            identity = np.concatenate([rng.permutation(len(self.people)) for _ in range(turns)])[:count]
            voices, pictures = self._heard.one_each(identity, rng), self._seen.one_each(identity, rng)
        mirrored = rng.random(count) < flip
        return PreparedBatch(
            self._voices.prepare(voices, rng),
            self._heard.identity[voices],
            self._pictures[self._rows[pictures]],
            mirrored,
            self._seen.identity[pictures],
        )

    def finish(self, prepared: PreparedBatch) -> Batch:
        """Encodes the voices, on the device."""
        voice, pictures, mirrored, face = (torch.from_numpy(array).to(self._device) for array in prepared[1:])
        return Batch(self._voices.embed(prepared.voice_input), voice, as_images(pictures, mirrored), face)


class _ByIdentity:
    """Rows (of voices or pictures) by the people they belong to.

    Attributes:
        rows: int64, the rows of these people, sorted by person.
        identity: int64, the class of every row; −1 where it belongs to nobody of these people.
    """

    def __init__(self, person: NDArray[np.int32], people: NDArray[np.int32]) -> None:
        place = {int(i): c for c, i in enumerate(people)}
        self.identity = np.array([place.get(int(i), -1) for i in person], np.int64)
        known = np.flatnonzero(self.identity >= 0)
        self.rows = known[np.argsort(self.identity[known], kind="stable")].astype(np.int64)
        self._counts = np.bincount(self.identity[known], minlength=len(people))
        self._starts = np.cumsum(self._counts) - self._counts

    def one_each(self, identity: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One row for each of these classes, drawn uniformly."""
        within = (rng.random(len(identity)) * self._counts[identity]).astype(np.int64)
        chosen: NDArray[np.int64] = self.rows[self._starts[identity] + within]
        return chosen


def held_out_recordings(pairs: Pairs, people: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Utterances that are kept from the training, for validation: bool [U].

    They are all renderings of the last recording of each of these people who has two recordings or more.
    """
    held = np.zeros(len(pairs.utterance_person), np.bool_)
    for i in people:
        own = pairs.utterances[int(i)]
        recordings = np.unique(pairs.utterance_recording[own])
        if len(recordings) > 1:
            held[own[pairs.utterance_recording[own] == recordings[-1]]] = True
    return held


def precomputed_source(
    pairs: Pairs,
    encoder: Frozen,
    people: NDArray[np.int32],
    held: NDArray[np.bool_],
    each: int,
    length: tuple[int, int],
    seed: int,
    device: torch.device,
    done: Callable[[int, int], None] = lambda _done, _total: None,
) -> PrecomputedSource:
    """Embeddings of `each` random crops of every utterance of these people that is not `held` out.

    Args:
        people: int32, indices of people.
        held: bool [U], utterances left out.
        each: crops of every utterance.
        length: shortest and longest crop in frames.
        done: called with (utterances done, utterances in all).
    """
    every = PrecomputedEmbeddings.from_pairs(
        pairs, encoder, people, each=each, length=length, seed=seed, device=device, done=done
    )
    kept = {(int(pairs.utterance_person[u]), int(pairs.utterance_recording[u])) for u in np.flatnonzero(~held)}
    rows = np.array([pair in kept for pair in zip(every.person.tolist(), every.recording.tolist(), strict=True)])
    learnt = PrecomputedEmbeddings(every.embeddings[rows], every.person[rows], every.recording[rows])
    return PrecomputedSource(learnt, device)
