"""The head's third dimension: published places of landmarks, the offsets that aim at them, and the model built with them."""

from pathlib import Path

import numpy as np
import pytest

from voxface.runtime.face.morphable_model import PARTS, MorphableModel
from voxface.training.faces.anthropometry import ANSUR, DEPTH, NIOSH, PLACES, SEXES, SKIN
from voxface.training.faces.depth_deformations import depth_deformations
from voxface.training.faces.landmarks import POINTS, SPOTS
from voxface.training.faces.offsets import landmark_offsets, measure_offsets, skin_offsets
from voxface.training.faces.population import FacePopulation, ShapeSpace, fit_centre, measure_paths, sample_faces

Built = tuple[MorphableModel, FacePopulation]


def places_of_template() -> dict[str, np.ndarray]:
    """Where anny's template has the landmarks, origin between the outer eye corners; x ≥ 0."""
    origin = np.array([0.0, POINTS["exocanthion"][1], POINTS["exocanthion"][2]])
    named = POINTS | SPOTS | {
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
    target = skin_offsets({"cheekbone": (30.0, -25.0, -10.0)}, {"cheekbone": (1, 1)}, 0, normal)[
        "skin at the cheekbone"
    ]
    # Five millimetres too far back and five too high: the height is along the skin and costs nothing.
    measured = measure_offsets(centre, np.zeros((1, 2, 3)), {"cheekbone": target}, np.zeros((1, 1)))
    assert target.wanted - measured[0, 0] == pytest.approx(0.8 * 5)


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
            assert model.measure(model.mean_faces[sex])[name] == pytest.approx(mean, abs=1)
        # The eyeballs lie in their sockets, behind the root of the nose, the brows and the cheekbones' front.
        cornea = head[marks.pupil, 2]
        assert 9 < head[sellion, 2] - cornea < 16
        assert head[model.landmarks[24], 2] - cornea > 5
        off = [
            abs(normal @ (head[marks.points[name]] - head[sellion] - spot))
            for name, spot in SKIN[label].items()
            for normal in (_normal(model, head, marks.points[name]),)
        ]
        assert np.median(off) < 0.7
        assert max(off) < 2.5
        noses.append(np.linalg.norm(head[model.landmarks[30]] - head[model.landmarks[33]]))
    assert noses[1] > noses[0] + 0.5


def _normal(model: MorphableModel, head: np.ndarray, vertex: int) -> np.ndarray:
    from voxface.runtime.face.mesh import vertex_normals

    normal: np.ndarray = vertex_normals(head.astype(np.float32), model.triangles)[vertex].astype(np.float64)
    return normal


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
        assert protrusion.mean() == pytest.approx(DEPTH["nose_protrusion"][label][0], abs=1)
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
