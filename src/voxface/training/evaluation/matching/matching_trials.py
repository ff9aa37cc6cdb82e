"""Matching over streams of drawn trials: several methods on the same trials, in memory for one block (Wen 2019, Table 3)."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.matching.association import right_choices
from voxface.training.evaluation.matching.drawn_trials import Drawing
from voxface.training.evaluation.matching.tally import Tally

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Choice = Callable[[Int64], NDArray[np.float32]]
"""Whether a method chooses right: trials [T, 2 + M] as `right_choices` takes them -> [T] in [0, 1], NaN where it cannot say."""
BLOCK = 1 << 14  # trials at a time: what is gathered for them stays in the cache


def tally_trials(
    drawing: Drawing,
    count: int,
    methods: Mapping[str, Choice],
    person: NDArray[np.integer],
    people: int,
    *,
    seed: int = 0,
) -> dict[str, Tally]:
    """How often each method chooses right, by the person whose the probe is.

    Args:
        drawing: what trials are drawn from.
        count: how many.
        methods: by name.
        person: whose each probe is [P], below `people`.
    """
    found = {name: Tally(people) for name in methods}
    for block in drawing.trials(count, seed=seed, block=BLOCK):
        whose = person[block[:, 0]]
        for name, choose in methods.items():
            found[name].add(choose(block), whose)
    return found


def by_cosine(probes: Float32, candidates: Float32) -> Choice:
    """Chooses the candidate whose embedding is nearest to the probe's; both are of unit length, [P, E] and [C, E]."""
    return lambda trials: right_choices(probes, candidates, trials, block=BLOCK)


def by_sex(sexes: NDArray[np.integer], candidate_person: NDArray[np.integer]) -> Choice:
    """Knows the sex of everybody and nothing else: right where only one candidate is of the probe's, else a guess.

    Args:
        sexes: of each person.
        candidate_person: whose each candidate is [C].
    """
    sex = sexes[candidate_person]

    def choose(trials: Int64) -> NDArray[np.float32]:
        alike = (sex[trials[:, 2:]] == sex[trials[:, 1]][:, None]).sum(1)
        share: NDArray[np.float32] = (1 / (1 + alike)).astype(np.float32)
        return share

    return choose


def by_another_picture(embeddings: Float32, person: NDArray[np.integer]) -> Choice:
    """Has, in place of the voice, another real picture of its speaker: no voice can tell more than a look.

    NaN where the speaker has no other picture than the right candidate.

    Args:
        embeddings: of the candidates, float32 [C, E] of unit length.
        person: whose each candidate is [C].
    """
    other = np.full(len(person), -1, np.int64)
    for i in np.unique(person):
        own = np.flatnonzero(person == i)
        if len(own) > 1:
            other[own] = np.roll(own, 1)

    def choose(trials: Int64) -> NDArray[np.float32]:
        replaced = np.column_stack((other[trials[:, 1]], trials[:, 1:]))
        known = replaced[:, 0] >= 0
        found = np.full(len(trials), np.nan, np.float32)
        found[known] = right_choices(embeddings, embeddings, replaced[known], block=BLOCK)
        return found

    return choose
