"""Shapes, sizes and state-dict names of the published networks."""

from itertools import pairwise

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from voxface.training.models import Classifier, Discriminator, FaceEmbedding, FaceGenerator, VoiceEncoder  # noqa: E402
from voxface.training.models.dcgan_initialisation import initialise_dcgan  # noqa: E402
from voxface.training.models.face_generator import Kernel, picture_size  # noqa: E402
from voxface.training.models.voice_encoder import perturb  # noqa: E402


def count(network: "torch.nn.Module") -> int:
    return sum(p.numel() for p in network.parameters())


def shapes(network: "torch.nn.Module") -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in network.state_dict().items()}


def test_voice_encoder_is_the_published_one() -> None:
    network = VoiceEncoder()
    assert count(network) == 2_670_720
    found = shapes(network)
    widths = [64, 256, 384, 576, 864]
    expected: dict[str, list[int]] = {}
    for layer, (narrow, wide) in enumerate(pairwise(widths)):
        expected[f"model.{3 * layer}.weight"] = [wide, narrow, 3]
        for name in ("weight", "bias", "running_mean", "running_var"):
            expected[f"model.{3 * layer + 1}.{name}"] = [wide]
        expected[f"model.{3 * layer + 1}.num_batches_tracked"] = []
    expected |= {"model.12.weight": [64, 864, 3], "model.12.bias": [64]}
    assert found == expected


