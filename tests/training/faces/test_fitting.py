"""68 landmarks → pose and coefficients: cameras, the jaw line, accuracy on known faces, what is known of the rest."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.stand_ins.small_head import small_head, small_population
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import BundleError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.camera import Camera, Pose, Projection, Space, cross_matrices, rotation_matrices
from voxface.training.faces.contour import JAW, ContourPaths
from voxface.training.faces.face_set import picture_camera, picture_pose
from voxface.training.faces.fitting import BATCH, LandmarkFitter
from voxface.training.faces.mesh_error import vertex_errors
from voxface.training.faces.prior import Prior, determined_span

Array = NDArray[np.float64]
PIXELS_PER_MM = 120 / 143  # a face 120 pixels wide
MODELS = ("small", "default", "expressive", "ict")


@pytest.fixture(scope="module")
def head() -> MorphableModel:
    return small_head()


@pytest.fixture
def model(request: pytest.FixtureRequest, head: MorphableModel) -> MorphableModel:
    """One of `MODELS`, by indirect parametrization."""
    if request.param == "small":
        return head
    if request.param == "ict":
        return ict(request.getfixturevalue("shared"))
    try:
        default = Bundle.open().morphable
    except BundleError:
        pytest.skip("no default bundle here")
    return default if request.param == "expressive" else _cut(default, default.identity_modes)


@functools.cache
def ict(shared: Path) -> MorphableModel:
    """ICT-FaceKit's first twenty identity modes."""
    folder = shared / "ict-facekit"
    if not folder.is_dir():
        pytest.skip(f"ICT-FaceKit absent: {folder}")

    def vertices(name: str) -> Array:
        rows = [line.split()[1:4] for line in (folder / name).read_text().splitlines() if line.startswith("v ")]
        return 10 * np.array(rows, np.float64)

    corners = [
        [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
        for line in (folder / "generic_neutral_mesh.obj").read_text().splitlines()
        if line.startswith("f ")
    ]
    triangles = [[face[0], face[i], face[i + 1]] for face in corners for i in range(1, len(face) - 1)]
    about = (shared / "README.md").read_text().split("(Multi-PIE order, 0-based vertices): ")[1].split(".")[0]
    landmarks = np.array(json.loads(f"[{about}]"), np.int32)
    mean = vertices("generic_neutral_mesh.obj")
    modes = np.stack([vertices(f"identity{k:03d}.obj") - mean for k in range(20)])
    mean -= mean[landmarks[[36, 45]]].mean(axis=0)
    modes -= modes[:, landmarks[[36, 45]]].mean(axis=1, keepdims=True)
    n, p = len(mean), len(modes)
    return MorphableModel(
        name="ict-facekit",
        version="light",
        licence="MIT",
        provenance="USC Institute for Creative Technologies",
        mean=mean.astype(np.float32),
        basis=modes.astype(np.float32),
        identity_modes=p,
        triangles=np.array(triangles, np.int32),
        landmarks=landmarks,
        are_pairs={},
        measurements={},
        parts=np.zeros(n, np.uint8),
        albedo=np.full((n, 3), 0.6, np.float32),
        sex_means=np.zeros((2, p), np.float32),
        sex_scale=1.0,
        face_types={},
    )


def faces(model: MorphableModel, count: int, rng: np.random.Generator) -> tuple[Array, Pose]:
    """Coefficients and poses of heads turned up to 40° aside, 20° up or down and 20° over."""
    degrees = rng.uniform(-1, 1, (count, 3)) * np.array([40, 20, 20])
    pose = Pose.from_angles(degrees, np.full(count, PIXELS_PER_MM), rng.uniform(40, 80, (count, 2)))
    return rng.standard_normal((count, model.modes)), pose


def meshes(model: MorphableModel, coefficients: Array) -> NDArray[np.float32]:
    return model.vertices(coefficients.astype(np.float32))


# Cameras


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_rotations_are_rotations(axis: list[float], other: list[float]) -> None:
    a, b = np.array([axis]), np.array([other])
    turn = rotation_matrices(a)[0]
    assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    assert turn @ a[0] == pytest.approx(a[0])
    assert rotation_matrices(-a)[0] @ turn == pytest.approx(np.eye(3), abs=1e-12)
    assert cross_matrices(a)[0] @ b[0] == pytest.approx(np.cross(a, b)[0])


@given(st.floats(-89, 89), st.floats(-80, 80), st.floats(-170, 170))
def test_angles_are_read_back(yaw: float, pitch: float, roll: float) -> None:
    pose = Pose.from_angles(np.array([[yaw, pitch, roll]]), np.ones(1), np.zeros((1, 2)))
    assert pose.angles[0] == pytest.approx([yaw, pitch, roll], abs=1e-6)


def test_which_way_a_head_turns() -> None:
    nose = np.array([[0.0, 0.0, 1.0]])
    camera = Camera()
    for angles, where in (([30, 0, 0], [0.5, 0]), ([0, 30, 0], [0, -0.5]), ([0, 0, 30], [0, 0])):
        pose = Pose.from_angles(np.array([angles], np.float64), np.ones(1), np.zeros((1, 2)))
        assert camera.project(pose, nose[None])[0, 0] == pytest.approx(where, abs=1e-12)
    top = np.array([[0.0, 1.0, 0.0]])
    assert camera.project(pose, top[None])[0, 0, 0] < 0  # the crown goes left: counter-clockwise


@pytest.mark.parametrize("projection", [Camera(), Camera(400.0, (60.0, 50.0)), Space()])
def test_derivatives(projection: Projection, rng: np.random.Generator) -> None:
    d = projection.dimensions
    pose = Pose.from_angles(rng.uniform(-30, 30, (4, 3)), rng.uniform(0.5, 2, 4), rng.uniform(0, 100, (4, d)))
    points = rng.uniform(-60, 60, (4, 7, 3))
    seen = projection.linearise(pose, points)
    assert seen.image == pytest.approx(projection.project(pose, points))
    h = 1e-5
    for axis in range(3):
        step = h * np.eye(3)[axis]
        slope = (projection.project(pose, points + step) - projection.project(pose, points - step)) / (2 * h)
        assert seen.by_point[..., axis] == pytest.approx(slope, rel=1e-6, abs=1e-7)
    for q in range(4 + d):
        move = np.tile(h * np.eye(4 + d)[q], (4, 1))
        slope = (projection.project(pose.moved(move), points) - projection.project(pose.moved(-move), points)) / (2 * h)
        assert seen.by_pose[..., q] == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_a_long_lens_is_weak_perspective(rng: np.random.Generator) -> None:
    pose = Pose.from_angles(rng.uniform(-30, 30, (3, 3)), np.ones(3), rng.uniform(0, 100, (3, 2)))
    points = rng.uniform(-80, 80, (3, 5, 3))
    far = Camera(1e9, (50.0, 50.0))
    assert far.project(pose, points) == pytest.approx(Camera().project(pose, points), abs=1e-4)
    assert Camera(1000.0).depth(pose) == pytest.approx(1000.0)
    with pytest.raises(UsageError, match="focal length -1"):
        Camera(-1.0)


def test_the_camera_is_the_renderers(head: MorphableModel) -> None:
    pytest.importorskip("open3d")
    from voxface.training.faces.appearance import Appearance
    from voxface.training.faces.face_set import draw

    camera = picture_camera(120)
    for angles in ([0.0, 0.0, 0.0], [35.0, -15.0, 20.0]):
        pose = picture_pose(np.array([angles]), camera)
        small = (head.mean * 0.4).astype(np.float32)  # all of it in the picture
        picture = draw(head, small, pose, 120, Appearance(background=(0.0, 0.0, 0.0)), np.ones(len(small), np.float32))
        rows, columns = np.nonzero(picture.sum(axis=2))
        places = camera.project(pose, small[None].astype(np.float64))[0]
        low, high = places.min(axis=0), places.max(axis=0)
        assert [columns.min(), rows.min()] == pytest.approx(low, abs=1)
        assert [columns.max() + 1, rows.max() + 1] == pytest.approx(high, abs=1)


# The jaw line


@pytest.mark.parametrize("model", MODELS, indirect=True)
def test_jaw_landmarks_go_forward_on_the_far_side_only(model: MorphableModel) -> None:
    paths = ContourPaths.from_model(model)
    mean, basis = paths.blend(model)
    assert mean[:, 0] == pytest.approx(model.mean[model.landmarks[:JAW]], abs=1e-4)
    assert basis[:, 0] == pytest.approx(model.basis[:, model.landmarks[:JAW]].transpose(1, 2, 0), abs=1e-4)
    assert paths.weights.sum(axis=2) == pytest.approx(1)
    assert (mean[:, -1, 2] > mean[:, 0, 2]).all()
    camera = Camera()
    pose = Pose.from_angles(np.array([[35.0, 0, 0], [-35.0, 0, 0]]), np.ones(2), np.zeros((2, 2)))
    both = np.broadcast_to(mean, (2, *mean.shape))
    outline = paths.outline(camera, pose, both)
    left, right = slice(13, 17), slice(0, 4)
    # The head turned to its left hides its left cheek.
    assert (outline.place[0, left] > 1).all()
    assert (outline.place[0, right] < 1).all()
    assert (outline.place[1, right] > 1).all()
    assert outline.place[0] == pytest.approx(outline.place[1, ::-1], abs=1.5)
    image = camera.project(pose, both.reshape(2, -1, 3)).reshape(2, JAW, -1, 2)
    out = (image * outline.out[:, :, None]).sum(axis=3)
    nearest = np.rint(outline.place).astype(int)
    picked = np.take_along_axis(out, nearest[..., None], axis=2)[..., 0]
    assert (picked >= out.max(axis=2) - 0.6).all()


def test_a_landmark_off_the_surface_is_an_error(head: MorphableModel) -> None:
    apart = np.concatenate([head.mean, head.mean[:1]])
    landmarks = head.landmarks.copy()
    landmarks[3] = len(head.mean)  # a vertex that no triangle has
    loose = replace(
        head,
        mean=apart,
        basis=np.concatenate([head.basis, head.basis[:, :1]], axis=1),
        parts=np.concatenate([head.parts, head.parts[:1]]),
        albedo=np.concatenate([head.albedo, head.albedo[:1]]),
        landmarks=landmarks,
    )
    with pytest.raises(BundleError, match="contour landmark 3"):
        ContourPaths.from_model(loose)


# Accuracy


@pytest.mark.parametrize("model", MODELS, indirect=True)
@pytest.mark.parametrize("focal", [np.inf, 700.0])
def test_exact_landmarks_give_back_what_they_determine(
    model: MorphableModel, focal: float, rng: np.random.Generator
) -> None:
    coefficients, pose = faces(model, 40, rng)
    fitter = LandmarkFitter(model, Camera(focal, (60.0, 60.0)))
    result = fitter.fit(fitter.predict(coefficients, pose), 1e-3)
    assert result.converged.mean() >= 0.95
    assert np.median(result.residual_px) < 1e-3
    off = result.coefficients - coefficients
    spans = [determined_span(covariance, fitter.prior) for covariance in result.covariance]
    within = np.stack([span.within(row) for span, row in zip(spans, off, strict=True)])
    assert np.median([span.count() for span in spans]) >= 0.7 * model.modes
    errors = np.linalg.norm(meshes(model, within) - model.mean, axis=2)
    assert np.median(errors) <= 0.1
    # Between true and fitted angles, a head that has other proportions hardly turns.
    assert np.median(np.abs(result.pose.angles - pose.angles)) < 0.05


@pytest.mark.parametrize("model", MODELS, indirect=True)
def test_a_pixel_of_noise(model: MorphableModel, rng: np.random.Generator) -> None:
    coefficients, pose = faces(model, 100, rng)
    fitter = LandmarkFitter(model)
    landmarks = fitter.predict(coefficients, pose)
    result = fitter.fit(landmarks + rng.standard_normal(landmarks.shape))
    assert result.converged.mean() >= 0.98
    truth = meshes(model, coefficients)
    errors = vertex_errors(meshes(model, result.coefficients.astype(np.float64)), truth)
    trivial = vertex_errors(np.broadcast_to(model.mean, truth.shape), truth)
    # Where a mouth may be open there is more to tell from the same landmarks.
    assert np.median(errors) <= (1.5 if model.modes == model.identity_modes else 2.0)
    assert np.median(errors) < 0.8 * np.median(trivial)
    # The posterior says how wrong the fit is: squared errors in its units average to the number of coefficients.
    off = result.coefficients - coefficients
    squared = np.einsum("bp,bpq,bq->b", off, np.linalg.inv(result.covariance), off)
    assert squared.mean() == pytest.approx(model.modes, rel=0.25)
    # Noise of a pixel leaves, with what 6 pose numbers and the coefficients took up, a little less than a pixel.
    assert 0.7 < np.median(result.residual_px) < 1.0


def test_more_noise_means_less_certain(head: MorphableModel, rng: np.random.Generator) -> None:
    coefficients, pose = faces(head, 8, rng)
    fitter = LandmarkFitter(head)
    landmarks = fitter.predict(coefficients, pose)
    traces = [np.trace(fitter.fit(landmarks, s).covariance, axis1=1, axis2=2).mean() for s in (0.1, 1.0, 10.0)]
    assert traces[0] < traces[1] < traces[2] < head.modes
    blind = fitter.fit(landmarks, 1e4)
    assert np.abs(blind.coefficients).max() < 1e-2
    assert blind.covariance[0] == pytest.approx(np.eye(head.modes), abs=1e-2)


def test_size_is_the_priors_to_tell(head: MorphableModel, rng: np.random.Generator) -> None:
    """The first mode scales the whole head: no camera tells it from distance."""
    coefficients, pose = faces(head, 4, rng)
    for camera in (Camera(), Camera(600.0, (60.0, 60.0))):
        fitter = LandmarkFitter(head, camera)
        result = fitter.fit(fitter.predict(coefficients, pose), 0.01)
        span = determined_span(result.covariance[0], fitter.prior)
        assert result.covariance[0, 0, 0] > 0.5
        assert span.count() == head.modes - 1
        assert span.remaining[-1] == pytest.approx(1, abs=1e-3)
        whole = rng.standard_normal(head.modes)
        assert span.within(whole) + span.outside(whole) == pytest.approx(whole)
        assert span.within(span.outside(whole)) == pytest.approx(0, abs=1e-9)


def test_landmarks_in_space(head: MorphableModel, rng: np.random.Generator) -> None:
    coefficients, pose = faces(head, 20, rng)
    space = Pose(pose.rotation, pose.scale, rng.uniform(-50, 50, (20, 3)))
    fitter = LandmarkFitter(head, Space(), contour="anatomical")
    result = fitter.fit(fitter.predict(coefficients, space), 1e-3)
    assert result.converged.all()
    assert result.translation.shape == (20, 3)
    shape = vertex_errors(meshes(head, result.coefficients.astype(np.float64)), meshes(head, coefficients))
    assert np.median(shape) < 0.01
    assert np.median(np.abs(result.pose.angles - pose.angles)) < 0.05


def test_outliers_with_robust_weights(head: MorphableModel, rng: np.random.Generator) -> None:
    coefficients, pose = faces(head, 60, rng)
    fitter = LandmarkFitter(head)
    landmarks = fitter.predict(coefficients, pose) + 0.5 * rng.standard_normal((60, 68, 2))
    landmarks[:, [5, 19, 30, 44, 51, 60]] += rng.choice([-15, 15], (60, 6, 2))
    truth = meshes(head, coefficients)

    def error(robust: float | None) -> float:
        result = fitter.fit(landmarks, 0.5, robust=robust)
        return float(np.median(vertex_errors(meshes(head, result.coefficients.astype(np.float64)), truth)))

    assert error(2.0) < 0.5 * error(None)


def test_landmarks_that_do_not_count(head: MorphableModel, rng: np.random.Generator) -> None:
    coefficients, pose = faces(head, 5, rng)
    fitter = LandmarkFitter(head)
    landmarks = fitter.predict(coefficients, pose)
    sigma = np.ones((5, 68))
    sigma[:, 40:50] = np.inf
    plain = fitter.fit(landmarks, sigma)
    landmarks[:, 40:50] = 1e4
    assert fitter.fit(landmarks, sigma).coefficients == pytest.approx(plain.coefficients, abs=1e-5)
    assert plain.residual_px.max() < 1


def test_the_prior_of_a_population(head: MorphableModel, rng: np.random.Generator) -> None:
    population = small_population(head)
    both, male = Prior.from_population(head, population), Prior.from_population(head, population, sex=1)
    assert both.mean == pytest.approx(0)
    assert both.covariance[0, 0] == pytest.approx(1.6)
    assert male.mean[0] == 1
    coefficients = population.sample(1, 200, rng).astype(np.float64)
    _, pose = faces(head, 200, rng)
    errors = []
    for prior in (both, male):
        fitter = LandmarkFitter(head, prior=prior)
        landmarks = fitter.predict(coefficients, pose)
        fitted = fitter.fit(landmarks + 3 * np.random.default_rng(1).standard_normal(landmarks.shape), 3.0)
        errors.append(np.square(fitted.coefficients - coefficients).mean())
    assert errors[1] < errors[0]  # who it is helps


# As a function


def test_a_batch_is_its_faces(head: MorphableModel, rng: np.random.Generator) -> None:
    coefficients, pose = faces(head, BATCH + 44, rng)
    fitter = LandmarkFitter(head)
    landmarks = fitter.predict(coefficients, pose) + rng.standard_normal((len(pose), 68, 2))
    together, threads = fitter.fit(landmarks), fitter.fit(landmarks, workers=2)
    for field in ("coefficients", "rotation", "covariance", "residual_px", "iterations", "converged"):
        assert (getattr(together, field) == getattr(threads, field)).all()
    for i in (0, BATCH - 1, BATCH, BATCH + 43):
        alone = fitter.fit(landmarks[i : i + 1])
        assert alone.coefficients[0] == pytest.approx(together.coefficients[i], abs=1e-6)
        assert alone.rotation[0] == pytest.approx(together.rotation[i], abs=1e-9)
    none = fitter.fit(landmarks[:0])
    assert none.coefficients.shape == (0, head.modes)
    assert none.covariance.shape == (0, head.modes, head.modes)
    assert none.pose.angles.shape == (0, 3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3))
