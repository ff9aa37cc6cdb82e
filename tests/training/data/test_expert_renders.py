"""The renders our own expert learns from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_ins.sphere import sphere
from voxface.training.faces.camera import Pose
from voxface.training.faces.face_set import picture_camera, picture_pose

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor  # noqa: E402

from tests.stand_ins.small_pictures import pictures, population  # noqa: E402
from voxface.training.data.expert_augmentation import Augmentation, augmented, shifted  # noqa: E402
from voxface.training.data.expert_renders import RenderConfig, Renders, pose_numbers, rotations  # noqa: E402
from voxface.training.models.experts.expert import Geometry  # noqa: E402
from voxface.training.models.experts.own import ImageToFace  # noqa: E402
from voxface.training.trainers.expert import measure, mode_weights  # noqa: E402

pytestmark = pytest.mark.train


def test_pose_numbers_put_vertices_where_the_camera_does() -> None:
    """A·v + t in picture heights from the middle is the camera's projection without its perspective."""
    rng = np.random.default_rng(3)
    size, points = 64, rng.uniform(-80, 80, (20, 3))
    pose = picture_pose(rng.uniform(-25, 25, (6, 3)), picture_camera(size))
    matrix = pose_numbers(pose, size).reshape(-1, 3, 4).astype(np.float64)
    places = points / 100 @ matrix[:, :, :3].transpose(0, 2, 1) + matrix[:, None, :, 3]
    flat = replace(picture_camera(size), focal=np.inf).project(pose, points)
    np.testing.assert_allclose((places[..., 0] + 0.5) * size, flat[..., 0], atol=1e-4)
    np.testing.assert_allclose((0.5 - places[..., 1]) * size, flat[..., 1], atol=1e-4)
    # The point heads turn about stays in the middle, at no depth.
    middle = np.array([0.0, -24.0, -40.0]) / 100
    np.testing.assert_allclose(matrix[:, :, :3] @ middle + matrix[:, :, 3], 0, atol=1e-6)


def test_rotations_are_found_again_whatever_the_scale() -> None:
    pose = picture_pose(np.array([[20.0, -10, 5], [0, 0, 0]]), picture_camera(64))
    numbers = pose_numbers(pose, 64)
    numbers[1] *= 3
    np.testing.assert_allclose(rotations(numbers), pose.rotation, atol=1e-6)
    turned = Pose(rotations(numbers), np.ones(2), np.zeros((2, 2)))
    np.testing.assert_allclose(turned.angles, [[20, -10, 5], [0, 0, 0]], atol=1e-4)


def test_a_shift_moves_picture_and_pose_alike() -> None:
    images = torch.full((2, 3, 32, 32), -1.0)
    images[:, :, 10, 20] = 1
    pose = torch.arange(24.0).reshape(2, 12)
    shift = torch.tensor([[4 / 32, 0.0], [-3 / 32, 5 / 32]])  # right; left and up
    moved, where = shifted(images, pose, shift)
    assert np.argwhere(moved[0, 0].numpy() > 0.9).tolist() == [[10, 24]]
    assert np.argwhere(moved[1, 0].numpy() > 0.9).tolist() == [[5, 17]]
    change = (where - pose).reshape(2, 3, 4)
    np.testing.assert_allclose(change[:, :2, 3], shift, atol=1e-5)
    assert not change[:, 2].any()
    assert not change[:, :, :3].any()
    still, same = shifted(images, pose, torch.zeros(2, 2))
    torch.testing.assert_close(still, images, atol=1e-4, rtol=0)
    torch.testing.assert_close(same, pose)


def test_augmentation_follows_its_seed_and_its_bounds() -> None:
    images, pose = pictures(8), torch.randn(8, 12)
    once, again, other = (augmented(images, pose, np.random.default_rng(s), Augmentation()) for s in (1, 1, 2))
    torch.testing.assert_close(once, again, atol=0, rtol=0)
    assert not torch.equal(once[0], other[0])
    assert once[0].abs().max() <= 1
    assert once[0].shape == images.shape
    assert (once[1] - pose).abs().max() <= 0.03 + 1e-6
    nothing = Augmentation(shift=0, blur=0, noise=0, contrast=0, tint=0, brightness=0)
    still, same = augmented(images, pose, np.random.default_rng(0), nothing)
    torch.testing.assert_close(still, images, atol=1e-4, rtol=0)
    torch.testing.assert_close(same, pose)


def test_modes_count_as_they_move_the_mesh() -> None:
    model = sphere()
    moves = np.sqrt((model.basis.astype(np.float64) ** 2).sum(2).mean(1))
    np.testing.assert_allclose(mode_weights(model, 0.3), moves / moves.mean(), rtol=1e-5)
    with_expression = sphere(identity_modes=1)
    np.testing.assert_allclose(mode_weights(with_expression, 0.3), [1, 0.3 * moves[1] / moves[0]], rtol=1e-5)


