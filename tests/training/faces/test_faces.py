"""The embedded morphable model as the default bundle carries it, the population behind it, and what they are made with."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_ins.sphere import sphere
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import BundleError
from voxface.runtime.face.mesh import boundary_edges, vertex_normals
from voxface.runtime.face.morphable_model import PARTS, MorphableModel
from voxface.training.faces.anthropometry import ANSUR, NIOSH, SEXES
from voxface.training.faces.gaussian import Gaussian, match_moments, square_root
from voxface.training.faces.head_mesh import HeadMesh
from voxface.training.faces.lid_and_lip_contact import LidContact
from voxface.training.faces.lid_and_lip_contact import sphere as round_fit
from voxface.training.faces.population import FacePopulation, measure_paths, sample_faces
from voxface.training.faces.surface import Blend, refine

FLIP = np.array([-1, 1, 1], np.float32)


@pytest.fixture(scope="module")
def model(default_bundle: Bundle) -> MorphableModel:
    """The embedded model, with its expressions."""
    if default_bundle.morphable.modes != 50:
        pytest.skip("the default bundle carries a model without expressions")
    return default_bundle.morphable


@pytest.fixture(scope="module")
def population(default_bundle: Bundle) -> FacePopulation:
    """Which coefficients women and men have."""
    if default_bundle.manifest.population is None:
        pytest.skip("the default bundle carries no population")
    return FacePopulation.from_bytes(default_bundle.files[default_bundle.manifest.population.file])


@pytest.fixture(scope="module")
def mirror(model: MorphableModel) -> NDArray[np.int64]:
    """For each vertex the one at the mirrored place of the mean face."""
    at = {tuple(place): i for i, place in enumerate(model.mean.tolist())}
    return np.array([at[(-x, y, z)] for x, y, z in model.mean.tolist()])


def loops(edges: NDArray[np.int64]) -> list[set[int]]:
    """Vertices of each closed line of boundary edges int [E, 2]."""
    beside: dict[int, list[int]] = {}
    for a, b in edges.tolist():
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    assert {len(ends) for ends in beside.values()} == {2}
    left, found = set(beside), []
    while left:
        loop, todo = set(), [left.pop()]
        while todo:
            vertex = todo.pop()
            loop.add(vertex)
            todo += [w for w in beside[vertex] if w in left]
            left -= set(beside[vertex])
        found.append(loop)
    return found


def test_mean_modes_triangles_and_colours_are_symmetric(model: MorphableModel, mirror: NDArray[np.int64]) -> None:
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    np.testing.assert_array_equal(model.mean[mirror] * FLIP, model.mean)
    np.testing.assert_array_equal(model.basis[:, mirror] * FLIP, model.basis)
    np.testing.assert_array_equal(model.parts[mirror], model.parts)
    np.testing.assert_array_equal(model.albedo[mirror], model.albedo)
    faces = {tuple(sorted(t)) for t in model.triangles.tolist()}
    assert faces == {tuple(sorted(t)) for t in mirror[model.triangles].tolist()}
    for right, left in ((0, 16), (36, 45), (39, 42), (31, 35), (48, 54), (60, 64)):
        assert mirror[model.landmarks[right]] == model.landmarks[left]


def test_closed_but_for_neck_mouth_and_lids(model: MorphableModel) -> None:
    assert boundary_edges(model.triangles) == model.boundary_edges > 0
    edges = np.sort(
        np.concatenate([model.triangles[:, [0, 1]], model.triangles[:, [1, 2]], model.triangles[:, [2, 0]]]), axis=1
    )
    different, times = np.unique(edges, axis=0, return_counts=True)
    assert times.max() == 2
    middles = np.array([model.mean[sorted(loop)].mean(axis=0) for loop in loops(different[times == 1])])
    assert len(middles) == 4
    neck, mouth, right, left = middles[np.argsort(middles[:, 1])][[0, 1, 2, 3]]
    assert neck[1] < -120
    np.testing.assert_allclose(mouth, model.mean[model.landmarks[60:68]].mean(axis=0), atol=15)
    assert {round(float(np.sign(right[0]))), round(float(np.sign(left[0])))} == {-1, 1}


def test_normals_point_outwards(model: MorphableModel) -> None:
    for face in (model.mean, *model.mean_faces):
        a, b, c = (face[model.triangles[:, k]].astype(np.float64) for k in range(3))
        litres = np.einsum("fx,fx->", np.cross(a, b), c) / 6e6
        assert 3.0 < litres < 5.0
        normals = vertex_normals(face, model.triangles)
        assert normals[model.landmarks[30], 2] > 0.5  # tip of the nose
        eye = model.parts == PARTS.index("eyes")
        for side in (eye & (face[:, 0] > 0), eye & (face[:, 0] < 0)):
            away = face[side] - face[side].mean(axis=0)
            assert (np.einsum("kx,kx->k", normals[side], away) > 0).all()


def test_origin_is_between_the_outer_eye_corners(model: MorphableModel) -> None:
    corners = list(model.are_pairs["outer_interocular"])
    np.testing.assert_allclose(model.mean[corners].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(model.basis[: model.identity_modes, corners].mean(axis=1), 0, atol=1e-2)


def test_identity_is_white_and_expression_is_none(model: MorphableModel, population: FacePopulation) -> None:
    assert model.identity_modes == population.mean.shape[1] == 40
    apart = (population.mean[1] - population.mean[0]) / 2
    np.testing.assert_allclose(population.mean.mean(axis=0), 0, atol=1e-5)
    both = population.covariance.mean(axis=0) + np.outer(apart, apart)
    np.testing.assert_allclose(both, np.eye(40), atol=1e-4)
    np.testing.assert_allclose(model.sex_means[:, :40], population.mean, atol=1e-6)
    assert not model.sex_means[:, 40:].any()
    assert not any(coefficients[40:].any() for coefficients in model.face_types.values())


def test_ten_thousand_faces_measure_what_people_do(model: MorphableModel, population: FacePopulation) -> None:
    names = list(model.measurements)
    for sex, label in enumerate(SEXES):
        faces = sample_faces(model, population, sex, 10_000, np.random.default_rng(sex)).astype(np.float64)
        mean, basis = model.mean.astype(np.float64), model.basis.astype(np.float64)
        measured = measure_paths(mean, basis, model.measurements, faces)
        survey = ANSUR[label]
        lengths = measured[:, [names.index(name) for name in survey.names]]
        tolerance = np.maximum(1.0, 0.01 * survey.mean)
        assert (np.abs(lengths.mean(axis=0) - survey.mean) < tolerance).all()
        np.testing.assert_allclose(lengths.std(axis=0), survey.sd, rtol=0.05)
        assert np.abs(np.corrcoef(lengths.T) - survey.correlation).max() < 0.1
        # The soft targets: within two and a half millimetres of the mean, but for the jaw, whose callipers press on flesh.
        for name, figures in NIOSH.items():
            soft = measured[:, names.index(name)].mean()
            assert soft == pytest.approx(figures[label][0], abs=5 if name == "jaw_width" else 2.5)


def test_a_blink_covers_the_eyes_and_an_open_jaw_opens_the_mouth(model: MorphableModel) -> None:
    from voxface.training.faces.expressions import EXPRESSIONS, FULL

    at = {name: 40 + k for k, name in enumerate(EXPRESSIONS)}
    assert len(at) == model.modes - 40
    for sex in (0, 1):
        marks = {}
        for name in ("lids-closed", "jaw-open", "brows-up", "smile"):
            face = model.sex_means[sex].copy()
            face[at[name]] = FULL
            marks[name] = model.vertices(face)[model.landmarks]
        neutral = model.mean_faces[sex][model.landmarks]
        opening = neutral[[43, 44], 1] - neutral[[47, 46], 1]
        shut = marks["lids-closed"][[43, 44], 1] - marks["lids-closed"][[47, 46], 1]
        assert (opening > 7).all()
        assert (shut < 0.12 * opening).all()
        assert 20 < (marks["jaw-open"][62] - marks["jaw-open"][66])[1] < 50
        assert (marks["brows-up"][17:27, 1] > neutral[17:27, 1] + 2).all()
        assert marks["smile"][54, 0] > neutral[54, 0] + 2


def test_eyeballs_stay_round(model: MorphableModel, population: FacePopulation) -> None:
    eye = (model.parts == PARTS.index("eyes")) & (model.mean[:, 0] > 0)
    for face in sample_faces(model, population, 0, 20, np.random.default_rng(2), expression_sd=1.0):
        places = model.vertices(face)[eye].astype(np.float64)
        centre, radius = round_fit(places)
        assert 12 < radius < 20
        np.testing.assert_allclose(np.linalg.norm(places - centre, axis=1), radius, atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("expression_sd", [0.0, 0.35])
def test_lids_lips_and_ears_pass_through_nothing(
    model: MorphableModel, population: FacePopulation, expression_sd: float
) -> None:
    pytest.importorskip("open3d")
    from voxface.training.faces.intersections import clip_coefficients, count_crossings, eyeball_depth

    rng = np.random.default_rng(8)
    drawn = [sample_faces(model, population, sex, 100, rng, expression_sd=expression_sd) for sex in (0, 1)]
    faces = clip_coefficients(np.concatenate(drawn))
    for kind, crossings in count_crossings(model, faces).items():
        assert (crossings > 0).sum() <= (0 if expression_sd == 0 else 2), kind
    deepest = max(eyeball_depth(model, model.vertices(face)) for face in faces)
    # Half a blink on an eye unlike the mean's may just touch it.
    assert deepest < (0 if expression_sd == 0 else 0.1)


def test_edges_that_cross_a_triangle_are_counted() -> None:
    pytest.importorskip("open3d")
    from voxface.training.faces.intersections import PartPair

    flat = [[-9, 0, -9], [9, 0, -9], [0, 0, 9]]
    upright = [[0, -1, 0], [1, 3, 0], [-1, 3, 0]]
    pair = PartPair(np.array([[0, 1, 2]]), np.array([[3, 4, 5]]))
    assert pair.crossings(np.array(flat + upright, np.float32)) == 2
    lifted = np.add(upright, (0, 2, 0))
    assert pair.crossings(np.concatenate([flat, lifted]).astype(np.float32)) == 0


def eyes_and_lids() -> HeadMesh:
    """Topology of nothing but 40 vertices of eyeball and 40 of lid on the left, and their mirror images."""
    count = 80
    angle = np.where(np.arange(count) < 40, 0.0, np.nan)
    return HeadMesh(
        triangles=np.zeros((0, 3), np.int32),
        mirror=np.concatenate([np.arange(count) + count, np.arange(count)]),
        skin=(),
        eyes=Blend.pick(np.arange(1)),
        eye_angle=np.concatenate([angle, angle]),
        pupils=(0, count),
        boundary_edges=0,
    )


def test_lids_slide_on_the_eyeball_whatever_moves_them(rng: np.random.Generator) -> None:
    centre, directions = np.array([30.0, 0.0, -5.0]), rng.normal(size=(80, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[40:, 2] = np.abs(directions[40:, 2])
    left = centre + directions * np.where(np.arange(80) < 40, 15.0, 15.2)[:, None]
    mesh = eyes_and_lids()
    contact = LidContact(mesh, np.concatenate([left, left * FLIP]))
    head = contact.lift_lids(np.concatenate([left, left * FLIP]))
    np.testing.assert_array_equal(head[80:], head[:80] * FLIP)
    assert np.linalg.norm(head[40:80] - centre, axis=1).min() > 15.39
    contact = LidContact(mesh, head)
    for _ in range(5):
        moved = rng.normal(size=(80, 3)) + rng.normal(size=3)
        kept = contact.slide_lids(np.concatenate([moved, moved * FLIP]))
        np.testing.assert_array_equal(kept[80:], kept[:80] * FLIP)
        for strength in (-2.5, 1.0, 2.5):
            face = (head + strength * kept)[:80]
            middle, radius = round_fit(face[:40])
            np.testing.assert_allclose(np.linalg.norm(face[:40] - middle, axis=1), radius, atol=1e-9)
            assert np.linalg.norm(face[40:] - middle, axis=1).min() > radius + 0.38


def test_a_blink_passes_over_the_eyeball(rng: np.random.Generator) -> None:
    centre, directions = np.array([30.0, 0.0, 0.0]), rng.normal(size=(80, 3))
    # Lids at the upper rim; straight down they would go through the eyeball.
    directions[40:] = np.array([0.0, 6.0, 14.0]) + rng.normal(size=(40, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    left = centre + directions * np.where(np.arange(80) < 40, 15.0, 15.5)[:, None]
    head = np.concatenate([left, left * FLIP])
    contact = LidContact(eyes_and_lids(), head)
    down = np.where(np.arange(80)[:, None] < 40, 0.0, np.array([0.0, -13.0, 0.0]))
    straight = np.concatenate([down, down * FLIP])
    blink = contact.close_lids(straight, head, retreat=2.0)
    for share in (0.25, 0.5, 0.75, 1.0):
        through = np.linalg.norm((head + share * straight)[40:80] - centre, axis=1).min()
        over = np.linalg.norm((head + share * blink)[40:80] - centre - share * np.array([0, 0, -2]), axis=1).min()
        assert over > 15.3
        assert through < over
    np.testing.assert_allclose(blink[:40], np.broadcast_to([0, 0, -2], (40, 3)))


def test_the_inside_of_a_mouth_is_dark() -> None:
    pytest.importorskip("open3d")
    from voxface.training.faces.render import render

    corners = np.array([[-200, -200, 0], [200, -200, 0], [0, 300, 0]], np.float32)
    skin = np.full((3, 3), 0.7, np.float32)
    seen = [render(corners, np.array([order], np.int32), skin, size=4) for order in ((0, 1, 2), (0, 2, 1))]
    assert seen[0].min() > 100
    assert seen[1].max() < 40


def test_moments_of_a_line_of_measures() -> None:
    # Two parameters; one curved measure of the first. The second, which nothing measures, keeps its prior.
    prior = Gaussian(np.zeros(2), np.diag([1.0, 4.0]))
    moved = match_moments(
        prior,
        lambda at: 10 + at[:, :1] + 0.05 * at[:, :1] ** 2,
        np.array([12.0]),
        np.array([[0.25]]),
        np.random.default_rng(0),
    )
    drawn = moved.sample(40_000, np.random.default_rng(1))
    measured = 10 + drawn[:, 0] + 0.05 * drawn[:, 0] ** 2
    assert measured.mean() == pytest.approx(12, abs=0.02)
    assert measured.std() == pytest.approx(0.5, rel=0.02)
    assert moved.mean[1] == pytest.approx(0, abs=1e-9)
    assert moved.covariance[1, 1] == pytest.approx(4)
    assert moved.covariance[0, 1] == pytest.approx(0, abs=1e-9)


def test_square_root_of_a_covariance() -> None:
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    root = square_root(covariance)
    np.testing.assert_allclose(root @ root, covariance)
    np.testing.assert_allclose(square_root(np.diag([4.0, -1e-12])), np.diag([2.0, 0.0]))


def test_refining_keeps_a_flat_square_flat_closed_and_affine() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    finer, blend = refine(triangles, 4, np.array([True, False]))
    assert isinstance(blend, Blend)
    np.testing.assert_allclose(blend.weights.sum(axis=1), 1)
    placed = blend(corners)
    a, b, c = (placed[finer[:, k]] for k in range(3))
    areas = np.cross(b - a, c - a)[:, 2] / 2
    assert (areas > 0).all()
    assert boundary_edges(finer.astype(np.int32)) == 6  # the two split sides of the marked triangle count double
    np.testing.assert_allclose(blend(corners + 5.0), placed + 5.0)


def test_population_comes_back_from_its_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    population = FacePopulation(
        rng.normal(size=(2, 3)).astype(np.float32), np.stack([np.eye(3)] * 2).astype(np.float32)
    )
    data = population.to_bytes()
    assert data == population.to_bytes()
    again = FacePopulation.from_bytes(data)
    np.testing.assert_array_equal(again.mean, population.mean)
    np.testing.assert_array_equal(again.covariance, population.covariance)
    population.save(tmp_path / "population.npz")
    assert (tmp_path / "population.npz").read_bytes() == data
    np.testing.assert_array_equal(FacePopulation.load(tmp_path / "population.npz").mean, population.mean)


def test_a_bad_population_is_refused() -> None:
    with pytest.raises(BundleError, match="not a population"):
        FacePopulation.from_bytes(b"PK\x03\x04 nothing")
    out = io.BytesIO()
    np.savez(out, mean=np.zeros((2, 3)))
    with pytest.raises(BundleError, match="covariance"):
        FacePopulation.from_bytes(out.getvalue())
    with pytest.raises(BundleError, match=r"\[2, P, P\]"):
        FacePopulation(np.zeros((2, 3), np.float32), np.zeros((2, 2, 2), np.float32))
    with pytest.raises(BundleError, match="NaN"):
        FacePopulation(np.full((2, 1), np.nan, np.float32), np.zeros((2, 1, 1), np.float32))


def test_sampled_faces_are_neutral_unless_asked_otherwise() -> None:
    model = sphere(identity_modes=1)
    population = FacePopulation(np.array([[-1], [1]], np.float32), np.full((2, 1, 1), 0.25, np.float32))
    neutral = sample_faces(model, population, 1, 2000, np.random.default_rng(0))
    assert neutral.shape == (2000, 2)
    assert neutral.dtype == np.float32
    assert neutral[:, 0].mean() == pytest.approx(1, abs=0.05)
    assert neutral[:, 0].std() == pytest.approx(0.5, rel=0.05)
    assert not neutral[:, 1].any()
    lively = sample_faces(model, population, 1, 2000, np.random.default_rng(0), expression_sd=0.5)
    np.testing.assert_array_equal(lively[:, 0], neutral[:, 0])
    assert (lively[:, 1] >= 0).all()
    assert np.sqrt((lively[:, 1] ** 2).mean()) == pytest.approx(0.5, rel=0.05)
