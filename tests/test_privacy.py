"""Nothing leaves the machine: no command opens a socket or writes a file that was not asked for.

Each command runs under strace with an empty home and without the variables by which programs know a CI, since ONNX Runtime's
telemetry keeps quiet there.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SAMPLES
from voxface.runtime.telemetry import VARIABLE

BUNDLE = Path(__file__).parent / "stored" / "small.voxface"
NETWORKS = Path(__file__).parent / "stored" / "networks"
CI_VARIABLES = (
    "CI",
    "GITHUB_ACTIONS",
    "TF_BUILD",
    "JENKINS_URL",
    "TRAVIS",
    "CIRCLECI",
    "GITLAB_CI",
    "BUILD_ID",
    "TEAMCITY_VERSION",
)
# Not files: streams, shared memory, what the system tells of this process.
NO_FILES = re.compile(r"/dev/(null|tty|shm/.*|urandom|random)|/proc/.*|/sys/.*|pipe:.*")
OPENED = re.compile(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]*)", [^)]*O_(?:WRONLY|RDWR|CREAT)[^)]*\)\s*=\s*\d+')
SOCKET = re.compile(r"socket\((AF_INET6?|AF_PACKET)\b.*|connect\(.*AF_INET.*")

COMMANDS: dict[str, list[str | Path]] = {
    "run": ["run", SAMPLES[0], "--out", "{out}/faces"],
    "live": ["live", "--source", SAMPLES[0], "--show", "none", "--json", "--record", "{out}/recording"],
    "profile": ["profile", "--seconds", "1", "--json", "--save", "{out}/profile.json"],
    "doctor": ["doctor", "--json"],
    "bundle info": ["bundle", "info", "--json"],
    "bundle verify": ["bundle", "verify"],
    "compare": ["compare", BUNDLE, "--against", BUNDLE, "--audio", SAMPLES[0].parent, "--json"],
    "calibrate": [
        "calibrate",
        BUNDLE,
        "--audio",
        SAMPLES[0].parent,
        "--precision",
        "fp16",
        "--out",
        "{out}/fp16.voxface",
    ],
    "export": ["export", NETWORKS, "--out", "{out}/again.voxface"],
    "devices": ["devices", "--json"],
}
MAY_FAIL = ("devices",)  # where there is no microphone


@pytest.fixture(scope="module")
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed (make system-packages installs it)")
    return found


def environment(home: Path, **more: str) -> dict[str, str]:
    """The present one with another home, and without what hides telemetry."""
    kept = {name: value for name, value in os.environ.items() if name not in (*CI_VARIABLES, VARIABLE)}
    kept = {name: value for name, value in kept.items() if not name.startswith("XDG_")}
    return {**kept, "HOME": str(home), "TMPDIR": str(home.parent / "tmp"), "PYTHONDONTWRITEBYTECODE": "1", **more}


def watched(
    strace: str, folder: Path, words: list[str | Path], **more: str
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Runs a Python program under strace; returns it and what it asked of the system."""
    for name in ("home", "tmp", "out"):
        (folder / name).mkdir(exist_ok=True)
    log = folder / "strace.txt"
    arguments = [str(word).replace("{out}", str(folder / "out")) for word in words]
    done = subprocess.run(
        [strace, "-f", "-qq", "-e", "trace=socket,connect,open,openat,creat", "-o", log, sys.executable, *arguments],
        env=environment(folder / "home", **more), cwd=folder / "out", capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, log.read_text()


def outside(folder: Path, calls: str) -> list[str]:
    """Files opened for writing elsewhere than where was asked, and connections."""
    files = [path for path in OPENED.findall(calls) if not NO_FILES.fullmatch(path)]
    places = (folder / "out", folder / "tmp")
    strange = [
        path for path in files if not any((folder / "out" / path).resolve().is_relative_to(place) for place in places)
    ]
    return [*strange, *(match[0] for match in re.finditer(SOCKET, calls))]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_writes_what_was_asked_for_and_opens_no_connection(strace: str, tmp_path: Path, name: str) -> None:
    if name == "export":
        pytest.importorskip("torch", reason="torch comes with voxface[train]")
    done, calls = watched(strace, tmp_path, ["-m", "voxface", *COMMANDS[name]])
    assert done.returncode == 0 or name in MAY_FAIL, done.stderr
    assert outside(tmp_path, calls) == []
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_a_run_of_many_seconds_asks_for_no_host(strace: str, tmp_path: Path) -> None:
    """ONNX Runtime looks up its collector after about ten seconds."""
    done, calls = watched(strace, tmp_path, ["-m", "voxface", "profile", "--seconds", "14", "--json"])
    assert done.returncode == 0, done.stderr
    assert outside(tmp_path, calls) == []


SESSION = "import voxface\nwith voxface.VoiceToFace() as face:\n    face.warm_up()\n"


@pytest.mark.parametrize("given", [{}, {VARIABLE: ""}], ids=["unset", "empty"])
def test_a_program_that_imports_voxface_first_collects_nothing(
    strace: str, tmp_path: Path, given: dict[str, str]
) -> None:
    done, calls = watched(strace, tmp_path, ["-W", "error", "-c", SESSION + "import onnxruntime\n"], **given)
    assert done.returncode == 0, done.stderr
    assert outside(tmp_path, calls) == []


def test_a_program_that_imports_onnxruntime_first_is_warned(strace: str, tmp_path: Path) -> None:
    done, _ = watched(strace, tmp_path, ["-c", "import onnxruntime\n" + SESSION])
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("ONNX Runtime was imported before voxface") == 1
    assert f"{VARIABLE}=1" in done.stderr


def test_an_explicit_setting_of_the_user_stays_and_is_told(strace: str, tmp_path: Path) -> None:
    done, calls = watched(strace, tmp_path, ["-c", SESSION], **{VARIABLE: "0"})
    assert "may leave ONNX Runtime's telemetry on" in done.stderr
    # What this test file looks for is there when telemetry is on: a test that cannot fail shows nothing.
    assert any("onnxruntime" in path for path in outside(tmp_path, calls))
