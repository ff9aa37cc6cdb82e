"""Likeness of generated faces to their speakers' real pictures, by a network's features: cosine, and rank in a gallery.

The gallery has one entry a person, the mean of the features of the person's pictures. Ranks are by cosines after the gallery's
mean is taken off, as features of faces are mostly what all faces have in common; the cosine that is given is the plain one.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.matching.association import retrieve, share_by_person, unit
from voxface.training.evaluation.result import Column, Measured

Float64 = NDArray[np.float64]
People = NDArray[np.integer[Any]]
COLUMNS: Final = (
    Column("cosine", "", "higher", 3),
    Column("R@1", "%", "higher", 1),
    Column("R@5", "%", "higher", 1),
    Column("R@10", "%", "higher", 1),
    Column("rank", "%", "higher", 1),
    Column("rank within sex", "%", "higher", 1),
)


@dataclass(frozen=True)
class Likeness:
    """Of Q generated faces.

    Attributes:
        person: int [Q], whose voice each is of.
        cosine: float64 [Q], with the person's gallery entry.
        first: int64 [Q], place of the person in the gallery, from 1.
        rank: float64 [Q], share of the other people who are less alike; ties count half. 0.5 is chance.
        rank_within_sex: the same among people of the person's sex; NaN where there is no other.
    """

    person: People
    cosine: Float64
    first: NDArray[np.int64]
    rank: Float64
    rank_within_sex: Float64

    def row(self, seed: int = 0) -> dict[str, Measured]:
        """Numbers of a table row, with intervals over people."""
        known = np.isfinite(self.rank_within_sex)
        found = {
            "cosine": _mean(self.cosine, self.person, seed),
            **{f"R@{k}": _mean((self.first <= k).astype(np.float64), self.person, seed) for k in (1, 5, 10)},
            "rank": _mean(self.rank, self.person, seed),
        }
        if known.any():
            found["rank within sex"] = _mean(self.rank_within_sex[known], self.person[known], seed)
        return found


def likeness(
    features: Float64, person: People, gallery: Float64, gallery_person: People, sexes: NDArray[np.int64]
) -> Likeness:
    """Compares Q faces with a gallery of I people.

    Args:
        features: float64 [Q, d] of the faces; `person` int [Q] says whose each is.
        gallery: float64 [I, d]; `gallery_person` int [I], all different, says whose.
        sexes: int64, by person.

    Raises:
        ValueError: a person is not in the gallery.
    """
    middle = gallery.mean(0)
    queries, entries = unit(features - middle), unit(gallery - middle)
    found = retrieve(queries, entries, person, gallery_person)
    scores = queries.astype(np.float64) @ entries.T.astype(np.float64)
    own = np.argmax(person[:, None] == gallery_person, axis=1)
    right = scores[np.arange(len(person)), own][:, None]
    less = np.where(np.isclose(scores, right, atol=1e-7), 0.5, scores < right)
    less[np.arange(len(person)), own] = 0
    same = sexes[person][:, None] == sexes[gallery_person]
    others = same.sum(1) - 1
    within = np.where(others > 0, (less * same).sum(1) / np.maximum(others, 1), np.nan)
    plain = (unit(features) * unit(gallery)[own]).sum(1)
    return Likeness(person, plain.astype(np.float64), found.first, less.sum(1) / max(1, len(gallery) - 1), within)


def gallery_of(features: Float64, person: People) -> tuple[Float64, People]:
    """One entry a person, the mean of unit features float64 [K, d] of pictures of people int [K]."""
    people = np.unique(person)
    ready = unit(features).astype(np.float64)
    return np.array([ready[person == i].mean(0) for i in people]), people


def chance(people: int, sizes: NDArray[np.int64]) -> dict[str, Measured]:
    """Numbers of guessing among so many people; `sizes` int64: how many of each sex."""
    found = {f"R@{k}": Measured(min(1.0, k / people)) for k in (1, 5, 10)} | {"rank": Measured(0.5)}
    return found | ({"rank within sex": Measured(0.5)} if (sizes > 1).any() else {})


def _mean(values: Float64, person: People, seed: int) -> Measured:
    share = share_by_person(values, person, seed=seed)
    return Measured(share.value, share.low, share.high, trials=share.trials, people=share.people)
