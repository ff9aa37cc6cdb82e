"""Rows of voices as anchors, positives and negatives (Wu 2022, §4), each drawn uniformly and without trying again."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]


class RowTriplets:
    """Draws rows of a table of voices: utterances, or crops of them.

    Rows are numbered anew, by speaker, then person, then recording. What must not be drawn, such as the anchor's recording, is
    then a block of numbers: a draw is a number below how many may be drawn, which skips the block.

    Attributes:
        people: int32 [P], the people who have rows.
    """

    def __init__(self, person: Integers, recording: Integers, speaker: Integers) -> None:
        """Sorts the rows.

        Args:
            person: [N], whose voice each row is.
            recording: [N], of which recording.
            speaker: [I], the speaker of every person.

        Raises:
            ValueError: there are fewer than two speakers.
        """
        self._row = np.lexsort((recording, person, speaker[person]))
        person, recording = person[self._row], recording[self._row]
        # Blocks of people, [P, 2] of rows, and the place of each row's person; the same of recordings.
        self._of_person, place = _blocks(person)
        of_recording, recording_place = _blocks(person, recording)
        self._place = place.astype(np.int32)
        self.people = person[self._of_person[:, 0]].astype(np.int32)
        of_speaker, speaker_place = _blocks(speaker[self.people])
        if len(of_speaker) < 2:
            raise ValueError("a triplet needs voices of two speakers")
        self._of_speaker = of_speaker[speaker_place]  # [P, 2] of people
        # What the positive of each row must not be: its recording, or itself where there is no other recording.
        itself = np.arange(len(person))[:, None] + np.array([0, 1])
        several = np.bincount(place[of_recording[:, 0]])[place, None] > 1
        self._barred = np.where(several, of_recording[recording_place], itself).astype(np.int32)

    def __len__(self) -> int:
        return len(self._row)

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of the table that have these numbers."""
        return self._row[numbers]

    def person(self, numbers: NDArray[np.int64]) -> NDArray[np.int32]:
        """Whose they are."""
        person: NDArray[np.int32] = self.people[self._place[numbers]]
        return person

    def of_people(self, places: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of a row of each of the people at these places of `people`: int64."""
        first, end = self._of_person[places].T
        numbers: NDArray[np.int64] = _within(end - first, rng) + first
        return numbers

    def positives(self, numbers: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """For each row another one of the same person: int64.

        It is of another recording where there is one, else another of the same, else the same row.
        """
        first, end = self._of_person[self._place[numbers]].T
        barred, free_again = self._barred[numbers].T
        block = free_again - barred
        free = end - first - block
        found = _within(free, rng) + first
        found += (found >= barred) * block
        return np.where(free, found, numbers)

    def negatives(self, numbers: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """For each row one of a person who is another speaker, all of whom are as likely: int64."""
        barred, free_again = self._of_speaker[self._place[numbers]].T
        block = free_again - barred
        who = _within(len(self.people) - block, rng)
        who += (who >= barred) * block
        return self.of_people(who, rng)


def _within(counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A number from 0 to below each count (0 for a count of 0), in a third of the time of `rng.integers(counts)`."""
    return (rng.random(len(counts)) * counts).astype(np.int64)


def _blocks(*keys: Integers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Blocks of equal keys [N]: begin and end of each, int64 [B, 2], and the block of each row, int64 [N]."""
    new = np.ones(len(keys[0]), np.bool_)
    new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    begin = np.flatnonzero(new)
    return np.stack([begin, np.append(begin[1:], len(new))], 1), np.cumsum(new) - 1
