"""Scripts that complete words of the command line, in the shells that read them."""

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import every_command
from tests.command_line import run
from voxface.cli.completion import SHELLS, bash, fish, zsh
from voxface.cli.completion.grammar import Command, command_line

MODULES = {"bash": bash, "zsh": zsh, "fish": fish}
# Words so far, the last one being completed -> words that are offered among others, and one that is not.
CASES = {
    "voxface ": ({"run", "live", "bundle", "completion"}, "info"),
    "voxface bun": ({"bundle"}, "build"),
    "voxface bundle ": ({"info", "verify", "import"}, "run"),
    "voxface bundle info --c": ({"--card"}, "--json"),
    "voxface run clip.flac --mi": ({"--min-confidence"}, "--json"),
    "voxface live --mode ": ({"exact", "incremental"}, "--json"),
    "voxface train mesh --preset ": ({"default", "wu2022"}, "published"),
    "voxface eval ge": ({"geometry"}, "all"),
    "voxface completion ": ({"bash", "zsh", "fish"}, "run"),
    "voxface run bundle --s": ({"--samples", "--seed"}, "--card"),  # a file that has the name of a verb
}


@pytest.fixture(scope="module")
def whole() -> Command:
    return command_line()


@pytest.fixture(params=SHELLS)
def script(request: pytest.FixtureRequest, whole: Command, tmp_path: Path) -> tuple[str, Path]:
    """A shell that is installed, and its script."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed (make system-packages installs it)")
    path = tmp_path / "script"
    path.write_text(MODULES[request.param].script(whole))
    return request.param, path


def test_it_knows_every_command_and_option(whole: Command) -> None:
    known = {" ".join(command.words): command for command in whole.walk() if command.words and not command.commands}
    commands = dict(every_command())
    assert known.keys() == commands.keys()
    for words, parser in commands.items():
        there = {name for action in parser._actions for name in action.option_strings}
        assert {name for option in known[words].options for name in option.names} == there, words
        assert all("%(" not in option.about for option in known[words].options), "defaults are filled in"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_it(shell: str, whole: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completion", shell) == 0
    assert capsys.readouterr().out == MODULES[shell].script(whole)


def test_another_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completion", "csh") == 2
    assert "bash" in capsys.readouterr().err


def test_its_syntax_is_the_shells_own(script: tuple[str, Path]) -> None:
    shell, path = script
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_words_are_completed(script: tuple[str, Path]) -> None:
    shell, path = script
    with_offers = {"bash": offers_of_bash, "zsh": offers_of_zsh, "fish": offers_of_fish}[shell]
    for line, offers in with_offers(path, list(CASES)):
        wanted, other = CASES[line]
        assert wanted <= offers, line
        assert other not in offers, line


def offers_of_bash(script: Path, lines: list[str]) -> Iterator[tuple[str, set[str]]]:
    """Line -> what the function offers for its last word."""
    code = ["set -u", f"source {script}"]
    for line in lines:
        words = line.split(" ")
        quoted = " ".join(f"'{word}'" for word in words)
        code.append(f'COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _voxface; echo "${{COMPREPLY[*]-}}"')
    done = subprocess.run(["bash", "-c", "\n".join(code)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    yield from zip(lines, (set(said.split()) for said in done.stdout.split("\n")), strict=False)


def offers_of_fish(script: Path, lines: list[str]) -> Iterator[tuple[str, set[str]]]:
    code = [f"source {script}"]
    code += [f"complete --do-complete '{line}'; echo =" for line in lines]
    environment = {**os.environ, "HOME": str(script.parent), "XDG_CONFIG_HOME": str(script.parent)}
    done = subprocess.run(
        ["fish", "--no-config", "-c", "\n".join(code)], env=environment, capture_output=True, text=True, check=True
    )
    for line, said in zip(lines, done.stdout.split("=\n"), strict=False):
        yield line, {offer.partition("\t")[0] for offer in said.splitlines()}


def offers_of_zsh(script: Path, lines: list[str]) -> Iterator[tuple[str, set[str]]]:
    """By a terminal, since zsh completes nowhere else: what it writes of the list of offers."""
    process, terminal = pty.fork()
    if not process:
        os.environ.update(TERM="dumb", COLUMNS="400", LINES="200", HOME=str(script.parent), PS1="", PS2="")
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        # Every offer on one line of its own, with nothing inserted; at once, and whole, however long the list is.
        setup = (
            "unsetopt zle_bracketed_paste 2>/dev/null; PS1=AS''K; stty -echo cols 400 rows 200; LISTMAX=0; "
            f"autoload -Uz compinit && compinit -u -D && source {script} && zstyle ':completion:*' verbose no && "
            "setopt no_auto_menu && "
            "bindkey '^Y' list-choices && echo RE''ADY\n"
        )
        os.write(terminal, setup.encode())
        _read_until(
            terminal, b"READY", b"ASK"
        )  # before the prompt, the terminal itself takes what is typed, and not zsh
        for line in lines:
            os.write(terminal, f"{line}\x19\x15echo DO''NE\n".encode())
            said = _read_until(terminal, b"DONE", b"ASK")
            yield line, set(said.decode(errors="replace").split("\n", maxsplit=1)[-1].split())
    finally:
        os.kill(process, 9)
        os.close(terminal)
        os.waitpid(process, 0)


def _read_until(terminal: int, mark: bytes, prompt: bytes) -> bytes:
    """What the terminal writes until a mark and a prompt behind it; TimeoutError after two minutes."""
    said, until = b"", time.monotonic() + 120
    while prompt not in said.partition(mark)[2]:
        ready, _, _ = select.select([terminal], [], [], max(0, until - time.monotonic()))
        if not ready:
            raise TimeoutError(said.decode(errors="replace"))
        said += os.read(terminal, 65536)
    return said
