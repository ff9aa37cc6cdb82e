"""Trials of matching drawn from people: whose of the candidates is the probe, against anybody or against people alike.

The protocol of Wen et al. 2019 (Table 3) and of Nagrani et al. 2018: each trial draws a person, a probe and a right candidate
of it, and wrong candidates of as many other people; stratified, these are of the same group (sex, nationality, age).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
BLOCK: Final = 1 << 17  # trials at a time


@dataclass(frozen=True)
class Drawing:
    """People of whom trials can be drawn, and their probes and candidates.

    Attributes:
        person: number of each person who can be a probe's [K]: with a probe, a candidate and enough others alike.
        left_out: how many people have both but too few others alike.
    """

    person: Int64
    left_out: int
    _wrong: int
    _rank: Int64  # place of each person within its group's members
    _group: Int64
    _members: "_Rows"  # people with candidates, by group
    _probes: "_Rows"
    _candidates: "_Rows"

    def trials(self, count: int, *, seed: int = 0, block: int = BLOCK) -> Iterator[Int64]:
        """Trials [T, 2 + M] in blocks, as `association.right_choices` takes them: probe, right candidate, wrong ones.

        The same seed draws the same trials, whatever the block.
        """
        for number, begin in enumerate(range(0, count, BLOCK)):
            rng = np.random.default_rng((seed, number))
            drawn = self._block(min(BLOCK, count - begin), rng)
            for first in range(0, len(drawn), block):
                yield drawn[first : first + block]

    def _block(self, count: int, rng: np.random.Generator) -> Int64:
        whose = self.person[rng.integers(len(self.person), size=count)]
        trials = np.empty((count, 2 + self._wrong), np.int64)
        trials[:, 0] = self._probes.one_of(whose, rng)
        trials[:, 1] = self._candidates.one_of(whose, rng)
        # Others without repetition: a place among those that are left, moved past the ones taken, in ascending order.
        taken = self._rank[whose][:, None]
        group = self._group[whose]
        for column in range(self._wrong):
            place = rng.integers(self._members.count[group] - 1 - column)
            for before in np.sort(taken, axis=1).T:
                place += place >= before
            taken = np.column_stack((taken, place))
            other = self._members.at(group, place)
            trials[:, 2 + column] = self._candidates.one_of(other, rng)
        return trials


def drawing(
    probe_person: Sequence[Any] | NDArray[Any],
    candidate_person: Sequence[Any] | NDArray[Any],
    *,
    wrong: int = 1,
    group: dict[Any, Any] | None = None,
) -> Drawing:
    """Prepares the drawing of trials.

    Args:
        probe_person: whose each probe is [P].
        candidate_person: whose each candidate is [C].
        wrong: wrong candidates a trial (1 of 2: one).
        group: group of each person; wrong candidates are of the probe's. People without one are left out. None: anybody.

    Raises:
        ValueError: `wrong` is less than 1, or no trial can be drawn.
    """
    if wrong < 1:
        raise ValueError(f"{wrong} wrong candidates; a trial needs one at least")
    probes, candidates = list(probe_person), list(candidate_person)
    known = [p for p in dict.fromkeys([*candidates, *probes]) if group is None or group.get(p) is not None]
    number = {person: place for place, person in enumerate(known)}
    groups = {name: place for place, name in enumerate(dict.fromkeys(group[p] for p in known))} if group else {}
    of_group = np.array([groups[group[p]] if group else 0 for p in known], np.int64)
    probe_rows = _Rows.of([number.get(p, -1) for p in probes], len(known))
    candidate_rows = _Rows.of([number.get(p, -1) for p in candidates], len(known))
    with_candidate = candidate_rows.count > 0
    members = _Rows.of(np.where(with_candidate, of_group, -1), max(1, len(groups)))
    rank = np.zeros(len(known), np.int64)
    for place in range(len(members.count)):
        own = members.row[members.begin[place] : members.begin[place] + members.count[place]]
        rank[own] = np.arange(len(own))
    both = with_candidate & (probe_rows.count > 0)
    enough = both & (members.count[of_group] > wrong)
    if not enough.any():
        raise ValueError(f"no trial can be drawn: nobody has a probe, a candidate and {wrong} others of its group")
    person = np.flatnonzero(enough)
    return Drawing(person, int(both.sum() - len(person)), wrong, rank, of_group, members, probe_rows, candidate_rows)


@dataclass(frozen=True)
class _Rows:
    """Numbers of the rows of each label: those of label k are row[begin[k] : begin[k] + count[k]]."""

    row: Int64
    begin: Int64
    count: Int64

    @staticmethod
    def of(labels: Sequence[int] | Int64, kinds: int) -> "_Rows":
        """Rows with these labels; those below 0 are left out."""
        label = np.asarray(labels, np.int64)
        order = np.argsort(label, kind="stable")
        count = np.bincount(label[label >= 0], minlength=kinds)
        begin = np.cumsum(count) - count + int((label < 0).sum())
        return _Rows(order, begin, count)

    def at(self, label: Int64, place: Int64) -> Int64:
        found: Int64 = self.row[self.begin[label] + place]
        return found

    def one_of(self, label: Int64, rng: np.random.Generator) -> Int64:
        return self.at(label, rng.integers(self.count[label]))
