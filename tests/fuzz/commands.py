"""Commands run by the thousand: each in a process of its own, without the half second of imports."""

import atexit
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self

from tests.conftest import ROOT

HARD_LIMIT: Final = (
    6 << 30
)  # bytes of address space beyond the preloaded ones, so that a finding does not end the machine
CONTRACT: Final = (0, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        exit_code: its exit code; None where a signal ended it.
        signal: number of the signal that ended it, or 0.
        hung: whether it had to be killed after its time.
        seconds: wall time.
        peak_mb: the largest resident memory, in megabytes.
        stdout, stderr: what it wrote.
    """

    exit_code: int | None
    signal: int
    hung: bool
    seconds: float
    peak_mb: float
    stdout: str
    stderr: str

    def problems(self, *, most_mb: float, json_document: bool = False, codes: Sequence[int] = CONTRACT) -> list[str]:
        """What breaks the promises of the command line.

        Args:
            most_mb: bound of the resident memory, in megabytes.
            json_document: whether standard output must be one JSON document.
            codes: exit codes that are right here.
        """
        found = []
        if self.hung:
            found.append(f"does not end within {self.seconds:.0f} s")
        elif self.signal:
            found.append(f"ended by signal {self.signal}")
        elif self.exit_code not in codes:
            found.append(f"exit code {self.exit_code}")
        if "Traceback (most recent call last)" in self.stderr + self.stdout:
            found.append("a traceback: " + (self.stderr.strip() or self.stdout.strip()).splitlines()[-1])
        if self.exit_code and not self.stderr.strip():
            found.append("no message")
        if self.peak_mb > most_mb:
            found.append(f"{self.peak_mb:.0f} MB of memory, more than {most_mb:.0f}")
        if json_document and not self.hung and not self.signal:
            try:
                json.loads(self.stdout, parse_constant=_no_number)
            except ValueError as error:
                found.append(f"standard output is no JSON document ({error}): {self.stdout[:80]!r}")
        return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


class Commands:
    """A process that has imported voxface and forks for each command; a context manager.

    Its modules are imported once, and a command takes milliseconds to start. The process has one thread, so forking is safe.
    """

    def __init__(self, folder: Path, modules: Sequence[str] = ()) -> None:
        """Args:
        folder: an existing folder for what the commands write on their streams.
        modules: what is imported beforehand, beside the command line and numpy.
        """
        self._streams = (folder / "stdout.txt", folder / "stderr.txt")
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": ""}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.commands", *modules],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def run(
        self,
        *words: object,
        seconds: float = 60.0,
        folder: Path | None = None,
        kill_after: float | None = None,
        kill_with: int = signal.SIGKILL,
    ) -> Outcome:
        """One command.

        Args:
            words: the command line after `voxface`.
            seconds: after this time it is killed and counts as hung.
            folder: the working folder.
            kill_after: seconds after which it is sent a signal, on purpose.
            kill_with: the number of that signal.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "words": [os.fsdecode(word) if isinstance(word, Path) else str(word) for word in words],
            "folder": None if folder is None else str(folder),
            "streams": [str(path) for path in self._streams],
            "seconds": seconds,
            "kill_after": kill_after,
            "kill_with": int(kill_with),
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        out, err = (path.read_text("utf-8", "backslashreplace") for path in self._streams)
        return Outcome(**answer, stdout=out, stderr=err)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _serve(modules: Sequence[str]) -> None:
    import importlib

    import numpy  # noqa: F401 - imported once for all commands

    from voxface.cli import main

    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a forked process would copy every page of the modules
    for line in sys.stdin:
        request = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _become(request)
            _end(main, request["words"])
        status, peak, hung = _wait(child, request["seconds"], request["kill_after"], request["kill_with"])
        answer = {
            "exit_code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "hung": hung,
            "seconds": time.monotonic() - began,
            "peak_mb": peak / 1024,
        }
        print(json.dumps(answer), flush=True)


def _end(main: Callable[[Sequence[str]], int], words: Sequence[str]) -> NoReturn:
    """Runs a command and ends the process as the interpreter would, but for clearing every module, which takes a second."""
    code: object = 1
    try:
        code = main(words)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as `main` does for a command's own process
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120
    os._exit(code if isinstance(code, int) else code is not None)


def _become(request: dict[str, object]) -> None:
    """Makes the forked process a command's: its own group, streams, folder and limit of memory."""
    os.setsid()
    if request["folder"] is not None:
        os.chdir(str(request["folder"]))
    out, err = (str(path) for path in request["streams"])  # type: ignore[attr-defined]
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, path in ((1, out), (2, err)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + HARD_LIMIT, used + HARD_LIMIT))


def _wait(child: int, seconds: float, kill_after: float | None, kill_with: int) -> tuple[int, int, bool]:
    """Status, largest resident memory in kB, and whether it had to be killed."""
    began, sent = time.monotonic(), kill_after is None
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            return status, usage.ru_maxrss, False
        passed = time.monotonic() - began
        if not sent and kill_after is not None and passed > kill_after:
            _signal(child, kill_with)
            sent = True
        if passed > seconds:
            _signal(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            return status, usage.ru_maxrss, True
        time.sleep(0.0005)


def _signal(child: int, number: int) -> None:
    """Sends a signal to a command and its processes; to the command alone while it has no group of its own yet."""
    try:
        os.killpg(child, number)
    except ProcessLookupError:
        os.kill(child, number)


if __name__ == "__main__":
    _serve(sys.argv[1:])
