"""Scores of vectors on the public lists of matching and verification, read line by line, so that memory does not grow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.evaluation.matching.association import Share, SharesByPerson, right_choices
from voxface.training.evaluation.matching.embeddings_file import EmbeddingsFile, Vectors
from voxface.training.evaluation.matching.pickled_trial_lists import read_pickled_matching, read_pickled_verification
from voxface.training.evaluation.matching.public_lists import Celebrity, Direction, ListFile, PublicLists
from voxface.training.evaluation.matching.trial_lists import BLOCK, matching_columns, verification_trials
from voxface.training.evaluation.measures.verification_intervals import Rates, SortedTrials, rates_by_person

Int32 = NDArray[np.int32]
DIRECTIONS: Final[tuple[Direction, Direction]] = ("v2f", "f2v")


class Lacking(Exception):
    """Vectors are missing, so that a list cannot be scored."""


@dataclass(frozen=True)
class MatchingScore:
    """What a list of matching gave.

    Attributes:
        share: how often the right candidate was chosen.
        by_person: the same of each person's trials.
        sex: what knowing the sex of everybody exactly would give; None where it is not known.
        candidates: of a trial.
    """

    share: Share
    by_person: dict[str, float]
    sex: Share | None
    candidates: int


@dataclass(frozen=True)
class VerificationScore:
    """What a list of verification gave.

    Attributes:
        rates: EER and AUC.
        sex: what knowing the sex of everybody exactly would give; None where it is not known.
        trials: the scores.
    """

    rates: Rates
    sex: Rates | None
    trials: SortedTrials


class _Whose:
    """People of a list by the rows of their vectors, found when a row is first met."""

    def __init__(self, lists: PublicLists, of: ListFile, vectors: Vectors) -> None:
        self._lists, self._name = lists, of.name
        self._paths = list(vectors.row)
        self.number = np.full(len(self._paths), -1, np.int32)  # of each row's person
        self.people: dict[str, int] = {}
        self.celebrities: list[Celebrity] = []

    def __call__(self, rows: Int32) -> Int32:
        new = rows[self.number[rows] < 0]
        for row in np.unique(new) if len(new) else ():
            person = self._lists.person(self._paths[row], self._name)
            if person.name not in self.people:
                self.people[person.name] = len(self.people)
                self.celebrities.append(person)
            self.number[row] = self.people[person.name]
        return self.number[rows]

    def genders(self) -> NDArray[np.str_]:
        return np.array([person.gender for person in self.celebrities])


def score_matching(
    lists: PublicLists, of: ListFile, vectors: EmbeddingsFile, direction: Direction, seed: int = 0
) -> MatchingScore:
    """Scores a list of matching in one direction.

    Raises:
        InputError: the list cannot be read, trials differ in their number of candidates, somebody is learnt from, or the right
            candidate is of another person.
        Lacking: a voice or face has no vector.
    """
    sides = (vectors.voices, vectors.faces) if direction == "v2f" else (vectors.faces, vectors.voices)
    probe, candidate = (_Whose(lists, of, side) for side in sides)
    shares, sexes, width, known = SharesByPerson(), SharesByPerson(), 0, True
    for columns in _matching_columns(of, direction):
        block = np.stack([_rows(paths, sides[min(k, 1)]) for k, paths in enumerate(columns)], 1)
        width = block.shape[1]
        whose = probe(block[:, 0])
        candidates = np.stack([candidate(column) for column in block.T[1:]], 1)
        one, right = ([person.name for person in side.celebrities] for side in (probe, candidate))
        if (wrong := np.array(one)[whose] != np.array(right)[candidates[:, 0]]).any():
            at = int(np.argmax(wrong))
            raise InputError(
                f"{of.name}: {one[whose[at]]} is asked for, but {right[candidates[at, 0]]} is the right one"
            )
        shares.add(right_choices(sides[0].vectors, sides[1].vectors, block), whose)
        gender = candidate.genders()
        known = known and bool((gender != "").all())
        sexes.add(1 / (gender[candidates] == gender[candidates[:, :1]]).sum(1), whose)
    lists.check_apart([*probe.celebrities, *candidate.celebrities], of)
    by_person = {probe.celebrities[i].name: value for i, value in shares.by_person.items()}
    return MatchingScore(shares.share(seed=seed), by_person, sexes.share(seed=seed) if known else None, width - 1)


def score_verification(lists: PublicLists, of: ListFile, vectors: EmbeddingsFile, seed: int = 0) -> VerificationScore:
    """Scores a list of verification; a trial is its voice's person's.

    Raises:
        InputError: the list cannot be read, or somebody is learnt from.
        Lacking: a voice or face has no vector.
    """
    sides = (vectors.voices, vectors.faces)
    voice, face = (_Whose(lists, of, side) for side in sides)
    scores: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.bool_]] = []
    whose: list[Int32] = []
    faces: list[Int32] = []

    trials_of = _verification_trials(of)
    while part := list(islice(trials_of, BLOCK)):
        rows = [_rows([trial[k] for trial in part], side) for k, side in enumerate(sides)]
        scores.append(np.einsum("te,te->t", sides[0].vectors[rows[0]], sides[1].vectors[rows[1]]))
        labels.append(np.array([trial[2] for trial in part], bool))
        whose.append(voice(rows[0]))
        faces.append(face(rows[1]))
    lists.check_apart([*voice.celebrities, *face.celebrities], of)
    same = np.concatenate(labels)
    person, other = np.concatenate(whose), np.concatenate(faces)
    names = [np.array([p.name for p in side.celebrities]) for side in (voice, face)]
    if (wrong := (names[0][person] == names[1][other]) != same).any():
        at = int(np.argmax(wrong))
        raise InputError(
            f"{of.name}: trial {at + 1}: {names[0][person[at]]} and {names[1][other[at]]} do not fit its label"
        )
    trials = SortedTrials.of(np.concatenate(scores), same)
    genders = [side.genders() for side in (voice, face)]
    sex = None
    if all((gender != "").all() for gender in genders):
        alike = (genders[0][person] == genders[1][other]).astype(np.float32)
        sex = rates_by_person(SortedTrials.of(alike, same), person, seed=seed)
    return VerificationScore(rates_by_person(trials, person, seed=seed), sex, trials)


def _matching_columns(of: ListFile, direction: Direction) -> Iterator[list[list[str]]]:
    if not of.pickled:
        yield from matching_columns(of.files[0])
        return
    to_faces, to_voices = read_pickled_matching(of.files[0])
    trials = to_faces if direction == "v2f" else to_voices
    if len(widths := {len(trial.wrong) for trial in trials}) > 1:
        raise InputError(
            f"{of.name}: trials of {min(widths) + 1} to {max(widths) + 1} candidates; keep them in lists of their own"
        )
    yield [list(paths) for paths in zip(*((trial.probe, trial.right, *trial.wrong) for trial in trials), strict=True)]


def _rows(paths: Sequence[str], side: Vectors) -> Int32:
    """Rows of vectors of paths.

    Raises:
        Lacking: a vector is missing.
    """
    try:
        return np.fromiter(map(side.row.__getitem__, paths), np.int32, len(paths))
    except KeyError as error:
        raise Lacking(str(error.args[0])) from None


def _verification_trials(of: ListFile) -> Iterator[Sequence[Any]]:
    read = read_pickled_verification if of.pickled else verification_trials
    for trial in read(of.files[0]):
        yield (trial.voice, trial.face, trial.same)
