"""The expert's networks, and what happens to their pictures."""

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import nn  # noqa: E402

from tests.stand_ins.small_pictures import pictures  # noqa: E402
from voxface.training.models import MobileNetV2  # noqa: E402
from voxface.training.models.experts.expert import Expert, Geometry, resized  # noqa: E402
from voxface.training.models.experts.own import ImageToFace  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402

pytestmark = pytest.mark.train


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
