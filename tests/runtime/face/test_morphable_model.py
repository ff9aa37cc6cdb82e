"""The morphable model: arithmetic by hand, the file format, and models that break the contract."""

import io
from typing import Any

import numpy as np
import pytest

from tests.stand_ins.sphere import sphere
from voxface.runtime.errors import BundleError
from voxface.runtime.face.mesh import boundary_edges, vertex_normals
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.inference.attributes import read_attributes, sex_evidence, sex_in_words


def test_vertices_are_mean_plus_weighted_modes() -> None:
    model = sphere()
    vertices = model.vertices(np.array([2, -1], np.float32))
    np.testing.assert_allclose(vertices, model.mean * np.array([1 + 2 / 90, 1 - 2 / 90, 1]), atol=1e-4)
    many = model.vertices(np.array([[0, 0], [2, -1]], np.float32))
    assert many.shape == (2, 722, 3)
    np.testing.assert_array_equal(many[1], vertices)
    np.testing.assert_array_equal(many[0], model.mean)


def test_measurements_are_lengths_of_paths() -> None:
    model = sphere()
    assert model.measure(model.mean)["height"] == pytest.approx(180, abs=1e-3)
    bow = np.linalg.norm(model.mean[0] - model.mean[1]) + np.linalg.norm(model.mean[1] - model.mean[-1])
    assert model.measure(model.mean)["path"] == pytest.approx(float(bow), abs=1e-3)
    assert model.measure(model.vertices(np.array([0, 1], np.float32)))["height"] == pytest.approx(184, abs=1e-3)


def test_distances_and_measurements_need_no_mesh() -> None:
    model = sphere()
    random = np.random.default_rng(0)
    for one, other in random.normal(size=(20, 2, 2)).astype(np.float32):
        meshes = model.vertices(one) - model.vertices(other)
        assert model.distance(one, other) == pytest.approx(float(np.sqrt((meshes**2).sum(1).mean())), rel=1e-4)
        assert model.measurements_of(one) == pytest.approx(model.measure(model.vertices(one)), rel=1e-6)
    assert model.distance(one, one) == 0
    assert sphere(measurements={}).measurements_of(one) == {}


def test_one_product_places_a_face_among_the_types() -> None:
    model = sphere()
    random = np.random.default_rng(1)
    faces = [*random.normal(size=(20, 2)), *model.sex_means]
    for face in np.array(faces, np.float32):
        place, squares = model.place_among_types(face)
        assert place == pytest.approx(model.place(face), rel=1e-12)
        apart = model.place(face) - model.type_places
        assert squares == pytest.approx((apart**2).sum(-1).ravel(), abs=1e-9)
        assert min(squares) >= 0, "a face that is a typical one, but for rounding"


def test_sex_probability_is_that_of_two_equal_normals() -> None:
    model = sphere()
    female, male = model.sex_means
    middle = read_attributes(model, (female + male) / 2)
    assert middle.sex["female"] == pytest.approx(0.5, abs=1e-4)
    women, men = model.mean_faces
    apart = float(np.sqrt(((women - men) ** 2).sum(1).mean()))
    woman = read_attributes(model, female)
    assert woman.sex["female"] == pytest.approx(1 / (1 + np.exp(-(apart**2) / (2 * 1.5**2))), abs=1e-5)
    assert sum(woman.sex.values()) == 1
    assert read_attributes(model, female, 0.5).sex["female"] == pytest.approx(
        1 / (1 + np.exp(-0.5 * sex_evidence(model, female))), abs=1e-6
    )
    assert read_attributes(model, (female + male) / 2, 3.0).sex["female"] == pytest.approx(0.5, abs=1e-4)
    assert woman.distances_mm["female"] == 0
    assert woman.distances_mm["male"] == pytest.approx(apart)
    assert set(woman.distances_mm) == {"female", "male", "wide", "regular", "slim"}


def test_half_a_chance_is_no_answer() -> None:
    assert sex_in_words({"female": 0.97, "male": 0.03}) == "female (97%)"
    assert sex_in_words({"female": 0.4, "male": 0.6}) == "male (60%)"
    assert sex_in_words({"female": 0.5, "male": 0.5}) == "unclear (female 50%)"


