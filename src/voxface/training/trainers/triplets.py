"""Triplets of voices: an anchor, a positive of the same person, and a negative of another speaker (Wu 2022, §4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxface.runtime.errors import InputError
from voxface.training.data.crops import Normalised, crops
from voxface.training.data.embeddings import PrecomputedEmbeddings
from voxface.training.data.pairs import Pairs
from voxface.training.data.row_triplets import RowTriplets
from voxface.training.engine.phases import Done, not_told
from voxface.training.models.frozen import Frozen

Partners = Literal["drawn", "batch"]
Anchors = Literal["people", "utterances"]


@dataclass(frozen=True)
class Triplets:
    """Embeddings of V voices, of which B are anchors.

    Attributes:
        embeddings: [V, E] on the device, unit length; the first B are the anchors.
        person: int32 [V], whose voice each row is.
        positive: int64 [B] on the device, for each anchor a row of the same person.
        negative: int64 [B] on the device, for each anchor a row of another speaker.
    """

    embeddings: Tensor
    person: NDArray[np.int32]
    positive: Tensor
    negative: Tensor

    @property
    def anchors(self) -> int:
        """B, how many anchors there are."""
        return len(self.positive)


class PreparedTriplets(NamedTuple):
    """Triplets before their voices are encoded, as arrays: see `Triplets`.

    Attributes:
        voices: network input float32 [V, mels, T], or with a bank its rows int64 [V].
    """

    voices: NDArray[Any]
    person: NDArray[np.int32]
    positive: NDArray[np.int64]
    negative: NDArray[np.int64]


class VoiceTriplets:
    """Draws triplets of people's voices.

    The positive is always of the same person, from another recording where there is one; the negative is always of another
    speaker. (In the authors' published code the positive is the next item of a list, whose person may be another, and the
    negative may be of the same person.)

    Attributes:
        people: int32 [I], the people who have utterances.
        width: E, numbers of an embedding.
    """

    def __init__(
        self,
        pairs: Pairs,
        encoder: nn.Module,
        people: NDArray[np.int32],
        *,
        bank: int,
        crop: tuple[int, int],
        over: Normalised = "crop",
        seed: int,
        device: torch.device,
        say: Callable[[str], None],
        done: Done = not_told,
    ) -> None:
        """Encodes the crops of the bank, if there is to be one.

        Args:
            encoder: log-mel -> (embedding, frame embeddings); it is frozen.
            people: int32, indices of the people to draw from.
            bank: crops of every utterance that are encoded once, before the training; 0: new crops at every step.
            crop: shortest and longest crop in frames.
            over: what is normalised, see `data.crops.crop`.

        Raises:
            InputError: fewer than two speakers.
        """
        self._encoder = (encoder if isinstance(encoder, Frozen) else Frozen(encoder)).to(device)
        self._pairs, self._crop, self._over, self._device = pairs, crop, over, device
        people = np.array([i for i in people if len(pairs.utterances[int(i)])], np.int32)
        self._speakers = np.unique([person.speaker for person in pairs.people], return_inverse=True)[1]
        if len(np.unique(self._speakers[people])) < 2:
            raise InputError("a triplet needs training utterances of two speakers; there are fewer in these pairs")
        silence = torch.zeros(1, pairs.frames.shape[1], crop[0], device=device)
        self.width = int(self._encoder(silence)[0].shape[1])
        self._bank: Tensor | None = None
        if bank:
            crops_of = PrecomputedEmbeddings.from_pairs(
                pairs, self._encoder, people, each=bank, length=crop, seed=seed, over=over, device=device, done=done
            )
            self._bank = torch.from_numpy(crops_of.embeddings).to(device)
            self._rows = RowTriplets(crops_of.person, crops_of.recording, self._speakers)
            say(f"embeddings of {len(self._bank)} crops")
        else:
            self._utterances = np.concatenate([pairs.utterances[int(i)] for i in people])
            self._rows = RowTriplets(
                pairs.utterance_person[self._utterances], pairs.utterance_recording[self._utterances], self._speakers
            )
        self.people = self._rows.people

    def draw(
        self, count: int, rng: np.random.Generator, partners: Partners = "drawn", anchors: Anchors = "people"
    ) -> Triplets:
        """Draws `count` anchors, and encodes all voices.

        Args:
            anchors: what is drawn uniformly: "people", each of whom gives a voice, or "utterances" of all of them (Wu 2022, §4:
                each sample of a batch), so that people with more recordings come more often. With partners of the "batch" they
                are people.
            partners: "drawn": each anchor gets its own positive and negative, V = 3 · count (Wu 2022, §4).
                "batch": the anchors are two utterances each of count/2 people, which are each other's positives, and
                negatives are anchors too, V = count: a third of the work.

        Raises:
            ValueError: "batch" with a count that is odd or below four.
        """
        return self.finish(self.prepare(count, rng, partners, anchors))

    def prepare(
        self, count: int, rng: np.random.Generator, partners: Partners = "drawn", anchors: Anchors = "people"
    ) -> PreparedTriplets:
        """What `draw` does before it needs a device.

        Raises:
            ValueError: see `draw`.
        """
        rows = self._rows
        if partners == "drawn":
            if anchors == "people":
                one = rows.of_people(rng.integers(len(self.people), size=count), rng)
            else:
                one = rng.integers(len(rows), size=count)
            drawn = np.concatenate([one, rows.positives(one, rng), rows.negatives(one, rng)])
            person = rows.person(drawn)
            positive, negative = np.arange(count, 2 * count), np.arange(2 * count, 3 * count)
        else:
            if count % 2 or count < 4:
                raise ValueError(f"a batch of {count} is not two utterances each of two people or more")
            one = rows.of_people(self._of_two_speakers(count // 2, rng), rng)
            drawn = np.concatenate([one, rows.positives(one, rng)])
            person = rows.person(drawn)
            positive = np.roll(np.arange(count), count // 2)
            speaker = self._speakers[person]
            negative = np.array([rng.choice(np.flatnonzero(speaker != own)) for own in speaker])
        return PreparedTriplets(self._input(rows.rows(drawn), rng), person, positive, negative)

    def finish(self, prepared: PreparedTriplets) -> Triplets:
        """Encodes the voices, on the device."""
        voices = torch.from_numpy(prepared.voices).to(self._device)
        embeddings: Tensor = self._encoder(voices)[0].float() if self._bank is None else self._bank[voices]
        positive, negative = (torch.from_numpy(rows).to(self._device) for rows in prepared[2:])
        return Triplets(embeddings, prepared.person, positive, negative)

    def _of_two_speakers(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Places of people, drawn uniformly, who are not all one speaker."""
        while True:
            places = rng.integers(len(self.people), size=count)
            if len(np.unique(self._speakers[self.people[places]])) > 1:
                return places

    def _input(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[Any]:
        if self._bank is not None:
            return rows
        length = int(rng.integers(self._crop[0], self._crop[1] + 1))
        utterances = self._utterances[rows]
        return crops(self._pairs, utterances, length, rng, self._encoder.normalisation, self._over)
