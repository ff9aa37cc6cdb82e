"""Linear surface operations: every new vertex is a fixed weighted sum of old ones.

A mesh can therefore be cut, refined and smoothed once, and modifiers and phenotypes carry over to the result exactly.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Triangles = NDArray[np.int64]
Vertices = NDArray[np.float64]


@dataclass(frozen=True)
class Blend:
    """New vertices as weighted sums of old ones.

    Attributes:
        sources: int64 [N, K], old vertices; unused places repeat a vertex with weight zero.
        weights: float64 [N, K], each row summing to 1.
    """

    sources: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def from_rows(cls, rows: list[dict[int, float]]) -> "Blend":
        """From one dictionary of weights by old vertex for each new vertex."""
        width = max(len(row) for row in rows)
        sources, weights = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width))
        for i, row in enumerate(rows):
            sources[i, : len(row)], weights[i, : len(row)] = list(row), list(row.values())
        return cls(sources, weights)

    @classmethod
    def pick(cls, vertices: NDArray[np.int64]) -> "Blend":
        """The blend that keeps only these old vertices, int64 [N]."""
        return cls(vertices[:, None], np.ones((len(vertices), 1)))

    def __call__(self, old: Vertices) -> Vertices:
        """New vertices (or displacements) float64 [N, 3] from old ones."""
        new = np.zeros((len(self.sources), old.shape[1]))
        for k in range(self.sources.shape[1]):
            new += self.weights[:, k, None] * old[self.sources[:, k]]
        return new


def edge_triangles(triangles: Triangles) -> dict[tuple[int, int], list[int]]:
    """Triangles by undirected edge (low, high)."""
    edges: dict[tuple[int, int], list[int]] = defaultdict(list)
    for t, (a, b, c) in enumerate(triangles.tolist()):
        for p, q in ((a, b), (b, c), (c, a)):
            edges[(p, q) if p < q else (q, p)].append(t)
    return edges


def boundary_edges(triangles: Triangles) -> NDArray[np.int64]:
    """Edges that belong to one triangle only, int64 [E, 2]."""
    rows = [edge for edge, owners in edge_triangles(triangles).items() if len(owners) == 1]
    return np.array(rows, np.int64).reshape(-1, 2)


def refine(triangles: Triangles, count: int, marked: NDArray[np.bool_]) -> tuple[Triangles, Blend]:
    """Splits marked triangles in four with Loop's weights (Loop 1987) and their neighbours so that the mesh stays conforming.

    A neighbour with two split edges is split in four as well. No diagonal ever has to be chosen, so a symmetric mesh with
    symmetric marks stays symmetric.

    Args:
        triangles: int64 [F, 3] over `count` vertices.
        marked: bool [F].

    Returns:
        The new triangles, and the blend that gives the new vertices: first the `count` old ones (smoothed where all edges
        round them are split), then one per split edge.
    """
    edges = edge_triangles(triangles)
    sides = [[(p, q) if p < q else (q, p) for p, q in ((a, b), (b, c), (c, a))] for a, b, c in triangles.tolist()]
    split = {side for t in np.nonzero(marked)[0] for side in sides[t]}
    grown = True
    while grown:
        grown = False
        for own in sides:
            if sum(side in split for side in own) == 2:
                split.update(own)
                grown = True

    fans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for edge in edges:
        fans[edge[0]].append(edge)
        fans[edge[1]].append(edge)
    rows = [_loop_vertex(v, fans[v], edges, split) for v in range(count)]
    middle: dict[tuple[int, int], int] = {}
    for edge in sorted(split):
        middle[edge] = len(rows)
        rows.append(_loop_edge(edge, edges[edge], triangles))

    new: list[tuple[int, int, int]] = []
    for (a, b, c), own in zip(triangles.tolist(), sides, strict=True):
        cut = [middle.get(side) for side in own]
        if all(m is not None for m in cut):
            ab, bc, ca = (int(m) for m in cut if m is not None)
            new += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        elif any(m is not None for m in cut):
            k = next(i for i, m in enumerate(cut) if m is not None)
            p, q, r = (a, b, c)[k:] + (a, b, c)[:k]
            m = int(cut[k] or 0)
            new += [(p, m, r), (m, q, r)]
        else:
            new.append((a, b, c))
    return np.array(new, np.int64), Blend.from_rows(rows)


def _loop_vertex(
    v: int,
    fan: list[tuple[int, int]],
    edges: dict[tuple[int, int], list[int]],
    split: set[tuple[int, int]],
) -> dict[int, float]:
    if not fan or not all(edge in split for edge in fan):
        return {v: 1.0}
    around = {edge: edge[0] + edge[1] - v for edge in fan}
    rim = [around[edge] for edge in fan if len(edges[edge]) == 1]
    if rim:
        return {v: 0.75, **dict.fromkeys(rim, 0.125)} if len(rim) == 2 else {v: 1.0}
    n = len(fan)
    beta = 3 / 16 if n == 3 else 3 / (8 * n)
    return {v: 1 - n * beta, **dict.fromkeys(around.values(), beta)}


def _loop_edge(edge: tuple[int, int], owners: list[int], triangles: Triangles) -> dict[int, float]:
    a, b = edge
    if len(owners) == 1:
        return {a: 0.5, b: 0.5}
    row = {a: 3 / 8, b: 3 / 8}
    for t in owners:
        opposite = int(triangles[t].sum()) - a - b
        row[opposite] = row.get(opposite, 0.0) + 1 / 8
    return row
