"""PNG files, read back by Pillow."""

import io

import numpy as np
import pytest

from voxface.runtime.face.png import png


def test_png_reads_back(rng: np.random.Generator) -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = rng.integers(0, 256, (17, 31, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(image_module.open(io.BytesIO(png(image)))), image)
    with pytest.raises(ValueError, match="uint8"):
        png(image.astype(np.float32))  # type: ignore[arg-type]
