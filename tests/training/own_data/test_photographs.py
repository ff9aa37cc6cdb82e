"""Landmarks in a file beside a picture: how they are found, and what is said where the file is missing or is none."""

from pathlib import Path

import numpy as np
import pytest

from voxface.runtime.face.png import png
from voxface.training.data.speech_corpus import LeftOut
from voxface.training.own_data.photographs import DetectorChoice, Seen, look_at
from voxface.training.own_data.pictures import Picture

BESIDE = DetectorChoice("pts")
PIXELS = np.zeros((60, 60, 3), np.uint8)
POINTS = "".join(f"{10 + k % 40}.5 {20 + k % 30}\n" for k in range(68))


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    file = tmp_path / "0001.png"
    file.write_bytes(png(PIXELS))
    return Picture(file, 0, "", PIXELS)


def reason(picture: Picture) -> str:
    found = look_at(picture, BESIDE)
    assert isinstance(found, LeftOut)
    assert found.file == picture.name
    return found.reason


def test_the_file_beside_a_picture_is_read(picture: Picture) -> None:
    picture.file.with_suffix(".pts").write_text(f"version: 1\nn_points: 68\n{{\n{POINTS}}}\n")
    found = look_at(picture, BESIDE)
    assert isinstance(found, Seen)
    assert found.landmarks[0].tolist() == [9.5, 19]  # the file counts from 1


def test_a_missing_file_is_named_with_what_to_do(picture: Picture) -> None:
    assert reason(picture) == (
        "0001.pts with its landmarks is not there; put it beside the picture, take the picture away, or choose a --detector "
        "that finds them"
    )


def test_a_link_that_leads_nowhere_and_a_file_that_is_none_are_named(picture: Picture) -> None:
    beside = picture.file.with_suffix(".pts")
    beside.symlink_to("elsewhere.pts")
    assert reason(picture) == f"{beside}: is a link to elsewhere.pts, which is not there"
    beside.unlink()
    beside.write_text("three points")
    assert reason(picture).startswith(f"{beside}: no .pts file")
