"""Faces in pictures: boxes of a graph made here, and real photographs with real networks."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.stand_ins.landmark_networks import write_face_graph, write_graph
from voxface.runtime.errors import InputError
from voxface.training.faces.face_boxes import FaceDetector, suppressed
from voxface.training.faces.landmark_detectors import open_detector
from voxface.training.faces.picture_landmarks import read_picture

PICTURE = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)


def test_boxes_are_in_pixels_of_the_picture_whatever_its_shape(tmp_path: Path) -> None:
    # A graph of 80×40 px (width × height): a picture of 200×120 is scaled by a third, to 67×40, and the rest is empty.
    boxes = np.array([[0.1, 0.25, 0.3, 0.5], [0.5, 0.0, 0.8, 1.0], [0.5, 0.02, 0.8, 1.0], [0.0, 0.0, 0.1, 0.1]])
    scores = np.array([0.9, 0.8, 0.95, 0.3])
    detector = FaceDetector(write_face_graph(tmp_path / "f.onnx", boxes, scores, (40, 80)))
    found = detector.detect(PICTURE)
    assert found.dtype == np.float32
    sides = np.array([80 / 67 * 200, 120, 80 / 67 * 200, 120])
    np.testing.assert_allclose(found[:, :4], np.array([boxes[2], boxes[0]]) * sides, rtol=1e-5)  # the largest first
    assert found[:, 4] == pytest.approx([0.95, 0.9])
    none = FaceDetector(write_face_graph(tmp_path / "n.onnx", boxes, np.full(4, 0.5), (40, 80)))
    assert none.detect(PICTURE).shape == (0, 5)
    assert none.detect(PICTURE[:1, :1]).shape == (0, 5)


def test_files_that_are_no_face_detectors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; give the ONNX file of a face detector"):
        FaceDetector(tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(InputError, match="give the ONNX file of a face detector"):
        FaceDetector(tmp_path / "text.onnx")
    with pytest.raises(InputError, match="is no face detector"):
        FaceDetector(write_graph(tmp_path / "landmarks.onnx", np.zeros((1, 136))))


@given(st.integers(0, 12), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_no_two_boxes_that_stay_overlap_and_none_goes_without_a_likelier_one(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 10, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 6, (count, 2)), rng.random((count, 1))], 1).astype(
        np.float32
    )
    kept = suppressed(boxes, 0.3)

    def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
        both = np.prod(np.maximum(0, np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2])))
        return float(both / (np.prod(a[2:4] - a[:2]) + np.prod(b[2:4] - b[:2]) - both))

    for i, one in enumerate(kept):
        assert all(overlap(one, other) <= 0.3 + 1e-5 for other in kept[i + 1 :])
    for box in boxes:
        assert any((box == one).all() or (overlap(box, one) > 0.3 - 1e-5 and one[4] >= box[4]) for one in kept)


def test_landmarks_of_real_photographs_are_near_the_hand_marks(shared: Path) -> None:
    real = shared / "real"
    marks = {}
    with (real / "photos" / "marks.csv").open() as table:
        for row in csv.reader(table):
            if len(row) == 137 and row[0] != "name":
                marks[row[0]] = np.array(row[1:], float).reshape(68, 2)
    assert len(marks) == 6
    errors = []
    with open_detector(
        f"onnx:{real / 'faceapi' / 'faceapi68.onnx'}", real / "ultra_light_face" / "version-RFB-320.onnx"
    ) as detector:
        for name, wanted in marks.items():
            picture = read_picture(real / "photos" / f"{name}.png")
            # In a larger picture, at another place, the landmarks move with the face.
            wide = np.zeros((2 * picture.shape[0], 3 * picture.shape[1], 3), np.uint8)
            wide[40 : 40 + picture.shape[0], 70 : 70 + picture.shape[1]] = picture
            for image, shift in ((picture, (0, 0)), (wide, (70, 40))):
                found = detector.detect(image)
                assert found is not None
                off = np.linalg.norm(found - shift - wanted, axis=1)[17:]
                errors.append(float(np.median(off) / np.linalg.norm(wanted[36] - wanted[45])))
        empty = np.full((200, 300, 3), 128, np.uint8)
        assert detector.detect(empty) is None
    assert np.median(errors) < 0.05
    assert max(errors) < 0.1


def test_every_face_of_a_group_is_found_and_the_largest_comes_first(shared: Path) -> None:
    """A collage of real photographs, one of them larger than the others; and one of 40 megapixels."""
    from PIL import Image

    real = shared / "real"
    detector = FaceDetector(real / "ultra_light_face" / "version-RFB-320.onnx")
    files = sorted((real / "photos").glob("dlib*.png"))
    for large in (0, 4):
        group = Image.new("RGB", (960, 700), (90, 110, 130))
        for number, file in enumerate(files):
            side = 340 if number == large else 200
            group.paste(Image.open(file).convert("RGB").resize((side, side)), (320 * (number % 3), 350 * (number // 3)))
        found = detector.detect(np.asarray(group))
        assert len(found) == len(files)
        middle = (found[:, :2] + found[:, 2:4]) / 2
        cells = {(int(x // 320), int(y // 350)) for x, y in middle}
        assert len(cells) == len(files)
        assert (int(middle[0][0] // 320), int(middle[0][1] // 350)) == (large % 3, large // 3)
    huge = np.asarray(group.resize((7680, 5600)))
    assert len(detector.detect(huge)) == len(files)
    assert not len(detector.detect(np.random.default_rng(0).integers(0, 256, (400, 300, 3), np.uint8)))


@pytest.mark.parametrize("place", [(0, 0), (500, 300), (1030, 760)])
def test_a_face_that_is_small_in_its_picture_is_found_in_a_part_of_it(shared: Path, place: tuple[int, int]) -> None:
    real = shared / "real"
    photo = read_picture(sorted((real / "photos").glob("dlib*.png"))[0])
    picture = np.full((960, 1280, 3), 127, np.uint8)
    left, top = place
    small = photo[::2, ::2][: 960 - top, : 1280 - left]
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    (box,) = FaceDetector(real / "ultra_light_face" / "version-RFB-320.onnx").detect(picture)
    x, y = (box[:2] + box[2:4]) / 2
    assert left < x < left + small.shape[1]
    assert top < y < top + small.shape[0]


@pytest.mark.parametrize("size", [(1, 81), (2, 200), (41, 3), (43, 87)])
def test_parts_of_any_picture_are_in_it(tmp_path: Path, size: tuple[int, int]) -> None:
    none = FaceDetector(write_face_graph(tmp_path / "n.onnx", np.zeros((4, 4)), np.full(4, 0.5), (40, 80)))
    assert none.detect(np.zeros((*size, 3), np.uint8)).shape == (0, 5)
