"""Pictures in another size, against Pillow's bicubic filter."""

import numpy as np
import pytest

from voxface.runtime.face.resize import resized

SIZES = [(64, 256), (128, 256), (64, 32), (128, 32), (16, 32), (48, 256), (400, 256), (37, 100)]


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_it_is_pillows_bicubic_filter(before: int, after: int, rng: np.random.Generator) -> None:
    image_module = pytest.importorskip("PIL.Image")
    picture = rng.integers(0, 256, (before, before, 3)).astype(np.uint8)
    planes = [  # in float, since Pillow cuts 8-bit pictures off between rows and columns
        np.asarray(image_module.fromarray(plane).resize((after, after), image_module.Resampling.BICUBIC))
        for plane in np.moveaxis(picture, 2, 0).astype(np.float32)
    ]
    expected = np.stack(planes, axis=2).clip(0, 255)
    found = resized(picture, after)
    assert found.shape == (after, after, 3)
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 0.51


def test_what_is_even_stays_so_and_the_same_size_is_the_same(rng: np.random.Generator) -> None:
    for before, after in SIZES:
        assert (resized(np.full((before, before, 3), 201, np.uint8), after) == 201).all()
    picture = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    np.testing.assert_array_equal(resized(picture, 64), picture)


def test_an_enlarged_slope_has_no_steps() -> None:
    slope = np.repeat(np.linspace(0, 255, 64), 64).reshape(64, 64, 1).repeat(3, 2).astype(np.uint8)
    large = resized(slope, 256).astype(int)
    assert np.diff(large[:, 0, 0]).max() <= 2  # 4 levels a pixel before, 1 after; repeated pixels would jump by 4
    assert len(np.unique(large)) > 200
