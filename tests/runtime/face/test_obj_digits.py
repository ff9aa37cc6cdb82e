"""Numbers in OBJ files, whose digits numpy computes: those of Python's formatting, whatever the number."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voxface.runtime.face.obj import obj

TRIANGLES = np.array([[0, 1, 2], [2, 1, 3]], np.int32)


def _by_python(vertices: np.ndarray) -> list[str]:
    rows = [[f"{number:.4f}" for number in row] for row in vertices.tolist()]
    return [f"{kind} {' '.join(row)}" for kind in ("v", "vn") for row in rows]


@settings(max_examples=150, deadline=None)
@given(arrays(np.float32, (4, 3), elements=st.floats(-3e5, 3e5, width=32)))
@example(
    np.array([[0, -0.0, 0.00005], [-0.00005, 0.03125, -0.09375], [1e-30, -1e-30, 199_999.99], [9.99995, 10, 99]], "f4")
)
@example(np.full((4, 3), np.nan, np.float32))
@example(np.full((4, 3), -np.inf, np.float32))
def test_numbers_are_those_of_python(vertices: np.ndarray) -> None:
    lines = [line for line in obj(vertices, vertices, TRIANGLES).decode().splitlines() if line[0] not in "#f"]
    assert lines == _by_python(vertices)


def test_corners_are_counted_from_one() -> None:
    vertices = np.zeros((12_345, 3), np.float32)
    triangles = np.array([[0, 8, 9], [98, 99, 12_344]], np.int32)
    lines = obj(vertices, vertices, triangles).decode().splitlines()
    assert lines[-2:] == ["f 1//1 9//9 10//10", "f 99//99 100//100 12345//12345"]


def test_numbers_of_double_precision_are_not_made_shorter() -> None:
    vertices = np.full((4, 3), 0.00005000000001)
    assert "v 0.0001 0.0001 0.0001" in obj(vertices, vertices, TRIANGLES).decode().splitlines()


def test_points_without_triangles_and_a_mesh_of_nothing() -> None:
    vertices, none = np.full((2, 3), 1.5, np.float32), np.zeros((0, 3), np.int32)
    lines = obj(vertices, vertices, none).decode().splitlines()
    point = "1.5000 1.5000 1.5000"
    assert [line for line in lines if line[0] != "#"] == [f"v {point}"] * 2 + [f"vn {point}"] * 2
    assert all(line.startswith("#") for line in obj(vertices[:0], vertices[:0], none).decode().splitlines())