class _Oracle(ImageToFace):
    """Says what it was told, in the order it is asked."""

    def __init__(self, coefficients: NDArray[np.float32], pose: NDArray[np.float32]) -> None:
        super().__init__(coefficients.shape[1], size=32)
        self.told = torch.from_numpy(coefficients), torch.from_numpy(pose)

    def forward(self, images: Tensor) -> Geometry:
        return Geometry(self.told[0], self.told[1], images, images)


def test_what_is_measured() -> None:
    rng = np.random.default_rng(4)
    model, count = sphere(), 40
    sexes = (np.arange(count) % 2).astype(np.uint8)
    truth = (model.sex_means[sexes] + rng.normal(size=(count, 2))).astype(np.float32)
    pose = pose_numbers(picture_pose(rng.uniform(-20, 20, (count, 3)), picture_camera(16)), 16)
    renders = Renders(np.zeros((count, 16, 16, 3), np.uint8), truth, sexes, pose)

    def found(coefficients: NDArray[np.float32], poses: NDArray[np.float32] = pose) -> dict[str, Any]:
        oracle = _Oracle(coefficients, poses).train()
        metrics = measure(oracle, renders, slice(0, None), model, torch.device("cpu"))
        assert oracle.training
        return metrics

    perfect = found(truth)
    assert perfect["error_mm"] == pytest.approx(0, abs=1e-6)
    assert perfect["correlation"] == pytest.approx(1)
    assert perfect["rotation_degrees"] == pytest.approx(0, abs=0.05)
    trivial = model.sex_means[sexes]
    meshes = model.vertices(truth) - model.vertices(trivial)
    by_hand = np.sqrt((meshes.astype(np.float64) ** 2).sum(2).mean(1)).mean()
    assert perfect["trivial"]["error_mm"] == pytest.approx(by_hand, rel=1e-4)
    means = found(trivial.astype(np.float32))
    assert means["error_mm"] == pytest.approx(by_hand, rel=1e-4)
    assert means["correlation"] == 0  # knowing the sex is no correlation within it
    backwards = found((2 * trivial - truth).astype(np.float32))
    assert backwards["correlation"] == pytest.approx(-1, abs=0.1)
    straight = pose_numbers(picture_pose(np.array([[10.0, 0, 0]]), picture_camera(16)), 16)
    still = pose_numbers(picture_pose(np.zeros((1, 3)), picture_camera(16)), 16)
    renders = replace(renders, pose=np.repeat(still, count, axis=0))
    assert found(truth, np.repeat(straight, count, axis=0))["rotation_degrees"] == pytest.approx(10, abs=0.01)


def test_renders_do_not_depend_on_the_workers_and_are_kept(tmp_path: Path) -> None:
    pytest.importorskip("open3d")
    config, model, said = RenderConfig(pictures=40, size=16), sphere(), list[str]()
    one = Renders.from_population(model, population(), config)
    kept = Renders.load_or_draw(tmp_path / "renders.npz", model, population(), config)
    again = Renders.load_or_draw(tmp_path / "renders.npz", model, population(), config, say=said.append)
    assert said == [f"40 renders taken from {tmp_path / 'renders.npz'}"]
    for name in ("pictures", "coefficients", "sexes", "pose"):
        np.testing.assert_array_equal(getattr(one, name), getattr(kept, name))
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert one.pictures.std() > 10
    assert one.sexes.tolist() == [0, 1] * 20
    few = Renders.from_population(model, population(), replace(config, pictures=5))
    np.testing.assert_array_equal(few.pictures, one.pictures[:5])
    images = one.images(np.array([3, 0]))
    np.testing.assert_allclose(images[0, 2, 4, 5], (one.pictures[3, 4, 5, 2] - 127.5) / 127.5, rtol=1e-6)
    # Another model, population or configuration, or a damaged file, are drawn anew.
    other = Renders.load_or_draw(tmp_path / "renders.npz", model, population(), replace(config, seed=1))
    assert not np.array_equal(other.coefficients, one.coefficients)
    (tmp_path / "renders.npz").write_bytes(b"PK\x03\x04 cut")
    anew = Renders.load_or_draw(tmp_path / "renders.npz", model, population(), config)
    np.testing.assert_array_equal(anew.pictures, one.pictures)


@pytest.mark.slow
def test_processes_draw_the_same_renders() -> None:
    pytest.importorskip("open3d")
    config = RenderConfig(pictures=40, size=16)
    one, two = (Renders.from_population(sphere(), population(), config, workers=w) for w in (1, 2))
    np.testing.assert_array_equal(one.pictures, two.pictures)
    np.testing.assert_array_equal(one.coefficients, two.coefficients)
