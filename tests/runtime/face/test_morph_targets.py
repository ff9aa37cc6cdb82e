"""Morph targets: ARKit's shapes cut from the model's modes, and what programs find of them in a GLB file."""

import io
import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_ins.sphere import sphere
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import BundleError
from voxface.runtime.face.expression_names import ARKIT, EMBEDDED, arkit_name
from voxface.runtime.face.glb import STILL_MM, glb
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.morph_targets import FULL, morph_targets
from voxface.runtime.face.morphable_model import MorphableModel


@pytest.fixture(scope="module")
def model(default_bundle: Bundle) -> MorphableModel:
    return default_bundle.morphable


@pytest.fixture(scope="module")
def targets(model: MorphableModel) -> dict[str, NDArray[np.float32]]:
    return {target.name: target.displacements for target in morph_targets(model)}


def accessor(data: bytes, document: dict[str, Any], number: int) -> NDArray[Any]:
    """The values of an accessor of three floats, by the words of the specification: a base of zeros, then what is sparse."""
    found = document["accessors"][number]
    blob = 28 + struct.unpack_from("<I", data, 12)[0]

    def view(k: int, kind: str, count: int) -> NDArray[Any]:
        return np.frombuffer(data, kind, count, blob + document["bufferViews"][k]["byteOffset"])

    if "bufferView" in found:
        return view(found["bufferView"], "<f4", 3 * found["count"]).reshape(-1, 3)
    values = np.zeros((found["count"], 3), np.float32)
    sparse = found["sparse"]
    kind = {5123: "<u2", 5125: "<u4"}[sparse["indices"]["componentType"]]
    indices = view(sparse["indices"]["bufferView"], kind, sparse["count"])
    assert (np.diff(indices.astype(np.int64)) > 0).all()
    values[indices] = view(sparse["values"]["bufferView"], "<f4", 3 * sparse["count"]).reshape(-1, 3)
    return values


def document_of(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
    return found


def mode(model: MorphableModel, name: str) -> NDArray[np.float32]:
    """A mode of the embedded model at full strength."""
    return np.float32(FULL) * model.basis[model.identity_modes + EMBEDDED.index(name)]


def test_all_have_arkits_names(targets: dict[str, NDArray[np.float32]]) -> None:
    assert len(ARKIT) == 52
    assert targets.keys() <= ARKIT
    assert len(targets) == 17
    for name in targets:
        other = name.removesuffix("Left") + "Right" if name.endswith("Left") else name
        assert other in targets


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (("jawOpen",), "jaw-open"),
        (("mouthSmileLeft", "mouthSmileRight"), "smile"),
        (("browDownLeft", "browDownRight"), "brows-down"),
        (("eyeBlinkLeft", "eyeBlinkRight"), "lids-closed"),
        (("eyeWideLeft", "eyeWideRight"), "lids-wide"),
    ],
)
def test_the_parts_of_a_mode_add_up_to_it(
    model: MorphableModel, targets: dict[str, NDArray[np.float32]], parts: tuple[str, ...], whole: str
) -> None:
    np.testing.assert_allclose(sum(targets[name] for name in parts), mode(model, whole), atol=1e-4)


def test_brows_and_mouth_are_cut_out_of_their_modes(
    model: MorphableModel, targets: dict[str, NDArray[np.float32]]
) -> None:
    brows = targets["browInnerUp"] + targets["browOuterUpLeft"] + targets["browOuterUpRight"]
    np.testing.assert_allclose(brows + np.float32(0.3) * mode(model, "lids-wide"), mode(model, "brows-up"), atol=1e-4)
    frown = targets["mouthFrownLeft"] + targets["mouthFrownRight"]
    mouth = model.landmarks[48:60]
    np.testing.assert_allclose(frown[mouth], mode(model, "frown")[mouth], atol=1e-4)
    assert not frown[model.landmarks[17:27]].any(), "brows stay"


def test_each_side_moves_its_own_half(model: MorphableModel, targets: dict[str, NDArray[np.float32]]) -> None:
    """Left is the subject's: x > 0."""
    for name in ("eyeBlink", "eyeWide", "mouthSmile", "mouthFrown", "browOuterUp", "browDown"):
        left, right = targets[f"{name}Left"], targets[f"{name}Right"]
        far = model.mean[:, 0] < -10
        assert not left[far].any(), name
        assert right[far].any(), name
        assert np.linalg.norm(left) == pytest.approx(np.linalg.norm(right), rel=1e-3), name


