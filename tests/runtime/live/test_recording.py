"""Recordings that are damaged, edited, or left by a process that was killed: named in one line, or read as far as they go."""

import json
import pickle
import shutil
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stand_ins.live_recording import again, record
from tests.stand_ins.live_session import PlainEstimator
from voxface.runtime.errors import InputError
from voxface.runtime.live.recording import Recording


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with losses, skipped estimates and rejected samples."""
    estimator = PlainEstimator()
    estimator.stalls = {12: 4.0, 60: 1.5}
    folder = tmp_path_factory.mktemp("made") / "a"
    record(folder, estimator, queue_s=2.0)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "a"))


def rows(folder: Path, name: str = "inputs.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def write_rows(folder: Path, changed: list[Any]) -> None:
    (folder / "inputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))


def refused(folder: Path) -> str:
    """The one line with which the recording, all of it, is refused."""
    with pytest.raises(InputError) as caught:
        list(Recording(folder).items())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"end": 0}, "lost from sample"),
        ({"end": 2**60}, "end is '1152921504606846976', no position of a sample"),
        ({"end": 1e300}, "end is '1e+300', no position"),
        ({"end": -5}, "end is '-5', no position"),
        ({"end": True}, "end is 'True', no position"),
        ({"end": None}, "end is 'None', no position"),
        ({"fed": 3.5}, "fed is '3.5', no position"),
        ({"fed": 10**400}, "fed is '1000"),
        ({"cause": "the dog"}, "cause is 'the dog'"),
        ({"cause": 7}, "cause is 7"),
        ({"more": 1}, "lost has start, end, cause, more, not start, end, cause"),
        ({"event": "found"}, "'found' is no input"),
    ],
)
def test_a_row_of_a_loss_that_cannot_be(folder: Path, change: dict[str, Any], told: str) -> None:
    changed = rows(folder)
    at = next(i for i, row in enumerate(changed) if row["event"] == "lost")
    changed[at] |= change
    write_rows(folder, changed)
    said = refused(folder)
    assert "a damaged recording (inputs.jsonl, line " in said
    assert f"line {at + 1}: " in said
    assert told in said


@pytest.mark.parametrize("by", [-1600, 1, 1_000_000])
@pytest.mark.parametrize("what", ["start", "end", "fed"])
def test_a_loss_that_does_not_fit_the_sound(folder: Path, what: str, by: int) -> None:
    changed = rows(folder)
    lost = next(row for row in changed if row["event"] == "lost")
    lost[what] += by
    write_rows(folder, changed)
    assert "the recording has got to" in refused(folder) or "lost from sample" in refused(folder)


@pytest.mark.parametrize("which", ["lost", "stream-started"])
def test_a_row_that_is_missing_or_there_twice(folder: Path, which: str) -> None:
    changed = rows(folder)
    at = next(i for i, row in enumerate(changed) if row["event"] == which)
    if which == "lost":
        write_rows(folder, changed[:at] + changed[at + 1 :])
        assert "the recording has got to" in refused(folder)
    write_rows(folder, [*changed[: at + 1], *changed[at:]])
    if which == "lost":
        assert "the recording has got to" in refused(folder)
    else:  # it is an event more, which the comparison tells
        assert again(folder)[0].differences > 0


def test_a_sound_file_that_is_missing(folder: Path) -> None:
    sounds = sorted((folder / "audio").iterdir())
    sounds[1].unlink()
    assert "the recording has got to" in refused(folder)


@pytest.mark.parametrize("name", ["inputs.jsonl", "events.jsonl"])
@pytest.mark.parametrize("text", [b"5\n", b"{\n", b"\n", b"\xff\n", b"[" * 100_000 + b"\n", b'{"event": "face"'])
def test_lines_that_are_no_objects(folder: Path, name: str, text: bytes) -> None:
    with (folder / name).open("ab") as file:
        file.write(text)
    with pytest.raises(InputError, match=name) as caught:
        list(Recording(folder).events())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"start": "0"},
        {"start": -1},
        {"start": 1.0},
        {"config": []},
        {"config": {"hop": 0}},
        {"vad": "a cat"},
        {"config": 5},
    ],
)
def test_a_manifest_that_cannot_be(folder: Path, change: dict[str, Any]) -> None:
    about = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps({**about, **change}))
    assert "a damaged recording" in refused(folder)
    for text in ("[]", "5", '"x"', "[" * 100_000):
        (folder / "recording.json").write_text(text)
        assert "a damaged recording" in refused(folder)


def npy(array: Any, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=True)


class Trap:
    """A pickle of it would make a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (Path.touch, (self.place,))


