"""Meshes as glTF binary files (GLB)."""

import json
import struct

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def glb(vertices: Float32, normals: Float32, colours: Float32, triangles: NDArray[np.int32]) -> bytes:
    """A GLB file (glTF 2.0) of a mesh, in metres, the unit of glTF.

    Args:
        vertices: float32 [N, 3], millimetres.
        normals: float32 [N, 3].
        colours: float32 [N, 3] in [0, 1], sRGB.
        triangles: int32 [F, 3].
    """
    metres = np.ascontiguousarray(vertices * np.float32(0.001), "<f4")
    # glTF takes linear vertex colours.
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    rgba = np.concatenate([np.rint(linear * 65535), np.full((len(colours), 1), 65535)], 1).astype("<u2")
    parts = [
        metres.tobytes(),
        np.ascontiguousarray(normals, "<f4").tobytes(),
        rgba.tobytes(),
        triangles.astype("<u4").tobytes(),
    ]
    offsets = np.cumsum([0, *(len(p) for p in parts)])
    count = len(vertices)
    document = {
        "asset": {"version": "2.0", "generator": "voxface"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "face"}],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0, "NORMAL": 1, "COLOR_0": 2}, "indices": 3, "material": 0}]}
        ],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.7}}],
        "buffers": [{"byteLength": int(offsets[-1])}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": int(offsets[i]), "byteLength": len(part), "target": 34963 if i == 3 else 34962}
            for i, part in enumerate(parts)
        ],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": count,
                "type": "VEC3",
                "min": metres.min(0).tolist(),
                "max": metres.max(0).tolist(),
            },
            {"bufferView": 1, "componentType": 5126, "count": count, "type": "VEC3"},
            {"bufferView": 2, "componentType": 5123, "normalized": True, "count": count, "type": "VEC4"},
            {"bufferView": 3, "componentType": 5125, "count": int(triangles.size), "type": "SCALAR"},
        ],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    blob = b"".join(parts)
    blob += b"\0" * (-len(blob) % 4)
    total = 12 + 8 + len(text) + 8 + len(blob)
    return (
        struct.pack("<4sII", b"glTF", 2, total)
        + struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(blob), b"BIN\0")
        + blob
    )