@pytest.mark.parametrize("frames", [1, 31, 32, 33, 63, 64, 300, 1000, 1733])
def test_voice_encoder_lengths(frames: int) -> None:
    network = VoiceEncoder().eval()
    with torch.no_grad():
        embedding, columns = network(torch.randn(2, 64, frames))
    assert columns.shape == (2, 64, -(-frames // 32))
    assert embedding.norm(dim=1) == pytest.approx([1, 1], abs=1e-5)


def test_receptive_field_is_63_frames_one_column_each_32() -> None:
    network = VoiceEncoder(channels=(8, 8, 8, 8)).eval()  # the width has no part in it
    base = torch.zeros(1, 64, 640)
    with torch.no_grad():
        before = network(base)[1]
        touched = set()
        for frame in range(640):
            changed = base.clone()
            changed[0, :, frame] = 5
            if not torch.equal(network(changed)[1][0, :, 10], before[0, :, 10]):
                touched.add(frame)
    assert min(touched) == 320 - 31
    assert max(touched) == 320 + 31


def test_generator_is_the_published_one() -> None:
    network = FaceGenerator()
    assert count(network) == 12_191_875
    widths = [64, 1024, 512, 256, 128, 64]
    expected: dict[str, list[int]] = {}
    for layer, (wide, narrow) in enumerate(pairwise(widths)):
        expected[f"model.{2 * layer}.weight"] = [wide, narrow, 4, 4]
        expected[f"model.{2 * layer}.bias"] = [narrow]
    expected |= {"model.10.weight": [64, 3, 1, 1], "model.10.bias": [3]}
    assert shapes(network) == expected


@pytest.mark.parametrize("kernel", ["k4", "k3"])
def test_generator_makes_images(kernel: str) -> None:
    assert FaceGenerator(kernel=kernel)(torch.randn(2, 64)).shape == (2, 3, 64, 64)  # type: ignore[arg-type]


@pytest.mark.parametrize("kernel", ["k4", "k3"])
def test_twice_as_many_pixels_by_a_last_layer_that_doubles(kernel: Kernel) -> None:
    small, large = FaceGenerator(kernel=kernel), FaceGenerator(kernel=kernel, size=128)
    assert large(torch.randn(2, 64)).shape == (2, 3, 128, 128)
    side = 4 if kernel == "k4" else 3
    assert shapes(large) == {**shapes(small), "model.10.weight": [64, 3, side, side]}
    assert shapes(FaceGenerator(kernel=kernel, size=64)) == shapes(small)


def test_a_size_that_the_widths_cannot_make() -> None:
    assert picture_size((1024, 512, 256, 128, 64)) == 64
    for size in (32, 100, 256, 0, -64):
        with pytest.raises(ValueError, match=f"size {size}: 5 channels make pictures of 64 or 128 px"):
            FaceGenerator(size=size)


def test_paper_variant_has_3_by_3_kernels() -> None:
    kernels = [list(m.kernel_size) for m in FaceGenerator(kernel="k3").modules() if hasattr(m, "kernel_size")]
    assert kernels == [[4, 4], [3, 3], [3, 3], [3, 3], [3, 3], [1, 1]]


def test_critic_of_the_papers_table() -> None:
    layers = list(FaceEmbedding(kernel="k3", last_rectified=True).model)
    assert [list(m.kernel_size) for m in layers if hasattr(m, "kernel_size")] == [[1, 1], *[[3, 3]] * 4, [4, 4]]
    assert [type(m).__name__ for m in layers] == ["Conv2d", "LeakyReLU"] * 6
    sizes = []
    x = torch.randn(2, 3, 64, 64)
    for layer in layers:
        x = layer(x)
        if isinstance(layer, torch.nn.Conv2d):
            sizes.append(list(x.shape[1:]))
    assert sizes == [[32, 64, 64], [64, 32, 32], [128, 16, 16], [256, 8, 8], [512, 4, 4], [64, 1, 1]]


def test_dcgan_normalises_all_but_the_ends() -> None:
    generator, critic = FaceGenerator(style="dcgan"), FaceEmbedding(style="dcgan")
    names = [type(m).__name__ for m in generator.model]
    assert names == ["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 5 + ["ConvTranspose2d", "Tanh"]
    names = [type(m).__name__ for m in critic.model]
    assert names == ["Conv2d", "LeakyReLU", *["Conv2d", "BatchNorm2d", "LeakyReLU"] * 4, "Conv2d"]
    images = generator(torch.randn(4, 64))
    assert images.shape == (4, 3, 64, 64)
    assert float(images.detach().abs().max()) <= 1


def test_batch_normalisation_measures_real_and_generated_pictures_apart() -> None:
    critic = FaceEmbedding((4, 4, 4, 4, 4), style="dcgan")
    real, fake = torch.randn(3, 3, 64, 64), 4 * torch.randn(3, 3, 64, 64)
    both = torch.cat([real, fake])
    torch.testing.assert_close(critic(both, groups=2), torch.cat([critic(real), critic(fake)]))
    assert not torch.allclose(critic(both), critic(both, groups=2))
    plain = FaceEmbedding((4, 4, 4, 4, 4))
    torch.testing.assert_close(plain(both), plain(both, groups=2))


def test_first_weights_of_dcgan() -> None:
    generator, critic, head = FaceGenerator(style="dcgan"), FaceEmbedding(style="dcgan"), Classifier(200)
    initialise_dcgan(generator, critic, head)
    for module in (m for network in (generator, critic, head) for m in network.modules()):
        if (
            isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d | torch.nn.Linear)
            and module.weight.numel() > 1e4
        ):
            assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
            assert abs(float(module.weight.detach().mean())) < 1e-3
        elif isinstance(module, torch.nn.BatchNorm2d):
            assert float(module.weight.detach().mean()) == pytest.approx(1, abs=0.01)
        if getattr(module, "bias", None) is not None:
            assert not module.bias.detach().any()


def test_critic() -> None:
    features = FaceEmbedding()(torch.randn(3, 3, 64, 64))
    assert features.shape == (3, 64)
    widths = [3, 32, 64, 128, 256, 512, 64]
    kernels = [1, 4, 4, 4, 4, 4]
    expected = {
        f"model.{2 * i}.weight": [wide, narrow, k, k]
        for i, (narrow, wide, k) in enumerate(zip(widths, widths[1:], kernels, strict=False))
    }
    found = shapes(FaceEmbedding())
    assert {name: shape for name, shape in found.items() if name.endswith("weight")} == expected
    assert Discriminator()(features).shape == (3, 1)
    assert Classifier(10)(features).shape == (3, 10)
    assert list(shapes(Discriminator())) == ["model.0.weight"], "no bias"


def test_perturbed_embeddings_stay_unit_length_and_near() -> None:
    torch.manual_seed(0)
    embedding = torch.nn.functional.normalize(torch.randn(1000, 64), dim=1)
    noisy = perturb(embedding)
    assert noisy.norm(dim=1).sub(1).abs().max() < 1e-5
    # 0.05 in 64 dimensions is a vector of length 0.4, nearly at right angles: cosine 1/√(1 + 0.16).
    assert float((noisy * embedding).sum(1).mean()) == pytest.approx(0.928, abs=0.01)
