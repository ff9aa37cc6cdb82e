"""Experts of others: their checkpoints, and files that are none."""

import argparse
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxface.runtime.errors import InputError

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor, nn  # noqa: E402

from tests.stand_ins.small_pictures import pictures  # noqa: E402
from voxface.training.models import MobileNetV2  # noqa: E402
from voxface.training.models.experts.mobilenet_v1 import MobileNetV1  # noqa: E402
from voxface.training.models.experts.published import NUMBERS, SynergyNet, Whitening, load_synergynet, load_tddfa  # noqa: E402

pytestmark = pytest.mark.train


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
    "no weights at all": (lambda s: s.clear(), "holds no weights by name"),
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
    with pytest.raises(InputError, match=r"holds no weights by name.*it holds 'state_dict', 'args'"):
        load_tddfa(tmp_path / "args.pth", whitening())
    torch.save({"state_dict": tddfa_state(0.5), "args": argparse.Namespace(arch="x")}, tmp_path / "args.pth")
    assert load_tddfa(tmp_path / "args.pth", whitening()), "what could not do harm is passed over"


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


@pytest.mark.parametrize("protocol", range(6))
def test_3ddfas_own_whitening(tmp_path: Path, protocol: int) -> None:
    """`param_mean_std_62d_120x120.pkl`, read as data: of any protocol, also with more in it, and by its contents."""
    mean, std = np.arange(62, dtype=np.float32), 1 + np.arange(62, dtype=np.float32)
    for name in ("param_mean_std_62d_120x120.pkl", "w.bin"):
        file = tmp_path / name
        file.write_bytes(pickle.dumps({"mean": mean, "std": std.astype(">f8"), "about": "3DDFA-V2", "n": 62}, protocol))
        found = Whitening.load(file)
        np.testing.assert_array_equal(found.mean, mean)
        np.testing.assert_array_equal(found.std, std)
    file.write_bytes(pickle.dumps({"param_mean": mean, "param_std": std}, protocol))
    np.testing.assert_array_equal(Whitening.load(file).std, std)
    file.write_bytes(pickle.dumps({"mean": mean, "std": argparse.Namespace(a=1)}, protocol))
    with pytest.raises(InputError, match=r"asks to load argparse\.Namespace, which no whitening needs"):
        Whitening.load(file)
    file.write_bytes(pickle.dumps([1, 2], protocol))
    with pytest.raises(InputError, match="no dictionary of arrays; this is no whitening"):
        Whitening.load(file)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    state = tddfa_state(0.5)
    for change, message in (
        (lambda v: v.to(torch.int32), "holds int32, not real numbers"),
        (lambda v: v.to(torch.complex64), "holds complex64, not real numbers"),
        (lambda v: torch.full_like(v, 1e300, dtype=torch.float64), "too large for FP32"),
    ):
        changed = state | {"module.fc.weight": change(state["module.fc.weight"])}
        with pytest.raises(InputError, match=message):
            load_tddfa(written(tmp_path / "mb.pth", changed), whitening())
    half = {name: value.half() for name, value in state.items()}
    assert load_tddfa(written(tmp_path / "half.pth", half), whitening()).network.fc.weight.dtype == torch.float32
    brain = {name: value.bfloat16() for name, value in synergy_state().items()}
    assert load_synergynet(written(tmp_path / "brain.pth", brain)).std.dtype == torch.float32


def test_whitenings_that_are_none_are_refused(tmp_path: Path) -> None:
    good = {"mean": np.zeros(62), "std": np.ones(62)}
    for name, arrays, message in (
        ("keys", {"mu": np.zeros(62)}, "no whitening"),
        ("few", {"mean": np.zeros(50), "std": np.ones(50)}, "not 62"),
        ("zero", good | {"std": np.zeros(62)}, "not positive"),
        ("nan", good | {"mean": np.full(62, np.nan)}, "NaN"),
        ("words", good | {"mean": np.array(["a"] * 62)}, "no real numbers"),
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


def test_the_published_network_sees_real_faces(shared: Path) -> None:
    """mb05 as 3DDFA-V2 publishes it: faces near the mean, and a mirrored picture looks to the other side."""
    from PIL import Image

    from voxface.training.data.images import as_images
    from voxface.training.faces.face_boxes import FaceDetector
    from voxface.training.faces.picture_landmarks import read_picture

    real = shared / "real"
    white = [Whitening.load(real / "tddfa_v2" / name) for name in ("param_mean_std_62d_120x120.pkl", "whitening.npz")]
    np.testing.assert_array_equal(white[0].mean, white[1].mean)
    expert = load_tddfa(real / "tddfa_v2" / "mb05_120x120.pth", white[0])
    faces = FaceDetector(real / "ultra_light_face" / "version-RFB-320.onnx")
    crops = []
    for file in sorted((real / "photos").glob("*.png")):
        picture = read_picture(file)
        left, top, right, bottom = faces.detect(picture)[0, :4]
        # The crop that its authors cut: 1.42 times the mean side of the box, its middle 0.14 sides lower.
        side = (right - left + bottom - top) / 2
        x, y = (left + right) / 2, (top + bottom) / 2 + 0.14 * side
        half = 0.71 * side
        cut = Image.fromarray(picture).crop((round(x - half), round(y - half), round(x + half), round(y + half)))
        crops.append(np.asarray(cut.resize((120, 120), Image.Resampling.BILINEAR)))
    pictures = np.stack(crops)
    with torch.no_grad():
        seen, mirrored = (
            expert(as_images(torch.from_numpy(np.ascontiguousarray(which))))
            for which in (pictures, pictures[:, :, ::-1])
        )
    coefficients = seen.coefficients.numpy()
    assert coefficients.shape == (len(crops), 50)
    assert 0.2 < np.sqrt(np.square(coefficients).mean()) < 2

    def yaw(pose: Tensor) -> np.ndarray:
        turn = pose.numpy().reshape(-1, 3, 4)[:, :, :3]
        turn = turn / np.linalg.norm(turn, axis=2, keepdims=True)
        return np.degrees(np.arcsin(turn[:, 2, 0].clip(-1, 1)))

    np.testing.assert_allclose(yaw(mirrored.pose), -yaw(seen.pose), atol=8)
    assert np.ptp(yaw(seen.pose)) > 10  # they do not all look the same way
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(coefficients, mirrored.coefficients.numpy(), strict=True)]
    assert np.median(alike) > 0.8  # faces are nearly symmetric
