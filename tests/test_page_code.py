"""The code of the pages: what the tutorial and the how-to pages show is run; every command of every page is one that exists."""

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.page_code import PAGES, ROOT, Block, blocks_of, commands_in, name_of
from voxface.cli import _Misuse, build_parser

RUN = [page for page in PAGES if page.parent.name in ("tutorial", "how-to")]
# What stands for something else: a list that goes on, a part to be chosen, signs of a usage line.
STANDS_FOR = re.compile(r"…|\.\.\. |\[|NAME|URL|RUN|\bN\b|DIR\b|VERB|ACTION|SUITE|<")


def parsed(command: str) -> None:
    """Reads the words of a command by the real parser; AssertionError if it refuses them."""
    words = shlex.split(command)[1:]
    try:
        build_parser(words[0]).parse_args(words)
    except _Misuse as misuse:
        raise AssertionError(f"{command}\n{misuse.message}") from None
    except SystemExit as end:  # of --help
        if end.code:
            raise


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_a_page_is_one(page: Path) -> None:
    for block in blocks_of(page):
        if block.language in ("", "bash"):
            for command in commands_in(block.code):
                if not STANDS_FOR.search(command):
                    parsed(command)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_of_a_page_can_be_read(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "python":
            ast.parse(block.code)


def test_commands_are_found_and_read() -> None:
    code = "voxface run a.flac --out b   # remark\nA=1 voxface doctor > x\ncat c | voxface live --source - | head\n"
    assert commands_in(code) == ["voxface run a.flac --out b", "voxface doctor", "voxface live --source -"]
    assert commands_in("other voxface\n") == []
    assert commands_in("voxface run a \\\n  --out b\n") == ["voxface run a --out b"]
    with pytest.raises(AssertionError, match="unrecognized arguments"):
        parsed("voxface run a --nonsense")
    with pytest.raises(AssertionError, match="invalid choice"):
        parsed("voxface nonsense")


def test_what_is_not_run_says_why_or_where() -> None:
    assert len(RUN) > 10
    for page in RUN:
        for block in blocks_of(page):
            assert block.language in ("bash", "python", "text"), f"{name_of(page)}: name the language of each block"
            if block.run_in is not None:
                test = (ROOT / block.run_in).read_text()
                programs = re.findall(r"examples/([\w/]+)\.py", block.code)
                verbs = [shlex.split(command)[1] for command in commands_in(block.code)]
                assert verbs or programs, block.code
                for word in [*verbs, *(program.split("/")[-1] for program in programs)]:
                    runs = re.search(rf'"{word}"|\b{word}\.py\b|\b{word.replace("-", "_")}\b', test)
                    assert runs or block.run_in == "tests/test_examples.py", f"{block.run_in} does not run {word}"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the commands `voxface` and `python` of this environment."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "voxface").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m voxface "$@"\n')
    (folder / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    return folder


def run(block: Block, here: Path, programs: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    command = {"bash": ["bash", "-eu", "-o", "pipefail", "-c"], "python": [sys.executable, "-c"]}[block.language]
    return subprocess.run(
        [*command, block.code], cwd=here, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_code_of_a_page_runs(page: Path, tmp_path: Path, programs: Path) -> None:
    """In order, in one folder, which has the examples of the repository."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for block in blocks_of(page):
        if block.language in ("bash", "python") and block.not_run is None and block.run_in is None:
            done = run(block, tmp_path, programs)
            # `doctor` ends with 5 where something cannot be had on this machine, such as a microphone.
            assert done.returncode == 0 or (done.returncode == 5 and "voxface doctor" in block.code), (
                f"{name_of(page)}\n{block.code}\n{done.stdout}\n{done.stderr}"
            )
            assert "Traceback" not in done.stderr
