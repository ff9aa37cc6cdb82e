"""The search for the nodes to lower.

Nodes are ranked by the error of lowering each alone. Bisection finds how many of the most sensitive ones have to stay as they
are. Of these, each that can be lowered after all, beside the others, is lowered.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)
Score = Callable[[frozenset[Node]], float]


@dataclass(frozen=True)
class Search(Generic[Node]):
    """The result of a search.

    Attributes:
        ranking: all candidates, the most sensitive first.
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
        score: the score of lowering a set of nodes. The score of lowering no node is assumed to be within the limit.
        limit: the largest score allowed. A node that exceeds it alone is never lowered.
        worth: what lowering each node gains; None: all gain the same. Nodes are ranked by their score over their gain.
    """
    gain = worth or dict.fromkeys(alone, 1.0)
    # The sort is stable: nodes of equal score stay in the order of the graph.
    ranking = tuple(sorted(alone, key=lambda node: (alone[node] <= limit, -alone[node] / gain[node])))
    least = sum(alone[node] > limit for node in ranking)
    kept = _fewest(least, len(ranking), lambda count: score(frozenset(ranking[count:])) <= limit)
    lowered = frozenset(ranking[kept:])
    # Nodes of different graphs use up different tolerances: a node high in the ranking may have been kept only because
    # another node's tolerance was used up.
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
