"""What is said about installing, for every way in which pip may have installed this copy. Real ones: tests/test_wheel.py."""

import json
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from voxface.runtime import install_advice
from voxface.runtime.install_advice import how_to_install

SRC = Path(__file__).parent.parent.parent / "src" / "voxface"


class Installed:
    """A distribution that lies beside `package`, or elsewhere."""

    def __init__(self, place: Path, note: Any, installer: str | None = "pip\n") -> None:
        self._place, self._texts = place, {"INSTALLER": installer, "direct_url.json": note}

    def read_text(self, name: str) -> str | None:
        found = self._texts[name]
        return found if found is None or isinstance(found, str) else json.dumps(found)

    def locate_file(self, name: str) -> Path:
        return self._place / name


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets this copy be installed in a folder of packages, by a note, or by several distributions."""

    def install(*notes: Any, **more: Any) -> None:
        (tmp_path / "site" / "voxface").mkdir(parents=True)
        monkeypatch.setattr(install_advice, "PACKAGE", tmp_path / "site" / "voxface")
        found = [note if isinstance(note, Installed) else Installed(tmp_path / "site", note, **more) for note in notes]
        monkeypatch.setattr(metadata, "distributions", lambda name: found if name == "voxface-runtime" else [])

    return install


def checkout(folder: Path, *, pinned: bool = True) -> Path:
    (folder / "src" / "voxface").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    if pinned:
        (folder / "constraints.txt").touch()
    return folder


def test_a_checkout_that_was_installed_as_editable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkout(tmp_path / "my voxface [1]")
    note = {"dir_info": {"editable": True}, "url": folder.as_uri()}
    elsewhere = {"dir_info": {"editable": True}, "url": checkout(tmp_path / "other").as_uri()}
    monkeypatch.setattr(install_advice, "PACKAGE", folder / "src" / "voxface")
    beside = Installed(folder / "src", None)  # the egg-info that a build leaves beside the sources
    found = [beside, Installed(tmp_path / "site", elsewhere), Installed(tmp_path / "site", note)]
    monkeypatch.setattr(metadata, "distributions", lambda name: found)
    words = ["pip", "install", "-c", str(folder / "constraints.txt"), "-e", f"{folder}[mic,viewer]"]
    assert shlex.split(how_to_install("mic", "viewer")) == words
    assert shlex.split(how_to_install()) == [*words[:-1], str(folder)]


def test_a_checkout_that_was_installed(installed: Any, tmp_path: Path) -> None:
    folder = checkout(tmp_path / "voxface", pinned=False)
    installed({"dir_info": {}, "url": folder.as_uri()})
    assert how_to_install("mic") == f"pip install '{folder}[mic]'"


def test_a_checkout_that_is_run_without_being_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkout(tmp_path / "voxface")
    monkeypatch.setattr(install_advice, "PACKAGE", folder / "src" / "voxface")
    monkeypatch.setattr(metadata, "distributions", lambda name: [])
    assert shlex.split(how_to_install("cpu"))[-2:] == ["-e", f"{folder}[cpu]"]


def test_a_wheel_in_a_folder(installed: Any, tmp_path: Path) -> None:
    wheel = tmp_path / "my wheels" / "voxface_runtime-0.3.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    installed({"archive_info": {"hashes": {"sha256": "0"}}, "url": wheel.as_uri()})
    assert how_to_install("mic") == f"pip install 'voxface-runtime[mic] @ {wheel.as_uri()}'"
    wheel.unlink()  # what is gone is no advice
    assert how_to_install("mic") == "install the extra mic of voxface the way voxface was installed"


URL = "https://example.org/voxface"


@pytest.mark.parametrize(
    ("note", "wanted"),
    [
        ({"archive_info": {}, "url": f"{URL}.tar.gz"}, f"{URL}.tar.gz"),
        ({"vcs_info": {"vcs": "git", "commit_id": "1" * 40}, "url": f"{URL}.git"}, f"git+{URL}.git"),
        (
            {"vcs_info": {"vcs": "git", "commit_id": "1" * 40, "requested_revision": "main"}, "url": f"{URL}.git"},
            f"git+{URL}.git@main",
        ),
        (
            {"vcs_info": {"vcs": "hg", "commit_id": "1"}, "url": URL, "subdirectory": "a/b"},
            f"hg+{URL}#subdirectory=a/b",
        ),
    ],
)
def test_a_url(installed: Any, note: dict[str, Any], wanted: str) -> None:
    installed(note)
    assert how_to_install("mic") == f"pip install 'voxface-runtime[mic] @ {wanted}'"


def test_uv(installed: Any) -> None:
    installed({"archive_info": {}, "url": f"{URL}.whl"}, installer="uv\n")
    assert how_to_install("mic").startswith("uv pip install 'voxface-runtime[mic] @ ")


@pytest.mark.parametrize(
    "note",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        {},
        {"url": 7, "dir_info": {}},
        {"url": URL},
        {"url": URL, "vcs_info": None},
        {"dir_info": {}},
    ],
)
def test_an_index_or_a_note_that_says_nothing(installed: Any, note: Any) -> None:
    installed(note)
    assert how_to_install("mic") == "install the extra mic of voxface the way voxface was installed"
    assert how_to_install("cpu", "calibrate") == (
        "install the extras cpu and calibrate of voxface the way voxface was installed"
    )
    assert how_to_install() == "install voxface again the way it was installed"


def test_another_copy_does_not_count(installed: Any, tmp_path: Path) -> None:
    installed(Installed(tmp_path / "elsewhere", {"archive_info": {}, "url": f"{URL}.whl"}))
    assert "the way voxface was installed" in how_to_install("mic")


def test_no_message_names_the_project_of_another_on_pypi() -> None:
    """`pip install voxface` would fetch a stranger."""
    found = [
        f"{file.relative_to(SRC)}: {line.strip()}"
        for file in sorted(SRC.rglob("*.py"))
        for line in file.read_text().splitlines()
        if file.name != "install_advice.py"
        and re.search(r"install .{0,3}voxface(-runtime)?\b|\bvoxface(-runtime)?\[", line)
    ]
    assert found == []


def test_a_first_face_waits_for_nothing_that_only_advice_needs() -> None:
    slow = {"csv", "tarfile", "importlib.metadata", "email", "http.client", "urllib.request", "ssl"}
    code = f"import sys, voxface.runtime.inference.face_estimator; print(sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
