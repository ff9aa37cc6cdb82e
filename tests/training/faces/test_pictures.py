"""Pictures of every kind that cameras and programs write are read as a viewer shows them; what is none says what it is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from voxface.runtime.errors import InputError
from voxface.training.faces.picture_landmarks import read_picture

GREY = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
COLOUR = np.stack([GREY, GREY[:, ::-1], GREY // 2], 2)
WHOLE = np.repeat(GREY[:, :, None], 3, 2)


@pytest.mark.parametrize(
    ("name", "picture", "wanted"),
    [
        ("grey.png", Image.fromarray(GREY), WHOLE),
        ("deep.png", Image.fromarray(GREY.astype(np.uint16) * 257), WHOLE),
        ("ink.jpg", Image.fromarray(COLOUR).convert("CMYK"), COLOUR),
        ("few.png", Image.fromarray(COLOUR).convert("P", palette=Image.Palette.ADAPTIVE), COLOUR),
        ("clear.png", Image.fromarray(np.dstack([COLOUR, GREY])), COLOUR),
        ("film.webp", Image.fromarray(COLOUR), COLOUR),
        ("plain.bmp", Image.fromarray(COLOUR), COLOUR),
    ],
)
def test_kinds_of_pictures(tmp_path: Path, name: str, picture: Image.Image, wanted: np.ndarray) -> None:
    picture.save(tmp_path / name, **({"quality": 95} if name.endswith(("jpg", "webp")) else {}))
    found = read_picture(tmp_path / name)
    assert (found.shape, found.dtype) == (wanted.shape, np.uint8)
    assert np.abs(found.astype(int) - wanted).mean() < 5


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_camera_that_was_held_otherwise(tmp_path: Path, turn: int) -> None:
    upright = Image.fromarray(COLOUR)
    back = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[turn]  # fmt: skip
    stored = upright if back is None else upright.transpose(back)
    about = stored.getexif()
    about[0x0112] = turn
    stored.save(tmp_path / "a.png", exif=about)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), COLOUR)


def test_what_is_no_picture_says_what_it_is(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", format="TIFF")
    (tmp_path / "b.jpg").write_bytes(b"\x00\x01" * 50)
    (tmp_path / "c.png").write_bytes(b"")
    Image.new("L", (14_000, 14_000)).save(tmp_path / "d.png")
    Image.fromarray(COLOUR).save(tmp_path / "e.jpg", format="GIF")
    (tmp_path / "f.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))  # as telephones send it on
    for name, why in (
        ("a", "it is a picture (TIFF); PNG, JPEG, WEBP, BMP are read; save it as one of these"), ("b", "are read"),
        ("c", ""), ("d", "pixels"), ("e", "it is a picture (GIF); PNG"), ("f", "it is a picture (HEIC); PNG"),
    ):  # fmt: skip
        file = next(tmp_path.glob(f"{name}.*"))
        with pytest.raises(InputError, match=str(file.name)) as caught:
            read_picture(file)
        assert "object at 0x" not in str(caught.value)
        assert why in str(caught.value)
