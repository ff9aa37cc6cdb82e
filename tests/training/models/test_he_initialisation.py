"""Weights scaled after He 2015: variances stay, and pictures begin with the mean colour."""

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import nn  # noqa: E402

from voxface.training.models import FaceEmbedding, FaceGenerator  # noqa: E402
from voxface.training.models.he_initialisation import initialise_he  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


def test_scaled_weights_keep_variances_and_begin_with_the_mean_colour() -> None:
    torch.manual_seed(0)
    colours = torch.tensor([0.3, -0.1, -0.5])
    generator, critic = FaceGenerator(channels=(96, 64, 48, 32, 24)), FaceEmbedding((16, 24, 32, 48, 64))
    sizes: list[float] = []
    for module in generator.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda _m, _i, out: sizes.append(float(out.square().mean())))
    initialise_he(generator, colours)
    with torch.no_grad():
        images = generator(nn.functional.normalize(torch.randn(48, 64), dim=1))
    assert len(sizes) == 5
    assert all(0.5 < size < 2 for size in sizes), sizes
    torch.testing.assert_close(images.mean((0, 2, 3)), colours, atol=0.15, rtol=0)
    initialise_he(critic)
    with torch.no_grad():
        assert 0.2 < float(critic(torch.randn(16, 3, 64, 64)).square().mean()) < 5
