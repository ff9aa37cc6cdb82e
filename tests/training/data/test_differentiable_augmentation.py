"""Differentiable augmentation: what it does to pictures, and that gradients pass."""

import math
from typing import Any, cast

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor  # noqa: E402

from voxface.training.data.differentiable_augmentation import colour, cutout, translation  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


@pytest.mark.parametrize("change", [colour, translation, cutout])
def test_gradients_pass_through_augmentations(change: Any) -> None:
    images = (torch.rand(2, 3, 8, 4, dtype=torch.float64) - 0.5).requires_grad_()

    def seeded(x: Tensor) -> Tensor:
        torch.manual_seed(4)
        return cast(Tensor, change(x))

    assert not torch.equal(seeded(images), images)
    assert torch.autograd.gradcheck(seeded, (images,))


def test_translation_moves_by_whole_pixels_and_fills_with_zeros() -> None:
    torch.manual_seed(0)
    images = torch.rand(200, 3, 16, 16) + 1
    shifts = set()
    for before, after in zip(images, translation(images), strict=True):
        rows, columns = (after.sum((0, d)) > 0 for d in (2, 1))
        y, x = (int(rows.nonzero()[0]) or int(rows.sum()) - 16, int(columns.nonzero()[0]) or int(columns.sum()) - 16)
        expected = torch.zeros_like(before)
        expected[:, max(0, y) : 16 + min(0, y), max(0, x) : 16 + min(0, x)] = before[
            :, max(0, -y) : 16 - max(0, y), max(0, -x) : 16 - max(0, x)
        ]
        torch.testing.assert_close(after, expected)
        shifts.add((y, x))
    assert shifts == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}  # up to an eighth of 16, each way


def test_cutout_zeroes_one_square_of_half_the_height() -> None:
    torch.manual_seed(0)
    areas = []
    for after in cutout(torch.ones(300, 3, 16, 16)):
        hole = after[0] == 0
        assert torch.equal(hole, after[1] == 0)
        rows, columns = hole.any(1), hole.any(0)
        assert bool((hole == rows[:, None] & columns[None]).all())
        assert rows.sum() <= 8
        assert columns.sum() <= 8
        areas.append(int(hole.sum()))
    assert max(areas) == 64
    assert min(areas) <= 20  # some reach over an edge


def test_colour_keeps_what_is_where() -> None:
    torch.manual_seed(0)
    images = torch.rand(64, 3, 8, 8)
    after = colour(images)
    grey = images.mean(1) - images.mean((1, 2, 3))[:, None, None]
    changed = after.mean(1) - after.mean((1, 2, 3))[:, None, None]
    ratio = (changed / grey).flatten(1)
    contrast = ratio.median(1).values
    torch.testing.assert_close(changed, contrast[:, None, None] * grey, atol=1e-4, rtol=1e-3)  # one contrast a picture
    assert 0.5 <= float(contrast.min()) < 0.7
    assert 1.3 < float(contrast.max()) <= 1.5
    brighter = (after - images).mean((1, 2, 3))
    assert float(brighter.min()) >= -0.5
    assert float(brighter.max()) <= 0.5
    assert float(brighter.std()) == pytest.approx(1 / math.sqrt(12), rel=0.25)
