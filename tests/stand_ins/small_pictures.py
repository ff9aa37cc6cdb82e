"""Pictures and a population for tests of experts."""

import numpy as np
import pytest

from tests.stand_ins.sphere import sphere
from voxface.training.faces.population import FacePopulation

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor, nn  # noqa: E402


def pictures(batch: int, size: int = 64, seed: int = 0) -> Tensor:
    """RGB in [-1, 1]; smooth, so that resizing changes little."""
    coarse = torch.rand(batch, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return nn.functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)


def population() -> FacePopulation:
    means = sphere().sex_means
    return FacePopulation(means, np.stack([np.diag([4.0, 1.0])] * 2).astype(np.float32))
