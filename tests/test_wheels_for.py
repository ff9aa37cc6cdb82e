"""The runtime's packages have wheels for Arm; where no index answers, that is said instead."""

import subprocess
from typing import Any

import pytest
from release import wheels_for
from release.wheels_for import NoIndexError, main, resolve

NEEDED = {"numpy", "soundfile", "soxr", "webrtcvad-wheels", "onnxruntime"}


@pytest.mark.slow
def test_every_package_of_the_runtime_has_a_wheel_for_arm() -> None:
    try:
        found = resolve("aarch64", "3.12")
    except NoIndexError as error:
        pytest.skip(str(error))
    assert {name.lower() for name in found} >= NEEDED
    for name, wheel in found.items():
        assert wheel.endswith(("aarch64.whl", "-none-any.whl")), f"{name}: {wheel}"


def answering(monkeypatch: pytest.MonkeyPatch, *errors: str) -> list[list[str]]:
    """pip fails with each of these errors in turn; an empty one: it resolves nothing to be installed."""
    commands: list[list[str]] = []
    left = list(errors)

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        error = left.pop(0)
        if not error:
            with open(command[command.index("--report") + 1], "w") as report:
                report.write('{"install": []}')
        return subprocess.CompletedProcess(command, int(bool(error)), "", f"WARNING: x\n{error}\n")

    monkeypatch.setattr(wheels_for.subprocess, "run", run)
    return commands


def test_a_missing_wheel_is_told_from_a_missing_index(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = answering(monkeypatch, "ERROR: No matching distribution found for soxr", "")
    assert main(["--machine", "riscv64"]) == 1
    assert (
        "no wheels for riscv64 and Python 3.12: ERROR: No matching distribution found for soxr"
        in capsys.readouterr().err
    )
    assert "manylinux_2_28_riscv64" in commands[0]
    assert not any(word.startswith("manylinux") for word in commands[1])  # then for this machine
    answering(monkeypatch, "ERROR: no route", "ERROR: no route")
    assert main([]) == 2
    assert "pip reaches no index: ERROR: no route" in capsys.readouterr().err
