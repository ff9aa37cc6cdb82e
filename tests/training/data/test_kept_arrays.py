"""Arrays kept for a resumed run: the same again, or made anew with a word, but never others."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxface.runtime.errors import InputError
from voxface.training.data.kept_arrays import digest_of, read_kept, write_kept

ARRAYS = {
    "pictures": np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3),
    "pose": np.linspace(0, 1, 24, dtype=np.float32),
}
KEY = digest_of({"model": np.arange(5)}, "version 1")


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write_kept(tmp_path / "renders.npz", KEY, ARRAYS, compressed=request.param)
    return tmp_path / "renders.npz"


def test_there_and_back(file: Path) -> None:
    said: list[str] = []
    kept = read_kept(file, KEY, tuple(ARRAYS), said.append)
    assert kept is not None
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(kept[name], array)
        assert kept[name].dtype == array.dtype
    assert read_kept(file, digest_of({}, "another"), tuple(ARRAYS), said.append) is None
    assert read_kept(file.with_name("none.npz"), KEY, tuple(ARRAYS), said.append) is None
    assert said == [], "another configuration, or none yet, is nothing odd"
    assert [path.name for path in file.parent.iterdir()] == ["renders.npz"]


def test_a_file_of_a_version_that_kept_no_digest(tmp_path: Path) -> None:
    np.savez(tmp_path / "old.npz", key=np.frombuffer(KEY.encode(), np.uint8), **ARRAYS)
    np.savez(tmp_path / "older.npz", **ARRAYS)
    for name in ("old.npz", "older.npz"):
        kept = read_kept(tmp_path / name, KEY, tuple(ARRAYS))
        assert kept is not None
        np.testing.assert_array_equal(kept["pose"], ARRAYS["pose"])


def edit(file: Path, **changes: Any) -> None:
    with np.load(file) as kept:
        arrays = {**kept, **changes}
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: edit(file, pose=ARRAYS["pose"] + np.float32(1e-7)),
        lambda file: edit(file, pose=ARRAYS["pose"].astype(np.float64)),
        lambda file: edit(file, pictures=ARRAYS["pictures"].reshape(4, 2, 4, 3)),
        lambda file: edit(file, pose=None),
        lambda file: edit(file, sha256=np.zeros(64, np.uint8)),
        lambda file: edit(file, pose=np.array([{"a": 1}], object)),
        lambda file: file.write_bytes(file.read_bytes()[:-40]),
        lambda file: file.write_bytes(b"PK\x03\x04 cut"),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(pickle.dumps(ARRAYS)),
        lambda file: np.save(file.open("wb"), ARRAYS["pose"]),
    ],
)
def test_what_is_not_what_was_written_is_made_again(file: Path, harm: Any) -> None:
    harm(file)
    said: list[str] = []
    assert read_kept(file, KEY, tuple(ARRAYS), said.append) is None
    (line,) = said
    assert line.startswith(f"{file}: cannot be used (")
    assert line.endswith(") and is made again")
    assert "\n" not in line


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_gives_other_arrays(tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "renders.npz"
    write_kept(file, KEY, ARRAYS, compressed=data.draw(st.booleans()))
    whole = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole)) | st.just(len(whole)))])
    kept = read_kept(file, KEY, tuple(ARRAYS))
    assert kept is None or digest_of(kept) == digest_of(ARRAYS)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "in the way").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_kept(tmp_path / "in the way" / "renders.npz", KEY, ARRAYS)
