"""The recordings that are evaluated, and their names: `<person>/<number>`, so that another method's files can be told apart.

The number is the place, from 0, among the person's clean utterances in the order of the pairs. Of data that were prepared from
folders, this is the order of the files' paths, without those that could not be used (`rejected.csv` names them); how long each
is tells whether a list is in step.
"""

import csv
import io
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.data.pairs import SPLITS, Pairs
from voxface.training.evaluation.inputs import Inputs

RECORDINGS: Final = "recordings.csv"
_REFUSED: Final = re.compile(
    r'[\x00-\x1f/\\:*?"<>|%]'
)  # in names of files, by some system; and the % that stands for them
_FRAME_S: Final = 0.01


def recordings_of(pairs: Pairs, people: NDArray[np.integer[Any]], most: int | None = None) -> NDArray[np.int32]:
    """Clean utterances of these people, int32 [U]; of each at most `most`, the first ones."""
    found = [pairs.clean_utterances[int(i)][:most] for i in people]
    return np.concatenate([np.empty(0, np.int32), *found]).astype(np.int32)


def evaluated(
    inputs: Inputs, *, faces: bool = False, pictures: bool = False
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Utterances int32 [U] and people of the split who have recordings; with `quick` some of them, and two recordings of each.

    Args:
        faces: whether their faces must be known.
        pictures: whether they must have real pictures.

    Raises:
        UsageError: no data were given.
        InputError: there are none.
    """
    pairs = inputs.pairs
    people = [
        i
        for i in pairs.split(inputs.split)
        if len(pairs.clean_utterances[i])
        and not (faces and not np.isfinite(pairs.coefficients[i]).all())
        and not (pictures and not len(pairs.pictures_of[i]))
    ]
    if not people:
        needs = ["recordings", *(["a known face"] if faces else []), *(["pictures"] if pictures else [])]
        raise InputError(f"--data: no {inputs.split} people with {' and '.join(needs)}")
    drawn = drawn_people(
        np.array(people, np.int32), pairs.sexes, inputs.fewer(len(people), 80 if pictures else 40), inputs.seed
    )
    return recordings_of(pairs, drawn, 2 if inputs.quick else None), drawn


def drawn_people(people: NDArray[np.int32], sexes: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int32]:
    """At most so many of the people, in their order; women and men by turns as far as there are."""
    if len(people) <= most:
        return people
    shuffled = np.random.default_rng([seed, 41]).permutation(people)
    turn = np.empty(len(shuffled), np.int64)
    for sex in (0, 1):
        of = sexes[shuffled] == sex
        turn[of] = np.arange(of.sum())
    return np.sort(shuffled[np.argsort(turn, kind="stable")[:most]]).astype(np.int32)


def file_name(person: str) -> str:
    """A person's name as the name of a file or folder; letters that some systems refuse are %-encoded, "a:b" as "a%3Ab"."""
    return _REFUSED.sub(lambda found: f"%{ord(found[0]):02X}", person)


def numbers(pairs: Pairs) -> Mapping[int, tuple[int, int]]:
    """Person and number of each clean utterance."""
    return {int(u): (i, k) for i, of in enumerate(pairs.clean_utterances) for k, u in enumerate(of)}


def recordings_csv(pairs: Pairs) -> bytes:
    """`recordings.csv`: file, person, speaker, sex, split, number and voiced seconds of every recording that can be evaluated.

    `file` is the name that a picture or mesh of the recording gets, without its ending.
    """
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(("file", "person", "speaker", "sex", "split", "number", "voiced_s"))
    for split in SPLITS:
        for i in pairs.split(split):
            person = pairs.people[int(i)]
            for number, u in enumerate(pairs.clean_utterances[int(i)]):
                seconds = _FRAME_S * float(pairs.offsets[u + 1] - pairs.offsets[u])
                where = f"{file_name(person.name)}/{number}"
                lines.writerow((where, person.name, person.speaker, person.sex, split, number, f"{seconds:.2f}"))
    return out.getvalue().encode()
