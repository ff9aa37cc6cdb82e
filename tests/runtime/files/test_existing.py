"""The rule for results that are there already: what is refused, what is replaced, and what is never lost."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxface.runtime.errors import UsageError
from voxface.runtime.files.existing import begins_with, check_existing, fresh_folder, holds_arrays, holds_only


def is_profile(path: Path) -> bool:
    return begins_with(path, b'"format"', b'"settings"')


def check(path: Path, *sources: Path | None, force: bool = False) -> None:
    check_existing(path, "--save", "profile", is_profile, *sources, force=force)


def files_of(folder: Path) -> set[str]:
    """Names of the files a folder may hold, as `voxface data` reads them."""
    return {path.name for path in folder.iterdir()}


def test_a_result_is_refused_and_replaced_with_force(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    check(path)
    path.write_text('{"format": 2, "settings": {}}')
    with pytest.raises(UsageError) as refused:
        check(path)
    assert str(refused.value) == f"--save {path}: is there already; choose another name, or replace it with --force"
    check(path, force=True)


@pytest.mark.parametrize("force", [False, True])
def test_what_is_something_else_is_refused_with_and_without_force(tmp_path: Path, force: bool) -> None:
    (tmp_path / "thesis.json").write_text('{"settings": 1, "format": 2}')  # the words, but no profile has them this way
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("years of work")
    (tmp_path / "link").symlink_to(tmp_path / "thesis.json")
    (tmp_path / "private").write_text("secret")
    (tmp_path / "private").chmod(0)
    for name in ("thesis.json", "folder", "link", "private"):
        with pytest.raises(UsageError, match=f"--save .*{name}: is there already and is no profile") as refused:
            check(tmp_path / name, force=force)
        assert ("so --force does not replace it" in str(refused.value)) == force


def test_what_holds_nothing_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "empty", tmp_path / "folder", tmp_path / "dangling", tmp_path / "pipe", Path("/dev/null")):
        check(path)


def test_what_is_read_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"format": 2, "settings": {}}')
    (tmp_path / "link").symlink_to(path)
    os.link(path, tmp_path / "second name")
    for other in (path, tmp_path / "link", tmp_path / "second name"):
        with pytest.raises(UsageError, match="which is read"):
            check(other, None, path, force=True)
    check(tmp_path / "new", path, tmp_path / "missing", force=True)


def test_the_working_directory_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is the working directory"):
        check_existing(Path("."), "--out", "folder", lambda _: True, force=True)


@given(st.binary(max_size=200))
def test_no_bytes_are_an_npz_or_a_manifest_by_chance(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("folder")
    (folder / "manifest.json").write_bytes(data)
    assert not holds_arrays(folder / "manifest.json", "names")
    assert not holds_only(folder, "manifest.json", lambda document: set(document["files"]))


def test_arrays_are_found_by_name(tmp_path: Path) -> None:
    made = io.BytesIO()
    np.savez(made, names=np.zeros(1), extra=np.zeros(1))
    (tmp_path / "a.npz").write_bytes(made.getvalue())
    assert holds_arrays(tmp_path / "a.npz", "names")
    assert not holds_arrays(tmp_path / "a.npz", "names", "variance")
    (tmp_path / "half.npz").write_bytes(made.getvalue()[:-30])
    assert not holds_arrays(tmp_path / "half.npz", "names")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("names", "")
    assert not holds_arrays(tmp_path / "other.zip", "names")


def test_a_folder_is_ours_only_with_nothing_else_in_it(tmp_path: Path) -> None:
    def ours(folder: Path) -> bool:
        return holds_only(folder, "pairs.json", lambda document: set(document["files"]))

    folder = tmp_path / "pairs"
    folder.mkdir()
    documents: list[Any] = [{"files": ["a.npy", "b.npy"]}, {"files": {"a.npy": "sha"}}]
    for document in documents:
        (folder / "pairs.json").write_text(json.dumps(document))
        (folder / "a.npy").touch()
        assert ours(folder)
        (folder / "notes.txt").touch()
        assert not ours(folder)
        (folder / "notes.txt").unlink()
    (folder / "deep").mkdir()
    assert ours(folder), "an empty folder holds nothing"
    (folder / "deep" / "a.npy").touch()
    assert not ours(folder), "the name of a file of ours, but elsewhere"
    for text in ("[]", "{}", "null", '{"files": 3}', "[" * 100_000):
        (folder / "pairs.json").write_text(text)
        assert not ours(folder)


def test_a_fresh_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    place = tmp_path / "set"
    for number in range(3):
        with fresh_folder(place) as folder:
            folder.mkdir(exist_ok=True)
            (folder / f"{number}.txt").touch()
            assert place.exists() or number == 0
        assert files_of(place) == {f"{number}.txt"}
        place.chmod(0o700)
    assert place.stat().st_mode & 0o777 == 0o700
    assert files_of(tmp_path) == {"set"}


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "old.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with fresh_folder(tmp_path / "link") as folder:
        folder.mkdir()
        (folder / "new.txt").touch()
    assert (tmp_path / "link").is_symlink()
    assert files_of(tmp_path / "real") == {"new.txt"}


def test_what_was_there_stays_if_the_new_one_fails(tmp_path: Path) -> None:
    place = tmp_path / "set"
    place.mkdir()
    (place / "old.txt").write_text("old")
    with pytest.raises(FileExistsError), fresh_folder(place) as folder:
        os.makedirs(folder / "deep" / ".." / "deep")
    with pytest.raises(OSError, match="No such file"), fresh_folder(place):
        pass  # nothing was made
    assert files_of(place) == {"old.txt"}
    assert files_of(tmp_path) == {"set"}


@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_seen_before_it_is_whole(tmp_path: Path, there: bool) -> None:
    place = tmp_path / "deep" / "set"
    if there:
        place.mkdir(parents=True)

    def half() -> None:
        with fresh_folder(place) as folder:
            folder.mkdir()
            (folder / "half.raw").touch()
            assert place.exists() == there
            raise InterruptedError

    with pytest.raises(InterruptedError):
        half()
    assert place.exists() == there
    assert [each for each in tmp_path.rglob("*") if each not in (place, place.parent)] == []


def test_the_working_directory_stays_and_gets_what_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    with fresh_folder(Path(".")) as folder:
        folder.mkdir()
        (folder / "new.txt").touch()
    assert tmp_path.stat().st_ino == before
    assert files_of(tmp_path) == {"new.txt"}
