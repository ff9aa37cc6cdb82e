"""Meshes as glTF binary files (GLB)."""

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.gltf_buffer import GltfBuffer
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.morph_targets import MorphTarget
from voxface.runtime.provenance.gltf_extras import add_mark
from voxface.runtime.provenance.mark import OF_NO_BUNDLE, Mark

Float32 = NDArray[np.float32]
STILL_MM = 0.001  # displacements below it are stored as none
STILL_NORMAL = 0.001  # the same of the normals' unit vectors


def glb(
    vertices: Float32,
    normals: Float32,
    colours: Float32,
    triangles: NDArray[np.int32],
    mark: Mark = OF_NO_BUNDLE,
    targets: Sequence[MorphTarget] = (),
) -> bytes:
    """A GLB file (glTF 2.0) of a generated face, in metres, the unit of glTF.

    Args:
        vertices: float32 [N, 3], millimetres.
        normals: float32 [N, 3].
        colours: float32 [N, 3] in [0, 1], sRGB.
        triangles: int32 [F, 3].
        mark: which bundle made it. Without one the file says no more than that it is synthetic.
        targets: morph targets, all of weight 0. Their names stand in the mesh's `extras.targetNames`, where programs look.
    """
    metres = vertices.astype(np.float32) * np.float32(0.001)
    # glTF takes linear vertex colours.
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    rgba = np.concatenate([np.rint(linear * 65535), np.full((len(colours), 1), 65535)], 1).astype("<u2")
    buffer = GltfBuffer()
    primitive: dict[str, Any] = {
        "attributes": {
            "POSITION": buffer.add_vertices(metres, bounds=True),
            "NORMAL": buffer.add_vertices(normals.astype(np.float32)),
            "COLOR_0": buffer.add_vertices(rgba, normalised=True),
        },
        "indices": buffer.add_indices(triangles),
        "material": 0,
    }
    mesh: dict[str, Any] = {"primitives": [primitive]}
    if targets:
        primitive["targets"] = [_target(buffer, vertices, normals, triangles, target) for target in targets]
        mesh |= {"weights": [0.0] * len(targets), "extras": {"targetNames": [target.name for target in targets]}}
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "face"}],
        "meshes": [mesh],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.7}}],
        "buffers": [{"byteLength": buffer.size}],
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
    }
    add_mark(document, mark)
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + buffer.size
    return (
        struct.pack("<4sII", b"glTF", 2, total)
        + struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", buffer.size, b"BIN\0")
        + buffer.data
    )


def _target(
    buffer: GltfBuffer, vertices: Float32, normals: Float32, triangles: NDArray[np.int32], target: MorphTarget
) -> dict[str, int]:
    """The accessors of a morph target: where vertices go, and how their normals turn on the way."""
    moved = target.displacements
    turned = vertex_normals(vertices + moved, triangles) - normals
    return {
        "POSITION": buffer.add_displacements(_without_small(moved, STILL_MM) * np.float32(0.001), bounds=True),
        "NORMAL": buffer.add_displacements(_without_small(turned, STILL_NORMAL)),
    }


def _without_small(displacements: Float32, least: float) -> Float32:
    small = np.abs(displacements).max(axis=1, keepdims=True) < least
    return np.where(small, np.float32(0), displacements).astype(np.float32)