def test_any_cloud_of_points_gives_finite_numbers(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    fitter = LandmarkFitter(FUZZED)
    result = fitter.fit(rng.standard_normal((4, 68, 2)) * 10**size + rng.uniform(-1e3, 1e3, (4, 1, 2)))
    for array in (result.coefficients, result.rotation, result.scale, result.covariance, result.residual_px):
        assert np.isfinite(array).all()
    assert np.linalg.det(result.rotation) == pytest.approx(np.ones(4))


FUZZED = small_head()


def test_what_cannot_be_fitted(head: MorphableModel) -> None:
    fitter = LandmarkFitter(head)
    good = fitter.predict(*faces(head, 3, np.random.default_rng(0)))
    bad, line, point = good.copy(), good.copy(), good.copy()
    bad[1, 7] = np.nan
    line[2] = np.arange(68)[:, None] * [1.0, 2.0]
    point[0] = 5.0
    few = np.full(68, np.inf)
    few[:3] = 1.0
    for landmarks, sigma, message in (
        (good[:, :67], 1.0, r"\[3, 67, 2\], not \[B, 68, 2\]"),
        (bad, 1.0, "landmark 7 of face 1 is not finite"),
        (line, 1.0, "face 2 lie in one point or on a line"),
        (point, 1.0, "face 0 lie in one point or on a line"),
        (good, 0.0, "sigma has to be positive"),
        (good, few, "face 0 has 3 landmarks that count"),
    ):
        with pytest.raises(UsageError, match=message):
            fitter.fit(landmarks, sigma)
    with pytest.raises(UsageError, match="no outline"):
        LandmarkFitter(head, Space())
    with pytest.raises(UsageError, match="contour 'wavy'"):
        LandmarkFitter(head, contour="wavy")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="prior has 3 coefficients"):
        LandmarkFitter(head, prior=Prior.unit(3))
    with pytest.raises(UsageError, match="population has 10 coefficients"):
        Prior.from_population(_cut(head, 4), small_population(head))


def _cut(head: MorphableModel, modes: int) -> MorphableModel:
    """The model with its first modes only."""
    return replace(
        head,
        basis=head.basis[:modes],
        identity_modes=modes,
        expression_names=(),
        sex_means=head.sex_means[:, :modes],
        face_types={},
    )


def test_mesh_errors_leave_out_pose(head: MorphableModel, rng: np.random.Generator) -> None:
    coefficients, pose = faces(head, 3, rng)
    true = meshes(head, coefficients).astype(np.float64)
    moved = 1.3 * true @ pose.rotation.transpose(0, 2, 1) + 7
    assert vertex_errors(moved, true).max() < 1e-9
    assert np.median(vertex_errors(moved, true, scale=False)) > 5
    mirrored = true * np.array([-1.0, 1.0, 1.0]) + np.array([0.0, 0.0, 3.0]) * rng.random((3, len(head.mean), 1))
    assert np.median(vertex_errors(mirrored, true)) > 0.1
