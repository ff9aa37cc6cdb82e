"""Which nodes to lower: each one's own error ranks them, bisection finds how many of the worst have to stay, and those that
turn out to have stayed for nothing are let go."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)
Score = Callable[[frozenset[Node]], float]


@dataclass(frozen=True)
class Search(Generic[Node]):
    """What a search found.

    Attributes:
        ranking: all candidates, the first to stay first.
        lowered: the nodes to lower.
    """

    ranking: tuple[Node, ...]
    lowered: frozenset[Node]


def search(
    alone: Mapping[Node, float],
    score: Score[Node],
    limit: float = 1.0,
    worth: Mapping[Node, float] | None = None,
) -> Search[Node]:
    """Lowers as many nodes as the limit allows.

    Args:
        alone: each candidate's score when nothing else is lowered.
        score: of lowering a set; of lowering nothing it is taken to be within the limit.
        limit: what the score may be. What exceeds it by itself stays in any case.
        worth: what lowering each node gains; None: they gain alike. Those that cost most for what they gain stay first.
    """
    gain = worth or dict.fromkeys(alone, 1.0)
    # Stable: equal ones in the order of the graph.
    ranking = tuple(sorted(alone, key=lambda node: (alone[node] <= limit, -alone[node] / gain[node])))
    least = sum(alone[node] > limit for node in ranking)
    kept = _fewest(least, len(ranking), lambda count: score(frozenset(ranking[count:])) <= limit)
    lowered = frozenset(ranking[kept:])
    # Nodes of different graphs use up different tolerances: one that is high in the ranking may have stayed for another's.
    for node in reversed(ranking[least:kept]):
        if score(lowered | {node}) <= limit:
            lowered |= {node}
    return Search(ranking, lowered)


def _fewest(least: int, most: int, enough: Callable[[int], bool]) -> int:
    """The smallest count from `least` to `most` that is enough, if a larger one always is when a smaller one is."""
    if least < most and enough(least):  # the likely answer first
        return least
    low = least
    while most - low > 1:
        middle = (low + most) // 2
        if enough(middle):
            most = middle
        else:
            low = middle
    return most
