"""eos' own files: the map from ibug's landmarks to the Surrey model, old and new, and blendshapes beside the shape model."""

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins import face_model_files as files
from voxface.importers.face_models import read_face_model
from voxface.importers.face_models.eos_landmarks import read_eos_landmarks
from voxface.runtime.errors import InputError

pytestmark = pytest.mark.train

MADE = files.face()
OPEN = [*range(8), *range(9, 17), 60, 64]  # landmarks, from 0, that eos' map leaves open
MAPPED = {k: int(v) for k, v in enumerate(MADE.landmarks) if k not in OPEN}


def new_map(path: Path, mapped: dict[int, int] = MAPPED) -> Path:
    """As eos writes it since version 0.13, with its comments."""
    lines = [f"{k + 1:2} = {v:5}  # landmark {k + 1} = something" for k, v in mapped.items()]
    path.write_text(
        "# Mapping from the 68-point ibug annotations to vertices.\n\n[landmark_mappings] # from ibug (lhs) to ours (rhs)\n"
        "            # 1 to 8 are the right contour landmarks\n" + "\n".join(lines) + "\n#61 =      # not defined\n"
        "\n[contour_landmarks]\nright = [ 1,\n 2, 3, 4, 5, 6, 7, 8 ]\nleft = [ 10, 11, 12, 13, 14, 15, 16, 17 ]\n"
    )
    return path


def old_map(path: Path, mapped: dict[int, int] = MAPPED) -> Path:
    lines = [f"\t{k + 1:2}\t{v:4} ; landmark {k + 1}" for k, v in mapped.items()]
    path.write_bytes(
        (
            "; Mapping from the 68-point ibug annotations\n\nlandmarkMappings ; from ibug (lhs)\n{\n\t ; 1 to 8: contour\n"
            + "\n".join(lines) + "\n}\ncontour_landmarks\n{\n\tright {\n\t\t1\n\t\t2\n\t}\n\tleft {\n\t\t10\n\t}\n}"
        ).replace("\n", "\r\n").encode()
    )  # fmt: skip
    return path


def contours(folder: Path, name: str = "sfm_model_contours.json") -> Path:
    """17 vertices a side, as in eos' file: the jaw's own, and others between them."""
    sides = {}
    for side, order in (("right", range(8)), ("left", range(16, 8, -1))):
        path = MADE.mean[MADE.landmarks[[*order, 8]]]
        between = [MADE.mean[:] - (a + b) / 2 for a, b in pairwise(path)]
        more = {int(np.linalg.norm(away, axis=1).argmin()) for away in between}
        sides[f"{side}_contour"] = sorted({int(v) for v in MADE.landmarks[list(order)]} | more)
    (folder / name).write_text(json.dumps({"model_contour": sides}))
    return folder / name