def test_face_type_does_not_depend_on_sex() -> None:
    model = sphere(sex_means=np.array([[0, -2], [0, 2]], np.float32))
    female, male = model.sex_means
    wider = np.array([2, 0], np.float32)
    for face in (female, male):
        assert read_attributes(model, face).face_type == "regular"
        assert read_attributes(model, face + wider).face_type == "wide"
        assert read_attributes(model, face - wider).face_type == "slim"
    assert read_attributes(sphere(face_types={}), female).face_type == "unknown"


def test_file_and_back() -> None:
    model = sphere()
    data = model.to_bytes()
    assert data == model.to_bytes(), "the same model gives the same bytes"
    back = MorphableModel.from_bytes(data)
    for name in ("mean", "triangles", "landmarks", "parts", "sex_means"):
        np.testing.assert_array_equal(getattr(back, name), getattr(model, name))
    np.testing.assert_allclose(back.basis, model.basis, atol=2e-3)
    np.testing.assert_allclose(back.albedo, model.albedo, atol=1 / 255)
    assert MorphableModel.from_bytes(sphere(face_types={}).to_bytes()).face_types == {}
    assert (back.measurements, back.are_pairs, back.name) == (model.measurements, model.are_pairs, "sphere")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mean": np.zeros((5, 2), np.float32)}, "mean has shape"),
        ({"basis": np.zeros((2, 7, 3), np.float32)}, "basis has shape"),
        ({"basis": np.full((2, 722, 3), np.nan, np.float32)}, "basis holds NaN"),
        ({"triangles": np.array([[0, 1, 722]], np.int32)}, "vertex 722, outside"),
        ({"triangles": np.array([[0, 1, -1]], np.int32)}, "vertex -1, outside"),
        ({"landmarks": np.arange(67, dtype=np.int32)}, "landmarks"),
        ({"measurements": {"height": (0, 9999)}}, "measurement height name vertex 9999"),
        ({"measurements": {"height": (0,)}}, "measurement height is a path of 1"),
        ({"sex_means": np.zeros((2, 3), np.float32)}, "sex_means"),
        ({"sex_scale": 0.0}, "sex_scale"),
        ({"identity_modes": 3}, "identity modes"),
        ({"face_types": {"wide": np.zeros(3, np.float32)}}, "face type wide"),
    ],
)
def test_models_that_break_the_contract(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        sphere(**changes)


@pytest.mark.parametrize("data", [b"", b"PK\5\6" + bytes(18), b"\x80\x04pickle", sphere().to_bytes()[:-200]])
def test_files_that_are_no_model(data: bytes) -> None:
    with pytest.raises(BundleError, match="not a morphable model"):
        MorphableModel.from_bytes(data)


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        *[(name, lambda a: a.astype(complex), "no real numbers") for name in ("mean", "basis", "albedo", "sex_means")],
        *[(name, lambda a: a.astype("S9"), "no real numbers") for name in ("mean", "sex_means", "face_types")],
        ("mean", lambda a: a.astype(int).astype("m8[s]"), "no real numbers"),
        ("triangles", lambda a: a.astype(np.int64) + (1 << 32), "not within 0 to 2147483647"),  # the same in 32 bits
        ("landmarks", lambda a: a.astype(np.int64) - (1 << 32), "not within 0 to 2147483647"),
        ("parts", lambda a: a.astype(np.int64) + 256, "not within 0 to 255"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_arrays_of_another_type_are_not_cast_until_they_fit(name: str, change: Any, why: str) -> None:
    data = io.BytesIO(sphere().to_bytes())
    arrays = dict(np.load(data))
    made = io.BytesIO()
    np.savez(made, **{**arrays, name: change(arrays[name])})
    with pytest.raises(BundleError, match=f"{name} .*{why}"):
        MorphableModel.from_bytes(made.getvalue())


def test_normals_of_a_sphere_point_outwards() -> None:
    model = sphere()
    normals = vertex_normals(model.mean, model.triangles)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert ((normals * model.mean).sum(1) > 0.98 * 90).all()


def test_boundary_edges() -> None:
    model = sphere()
    assert boundary_edges(model.triangles) == 0
    assert boundary_edges(model.triangles[1:]) == 3
    with pytest.raises(ValueError, match="orientable"):
        boundary_edges(np.array([[0, 1, 2], [0, 1, 3]], np.int32))
