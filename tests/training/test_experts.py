"""Experts: the network's published layout, others' checkpoints, the renders our own learns from, and a training in small."""

import argparse
import io
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.sphere import sphere
from tests.training.small_pairs import small_pairs
from voxface.runtime.errors import InputError, UsageError
from voxface.training.faces.camera import Pose
from voxface.training.faces.face_set import picture_camera, picture_pose
from voxface.training.faces.population import FacePopulation
from voxface.training.pairs import Pairs

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor, nn  # noqa: E402

from voxface.training.checkpoint import load_network  # noqa: E402
from voxface.training.experts import Expert, Geometry, resized  # noqa: E402
from voxface.training.experts.augmentation import Augmentation, augmented, shifted  # noqa: E402
from voxface.training.experts.mobilenet_v1 import MobileNetV1  # noqa: E402
from voxface.training.experts.own import ImageToFace  # noqa: E402
from voxface.training.experts.published import (  # noqa: E402
    NUMBERS,
    SynergyNet,
    Whitening,
    load_synergynet,
    load_tddfa,
)
from voxface.training.experts.renders import RenderConfig, Renders, pose_numbers, rotations  # noqa: E402
from voxface.training.models import MobileNetV2  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402
from voxface.training.run import RunConfig  # noqa: E402
from voxface.training.trainers.expert import PRESETS, ExpertConfig, measure, mode_weights, train_expert  # noqa: E402

pytestmark = pytest.mark.train


def pictures(batch: int, size: int = 64, seed: int = 0) -> Tensor:
    """RGB in [-1, 1]; smooth, so that resizing changes little."""
    coarse = torch.rand(batch, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return nn.functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)


# -- the networks ----------------------------------------------------------------------------------------------------------


