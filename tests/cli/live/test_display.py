"""Whether a display answers, and what is drawn where none does."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.x_display import x_display
from voxface.cli.live import screens
from voxface.cli.live.display import why_no_display
from voxface.runtime.errors import ProviderError, UsageError

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only there Open3D draws off screen in place of a window"
)
DEAD = [
    ({}, "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"),
    ({"DISPLAY": ""}, "there is no display"),
    ({"DISPLAY": ":4711"}, "no display answers at DISPLAY=:4711"),
    ({"DISPLAY": "nonsense"}, "no display answers at DISPLAY=nonsense"),
    ({"WAYLAND_DISPLAY": "wayland-9", "XDG_RUNTIME_DIR": "/tmp"}, "no display answers at WAYLAND_DISPLAY=wayland-9"),
    (
        {"WAYLAND_DISPLAY": "wayland-9", "XDG_RUNTIME_DIR": "/tmp", "DISPLAY": ":4711"},
        "no display answers at WAYLAND_DISPLAY=wayland-9 and no display answers at DISPLAY=:4711",
    ),
]


def give(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "XAUTHORITY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def x_server() -> Iterator[str]:
    """A display of its own, without a screen."""
    with x_display() as display:
        yield display


@pytest.mark.parametrize(("environment", "why"), DEAD, ids=range(len(DEAD)))
def test_no_display(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], why: str) -> None:
    give(monkeypatch, environment)
    assert (why_no_display() or "").startswith(why)


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    give(monkeypatch, {"DISPLAY": ":0"})
    monkeypatch.setattr("ctypes.CDLL", missing)
    assert why_no_display() == "without libX11.so.6 no display is found at DISPLAY=:0"


def test_other_systems_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, {})
    for system in ("win32", "darwin"):
        monkeypatch.setattr(sys, "platform", system)
        assert why_no_display() is None


@pytest.mark.parametrize(("environment", "why"), [DEAD[0], DEAD[2]])
def test_a_window_that_nobody_would_see_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    environment: dict[str, str],
    why: str,
) -> None:
    give(monkeypatch, environment)
    words = ["live", "--source", SAMPLES[0], "--record", tmp_path / "recording", "--show"]
    assert run(*words, "window") == 5
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"voxface: error: no window can be opened: {why}")
    assert said.err.endswith("use --show terminal or --show none\n")
    assert not (tmp_path / "recording").exists()


def test_auto_takes_the_terminal_where_no_window_opens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from voxface.cli.live import window
    from voxface.cli.live.terminal import Terminal

    options = argparse.Namespace(
        show=None, realtime=True, source="x.wav", replay=None, terminal_face="blocks", uncertainty=False
    )
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(Terminal, "__init__", lambda *_: None)
    monkeypatch.setattr(screens, "why_no_display", lambda: "there is no display")
    assert [type(s) for s in screens.open_screens(options, None, None)] == [Terminal]  # type: ignore[arg-type]
    assert capsys.readouterr().err == ""

    def fails(*_: object, **__: object) -> None:
        raise ProviderError("no window can be opened: Open3D makes none on this display; use --show terminal")

    monkeypatch.setattr(screens, "why_no_display", lambda: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(window.Window, "__init__", fails)
    assert [type(s) for s in screens.open_screens(options, None, None)] == [Terminal]  # type: ignore[arg-type]
    assert "warning: no window can be opened: Open3D makes none" in capsys.readouterr().err
    options.show = ["window"]
    with pytest.raises(ProviderError, match="Open3D makes none"):
        screens.open_screens(options, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("show", [["none"], ["terminal"]])
def test_uncertainty_needs_a_window(show: list[str]) -> None:
    options = argparse.Namespace(
        show=show, realtime=True, source="x.wav", replay=None, terminal_face="blocks", uncertainty=True
    )
    with pytest.raises(UsageError, match="--show window"):
        screens.open_screens(options, None, None)  # type: ignore[arg-type]


def test_without_open3d(monkeypatch: pytest.MonkeyPatch) -> None:
    from voxface.cli.live import window

    monkeypatch.setattr(window, "why_no_display", lambda: None)
    monkeypatch.setitem(sys.modules, "open3d", None)
    found = window.try_window()
    assert found["ok"] is found["loads"] is False
    assert "viewer" in found["why"]
    with pytest.raises(ProviderError) as told:
        window.Window(None, None)  # type: ignore[arg-type]
    assert str(told.value) == found["why"]


@pytest.mark.slow
def test_a_display_is_found_and_a_window_opens(monkeypatch: pytest.MonkeyPatch, x_server: str) -> None:
    pytest.importorskip("open3d", reason="open3d comes with voxface[viewer]")
    from voxface.cli.live.window_trial import window_apart

    give(monkeypatch, {"DISPLAY": x_server})
    assert why_no_display() is None
    assert window_apart() == {"ok": True, "loads": True}
    words = ["live", "--source", SAMPLES[0], "--realtime", "--seconds", "2", "--show", "window"]
    done = subprocess.run([sys.executable, "-m", "voxface", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "voxface: error" not in done.stderr
