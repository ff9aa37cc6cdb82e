"""Pictures: pixels on demand, from any thread, and never of what is no number."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from voxface.runtime.inference.picture import Picture


def planes(size: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.7, (3, size, size)).astype(np.float32)


def test_levels_are_rounded_and_clamped() -> None:
    values = np.array([-np.inf, -7, -1, -0.999, 0, 0.5, 1, 7, np.inf], np.float32)
    image = np.stack([values, values[::-1], np.zeros(9, np.float32)])[:, None]
    levels = [0, 0, 0, 0, 128, 191, 255, 255, 255]
    np.testing.assert_array_equal(Picture(image).pixels[0].T, [levels, levels[::-1], [128] * 9])


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 3, 7), (2, 63, 63)])
def test_what_is_no_number_is_refused_at_once(place: tuple[int, int, int]) -> None:
    image = planes()
    image[place] = np.nan
    with pytest.raises(FloatingPointError, match="no numbers"):
        Picture(image)


def test_pixels_are_computed_once_whoever_asks() -> None:
    for seed in range(30):
        picture = Picture(planes(128, seed))
        with ThreadPoolExecutor(4) as threads:
            found = [each.result() for each in [threads.submit(lambda p=picture: p.pixels) for _ in range(8)]]
        for pixels in found:
            np.testing.assert_array_equal(pixels, Picture(planes(128, seed)).pixels)
        assert picture.pixels is picture.pixels


def test_copies_and_pickles_show_the_same() -> None:
    picture = Picture(planes())
    pixels = Picture(planes()).pixels
    for again in (copy.deepcopy(picture), pickle.loads(pickle.dumps(picture)), Picture.of_pixels(pixels)):
        np.testing.assert_array_equal(again.pixels, pixels)
    assert len(pickle.dumps(picture)) < pixels.nbytes + 1000


def test_a_picture_of_a_batch_does_not_keep_the_batch() -> None:
    batch = np.stack([planes(seed=seed) for seed in range(16)])
    kept = Picture(batch[3])._planes
    assert kept is not None
    assert kept.base is None or kept.base.nbytes <= kept.nbytes
    alone = batch[:1].copy()
    assert np.shares_memory(Picture(alone[0])._planes, alone), "an only voice's picture is not copied"