def test_mobilenet_v2_has_the_published_names_and_shapes() -> None:
    """Written out from the table of the paper, by torchvision's naming."""

    def unit(name: str, narrow: int, wide: int, kernel: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.0.weight": (wide, narrow, kernel, kernel), **norm(f"{name}.1", wide)}

    def norm(name: str, wide: int) -> dict[str, tuple[int, ...]]:
        return {
            **{f"{name}.{part}": (wide,) for part in ("weight", "bias", "running_mean", "running_var")},
            f"{name}.num_batches_tracked": (),
        }

    expected = unit("features.0", 3, 32, 3)
    outs = [16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320]
    narrow = 32
    for k, out in enumerate(outs, start=1):
        name, wide, at = f"features.{k}.conv", narrow * (6 if k > 1 else 1), 0
        if k > 1:
            expected |= unit(f"{name}.0", narrow, wide, 1)
            at = 1
        expected |= unit(f"{name}.{at}", 1, wide, 3)
        expected |= {f"{name}.{at + 1}.weight": (out, wide, 1, 1), **norm(f"{name}.{at + 2}", out)}
        narrow = out
    expected |= unit("features.18", 320, 1280, 1)
    network = MobileNetV2()
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == expected
    # 3,504,872 of torchvision's, less its classifier of 1000 classes.
    assert sum(p.numel() for p in network.parameters()) == 3_504_872 - 1000 * 1281


def test_mobilenet_v2_gives_the_published_features_at_120_pixels() -> None:
    network = MobileNetV2().eval()
    with torch.no_grad():
        picture = pictures(2, 120)
        pooled, middle = network(picture)
        assert (pooled.shape, middle.shape) == ((2, 1280), (2, 64, 8, 8))
        x = picture
        for k, layer in enumerate(network.features):
            x = layer(x)
            if k == 8:
                assert torch.equal(x, middle)
        assert x.shape == (2, 1280, 4, 4)
        torch.testing.assert_close(x.mean((2, 3)), pooled)


def test_a_block_of_equal_shapes_adds_its_input() -> None:
    network = MobileNetV2().eval()
    with torch.no_grad():
        for block, adds in ((1, False), (2, False), (3, True), (8, True), (11, False), (17, False)):
            layer = network.features[block]
            last = [m for m in layer.modules() if isinstance(m, nn.BatchNorm2d)][-1]
            last.weight.zero_()  # the block itself gives nothing any more
            first = next(m for m in layer.modules() if isinstance(m, nn.Conv2d))
            x = torch.randn(1, first.in_channels, 8, 8)
            assert layer(x).abs().sum().item() == pytest.approx(x.abs().sum().item() if adds else 0)


def test_image_to_face_reads_pictures_of_any_size() -> None:
    network = ImageToFace(50).eval()
    assert isinstance(network, Expert)
    assert network.coefficients == 50
    with torch.no_grad():
        for size in (64, 120, 200):
            seen = network(pictures(2, size))
            assert isinstance(seen, Geometry)
            assert [tuple(x.shape) for x in seen] == [(2, 50), (2, 12), (2, 1280), (2, 4096)]
        small, whole = network(pictures(2, 64)), network(resized(pictures(2, 64)))
    torch.testing.assert_close(small, whole)


def test_a_plain_trunk_keeps_places_apart() -> None:
    network = ImageToFace(50, size=64, trunk="plain").eval()
    assert sum(p.numel() for p in network.backbone.parameters()) == 1_175_888
    picture = pictures(1)
    with torch.no_grad():
        seen = network(resized(picture, 100))
        assert [tuple(x.shape) for x in seen] == [(1, 50), (1, 12), (1, 256), (1, 192 * 4 * 4)]
        # The mean over places of MobileNetV2 would not know one order of the middle feature from another.
        middle = seen.middle.reshape(1, 192, 4, 4)
        pooled, mirrored = (network.backbone.whole(m.flatten(1)) for m in (middle, middle.flip(3)))
    torch.testing.assert_close(pooled, seen.pooled)
    assert (pooled - mirrored).abs().max() > 1e-3
    with pytest.raises(ValueError, match="multiples of 16"):
        ImageToFace(50, size=72, trunk="plain")


def test_image_to_face_begins_near_the_mean_face() -> None:
    with torch.no_grad():
        assert ImageToFace(50).eval()(pictures(4)).coefficients.abs().mean() < 0.5


def test_pictures_are_resized_between_corner_pixels() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    torch.testing.assert_close(resized(ramp), torch.linspace(-1, 1, 120).expand(1, 3, 120, 120), atol=1e-5, rtol=0)


def test_the_student_s_gradient_reaches_the_picture_and_a_frozen_expert_s_does_not() -> None:
    picture = pictures(2).requires_grad_()
    student, expert = ImageToFace(3, size=32), Frozen(ImageToFace(3, size=32))
    student(picture).coefficients.sum().backward()
    assert picture.grad is not None
    assert picture.grad.abs().max() > 0
    assert not expert(picture).coefficients.requires_grad
    assert all(p.grad is None for p in expert.parameters())


# -- others' checkpoints ---------------------------------------------------------------------------------------------------

# Names and shapes as cleardusk/3DDFA_V2 (MobileNet) and choyingw/SynergyNet (MobileNetV2) publish them.
SEPARABLE = {
    "dw2_1": (32, 64), "dw2_2": (64, 128), "dw3_1": (128, 128), "dw3_2": (128, 256), "dw4_1": (256, 256),
    "dw4_2": (256, 512), **{f"dw5_{k}": (512, 512) for k in range(1, 6)}, "dw5_6": (512, 1024), "dw6": (1024, 1024),
}  # fmt: skip


def norm_state(name: str, wide: int) -> dict[str, Tensor]:
    return {
        f"{name}.weight": 0.5 + torch.rand(wide),
        f"{name}.bias": 0.1 * torch.randn(wide),
        f"{name}.running_mean": 0.1 * torch.randn(wide),
        f"{name}.running_var": 0.5 + torch.rand(wide),
    }


def tddfa_state(width: float = 1.0, fc: str = "fc") -> dict[str, Tensor]:
    torch.manual_seed(1)
    first, last = int(32 * width), int(1024 * width)
    state = {"conv1.weight": torch.randn(first, 3, 3, 3) / 5, **norm_state("bn1", first)}
    for name, (channels, out) in SEPARABLE.items():
        narrow, wide = int(channels * width), int(out * width)
        state |= {f"{name}.conv_dw.weight": torch.randn(narrow, 1, 3, 3) / 2, **norm_state(f"{name}.bn_dw", narrow)}
        state |= {
            f"{name}.conv_sep.weight": torch.randn(wide, narrow, 1, 1) / narrow**0.5,
            **norm_state(f"{name}.bn_sep", wide),
        }
    state |= {f"{fc}.weight": torch.randn(62, last) / last**0.5, f"{fc}.bias": torch.randn(62)}
    return {f"module.{name}": value for name, value in state.items()}


def synergy_state(prefix: str = "module.I2P.backbone.") -> dict[str, Tensor]:
    torch.manual_seed(2)
    heads = {"ori": 12, "shape": 40, "exp": 10, "texture": 40}
    state = {f"{prefix}{name}": value for name, value in MobileNetV2().state_dict().items()}
    for name, count in heads.items():
        state[f"{prefix}classifier_{name}.1.weight"] = torch.randn(count, 1280) / 36
        state[f"{prefix}classifier_{name}.1.bias"] = torch.randn(count)
    more = {"forwardDirection.conv1.weight": torch.randn(4, 3, 1), "u_base": torch.randn(204, 1)}
    whitening = {"param_mean": torch.randn(102), "param_std": 0.5 + torch.rand(102)}
    return state | {f"module.{name}": value for name, value in (more | whitening).items()}


def whitening(seed: int = 0) -> Whitening:
    rng = np.random.default_rng(seed)
    return Whitening(rng.normal(size=62).astype(np.float32), rng.uniform(0.5, 2, 62).astype(np.float32))


def written(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save({"epoch": 40, "state_dict": state}, path)
    return path


@pytest.mark.parametrize(("width", "fc"), [(1.0, "fc"), (0.5, "fc_param")])
def test_3ddfa_v2_loads(tmp_path: Path, width: float, fc: str) -> None:
    state = tddfa_state(width, fc)
    expert = load_tddfa(written(tmp_path / "mb.pth", state), whitening())
    assert not expert.training
    loaded = expert.network.state_dict()
    for name, value in state.items():
        torch.testing.assert_close(loaded[name.removeprefix("module.").replace("fc_param", "fc")], value)
    with torch.no_grad():
        seen = expert(pictures(2))
    wide = int(1024 * width)
    assert [tuple(x.shape) for x in seen] == [(2, 50), (2, 12), (2, wide), (2, wide // 2 * 64)]


@pytest.mark.parametrize("prefix", ["module.I2P.backbone.", "module.IGM.backbone.", ""])
def test_synergynet_loads_and_brings_its_whitening(tmp_path: Path, prefix: str) -> None:
    state = synergy_state(prefix)
    expert = load_synergynet(written(tmp_path / "best.pth.tar", state))
    torch.testing.assert_close(expert.mean, state["module.param_mean"][:62])
    torch.testing.assert_close(expert.std, state["module.param_std"][:62])
    torch.testing.assert_close(expert.network.classifier_exp[1].bias, state[f"{prefix}classifier_exp.1.bias"])
    with torch.no_grad():
        seen = expert(pictures(2))
    assert [tuple(x.shape) for x in seen] == [(2, 50), (2, 12), (2, 1280), (2, 4096)]
    other = load_synergynet(tmp_path / "best.pth.tar", whitening())
    torch.testing.assert_close(other.mean, torch.from_numpy(whitening().mean))


def test_published_experts_see_blue_first_and_their_own_scale(tmp_path: Path) -> None:
    """The published code of Wu 2022 hands RGB to networks that were trained on BGR."""
    expert = SynergyNet(whitening()).eval()
    given: list[Tensor] = []
    expert.network.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    image = torch.stack([torch.full((120, 120), value) for value in (1.0, 0.0, -1.0)])[None]  # red, 255, 127.5, 0
    with torch.no_grad():
        expert(image)
        expert(pictures(1, 64))
    np.testing.assert_allclose(given[0][0, :, 7, 9], [(0 - 127.5) / 128, 0, (255 - 127.5) / 128], atol=1e-6)
    assert given[1].shape == (1, 3, 120, 120)
    # A picture's bytes as their readers scale them.
    pixels = np.random.default_rng(0).integers(0, 256, (120, 120, 3))
    rgb = torch.from_numpy(((pixels - 127.5) / 127.5).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        expert(rgb)
    theirs = ((pixels[:, :, ::-1] - 127.5) / 128).transpose(2, 0, 1)
    np.testing.assert_allclose(given[2][0], theirs, atol=1e-6)


def test_the_channels_matter(tmp_path: Path) -> None:
    expert = load_tddfa(written(tmp_path / "mb.pth", tddfa_state(0.5)), whitening())
    with torch.no_grad():
        right, wrong = expert(pictures(2)), expert(pictures(2).flip(1))
    assert (right.coefficients - wrong.coefficients).abs().max() > 1e-3


def test_numbers_are_unwhitened_and_ordered(tmp_path: Path) -> None:
    """Pose is number · std + mean; coefficients are in deviations: value / std, shape before expression."""
    white = whitening()
    state = tddfa_state(0.5)
    state["module.fc.weight"].zero_()
    state["module.fc.bias"].copy_(torch.arange(62.0))
    with torch.no_grad():
        seen = load_tddfa(written(tmp_path / "mb.pth", state), white)(pictures(1))
    value = np.arange(62) * white.std + white.mean
    np.testing.assert_allclose(seen.pose[0], value[:12], rtol=1e-5)
    np.testing.assert_allclose(seen.coefficients[0], (value / white.std)[12:], rtol=1e-5)

    heads = synergy_state()
    for name, low, high in (("ori", 0, 12), ("shape", 12, 52), ("exp", 52, 62)):
        heads[f"module.I2P.backbone.classifier_{name}.1.weight"].zero_()
        heads[f"module.I2P.backbone.classifier_{name}.1.bias"].copy_(torch.arange(low, high).float())
    with torch.no_grad():
        seen = load_synergynet(written(tmp_path / "best.pth.tar", heads), white)(pictures(1))
    np.testing.assert_allclose(seen.pose[0], value[:12], rtol=1e-5)
    np.testing.assert_allclose(seen.coefficients[0], (value / white.std)[12:], rtol=1e-5)


def test_mobilenet_v1_is_its_layers_one_after_another(tmp_path: Path) -> None:
    state = {name.removeprefix("module."): value for name, value in tddfa_state(0.5).items()}
    network = MobileNetV1(NUMBERS, 0.5).eval()
    network.load_state_dict(state, strict=False)

    def step(x: Tensor, name: str, norm: str, stride: int, groups: int) -> Tensor:
        weight = state[f"{name}.weight"]
        x = nn.functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
        keys = [state[f"{norm}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return nn.functional.batch_norm(x, *keys).relu()

    x = step(pictures(1, 120), "conv1", "bn1", 2, 1)
    middle = x
    for name in SEPARABLE:
        stride = 2 if name in ("dw2_2", "dw3_2", "dw4_2", "dw5_6") else 1
        x = step(x, f"{name}.conv_dw", f"{name}.bn_dw", stride, x.shape[1])
        x = step(x, f"{name}.conv_sep", f"{name}.bn_sep", 1, 1)
        if name == "dw5_1":
            middle = x
    with torch.no_grad():
        numbers, pooled, seen = network(pictures(1, 120))
    assert middle.shape[-2:] == (8, 8)
    torch.testing.assert_close(seen, middle)
    torch.testing.assert_close(pooled, x.mean((2, 3)))
    torch.testing.assert_close(numbers, x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"])


Spoil = Callable[[dict[str, Tensor]], Any]
SPOILT: dict[str, tuple[Spoil, str]] = {
    "a missing weight": (lambda s: s.pop("module.dw5_3.conv_sep.weight"), r"dw5_3\.conv_sep\.weight are missing"),
    "many missing": (lambda s: [s.pop(k) for k in list(s) if "dw6" in k], "and 9 more are missing"),
    "a wrong shape": (
        lambda s: s.update({"module.fc.weight": torch.zeros(240, 512)}),
        r"fc\.weight has shape \(240, 512\), not \(62, 512\)",
    ),
    "an odd width": (lambda s: s.update({"module.conv1.weight": torch.zeros(30, 3, 3, 3)}), "30 channels"),
    "a NaN": (lambda s: s["module.fc.bias"].fill_(float("nan")), "NaN"),
    "no weights at all": (lambda s: s.clear(), "missing"),
}


@pytest.mark.parametrize("what", list(SPOILT))
def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path, what: str) -> None:
    spoil, message = SPOILT[what]
    state = tddfa_state(0.5)
    spoil(state)
    with pytest.raises(InputError, match=message):
        load_tddfa(written(tmp_path / "mb.pth", state), whitening())


def test_checkpoints_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the weights of 3DDFA-V2"):
        load_tddfa(written(tmp_path / "a.pth", synergy_state()), whitening())
    with pytest.raises(InputError, match="found none"):
        load_synergynet(written(tmp_path / "b.pth", tddfa_state(0.5)))
    both = synergy_state() | synergy_state("module.other.")
    with pytest.raises(InputError, match="found 2 of them"):
        load_synergynet(written(tmp_path / "c.pth", both))
    missing = synergy_state()
    del missing["module.I2P.backbone.classifier_shape.1.bias"]
    with pytest.raises(InputError, match=r"classifier_shape\.1\.bias"):
        load_synergynet(written(tmp_path / "d.pth", missing))
    bare = {name: value for name, value in synergy_state().items() if "param" not in name}
    with pytest.raises(InputError, match="no whitening"):
        load_synergynet(written(tmp_path / "e.pth", bare))


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_checkpoint_runs(tmp_path: Path) -> None:
    struck = tmp_path / "struck"
    torch.save({"state_dict": tddfa_state(0.5), "extra": _Evil(struck)}, tmp_path / "new.pth")
    torch.save(
        {"state_dict": tddfa_state(0.5), "extra": _Evil(struck)},
        tmp_path / "old.pth",
        _use_new_zipfile_serialization=False,
    )
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(_Evil(struck)))
    for name in ("new.pth", "old.pth", "bare.pth"):
        with pytest.raises(InputError, match=name):
            load_tddfa(tmp_path / name, whitening())
        with pytest.raises(InputError, match=name):
            load_synergynet(tmp_path / name)
    assert not struck.exists()
    torch.save({"state_dict": {}, "args": argparse.Namespace(arch="x")}, tmp_path / "args.pth")
    with pytest.raises(InputError, match="more than weights"):
        load_tddfa(tmp_path / "args.pth", whitening())


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.pth", tddfa_state(0.5)).read_bytes()
    for name, data in {"empty": b"", "text": b"<html>not found</html>", "cut": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            load_tddfa(tmp_path / name, whitening())
    for wrong in (tmp_path, tmp_path / "absent.pth"):
        with pytest.raises(InputError, match=wrong.name):
            load_tddfa(wrong, whitening())
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="list"):
        load_tddfa(tmp_path / "list.pth", whitening())


@pytest.mark.parametrize("keys", [("mean", "std"), ("param_mean", "param_std")])
@pytest.mark.parametrize("count", [62, 102])
def test_whitenings(tmp_path: Path, keys: tuple[str, str], count: int) -> None:
    mean, std = np.arange(count, dtype=np.float64), 1 + np.arange(count, dtype=np.float64)
    np.savez(tmp_path / "w.npz", **dict(zip(keys, (mean, std), strict=True)))
    found = Whitening.load(tmp_path / "w.npz")
    np.testing.assert_array_equal(found.mean, mean[:62])
    np.testing.assert_array_equal(found.std, std[:62])


def test_whitenings_that_are_none_are_refused(tmp_path: Path) -> None:
    good = {"mean": np.zeros(62), "std": np.ones(62)}
    for name, arrays, message in (
        ("keys", {"mu": np.zeros(62)}, "no whitening"),
        ("few", {"mean": np.zeros(50), "std": np.ones(50)}, "not 62"),
        ("zero", good | {"std": np.zeros(62)}, "not positive"),
        ("nan", good | {"mean": np.full(62, np.nan)}, "NaN"),
        ("words", good | {"mean": np.array(["a"] * 62)}, "no numbers"),
    ):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        with pytest.raises(InputError, match=message):
            Whitening.load(tmp_path / f"{name}.npz")
    struck = tmp_path / "struck"
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(_Evil(struck)))
    objects = io.BytesIO()
    np.savez(objects, mean=np.array([_Evil(struck)], dtype=object), std=np.ones(62))
    (tmp_path / "o.npz").write_bytes(objects.getvalue())
    np.save(tmp_path / "one.npy", np.ones(62))
    for name in ("p.pkl", "o.npz", "one.npy", "absent.npz"):
        with pytest.raises(InputError, match=name):
            Whitening.load(tmp_path / name)
    assert not struck.exists()


# -- renders ---------------------------------------------------------------------------------------------------------------


def population() -> FacePopulation:
    means = sphere().sex_means
    return FacePopulation(means, np.stack([np.diag([4.0, 1.0])] * 2).astype(np.float32))


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
    one = Renders.drawn(model, population(), config)
    kept = Renders.made(tmp_path / "renders.npz", model, population(), config)
    again = Renders.made(tmp_path / "renders.npz", model, population(), config, say=said.append)
    assert said == [f"40 renders taken from {tmp_path / 'renders.npz'}"]
    for name in ("pictures", "coefficients", "sexes", "pose"):
        np.testing.assert_array_equal(getattr(one, name), getattr(kept, name))
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert one.pictures.std() > 10
    assert one.sexes.tolist() == [0, 1] * 20
    few = Renders.drawn(model, population(), replace(config, pictures=5))
    np.testing.assert_array_equal(few.pictures, one.pictures[:5])
    images = one.images(np.array([3, 0]))
    np.testing.assert_allclose(images[0, 2, 4, 5], (one.pictures[3, 4, 5, 2] - 127.5) / 127.5, rtol=1e-6)
    # Another model, population or configuration, or a damaged file, are drawn anew.
    other = Renders.made(tmp_path / "renders.npz", model, population(), replace(config, seed=1))
    assert not np.array_equal(other.coefficients, one.coefficients)
    (tmp_path / "renders.npz").write_bytes(b"PK\x03\x04 cut")
    anew = Renders.made(tmp_path / "renders.npz", model, population(), config)
    np.testing.assert_array_equal(anew.pictures, one.pictures)


@pytest.mark.slow
def test_processes_draw_the_same_renders() -> None:
    pytest.importorskip("open3d")
    config = RenderConfig(pictures=40, size=16)
    one, two = (Renders.drawn(sphere(), population(), config, workers=w) for w in (1, 2))
    np.testing.assert_array_equal(one.pictures, two.pictures)
    np.testing.assert_array_equal(one.coefficients, two.coefficients)


# -- training --------------------------------------------------------------------------------------------------------------


def tiny(**changes: Any) -> ExpertConfig:
    values: dict[str, Any] = {
        "run": RunConfig(accelerator="cpu", checkpoint_every=5, sample_every=10, log_every=1),
        "renders": RenderConfig(pictures=64, size=32),
        "held": 24,
        "size": 32,
        "steps": 10,
        "batch": 8,
        "warmup": 1,
    }
    return ExpertConfig(**values | changes)


def with_population() -> Pairs:
    return replace(small_pairs(), population=population())


def test_training_needs_a_population(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="population"):
        train_expert(small_pairs(), tiny(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_configurations_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="held back"):
        tiny(held=64)
    with pytest.raises(UsageError, match="renders of"):
        RenderConfig(pictures=1)
    assert set(PRESETS) == {"default", "small"}
    assert PRESETS["default"].size == 120


def test_a_killed_training_goes_on_to_the_same_expert(tmp_path: Path) -> None:
    pytest.importorskip("open3d")
    pairs, said = with_population(), list[str]()
    whole = train_expert(pairs, tiny(), tmp_path / "whole", say=said.append)
    assert not whole.training
    assert any("held-back renders" in line for line in said)
    for name in ("renders.npz", "curve.jsonl", "samples/sheet-0000010.png", "expert.safetensors", "checkpoint.json"):
        assert (tmp_path / "whole" / name).is_file()

    def killed(done: int, _total: int) -> None:
        if done == 7:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        train_expert(pairs, tiny(), tmp_path / "cut", progress=killed)
    said.clear()
    resumed = train_expert(pairs, tiny(workers=2), tmp_path / "cut", resume=True, say=said.append)
    assert any("renders taken from" in line for line in said)
    assert any("from step 5" in line for line in said)
    assert (tmp_path / "cut" / "curve.jsonl").read_text() == (tmp_path / "whole" / "curve.jsonl").read_text()
    loaded = load_network(tmp_path / "cut", "expert")
    bare = load_network(tmp_path / "cut" / "expert.safetensors", "expert")
    assert isinstance(loaded, ImageToFace)
    assert (loaded.coefficients, loaded.size) == (2, 32)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
        assert torch.equal(value, loaded.state_dict()[name]), name
        assert torch.equal(value, bare.state_dict()[name]), name


def test_an_untrained_network_can_begin_with_the_mean() -> None:
    network = ImageToFace(3, size=32).eval()
    network.begin_at(np.array([1, 2, 3], np.float32), np.arange(12, dtype=np.float32))
    with torch.no_grad():
        seen = network(pictures(2))
    assert seen.coefficients.tolist() == [[1, 2, 3]] * 2
    assert seen.pose[1].tolist() == list(range(12))
    network(pictures(2)).coefficients.sum().backward()
    head = network.shape[1]
    assert isinstance(head, nn.Linear)
    assert head.weight.grad is not None
    assert head.weight.grad.abs().max() > 0  # it does not stay there


@pytest.mark.slow
def test_the_expert_learns_to_measure_a_sphere(tmp_path: Path) -> None:
    """A hundred steps are not many, so widths and heights differ more than people's."""
    pytest.importorskip("open3d")
    base = sphere()
    model = sphere(basis=20 * base.basis, sex_means=base.sex_means / 4)
    spread = FacePopulation(model.sex_means, np.stack([np.eye(2)] * 2).astype(np.float32))
    pairs = replace(with_population(), morphable=model, population=spread)
    config = tiny(
        renders=RenderConfig(pictures=300, size=32),
        augmentation=Augmentation(shift=0, blur=0, noise=0, contrast=0, tint=0, brightness=0),
        held=60,
        steps=100,
        batch=16,
        rate=3e-3,
        warmup=10,
    )
    expert = train_expert(pairs, config, tmp_path / "run")
    renders = Renders.made(tmp_path / "run" / "renders.npz", model, spread, config.renders)
    found = measure(expert, renders, slice(240, None), model, torch.device("cpu"))
    assert found["error_mm"] < found["trivial"]["error_mm"]
    assert found["correlation"] > 0.2
