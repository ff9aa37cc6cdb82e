"""Which recordings and pictures the suites on generated faces take: clean ones, of people who have both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError, UsageError
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.inputs import Inputs

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Voices:
    """Utterances, and pictures of the same people.

    Attributes:
        utterances: int64 [U], indices of the pairs.
        person: int64 [U], whose they are.
        pictures: int64 [K], indices of the pairs.
        picture_person: int64 [K].
    """

    utterances: Int64
    person: Int64
    pictures: Int64
    picture_person: Int64


def voices_of(
    pairs: Pairs, people: NDArray[np.integer], *, utterances: int, pictures: int, rng: np.random.Generator
) -> Voices:
    """Clean utterances and pictures of those of these people who have both, at most so many of each in all.

    Raises:
        InputError: nobody has both.
    """
    both = [int(i) for i in people if len(pairs.clean_utterances[int(i)]) and len(pairs.pictures_of[int(i)])]
    if not both:
        raise InputError("none of the people who are evaluated has both a recording and a picture")
    chosen = _shared([pairs.clean_utterances[i] for i in both], utterances, rng)
    shown = _shared([pairs.pictures_of[i] for i in both], pictures, rng)
    return Voices(
        chosen, pairs.utterance_person[chosen].astype(np.int64), shown, pairs.picture_person[shown].astype(np.int64)
    )


def _shared(rows: list[NDArray[np.int32]], most: int, rng: np.random.Generator) -> Int64:
    """At most so many of these rows: each person's first drawn one, then each one's second, and so on."""
    drawn = [rng.permutation(own) for own in rows]
    turns = np.concatenate([np.arange(len(own)) for own in drawn])
    every = np.concatenate(drawn)
    whose = rng.permutation(len(drawn))[np.repeat(np.arange(len(drawn)), [len(own) for own in drawn])]
    return np.sort(every[np.lexsort((whose, turns))][:most]).astype(np.int64)


def check_makes_faces(inputs: Inputs) -> None:
    """Raises UsageError where what is evaluated makes no pictures."""
    if "faces" not in inputs.subject.makes:
        raise UsageError(f"{inputs.subject.name} makes no pictures of faces; this suite looks at pictures")


def what_data_are(pairs: Pairs) -> tuple[str, ...]:
    """What limits every number on these data, as sentences."""
    found = {
        "paired": "The faces of these data are drawn from statistics, given the sex and the size that a voice tells; they show "
        "nobody, so there is no more than that to recognise.",
        "synthetic": "Voices and faces of these data are made, and go together far more closely than people's do.",
        "own": None,
    }[pairs.kind]
    most = max((len(own) for own in pairs.pictures_of), default=0)
    one = (
        "Nobody in these data has more than one picture, from which a network hardly learns a person."
        if most < 2
        else None
    )
    return tuple(sentence for sentence in (found, one) if sentence is not None)
