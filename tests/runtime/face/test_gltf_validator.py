"""Meshes by the Khronos validator, also those with vertices that are not drawn."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.stand_ins.sphere import sphere
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.glb import glb
from voxface.runtime.face.mesh import OUT_OF_THE_FACE, vertex_normals
from voxface.runtime.face.morph_targets import morph_targets
from voxface.runtime.face.obj import obj
from voxface.runtime.face.ply import ply

Validate = Callable[[bytes], dict[str, Any]]
GLTF = ROOT / "tests" / "gltf"
MODEL = sphere()


@pytest.fixture(scope="module")
def validate(tmp_path_factory: pytest.TempPathFactory) -> Validate:
    """The validator's report of a GLB: `errors`, `warnings`, `messages`."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here: install Node.js with npm, then `make tests/gltf/node_modules/.ready`")
    if not (GLTF / "node_modules" / "gltf-validator").is_dir():
        pytest.skip("the Khronos validator is not here: `make tests/gltf/node_modules/.ready` installs it with npm")
    file = tmp_path_factory.mktemp("gltf") / "mesh.glb"

    def report(data: bytes) -> dict[str, Any]:
        file.write_bytes(data)
        done = subprocess.run([node, GLTF / "validate.mjs", file], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return report


def loose() -> tuple[Any, Any, Any]:
    """Vertices, colours and triangles: a sphere with 7 vertices of no triangle, and 2 of a triangle without area alone."""
    vertices = np.concatenate([MODEL.mean, np.tile(np.float32([[0, 0, 90]]), (9, 1))])
    last = len(vertices)
    triangles = np.concatenate([MODEL.triangles, np.int32([[last - 2, last - 1, last - 2]])])
    return vertices, np.concatenate([MODEL.albedo, np.ones((9, 3), np.float32)]), triangles


def test_the_validator_finds_what_it_is_to_find(validate: Validate) -> None:
    vertices, colours, triangles = loose()
    normals = vertex_normals(vertices, triangles)
    normals[-3:] = 0
    report = validate(glb(vertices, normals, colours, triangles))
    assert report["errors"] == 3
    assert {message["code"] for message in report["messages"] if message["severity"] == 0} == {
        "ACCESSOR_VECTOR3_NON_UNIT"
    }


def test_vertices_that_are_not_drawn_have_unit_normals(validate: Validate) -> None:
    vertices, colours, triangles = loose()
    normals = vertex_normals(vertices, triangles)
    np.testing.assert_array_equal(normals[-9:], np.tile(np.float32(OUT_OF_THE_FACE), (9, 1)))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(normals[:-9], vertex_normals(MODEL.mean, MODEL.triangles))
    assert validate(glb(vertices, normals, colours, triangles))["errors"] == 0
    assert "vn 0.0000 0.0000 0.0000" not in obj(vertices, normals, triangles).decode()
    data = ply(vertices, normals, colours, triangles)
    points = np.frombuffer(
        data[data.index(b"end_header\n") + 11 :],
        [("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)],
        len(vertices),
    )
    np.testing.assert_allclose(np.linalg.norm(points["normal"], axis=1), 1, atol=1e-6)


def test_tiny_and_huge_triangles_have_unit_normals() -> None:
    for size in (1e-30, 1e-12, 1.0, 1e12, 1e18, 1e25):
        with np.errstate(over="ignore", invalid="ignore"):
            normals = vertex_normals(MODEL.mean * np.float32(size), MODEL.triangles)
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6, err_msg=str(size))


@pytest.mark.parametrize("animated", [False, True])
def test_the_default_bundles_mesh(validate: Validate, default_bundle: Bundle, animated: bool) -> None:
    model = default_bundle.morphable
    targets = morph_targets(model, identity=2) if animated else ()
    normals = vertex_normals(model.mean, model.triangles)
    report = validate(glb(model.mean, normals, model.albedo, model.triangles, default_bundle.mark, targets))
    assert (report["errors"], report["warnings"]) == (0, 0), report


@pytest.mark.slow
def test_ict_facekit(validate: Validate, shared: Path) -> None:
    """2,128 of its vertices (lashes, tear fluid) lose their triangles."""
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    from voxface.importers.face_models import read_face_model

    model = read_face_model(shared / "ict-facekit", modes=(2, 1))
    assert len(np.setdiff1d(np.arange(len(model.mean)), model.triangles)) > 2000
    report = validate(glb(model.mean, vertex_normals(model.mean, model.triangles), model.albedo, model.triangles))
    assert (report["errors"], report["warnings"]) == (0, 0), report
