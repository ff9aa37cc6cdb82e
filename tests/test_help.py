"""`--help` of every program beside the command line: it says what the program does, does nothing, and writes nothing."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOLD_APART = re.compile(r"^if __name__ == .__main__.:$", re.M)
PROGRAM = """
import contextlib, io, json, runpy, sys
said = {}
for name in json.loads(sys.argv[1]):
    sys.argv = [name, "--help"]
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            run = runpy.run_path if name.endswith(".py") else runpy.run_module
            run(name, run_name="__main__")
        said[name] = [None, out.getvalue()]
    except SystemExit as end:
        said[name] = [end.code, out.getvalue()]
    except ImportError as error:
        said[name] = ["needs " + str(error.name), ""]
print(json.dumps(said))
"""


def programs() -> list[str]:
    """Files of docs/ and examples/, and modules that `python -m` runs."""
    found = [
        f"{folder}/{file.name}" for folder in ("docs", "examples") for file in sorted((ROOT / folder).glob("*.py"))
    ]
    for base, folder in ((ROOT, "benchmarks"), (ROOT, "release"), (ROOT / "src", "voxface")):
        for file in sorted((base / folder).rglob("*.py")):
            if file.name != "__main__.py" and TOLD_APART.search(file.read_text()):
                found.append(".".join(file.relative_to(base).with_suffix("").parts))
    return found


def contents(folder: Path) -> dict[str, str]:
    """Name -> digest of every file below a folder."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.mark.slow
def test_help_says_what_a_program_does_and_does_nothing(tmp_path: Path) -> None:
    names = programs()
    assert len(names) > 30
    copy = tmp_path / "copy"
    for folder in ("benchmarks", "docs", "examples", "release", "src"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "README.md", copy)
    before = contents(copy)
    environment = {**os.environ, "PYTHONPATH": f"{copy / 'src'}{os.pathsep}{copy}", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["VOXFACE_SHARED"] = str(tmp_path / "none")  # what works needs it, help does not
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(names)],
        cwd=copy, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert list(said) == names
    for name, (code, text) in said.items():
        if str(code).startswith("needs "):
            assert code.removeprefix("needs ") in ("kaldi_native_fbank", "librosa"), (name, code)  # of voxface[bench]
            continue
        assert code == 0, (name, code)
        assert text.startswith("usage:"), name
        assert "\n\n" in text, name
    assert contents(copy) == before