def test_what_moves_and_where_to(model: MorphableModel, targets: dict[str, NDArray[np.float32]]) -> None:
    marks = model.landmarks
    assert targets["jawOpen"][marks[8], 1] < -10, "the chin falls"
    assert targets["jawForward"][marks[8], 2] > 3
    assert targets["mouthPucker"][marks[54], 0] < -2, "the corner goes to the middle"
    assert targets["mouthSmileLeft"][marks[54], 1] > 2, "and up"
    assert targets["mouthFrownLeft"][marks[54], 1] < -2
    assert targets["browInnerUp"][marks[22], 1] > 2
    assert targets["browOuterUpLeft"][marks[25], 1] > 2
    assert targets["browDownLeft"][marks[22], 1] < -2
    assert targets["eyeBlinkLeft"][marks[43], 1] < -4
    assert targets["eyeWideLeft"][marks[43], 1] > 0.5


def test_a_glb_has_them(model: MorphableModel, targets: dict[str, NDArray[np.float32]]) -> None:
    vertices, triangles = model.mean, model.triangles
    normals = vertex_normals(vertices, triangles)
    made = morph_targets(model)
    data = glb(vertices, normals, model.albedo, triangles, targets=made)
    document = document_of(data)
    (mesh,) = document["meshes"]
    assert mesh["extras"]["targetNames"] == list(targets)
    assert mesh["weights"] == [0.0] * len(targets)
    assert "synthetic" in mesh["extras"]
    for told, target in zip(mesh["primitives"][0]["targets"], made, strict=True):
        moved = accessor(data, document, told["POSITION"]) * 1000
        np.testing.assert_allclose(moved, target.displacements, atol=2 * STILL_MM)
        turned = normals + accessor(data, document, told["NORMAL"])
        np.testing.assert_allclose(turned, vertex_normals(vertices + target.displacements, triangles), atol=2e-3)
    bare = glb(vertices, normals, model.albedo, triangles)
    assert len(bare) < len(data) < 4 * len(bare)
    assert "targets" not in document_of(bare)["meshes"][0]["primitives"][0]


def test_trimesh_reads_the_face_at_rest(model: MorphableModel) -> None:
    trimesh = pytest.importorskip("trimesh", reason="trimesh comes with voxface[train]")
    normals = vertex_normals(model.mean, model.triangles)
    data = glb(model.mean, normals, model.albedo, model.triangles, targets=morph_targets(model))
    mesh = trimesh.load(io.BytesIO(data), file_type="glb", force="mesh", process=False)
    np.testing.assert_allclose(np.asarray(mesh.vertices) * 1000, model.mean, atol=1e-3)
    np.testing.assert_array_equal(mesh.faces, model.triangles)
    assert "jawOpen" in mesh.metadata["targetNames"]


def test_modes_of_another_model_are_targets_as_they_are() -> None:
    made = sphere(identity_modes=1)
    assert [target.name for target in morph_targets(made)] == ["expression-1"]
    named = replace(made, expression_names=("mouthSmile_L",))
    (target, first) = morph_targets(named, identity=1)
    assert (target.name, first.name) == ("mouthSmileLeft", "identity-1")
    np.testing.assert_array_equal(target.displacements, made.basis[1])
    assert morph_targets(sphere()) == ()


def test_names_are_stored_with_the_model() -> None:
    made = sphere(identity_modes=1, expression_names=("jawOpen",))
    assert MorphableModel.from_bytes(made.to_bytes()).expression_names == ("jawOpen",)
    assert MorphableModel.from_bytes(sphere().to_bytes()).expression_names == ()
    for wrong in (("a", "b"), ("a",) * 3):
        with pytest.raises(BundleError, match="names of 1 expression modes"):
            sphere(identity_modes=1, expression_names=wrong)


def test_the_embedded_models_names_are_those_it_is_built_with() -> None:
    from voxface.training.faces.expressions import EXPRESSIONS
    from voxface.training.faces.expressions import FULL as BUILT

    assert tuple(EXPRESSIONS) == EMBEDDED
    assert BUILT == FULL


@pytest.mark.parametrize(
    ("name", "arkit"),
    [
        ("jawOpen", "jawOpen"),
        ("Jaw_Open", "jawOpen"),
        ("browDown_L", "browDownLeft"),
        ("eye-blink-right", "eyeBlinkRight"),
        ("identity000", None),
        ("_L", None),
        ("", None),
    ],
)
def test_other_spellings(name: str, arkit: str | None) -> None:
    assert arkit_name(name) == arkit
