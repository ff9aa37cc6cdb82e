"""Proposals: choices of forms for one graph that its regions' own times and errors make likely to be on the front.

Sums of region times are not the time of a graph: engines fuse, caches stay warm, borders vanish. So these are candidates, which
are then measured as whole graphs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voxface.calibration.forms import CONVOLUTIONS, FP16, FP32, INT8, Choice, label
from voxface.calibration.lowering import Key
from voxface.calibration.pareto_front import Point, front, thinned

MOST_STATES = 400  # partial choices kept; a graph of ten layers with four forms each never reaches it


@dataclass(frozen=True)
class RegionCost:
    """What was measured of one region alone.

    Attributes:
        ms: form -> milliseconds; forms that the engine refuses are missing.
        share: form -> the share of the tolerances that lowering this region alone uses up; exact forms may be missing.
        border_ms: milliseconds to quantise what the region reads and to dequantise it again, which an INT8 region saves if the
            one before it is INT8 too.
    """

    ms: Mapping[str, float]
    share: Mapping[str, float] = field(default_factory=dict)
    border_ms: float = 0.0


def propose(costs: Mapping[Key, RegionCost], before: Mapping[Key, Key], most: int) -> list[dict[Key, str]]:
    """At most about `most` choices, FP32 as exported, the fastest exact one and the uniform ones among them.

    Args:
        costs: region -> what was measured of it.
        before: region -> the region whose result it reads.
        most: how many.
    """
    found: dict[str, dict[Key, str]] = {}

    def add(choice: Choice) -> None:
        found.setdefault(label(choice), {key: form for key, form in sorted(choice.items()) if form != FP32})

    order = sorted(costs)
    add({})
    add({key: min(_exact(costs[key]), key=lambda form: (costs[key].ms[form], form)) for key in order})
    for form in (INT8, FP16):
        add({key: form for key in order if form in costs[key].ms})
    # INT8 wherever it exists, and beside it the faster exact form.
    add(
        {
            key: INT8 if INT8 in costs[key].ms else min(_exact(costs[key]), key=costs[key].ms.__getitem__)
            for key in order
        }
    )
    for point in thinned(front(_states(costs, before, order)), max(2, most - len(found))):
        add(point.what)
    return [found[name] for name in sorted(found)]


def neighbouring(choice: Choice, costs: Mapping[Key, RegionCost], most: int) -> list[dict[Key, str]]:
    """At most so many choices that differ from another in one region, those first whose region alone says that they are faster;
    a form that alone is neither faster nor more exact is none of them.

    What is proposed goes by sums; from a choice that was measured as a whole, one step leads to what sums did not foresee.
    """
    found = []
    for key, cost in sorted(costs.items()):
        now = choice.get(key, FP32)
        for form, ms in sorted(cost.ms.items()):
            worse = ms >= cost.ms.get(now, ms) and cost.share.get(form, 0.0) >= cost.share.get(now, 0.0)
            if form != now and not worse:
                other = {at: f for at, f in sorted({**choice, key: form}.items()) if f != FP32}
                found.append((ms - cost.ms.get(now, ms), label(other), other))
    return [other for _, _, other in sorted(found, key=lambda each: each[:2])[:most]]


def _exact(cost: RegionCost) -> list[str]:
    return [form for form in (FP32, CONVOLUTIONS) if form in cost.ms]


def _states(costs: Mapping[Key, RegionCost], before: Mapping[Key, Key], order: Sequence[Key]) -> list[Point[Choice]]:
    """Whole choices with their predicted time and error, those left out that are worse than another in every respect."""
    states: list[Point[Choice]] = [Point({}, 0.0, 0.0)]
    partners: dict[Key, set[Key]] = {key: set() for key in order}
    for reader, maker in before.items():
        if reader in partners and maker in partners:
            partners[reader].add(maker)
            partners[maker].add(reader)
    done: set[Key] = set()
    for key in order:
        done.add(key)
        cost = costs[key]
        wider = []
        for state in states:
            for form in sorted(cost.ms):
                choice = {**state.what, key: form}
                saved = sum(
                    costs[reader].border_ms
                    for reader in (key, *(other for other in partners[key] if before.get(other) == key))
                    if before.get(reader) in done and reader in done and form == INT8
                    and choice[reader] == INT8 and choice[before[reader]] == INT8
                )  # fmt: skip
                share = state.share + cost.share.get(form, 0.0)
                wider.append(Point[Choice](choice, state.ms + cost.ms[form] - saved, share, name=label(choice)))
        open_ = [other for other in sorted(done) if partners[other] - done]
        groups: dict[tuple[str, ...], list[Point[Choice]]] = {}
        for state in wider:
            groups.setdefault(tuple(state.what[other] for other in open_), []).append(state)
        states = [
            state for name in sorted(groups) for state in thinned(front(groups[name]), MOST_STATES // len(groups) + 2)
        ]
    return states