def test_meshes_that_are_none(folder: Path, tmp_path: Path) -> None:
    path, trap = folder / "vertices.npy", Trap(tmp_path / "sprung")
    whole = path.read_bytes()
    meshes = np.load(path)
    header = whole[:128]
    damage: dict[str, Any] = {
        "cut": lambda: path.write_bytes(whole[:-1]),
        "header only": lambda: path.write_bytes(header),
        "half a header": lambda: path.write_bytes(header[:50]),
        "nothing": lambda: path.write_bytes(b""),
        "doubles": lambda: np.save(path, meshes.astype(np.float64)),
        "halves": lambda: np.save(path, meshes.astype(np.float16)),
        "big-endian": lambda: np.save(path, meshes.astype(">f4")),
        "column order": lambda: np.save(path, np.asfortranarray(meshes)),
        "whole numbers": lambda: np.save(path, meshes.astype(np.int32)),
        "fields": lambda: np.save(path, np.zeros((3, 4, 3), [("x", "<f4")])),
        "flat": lambda: np.save(path, meshes.reshape(len(meshes), -1)),
        "two axes": lambda: np.save(path, meshes[..., :2]),
        "objects": lambda: npy(np.array([trap], object), path),
        "a pickle": lambda: path.write_bytes(pickle.dumps(trap)),
        "an archive": lambda: np.savez(path.open("wb"), a=meshes),
        "an archive that is cut": lambda: path.write_bytes(b"PK\x03\x04" + whole[:40]),
        "endless": lambda: path.write_bytes(header.replace(b"'shape': (", b"'shape': (9999999999") + whole[128:]),
        "negative": lambda: path.write_bytes(header.replace(b"'shape': (", b"'shape': (-") + whole[128:]),
        "code": lambda: path.write_bytes(header.replace(b"'<f4'", b"(1+1)") + whole[128:]),
        "a later version": lambda: path.write_bytes(b"\x93NUMPY\x09" + whole[7:]),
        "a header that lies": lambda: path.write_bytes(whole[:8] + struct.pack("<H", 60_000) + whole[10:]),
    }
    for name, harm in damage.items():
        harm()
        with pytest.raises(InputError, match=r"vertices\.npy: damaged \(") as caught:
            Recording(folder).meshes()
        assert "\n" not in str(caught.value), name
    assert not trap.place.exists()
    # A row that was being written when the process was killed is no damage.
    path.write_bytes(whole + b"\0" * 500)
    np.testing.assert_array_equal(Recording(folder).meshes(), meshes)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_bytes_the_header_has(made: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "b"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns("audio", "faces"))
    whole = bytearray((made / "vertices.npy").read_bytes())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 127), st.integers(0, 255)), min_size=1, max_size=4)):
        whole[at] = value
    (folder / "vertices.npy").write_bytes(whole)
    with suppress(InputError):
        meshes = Recording(folder).meshes()
        assert meshes.dtype == np.float32
        assert meshes.ndim == 3
        float(np.asarray(meshes[:1]).sum())


@given(share=st.floats(0, 1), extra=st.floats(0, 1))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_kill_leaves_is_identical_as_far_as_it_goes(
    made: Path, tmp_path: Path, share: float, extra: float
) -> None:
    """Files are written sound first, then inputs, then the event: a kill leaves a beginning of each, in this order."""
    folder = tmp_path / "b"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made, folder)
    about = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps({**about, "complete": False}))
    text = (folder / "events.jsonl").read_bytes()
    kept = text[: round(share * len(text))]
    (folder / "events.jsonl").write_bytes(kept)
    comparison, _ = again(folder)
    assert comparison.to_json() == {
        "identical": True,
        "events": kept.count(b"\n"),
        "differences": 0,
        "complete": False,
    }


def test_a_folder_that_a_kill_left_empty_is_used_again(tmp_path: Path) -> None:
    for part in ("audio", "faces"):
        (tmp_path / "a" / part).mkdir(parents=True)
    (tmp_path / "a" / ".recording.json.x1.part").write_text("{")
    record(tmp_path / "a")
    assert again(tmp_path / "a")[0].to_json()["identical"] is True
