"""The Pareto front of time and error, and the choice of one point of it.

A point is dominated if another is no slower and no less exact, and better in one of the two. Times are measured, so two of them
may differ by chance: a point that is less exact must be faster by more than the measurement's own noise to be on the front.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from voxface.runtime.errors import UsageError

What = TypeVar("What")
OBJECTIVES: Final = ("latency", "error", "pareto")


@dataclass(frozen=True)
class Point(Generic[What]):
    """A candidate with what was measured.

    Attributes:
        what: the candidate.
        ms: milliseconds.
        share: the share of the tolerances that its error uses up; 1 at the limit, infinity where it overflows.
        noise_ms: how far `ms` may be off by chance.
        name: decides between points that are equal otherwise, the shorter one first, so that no order of the input does.
    """

    what: What
    ms: float
    share: float
    noise_ms: float = 0.0
    name: str = ""

    @property
    def order(self) -> tuple[int, str]:
        """What decides between points that are equal otherwise."""
        return len(self.name), self.name


def dominates(one: Point[What], other: Point[What]) -> bool:
    """Whether `one` is no slower and no less exact than `other`, and better in one of the two."""
    return one.ms <= other.ms and one.share <= other.share and (one.ms, one.share) != (other.ms, other.share)


def front(points: Iterable[Point[What]]) -> list[Point[What]]:
    """The points that no other dominates, the most exact first; of those that differ by chance only, the more exact one."""
    kept: list[Point[What]] = []
    for point in sorted(points, key=lambda p: (p.share, p.ms, *p.order)):
        if not math.isfinite(point.share) or not math.isfinite(point.ms):
            continue
        if not kept or point.ms < kept[-1].ms - math.hypot(point.noise_ms, kept[-1].noise_ms):
            kept.append(point)
    return kept


def choose(
    points: Sequence[Point[What]], objective: str, *, most_share: float = 1.0, most_ms: float = math.inf
) -> Point[What]:
    """One point of a front.

    Args:
        points: a front.
        objective: "latency": the fastest one; "error": the most exact one; "pareto": the knee, where a little
            more speed would cost much exactness, and a little more exactness much time.
        most_share: share of the tolerances that it may use up.
        most_ms: milliseconds that it may take.

    Raises:
        UsageError: no point is within both bounds.
    """
    within = [point for point in points if point.share <= most_share and point.ms <= most_ms]
    if not within:
        fastest = min((p for p in points if p.share <= most_share), key=lambda p: p.ms, default=None)
        possible = "" if fastest is None else f"; within the tolerance the fastest takes {fastest.ms:.3g} ms"
        raise UsageError(
            f"nothing takes at most {most_ms:g} ms here{possible}: raise --max-ms, or loosen the tolerance"
        )
    if objective == "latency":
        return min(within, key=lambda p: (p.ms, p.share, *p.order))
    if objective == "error":
        return min(within, key=lambda p: (p.share, p.ms, *p.order))
    return _knee(within, most_share)


def _knee(points: Sequence[Point[What]], most_share: float) -> Point[What]:
    """The point that gains most: of the time between the most exact point and the fastest one, in units of that time, less the
    error that it costs, in units of the error that it may have."""
    ordered = sorted(points, key=lambda p: (p.share, p.ms, *p.order))
    slowest, fastest = ordered[0].ms, min(point.ms for point in ordered)
    if slowest <= fastest:
        return ordered[0]

    def gain(point: Point[What]) -> float:
        return (slowest - point.ms) / (slowest - fastest) - point.share / most_share

    return max(ordered, key=lambda p: (gain(p), -p.share))


def thinned(points: Sequence[Point[What]], most: int) -> list[Point[What]]:
    """At most so many points of a front: both ends, and between them those most evenly spaced in time."""
    if len(points) <= most:
        return list(points)
    if most < 2:
        return [points[-1]]
    first, last = points[0].ms, points[-1].ms
    wanted = [first + (last - first) * k / (most - 1) for k in range(most)]
    chosen = {min(range(len(points)), key=lambda i: (abs(points[i].ms - ms), i)) for ms in wanted}
    return [points[i] for i in sorted(chosen)]
