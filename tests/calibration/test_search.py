"""The search: within the limit, nothing kept for nothing, and what breaks the limit alone stays."""

import math

from hypothesis import given
from hypothesis import strategies as st

from voxface.calibration.search import search

shares = st.lists(st.floats(0, 2), min_size=1, max_size=30)


@given(shares)
def test_errors_that_add_up(alone: list[float]) -> None:
    found = search(dict(enumerate(alone)), lambda nodes: sum(alone[node] for node in nodes))
    assert sum(alone[node] for node in found.lowered) <= 1
    for node in set(range(len(alone))) - found.lowered:
        assert sum(alone[n] for n in found.lowered | {node}) > 1, "it could have been lowered as well"


@given(shares, shares)
def test_two_errors_that_do_not_add_up(one: list[float], other: list[float]) -> None:
    """Nodes of two graphs, each with an error of its own: what is kept for one does not keep the other's nodes."""
    alone = {("a", k): e for k, e in enumerate(one)} | {("b", k): e for k, e in enumerate(other)}

    def score(nodes: frozenset[tuple[str, int]]) -> float:
        return max((sum(alone[node] for node in nodes if node[0] == graph) for graph in "ab"), default=0.0)

    found = search(alone, score)
    assert score(found.lowered) <= 1
    for node in set(alone) - found.lowered:
        assert score(found.lowered | {node}) > 1


def test_overflow_stays_and_is_not_even_tried() -> None:
    alone = {"fine": 0.1, "overflows": math.inf, "bad": 1.5}
    asked: list[frozenset[str]] = []

    def score(nodes: frozenset[str]) -> float:
        asked.append(nodes)
        return sum(alone[node] for node in nodes)

    found = search(alone, score)
    assert found.ranking == ("overflows", "bad", "fine")
    assert found.lowered == {"fine"}
    assert not any("overflows" in nodes for nodes in asked)


def test_few_questions() -> None:
    """All at once where all may go; some log n where they may not, and one for each that stayed."""
    asked = 0

    def score(nodes: frozenset[int]) -> float:
        nonlocal asked
        asked += 1
        return 0.0 if len(nodes) <= 97 else 2.0

    assert len(search(dict.fromkeys(range(90), 0.01), score).lowered) == 90
    assert asked == 1
    assert len(search({k: k / 100 for k in range(100)}, score).lowered) == 97
    assert asked < 15


@given(shares, st.floats(1, 5))
def test_a_second_search_where_other_clips_are_worse(alone: list[float], worse: float) -> None:
    first = search(dict(enumerate(alone)), lambda nodes: sum(alone[node] for node in nodes))
    left = {node: alone[node] for node in first.lowered}
    second = search(left, lambda nodes: worse * sum(alone[node] for node in nodes))
    assert second.lowered <= first.lowered
    assert worse * sum(alone[node] for node in second.lowered) <= 1 or not second.lowered
    for node in first.lowered - second.lowered:
        assert worse * sum(alone[n] for n in second.lowered | {node}) > 1


def test_what_gains_little_stays_first() -> None:
    alone = {"small": 0.5, "large": 0.7}

    def score(nodes: frozenset[str]) -> float:
        return sum(alone[node] for node in nodes)

    assert search(alone, score).lowered == {"small"}
    assert search(alone, score, worth={"small": 1, "large": 100}).lowered == {"large"}
    assert search(alone, score, 0.6, worth={"small": 1, "large": 100}).lowered == {"small"}
