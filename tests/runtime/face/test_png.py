"""PNG files, read back by Pillow."""

import io
from pathlib import Path

import numpy as np
import pytest

from voxface.runtime.face.png import picture_alone, png, with_mark
from voxface.runtime.provenance.finding import find_marks
from voxface.runtime.provenance.mark import DRAWN


def test_png_reads_back(rng: np.random.Generator) -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = rng.integers(0, 256, (17, 31, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(image_module.open(io.BytesIO(png(image)))), image)
    with pytest.raises(ValueError, match="uint8"):
        png(image.astype(np.float32))  # type: ignore[arg-type]


def test_a_mark_is_put_into_a_file_that_has_none(rng: np.random.Generator, tmp_path: Path) -> None:
    plain = png(rng.integers(0, 256, (5, 7, 3)).astype(np.uint8))
    marked = with_mark(plain, DRAWN)
    assert picture_alone(marked) == picture_alone(plain)
    (tmp_path / "a.png").write_bytes(marked)
    assert find_marks(tmp_path / "a.png").synthetic
    with pytest.raises(ValueError, match="PNG"):
        with_mark(b"GIF89a", DRAWN)
