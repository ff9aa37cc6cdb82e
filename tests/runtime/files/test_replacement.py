"""Folders that take the place of others in one step, and what killed writers leave."""

import os
from pathlib import Path

import pytest

from tests.stand_ins.killed_writers import BETWEEN_TWO_STEPS, IN_A_ROOM, killed
from voxface.runtime.files import replacement
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.locks import hold, locked
from voxface.runtime.files.replacement import exchange, room_beside, stand_in, take_place

pytest.importorskip("fcntl", reason="Windows has no such locks")


@pytest.fixture(autouse=True)
def nothing_cleaned_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacement, "_cleaned", set())


def filled(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "a").write_text(text)
    return path


def test_two_folders_change_places_in_one_step(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one", "1"), filled(tmp_path / "other", "2")
    if not exchange(one, other):
        pytest.skip("this file system exchanges no names")
    assert ((one / "a").read_text(), (other / "a").read_text()) == ("2", "1")


@pytest.mark.parametrize("one_step", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_step: bool) -> None:
    if not one_step:
        monkeypatch.setattr(replacement, "exchange", lambda one, other: False)
    place = filled(tmp_path / "b", "old")
    with room_beside(place) as room:
        take_place(filled(room / "new", "new"), place, room)
        assert (place / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    place = filled(tmp_path / "b", "old")
    killed(IN_A_ROOM, place)
    (tmp_path / ".voxface-notours").mkdir()
    assert len(list(tmp_path.iterdir())) == 3
    write_bytes(tmp_path / "c", b"c")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".voxface-notours", "b", "c"]


def test_what_a_living_writer_needs_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with room_beside(tmp_path / "b") as room:
        (room / "half").write_text("half")
        replacement._cleaned.clear()
        with room_beside(tmp_path / "c"):
            assert (room / "half").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_writer_killed_between_two_steps_loses_nothing(tmp_path: Path) -> None:
    place = filled(tmp_path / "b", "old")
    killed(BETWEEN_TWO_STEPS, place)
    assert not place.exists()
    assert stand_in(tmp_path / "another") is None
    found = stand_in(place)
    assert found == place
    assert (place / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert stand_in(place) is None


def test_the_next_writer_puts_it_back_as_well(tmp_path: Path) -> None:
    killed(BETWEEN_TWO_STEPS, filled(tmp_path / "b", "old"))
    write_bytes(tmp_path / "c", b"c")
    assert (tmp_path / "b" / "a").read_text() == "old"


def test_a_lock_is_entered_again_by_its_thread_only(tmp_path: Path) -> None:
    with locked(tmp_path), locked(tmp_path):
        assert hold(tmp_path) is None
    handle = hold(tmp_path)
    assert handle is not None
    os.close(handle)
