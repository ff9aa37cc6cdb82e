"""Mesh files, read back by a library that other programs use."""

import io
import json
import struct

import numpy as np
import pytest

from tests.stand_ins.sphere import sphere
from voxface.runtime.face.glb import glb
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.obj import obj
from voxface.runtime.face.ply import ply

MODEL = sphere()
NORMALS = vertex_normals(MODEL.mean, MODEL.triangles)


@pytest.mark.parametrize(
    ("suffix", "data", "scale"),
    [
        ("glb", glb(MODEL.mean, NORMALS, MODEL.albedo, MODEL.triangles), 1000),
        ("ply", ply(MODEL.mean, NORMALS, MODEL.albedo, MODEL.triangles), 1),
        ("obj", obj(MODEL.mean, NORMALS, MODEL.triangles), 1),
    ],
)
def test_meshes_read_back(suffix: str, data: bytes, scale: float) -> None:
    trimesh = pytest.importorskip("trimesh", reason="trimesh comes with voxface[train]")
    mesh = trimesh.load(io.BytesIO(data), file_type=suffix, force="mesh", process=False)
    np.testing.assert_allclose(np.asarray(mesh.vertices) * scale, MODEL.mean, atol=1e-3)
    np.testing.assert_array_equal(mesh.faces, MODEL.triangles)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0, "normals point outwards"


def test_glb_is_well_formed() -> None:
    data = glb(MODEL.mean, NORMALS, MODEL.albedo, MODEL.triangles)
    magic, version, total = struct.unpack_from("<4sII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    assert size % 4 == 0
    document = json.loads(data[20 : 20 + size])
    views, accessors = document["bufferViews"], document["accessors"]
    assert sum(view["byteLength"] for view in views) == document["buffers"][0]["byteLength"]
    assert all(view["byteOffset"] % 4 == 0 for view in views)
    assert accessors[0]["min"] == pytest.approx((MODEL.mean.min(0) / 1000).tolist())
    assert accessors[3]["count"] == MODEL.triangles.size