@pytest.mark.parametrize("write", [new_map, old_map])
@pytest.mark.parametrize("name", ["sfm_model_contours.json", "model_contours.json"])
def test_eos_map_with_its_contours(tmp_path: Path, write: Any, name: str) -> None:
    contours(tmp_path, name)
    path = files.write_surrey(tmp_path / "sfm_shape_3448.bin", MADE)
    model = read_face_model(path, landmarks=write(tmp_path / "ibug_to_sfm.txt"))
    known = [k for k in range(68) if k not in OPEN]
    np.testing.assert_array_equal(model.landmarks[known], MADE.landmarks[known])
    added = model.landmarks[OPEN].tolist()
    assert len(set(added)) == len(added)
    assert not set(added) & set(MADE.landmarks[known].tolist())
    far = np.linalg.norm(model.mean[model.landmarks[OPEN]] - model.mean[MADE.landmarks[OPEN]], axis=1)
    assert far.max() < 25, "mm; the jaw is spread evenly, ours is not"
    y = model.mean[model.landmarks[:9], 1]
    assert (np.diff(y) <= 0).all(), "from the ear to the chin"
    assert (model.mean[model.landmarks[:8], 0] < 0).all()
    assert (model.mean[model.landmarks[9:17], 0] > 0).all()
    for corner, outer in ((60, 48), (64, 54)):
        assert 1 < np.linalg.norm(model.mean[model.landmarks[corner]] - model.mean[model.landmarks[outer]]) < 20


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = files.write_surrey(tmp_path / "sfm_shape_3448.bin", MADE)
    marks = new_map(tmp_path / "ibug_to_sfm.txt")
    with pytest.raises(InputError, match=r"leaves the jaw line open; put eos' sfm_model_contours.json"):
        read_face_model(path, landmarks=marks)
    contours(tmp_path)
    new_map(marks, {k: v for k, v in MAPPED.items() if k not in (30, 33)})
    with pytest.raises(InputError, match="maps no vertex to landmark 31, 34; 50 are needed"):
        read_face_model(path, landmarks=marks)
    new_map(marks, MAPPED | {30: 99_999})
    with pytest.raises(InputError, match="names vertex 99999; the model has 2882 vertices"):
        read_face_model(path, landmarks=marks)
    for text in (
        "{}",
        '{"model_contour": {"right_contour": [1, 2], "left_contour": [-1]}}',
        "[",
        '{"model_contour": 3}',
    ):
        new_map(marks)
        (tmp_path / "sfm_model_contours.json").write_text(text)
        with pytest.raises(InputError, match=r"sfm_model_contours\.json: a damaged"):
            read_face_model(path, landmarks=marks)
    (tmp_path / "sfm_model_contours.json").write_text(
        '{"model_contour": {"right_contour": [1, 2], "left_contour": [3]}}'
    )
    with pytest.raises(InputError, match="2 vertices on one side of the jaw's contour; 8 are needed"):
        read_face_model(path, landmarks=marks)
    with pytest.raises(InputError, match=r"maps landmarks to a model of eos \(\.bin\)"):
        read_face_model(files.write_gnm(tmp_path / "g.npz", MADE), landmarks=marks)
    assert read_eos_landmarks(files.write_landmarks(tmp_path / "plain.txt", MADE.landmarks)) is None


def write_blendshapes(path: Path, modes: Any) -> Path:
    """A vector of (name, column) in a cereal binary archive."""
    out = [struct.pack("<Q", len(modes))]
    for index, mode in enumerate(modes):
        name = f"shape {index}".encode()
        out += [struct.pack("<Q", len(name)), name, struct.pack("<ii", mode.size, 1), mode.astype("<f4").tobytes()]
    path.write_bytes(b"".join(out))
    return path


def test_blendshapes_beside_the_shape_model(tmp_path: Path) -> None:
    path = files.write_surrey(tmp_path / "sfm_shape_3448.bin", MADE, version=1)
    marks = files.write_landmarks(tmp_path / "l.txt", MADE.landmarks)
    assert read_face_model(path, landmarks=marks).modes == len(MADE.identity)
    beside = write_blendshapes(tmp_path / "expression_blendshapes_3448.bin", MADE.expression)
    model = read_face_model(path, landmarks=marks)
    assert model.modes - model.identity_modes == 2
    assert beside.name in model.provenance
    coefficients = np.array([0, 0, 0, 0, 0, 1, 0.5], np.float32)
    np.testing.assert_allclose(model.vertices(coefficients), MADE.vertices(coefficients), atol=1e-3)
    assert read_face_model(path, landmarks=marks, modes=(2, 1)).modes == 3
    with pytest.raises(
        InputError, match="looks like expression blendshapes, which are read from beside the shape model"
    ):
        read_face_model(write_blendshapes(beside, np.repeat(MADE.expression, 3, 0)), landmarks=marks)
    write_blendshapes(beside, MADE.expression[:, :-1])
    with pytest.raises(InputError, match=r"expression_blendshapes_3448\.bin: a blendshape has shape"):
        read_face_model(path, landmarks=marks)
    beside.write_bytes(beside.read_bytes()[:-7])
    with pytest.raises(InputError, match=r"expression_blendshapes_3448\.bin: ends after"):
        read_face_model(path, landmarks=marks)
