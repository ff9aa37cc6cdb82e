"""The front and the choice of a point: nothing dominated, every bound kept, no order of the input matters."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

from voxface.calibration.pareto_front import OBJECTIVES, Point, choose, dominates, front, thinned
from voxface.runtime.errors import UsageError

NUMBER = st.one_of(st.integers(0, 6).map(float), st.floats(0, 10))
POINTS = st.lists(st.tuples(NUMBER, st.one_of(NUMBER, st.just(math.inf))), max_size=12).map(
    lambda pairs: [Point(k, ms, share, name=f"{k:02}") for k, (ms, share) in enumerate(pairs)]
)


@settings(max_examples=80, deadline=None)
@given(POINTS, st.randoms())
def test_the_front(points: list[Point[int]], random: Random) -> None:
    best = front(points)
    shuffled = [*points]
    random.shuffle(shuffled)
    assert front(shuffled) == best, "order does not matter"
    finite = [point for point in points if math.isfinite(point.share)]
    for point in best:
        assert not any(dominates(other, point) for other in finite)
    for point in finite:
        assert any(other.ms <= point.ms and other.share <= point.share for other in best), "every point is covered"
    assert [p.share for p in best] == sorted(p.share for p in best)


@settings(max_examples=80, deadline=None)
@given(POINTS, st.sampled_from(OBJECTIVES), NUMBER, NUMBER)
def test_the_choice_obeys_the_bounds(points: list[Point[int]], objective: str, share: float, ms: float) -> None:
    best = front(points)
    share = share + 0.01
    within = [p for p in best if p.share <= share and p.ms <= ms]
    if not within:
        with pytest.raises(UsageError, match="--max-ms"):
            choose(best, objective, most_share=share, most_ms=ms)
        return
    chosen = choose(best, objective, most_share=share, most_ms=ms)
    assert chosen in within
    if objective == "latency":
        assert chosen.ms == min(p.ms for p in within)
    if objective == "error":
        assert chosen.share == min(p.share for p in within)
    assert choose(list(reversed(best)), objective, most_share=share, most_ms=ms) == chosen


def test_the_knee() -> None:
    points = [Point("exact", 10, 0.0), Point("knee", 4, 0.1), Point("fast", 3, 0.9)]
    assert choose(points, "pareto").what == "knee"
    assert choose(points[:1], "pareto").what == "exact"
    assert choose([points[0], points[2]], "pareto").what == "fast"


def test_what_differs_by_chance_only_costs_no_exactness() -> None:
    exact, alike = Point("exact", 1.00, 0.1, 0.01), Point("alike", 0.99, 0.5, 0.01)
    assert front([exact, alike]) == [exact]
    assert front([exact, Point("faster", 0.9, 0.5, 0.01)])[-1].what == "faster"


@settings(max_examples=40, deadline=None)
@given(POINTS, st.integers(1, 6))
def test_thinning_keeps_the_ends(points: list[Point[int]], most: int) -> None:
    best = front(points)
    kept = thinned(best, most)
    assert len(kept) <= max(most, 0 if not best else 1)
    assert [p for p in best if p in kept] == kept
    if best and most > 1:
        assert kept[-1] == best[-1]
        assert kept[0] == best[0]
