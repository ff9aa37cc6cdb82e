"""`voxface doctor` tells the two TensorRTs apart, and a stub from a library."""

from importlib import metadata
from types import ModuleType
from typing import Any

import pytest

from voxface.cli import main, tensorrt_libraries
from voxface.cli.tensorrt_libraries import tensorrt_libraries as examined
from voxface.runtime.errors import ProviderError


def machine(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], loads: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """What is found where these distributions are installed, and libraries of these versions load."""

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    def library(flavour: str) -> ModuleType:
        if flavour not in loads:
            raise ProviderError(f"flavour {flavour!r}: it is not installed; install it")
        module = ModuleType(flavour)
        module.__dict__["__version__"] = loads[flavour]
        return module

    monkeypatch.setattr(tensorrt_libraries.metadata, "version", version)
    monkeypatch.setattr(tensorrt_libraries, "library", library)
    return examined()


def test_neither_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = machine(monkeypatch, {}, {})
    assert {flavour: state["ok"] for flavour, state in found.items()} == {"tensorrt-rtx": False, "tensorrt": False}
    assert found["tensorrt"]["why"].endswith("install it")


def test_each_is_told_from_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rtx = {"tensorrt-rtx": "1.7.1", "tensorrt-rtx-cu13-libs": "1.7.1"}
    found = machine(monkeypatch, rtx, {"tensorrt-rtx": "1.7.1"})
    assert found["tensorrt-rtx"]["ok"]
    assert found["tensorrt-rtx"]["source"] == "from Python packages (tensorrt-rtx-cu13-libs)"
    assert not found["tensorrt"]["ok"]
    proper = {"tensorrt": "11.4.0", "tensorrt-cu13-libs": "11.4.0"}
    found = machine(monkeypatch, proper, {"tensorrt": "11.4.0.106"})
    assert found["tensorrt"]["version"] == "11.4.0.106"
    assert found["tensorrt"]["source"] == "from Python packages (tensorrt-cu13-libs)"
    assert not found["tensorrt-rtx"]["ok"]


def test_a_stub_without_its_library_is_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    why = machine(monkeypatch, {"tensorrt": "11.4.0.106"}, {})["tensorrt"]["why"]
    assert why.startswith("tensorrt 11.4.0.106 is a stub")
    assert "vendor's index" in why
    assert why.endswith("; install it")


def test_that_of_the_system_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine(monkeypatch, {}, {"tensorrt": "10.3.0"})["tensorrt"]["source"].startswith("of this system")


def test_doctor_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.split("TensorRT, two libraries\n")[1].splitlines()[:2]
    assert lines[0].split()[1] == "tensorrt-rtx"
    assert lines[1].split()[1] == "tensorrt"
    assert "TensorRT proper: its engines are built on the GPU that runs them" in lines[1]
