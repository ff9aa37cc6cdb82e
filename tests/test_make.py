"""`make demo` hands on the names it is given: with spaces, quotes and signs that a shell or make would take for its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAND_IN = """#!/bin/sh
printf '%s\\0' "$@" > arguments
exit {code}
"""
VOICES = ("plain.flac", "my file.flac", "Ann's voice.flac", 'a "b".flac', "$HOME $(date).flac", "a;b&c.flac", "take (1).flac",
          "-v.flac", "#1.flac", "`id`.flac", "back\\slash.flac", "ключ é.flac", "a[1].flac", "100%.flac")  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a finished virtual environment, whose `voxface` prints its arguments, and sound files of many names."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    environment = tmp_path / "environment" / "bin"
    environment.mkdir(parents=True)
    (environment / "python").symlink_to(sys.executable)
    for name in VOICES:
        (tmp_path / name).touch()
    (tmp_path / "recordings").mkdir()
    for name in ("2.wav", "1.wav"):
        (tmp_path / "recordings" / name).touch()
    (tmp_path / "requirements").mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements/demo.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    stand_in(tmp_path, 0)
    (tmp_path / "environment" / ".ready").touch()
    return tmp_path


def stand_in(here: Path, code: int) -> None:
    program = here / "environment" / "bin" / "voxface"
    program.write_text(STAND_IN.format(code=code))
    program.chmod(0o755)


def demo(here: Path, *settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", "--no-print-directory", "demo", "DEMO=environment", *settings],
        cwd=here, capture_output=True, text=True, check=False,
    )  # fmt: skip


def heard(here: Path, *settings: str) -> list[str]:
    """The arguments that `voxface` got."""
    done = demo(here, *settings)
    assert done.returncode == 0, done.stderr
    return (here / "arguments").read_text().split("\0")[:-1]


def asked(*audio: str, out: str = "demo") -> list[str]:
    return ["run", *audio, "--out", out, "--force"]


@pytest.mark.parametrize("name", VOICES)
def test_one_file_whatever_its_name(here: Path, name: str) -> None:
    assert heard(here, f"AUDIO={name}") == asked("./-v.flac" if name == "-v.flac" else name)


def test_several_as_in_a_shell(here: Path) -> None:
    several = "AUDIO='my file.flac' plain.flac \"Ann's voice.flac\" take\\ \\(1\\).flac recordings/*.wav"
    assert heard(here, several) == asked(
        "my file.flac", "plain.flac", "Ann's voice.flac", "take (1).flac", "recordings/1.wav", "recordings/2.wav"
    )
    assert heard(here, "AUDIO=recordings plain.flac") == asked("recordings", "plain.flac")
    assert heard(here, "AUDIO=plain.flac 'a[1].flac'") == asked("plain.flac", "a[1].flac")


def test_nothing_in_it_is_run(here: Path) -> None:
    for text in (
        "; touch ran",
        "`touch ran`",
        "$(touch ran)",
        "$(shell touch ran)",
        "${shell touch ran}",
        "& touch ran",
    ):
        heard(here, f"AUDIO=plain.flac {text}", f"OUT=o {text}")
        assert not (here / "ran").exists()


@pytest.mark.parametrize("name", ["no such file.flac", "Ann's other voice.flac", "missing.flac", "no*.flac"])
def test_what_is_not_there_is_named_whole(here: Path, name: str) -> None:
    assert heard(here, f"AUDIO={name}") == asked(name)


def test_results_go_where_they_are_wanted(here: Path) -> None:
    assert heard(here, "AUDIO=plain.flac", "OUT=my $faces") == asked("plain.flac", out="my $faces")
    assert "open my faces/report.html" in demo(here, "AUDIO=plain.flac", "OUT=my faces").stdout


def test_without_a_name_the_samples_and_a_failure_is_one(here: Path) -> None:
    (here / "examples").mkdir()
    for sex in ("female", "male"):
        (here / "examples" / f"sample_{sex}.flac").touch()
    assert heard(here) == asked("examples/sample_female.flac", "examples/sample_male.flac")
    stand_in(here, 4)
    failed = demo(here, "AUDIO=plain.flac")
    assert failed.returncode != 0
    assert "report.html" not in failed.stdout
