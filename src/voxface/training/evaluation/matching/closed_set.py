"""Whose face is it, among the people a network knows: shares right at first guess and among five (Wen 2019, §4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.array_shards import Rows
from voxface.training.evaluation.matching.tally import Tally
from voxface.training.evaluation.pictures.face_readers import FaceReader, name_people

TOPS = (1, 5)


@dataclass(frozen=True)
class Named:
    """Shares of pictures whose person is among the likeliest.

    Attributes:
        top1, top5: of the pictures of each person.
    """

    top1: Tally
    top5: Tally

    @classmethod
    def of(cls, guesses: NDArray[np.integer], person: NDArray[np.integer], people: int) -> "Named":
        """Of guesses [N, ≥ 1], likeliest first, and whose the pictures are [N], out of `people` people of the data."""
        right = guesses == person[:, None]
        first, five = (Tally.of(right[:, :top].any(1), person, people) for top in TOPS)
        return cls(first, five)


def named(reader: FaceReader, pictures: Rows, person: NDArray[np.integer], people: int) -> Named:
    """What a network makes of pictures uint8 [N, S, S, 3] of these people [N]."""
    return Named.of(name_people(reader, pictures, max(TOPS)), person, people)


def guessed(person: NDArray[np.integer], candidates: Sequence[NDArray[np.integer]], people: int) -> Named:
    """What guessing evenly among candidates gives, in expectation.

    Args:
        person: whose each picture is [N].
        candidates: for each picture, whom it is guessed among; the person is one of them.
    """
    count = np.array([len(of) for of in candidates])
    first, five = (Tally.of(np.minimum(1, top / count), person, people) for top in TOPS)
    return Named(first, five)
