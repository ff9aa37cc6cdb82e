"""Presets of the face GAN beside paper and published code, and settings that cannot be."""

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from voxface.runtime.errors import UsageError  # noqa: E402
from voxface.training.trainers.face_gan import PRESETS, FaceGanConfig  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


def test_presets_are_what_the_paper_and_the_code_say() -> None:
    published = PRESETS["wen2019"]
    assert (published.batch, published.steps) == (128, 50_000)
    assert (published.generator_rate, published.critic_rate, published.betas) == (2e-4, 2e-4, (0.5, 0.999))
    assert (published.noise, published.flip, published.length) == (0.05, 0.5, (300, 800))
    assert (published.adversarial, published.identity) == (1.0, 1.0)
    assert (published.channels, published.critic) == ((1024, 512, 256, 128, 64), (32, 64, 128, 256, 512))
    assert (published.bank, published.average, published.augmentations) == (0, 0.0, ())
    assert (published.r1, published.likeness) == (0.0, 0.0)
    for change in ("spectral", "conditional", "mixed", "channels_last", "last_rectified"):
        assert not getattr(published, change)
    assert (published.kernel, published.critic_kernel, published.style) == ("k4", "k4", "wen")
    assert published.initialisation == "torch"
    paper = PRESETS["wen2019-paper"]
    assert (paper.kernel, paper.critic_kernel, paper.last_rectified) == ("k3", "k3", True)
    assert (paper.steps, paper.batch, paper.initialisation) == (100_000, 128, "dcgan")
    assert (paper.noise, paper.flip) == (0.0, 0.0)
    assert (PRESETS["dcgan"].style, PRESETS["dcgan"].initialisation) == ("dcgan", "dcgan")
    modern = PRESETS["modern"]
    for same in ("channels", "critic", "length", "flip", "batch", "steps", "judge"):  # the same data and networks
        assert getattr(modern, same) == getattr(published, same)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch 0"),
        ({"average": 1.0}, "average 1.0"),
        ({"channels": (8, 8)}, "five widths"),
        ({"length": (90, 40)}, "length"),
        ({"likeness": 1.0}, "needs balanced sampling"),
        ({"augmentations": ("rain",)}, "augmentations rain: of colour, translation, cutout"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(FaceGanConfig(), **change)
