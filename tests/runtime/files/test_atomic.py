"""Files written in one step: whole or not at all, through links, into pipes and devices."""

import os
import threading
from pathlib import Path

import pytest

from voxface.runtime.files.atomic import check_writable, write_atomically, write_bytes


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(part: Path) -> None:
        part.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    kept = tmp_path / "there" / "a.json"
    kept.write_bytes(b"old")
    (tmp_path / "link").symlink_to(kept)
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert kept.read_bytes() == b"new"


def test_a_pipe_is_written_into_and_a_device_is_left_in_its_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    check_writable(pipe)
    write_bytes(pipe, b"numbers")
    reader.join(10)
    assert read == [b"numbers"]
    assert pipe.is_fifo()
    write_bytes(Path(os.devnull), b"numbers")
    assert Path(os.devnull).is_char_device()


def test_what_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    check_writable(path)
    assert list(path.parent.iterdir()) == []
    with pytest.raises(OSError, match="version"):
        check_writable(Path("/proc/version/a.json"))
    path.write_bytes(b"old")
    check_writable(path)
    assert path.read_bytes() == b"old"
