"""eos' map from the 68 ibug landmarks to vertices of the Surrey Face Model, `ibug_to_sfm.txt`, and what it leaves open.

The map names 50 of the 68. Its jaw line (landmarks 1 to 8 and 10 to 17) is chosen while fitting, among the vertices of
`sfm_model_contours.json`, which must lie beside it; here it is spread evenly over them. The inner corners of the mouth (61 and
65) are not on the model; here they are the vertices nearest to where they would be (https://github.com/patrikhuber/eos,
share/).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.importers.face_models.landmarks import COUNT
from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.runtime.files.text import read_json, read_text

CONTOURS: Final = ("sfm_model_contours.json", "model_contours.json")
_MAP: Final = re.compile(r"landmark_?mappings", re.IGNORECASE)
_PAIR: Final = re.compile(r"(\d{1,9})(?:\s*=\s*|\s+)(\d{1,9})")
# Counted from 0: landmarks of the jaw from the ear to the chin, the chin between them, and the inner corners of the mouth with
# the outer corner and the middles of the lips' inner edges beside them.
_JAW: Final = (tuple(range(8)), tuple(range(16, 8, -1)))
_CHIN: Final = 8
_BROWS: Final = slice(17, 27)
_CORNERS: Final = {60: (48, 61, 67), 64: (54, 63, 65)}
_INWARD: Final = 0.23  # share of the way from the outer corner to the lips' inner edges, as in other models


@dataclass(frozen=True)
class EosLandmarks:
    """Landmarks as eos maps them.

    Attributes:
        path: the map's file.
        vertices: int64 [68], -1 where the map has none.
        contours: vertices along the right and the left side of the face; None if their file is not there.
    """

    path: Path
    vertices: NDArray[np.int64]
    contours: tuple[NDArray[np.int64], NDArray[np.int64]] | None

    def on(self, mean: NDArray[np.floating]) -> NDArray[np.int64]:
        """The 68 vertices int64 [68] on a model with this mean [N, 3]; those that the map leaves open are added.

        Raises:
            InputError: others are missing, the contours are not there, or a vertex is not in the model.
        """
        jaw = {place for side in _JAW for place in side}
        missing = [k + 1 for k in range(COUNT) if self.vertices[k] < 0 and k not in jaw and k not in _CORNERS]
        if missing:
            raise InputError(
                f"{self.path}: maps no vertex to landmark {', '.join(map(str, missing[:5]))}; 50 are needed"
            )
        found = self.vertices.copy()
        for vertex in (*found, *(v for side in self.contours or () for v in side)):
            if vertex >= len(mean):
                raise InputError(f"{self.path}: names vertex {vertex}; the model has {len(mean)} vertices")
        if any(found[k] < 0 for k in jaw):
            if self.contours is None:
                raise InputError(
                    f"{self.path}: leaves the jaw line open; put eos' {CONTOURS[0]}, which names its vertices, beside it"
                )
            for places, side in zip(_JAW, self.contours, strict=True):
                found[list(places)] = self._spread(mean, side, int(found[_CHIN]), len(places))
        for corner, (outer, *inner) in _CORNERS.items():
            if found[corner] < 0:
                there = mean[found[outer]] * (1 - _INWARD) + mean[found[inner]].mean(axis=0) * _INWARD
                far = np.linalg.norm(mean - there, axis=1)
                far[found[found >= 0]] = np.inf
                found[corner] = far.argmin()
        return found

    def _spread(self, mean: NDArray[np.floating], side: NDArray[np.int64], chin: int, count: int) -> NDArray[np.int64]:
        """`count` of the vertices of one side, from the ear down, evenly along the way to the chin, without the chin."""
        side = np.unique(side[side != chin])
        if len(side) < count:
            raise InputError(f"{self.path}: {len(side)} vertices on one side of the jaw's contour; {count} are needed")
        up = mean[self.vertices[_BROWS]].mean(axis=0) - mean[chin]
        side = side[np.argsort(-(mean[side] @ up), kind="stable")]
        steps = np.linalg.norm(np.diff(mean[[*side, chin]], axis=0), axis=1)
        along = np.concatenate([[0], np.cumsum(steps)])
        chosen: list[int] = []
        for k in range(count):
            free = np.arange(chosen[-1] + 1 if chosen else 0, len(side) - (count - 1 - k))
            chosen.append(int(free[np.abs(along[free] - along[-1] * k / count).argmin()]))
        return side[chosen]


def read_eos_landmarks(path: Path) -> EosLandmarks | None:
    """The map of a file, as eos writes it now (`9 = 33`) and as before (`9 33`); None for a file that is no map.

    Raises:
        InputError: the file cannot be read, or is damaged.
    """
    text = read_text(path)
    if not _MAP.search(text):
        return None
    vertices = np.full(COUNT, -1, np.int64)
    for line in text.splitlines():
        pair = _PAIR.fullmatch(re.split("[#;]", line)[0].strip())
        if pair is not None and 1 <= int(pair[1]) <= COUNT:
            vertices[int(pair[1]) - 1] = int(pair[2])
    beside = next((path.parent / name for name in CONTOURS if (path.parent / name).is_file()), None)
    return EosLandmarks(path, vertices, None if beside is None else _contours(beside))


def _contours(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    document = read_json(path)
    with reading(path, "a list of contour vertices"):
        right, left = (np.array(document["model_contour"][f"{side}_contour"], np.int64) for side in ("right", "left"))
        if right.ndim != 1 or left.ndim != 1 or min(right.min(), left.min()) < 0:
            raise ValueError("no list of vertices")
        return right, left
