"""ICT-FaceKit (Light): a folder of OBJ files, centimetres; USC Institute for Creative Technologies, MIT licence.

`generic_neutral_mesh.obj` is the mean, `identityNNN.obj` the mean displaced by one standard deviation of a mode, and every
other OBJ the mean with one whole expression blendshape (https://github.com/USC-ICT/ICT-FaceKit).
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voxface.importers.face_models.assembly import ALL_MODES, SKIN, ModelArrays, Modes, assemble
from voxface.importers.face_models.landmarks import require_landmarks
from voxface.importers.face_models.surface import drop_vertices_from, split_polygons
from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import PARTS, MorphableModel
from voxface.runtime.files.damage import reading
from voxface.runtime.files.folders import files_in
from voxface.runtime.files.text import read_json, read_text

NEUTRAL = "generic_neutral_mesh.obj"
INDICES = "vertex_indices.json"  # file of the model that lists its landmarks
FACE_VERTICES = 9409  # vertices 0 to 9408 are the face; head, mouth, eyes and lashes follow

# Tear fluid, eye shade and lashes, which are transparent in a renderer; drawn opaque they would hide the eyes.
TRANSPARENT = ("M_LacrimalFluid", "M_EyeBlend", "M_EyeOcclusion", "M_EyeLashes")
TEETH, GUMS = (0.88, 0.85, 0.78), (0.62, 0.36, 0.35)  # sRGB
SCLERA, IRIS, PUPIL = (0.92, 0.91, 0.90), (0.36, 0.26, 0.18), (0.06, 0.05, 0.05)
IRIS_RADIUS, PUPIL_RADIUS = 0.59, 0.19  # centimetres; the model has the iris in a texture, which is not read


def read_ict(
    path: Path,
    *,
    landmarks: NDArray[np.int64] | None = None,
    modes: Modes = ALL_MODES,
    region: Literal["all", "face"] = "all",
) -> MorphableModel:
    """Reads an ICT-FaceKit folder.

    Args:
        path: the folder (`FaceXModel` of the distribution).
        landmarks: 68 vertices that replace those of `vertex_indices.json`.
        modes: number of leading identity and expression modes to keep.
        region: "all" (26,719 vertices) or "face" (vertices 0 to 9408).

    Raises:
        InputError: a file is missing or damaged, or its number of vertices differs from the neutral mesh's.
    """
    neutral, polygons, materials = _read_obj(path / NEUTRAL)
    identity, expression = _shapes(path)
    triangles, parts, albedo = _paint(neutral, polygons, materials)
    if (triangles >= len(neutral)).any():  # checked before the region is cut, which would drop it silently
        raise InputError(f"{path}: a triangle names vertex {triangles.max()}; the mean has {len(neutral)} vertices")
    end = len(neutral) if region == "all" else min(FACE_VERTICES, len(neutral))
    found = require_landmarks(path, f"a folder without {INDICES}", _landmarks(path) if landmarks is None else landmarks)
    return assemble(
        path,
        ModelArrays(
            name="ict-facekit" if region == "all" else "ict-facekit-face",
            version="light",
            licence="MIT (Copyright (c) 2020 USC Institute for Creative Technologies)",
            provenance=(
                f"ICT-FaceKit, read from {len(identity[: modes[0]])} identity and {len(expression[: modes[1]])} expression "
                "OBJ files; quads split into triangles; transparent shells and lashes not drawn"
            ),
            millimetres=10.0,
            mean=neutral[:end],
            identity=_displacements(identity[: modes[0]], neutral, end),
            expression=_displacements(expression[: modes[1]], neutral, end),
            triangles=triangles if region == "all" else drop_vertices_from(triangles, end),
            landmarks=found,
            more_pairs={},
            parts=parts[:end],
            albedo=albedo[:end],
            expression_names=tuple(file.stem for file in expression[: modes[1]]),
        ),
    )


def _shapes(path: Path) -> tuple[list[Path], list[Path]]:
    """The identity and the expression files, sorted by name."""
    with reading(path, "a folder of OBJ files"):
        shapes = [file for file in files_in(path, {".obj"}) if file.name != NEUTRAL]
    identity = [file for file in shapes if file.stem.startswith("identity")]
    if not identity:
        raise InputError(f"{path}: no identityNNN.obj beside {NEUTRAL}; this is not the whole ICT-FaceKit folder")
    return identity, [file for file in shapes if file not in identity]


def _displacements(files: list[Path], neutral: NDArray[np.float64], end: int) -> NDArray[np.float32]:
    modes = np.empty((len(files), end, 3), np.float32)
    for mode, file in zip(modes, files, strict=True):
        shape, _, _ = _read_obj(file, faces=False)
        if len(shape) != len(neutral):
            raise InputError(f"{file}: {len(shape)} vertices, the neutral mesh has {len(neutral)}; fetch it again")
        mode[:] = (shape - neutral)[:end]
    return modes


def _landmarks(path: Path) -> NDArray[np.int64] | None:
    file = path / INDICES
    if not file.exists():
        return None
    found = read_json(file)
    with reading(file, "a list of landmarks"):
        return np.array(found["idx_to_landmark_verts"], np.int64)


def _read_obj(file: Path, *, faces: bool = True) -> tuple[NDArray[np.float64], list[list[int]], list[str]]:
    """Vertices float64 [N, 3], polygons counted from 0, and the material of each polygon."""
    lines = read_text(file).splitlines()
    with reading(file, "an OBJ file"):
        words = " ".join([line[2:] for line in lines if line.startswith("v ")]).split()
        vertices = np.array([float(word) for word in words]).reshape(-1, 3)
        polygons: list[list[int]] = []
        materials: list[str] = []
        material = ""
        for line in lines if faces else ():
            if line.startswith("usemtl"):
                material = line[6:].strip()
            elif line.startswith("f "):
                polygons.append([int(corner.split("/")[0]) - 1 for corner in line.split()[1:]])
                materials.append(material)
    if not len(vertices):
        raise InputError(f"{file}: no vertices; not an OBJ file, or an empty one")
    return vertices, polygons, materials


def _paint(
    vertices: NDArray[np.float64], polygons: list[list[int]], materials: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.float32]]:
    """Triangles to draw, and part uint8 [N] and colour float32 [N, 3] of each vertex, by the materials."""
    n = len(vertices)
    drawn = split_polygons([p for p, m in zip(polygons, materials, strict=True) if m not in TRANSPARENT])
    parts = np.zeros(n, np.uint8)
    albedo = np.tile(np.array(SKIN, np.float32), (n, 1))
    members: dict[str, set[int]] = {}
    for polygon, material in zip(polygons, materials, strict=True):
        members.setdefault(material, set()).update(v for v in polygon if 0 <= v < n)
    for material, colour in (("M_Teeth", TEETH), ("M_GumsTongue", GUMS)):
        albedo[sorted(members.get(material, ()))] = colour
    for side in ("Left", "Right"):
        eye = np.array(sorted(members.get(f"M_Sclera{side}", set()) | members.get(f"M_Iris{side}", set())), np.int64)
        if len(eye):
            from_middle = vertices[eye] - (vertices[eye].max(axis=0) + vertices[eye].min(axis=0)) / 2
            # ICT has the same axes as voxface: z points out of the face.
            beside = np.where(from_middle[:, 2] > 0, np.hypot(from_middle[:, 0], from_middle[:, 1]), np.inf)
            parts[eye], albedo[eye] = PARTS.index("eyes"), SCLERA
            albedo[eye[beside < IRIS_RADIUS]] = IRIS
            albedo[eye[beside < PUPIL_RADIUS]] = PUPIL
    return drawn, parts, albedo
