"""Voices and faces of people in one space, and what can be told of them: 1 of N, verification of all pairs, retrieval.

Each stratum compares a person only with people alike: of one sex, one nationality, one age.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.matching.association import (
    RECALLS,
    Float32,
    Share,
    SharesByPerson,
    retrieve,
    right_choices,
    share_by_person,
)
from voxface.training.evaluation.matching.chance import mean_chance
from voxface.training.evaluation.matching.drawn_trials import drawing
from voxface.training.evaluation.matching.public_lists import Direction
from voxface.training.evaluation.measures.verification_intervals import Rates, SortedTrials, rates_by_person

Int64 = NDArray[np.int64]
Groups = Mapping[int, Hashable]
"""Label of each person whose label is known; a stratum compares people of one label."""
CANDIDATES: Final = (2, 3, 5, 10)
METRICS: Final = ("mAP", *(f"R@{k}" for k in RECALLS))
_MOST_PAIRS: Final = 2_000_000


@dataclass(frozen=True)
class Space:
    """Voices and faces of one system.

    Attributes:
        voices: float32 [V, E] of unit length.
        voice_person: int64 [V], whose each is.
        faces: float32 [F, E] of unit length.
        face_person: int64 [F].
        names: of the people, by number.
    """

    voices: Float32
    voice_person: Int64
    faces: Float32
    face_person: Int64
    names: tuple[str, ...]

    def sides(self, direction: Direction) -> tuple[Float32, Int64, Float32, Int64]:
        """Probes, whose they are, candidates, whose they are."""
        if direction == "v2f":
            return self.voices, self.voice_person, self.faces, self.face_person
        return self.faces, self.face_person, self.voices, self.voice_person


def one_of(
    space: Space,
    direction: Direction,
    candidates: int,
    groups: Groups | None,
    *,
    trials: int,
    seed: int = 0,
    done: Callable[[int, int], None] = lambda _done, _total: None,
) -> SharesByPerson | None:
    """How often the right one of N candidates is chosen, of drawn trials; None where too few people are alike to draw any."""
    probes, probe_person, other, other_person = space.sides(direction)
    try:
        drawn = drawing(
            probe_person.tolist(),
            other_person.tolist(),
            wrong=candidates - 1,
            group=None if groups is None else dict(groups),
        )
    except ValueError:
        return None
    shares, count = SharesByPerson(), 0
    for block in drawn.trials(trials, seed=seed):
        shares.add(right_choices(probes, other, block), probe_person[block[:, 0]])
        count += len(block)
        done(count, trials)
    return shares


def verify(space: Space, groups: Groups | None, *, seed: int = 0) -> tuple[Rates, SortedTrials] | None:
    """EER and AUC of all pairs of a voice and a face of people alike; None where pairs of one kind are lacking.

    Of more than two million pairs, some two million are drawn.
    """
    label = {person: place for place, person in enumerate(dict.fromkeys(groups.values()))} if groups is not None else {}
    kinds = [
        np.array([0 if groups is None else label[groups[p]] if p in groups else -1 for p in people.tolist()], np.int64)
        for people in (space.voice_person, space.face_person)
    ]
    voice, face = _pairs(space, kinds, np.random.default_rng(seed))
    same = space.voice_person[voice] == space.face_person[face]
    if not same.any() or same.all():
        return None
    trials = SortedTrials.of(np.einsum("te,te->t", space.voices[voice], space.faces[face]), same)
    return rates_by_person(trials, space.voice_person[voice], space.face_person[face], seed=seed), trials


def _pairs(space: Space, kinds: list[Int64], rng: np.random.Generator) -> tuple[Int64, Int64]:
    """Voices and faces of pairs of people alike."""
    if len(space.voices) * len(space.faces) <= _MOST_PAIRS:
        voice, face = (grid.ravel() for grid in np.indices((len(space.voices), len(space.faces))))
    else:
        voice, face = (rng.integers(len(side), size=_MOST_PAIRS) for side in (space.voices, space.faces))
        apart = space.voice_person[voice] != space.face_person[face]
        # Few of the drawn pairs are of one person; these are drawn by themselves, which changes neither rate.
        order = np.argsort(space.face_person, kind="stable")
        begin, end = (np.searchsorted(space.face_person[order], space.voice_person, side) for side in ("left", "right"))
        own = rng.choice(np.flatnonzero(end > begin), _MOST_PAIRS // 10)
        voice = np.concatenate((voice[apart], own))
        face = np.concatenate((face[apart], order[rng.integers(begin[own], end[own])]))
    alike = (kinds[0][voice] == kinds[1][face]) & (kinds[0][voice] >= 0)
    return voice[alike], face[alike]


@dataclass(frozen=True)
class Found:
    """Retrieval of one stratum.

    Attributes:
        shares: by metric (`METRICS`), with intervals over people.
        chance: the same of galleries in random order, exactly.
        by_person: mean average precision of each person's queries, by name.
        gallery: mean number of items that a query searches.
    """

    shares: dict[str, Share]
    chance: dict[str, float]
    by_person: dict[str, float]
    gallery: float


def search(space: Space, direction: Direction, groups: Groups | None, *, seed: int = 0) -> Found | None:
    """Searches the gallery of people alike for each probe; None where nobody has others alike.

    A gallery of one person only is left out: whatever is found in it is right.
    """
    probes, probe_person, gallery, gallery_person = space.sides(direction)
    labels = dict.fromkeys(groups.values()) if groups is not None else {None: None}
    precision, first, person, right, size = [], [], [], [], []
    for label in labels:
        own = (
            [
                np.array([groups.get(p, _NOBODY) == label for p in people.tolist()], bool)
                for people in (probe_person, gallery_person)
            ]
            if groups is not None
            else [np.ones(len(probe_person), bool), np.ones(len(gallery_person), bool)]
        )
        queries, items = (np.flatnonzero(side) for side in own)
        there, counts = np.unique(gallery_person[items], return_counts=True)
        queries = queries[np.isin(probe_person[queries], there)]
        if len(there) < 2 or not len(queries):
            continue
        found = retrieve(probes[queries], gallery[items], probe_person[queries], gallery_person[items])
        precision.append(found.precision)
        first.append(found.first)
        person.append(probe_person[queries])
        right.append(counts[np.searchsorted(there, probe_person[queries])])
        size.append(np.full(len(queries), len(items)))
    if not precision:
        return None
    whose, ranks, each = np.concatenate(person), np.concatenate(first), np.concatenate(precision)
    rights, sizes = np.concatenate(right), np.concatenate(size)
    values = {"mAP": each, **{f"R@{k}": (ranks <= k).astype(np.float64) for k in RECALLS}}
    means = SharesByPerson()
    means.add(each, whose)
    return Found(
        {name: share_by_person(value, whose, seed=seed) for name, value in values.items()},
        {name: mean_chance(rights.tolist(), sizes.tolist(), _rank(name)) for name in values},
        {space.names[i]: value for i, value in means.by_person.items()},
        float(sizes.mean()),
    )


_NOBODY: Final = object()


def _rank(metric: str) -> int | None:
    return None if metric == "mAP" else int(metric.removeprefix("R@"))
