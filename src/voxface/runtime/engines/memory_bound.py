"""A bound of the memory that opening, trying and running graphs may take, where the process is ours to bound.

A few bytes of a graph can ask for any amount of memory, and the operating system grants more than it has. A limit makes the
allocation fail, which ONNX Runtime reports as an error of the graph. The limit is the process's, so a command sets it, and
`import voxface` does not: another part of somebody's program would meet it too.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Final, Self

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

BASE: Final = 64 << 20  # bytes, for sessions and the front end, beside the files
PER_BYTE: Final = 8  # weights and modes in FP16 are widened and packed: five times their bytes, and more for a moment
STACK: Final = 9 << 20  # bytes of a thread, most of which it never touches
_commands = 0
_runs = 0  # under way at this moment, on any thread
_lock = Lock()
_bound_of_runs: "MemoryBound | None" = None
# This process, the descriptor of its file, since to open it takes ten times as long as to read it, and the size of a page.
_statm: tuple[int, int, int] | None = None


@contextmanager
def process_is_ours() -> Iterator[None]:
    """While inside, memory is bounded where graphs are opened, and ONNX Runtime writes nothing; for commands."""
    global _commands  # noqa: PLW0603 - a fact about this process
    _commands += 1
    try:
        yield
    finally:
        _commands -= 1


def is_process_ours() -> bool:
    """Whether this process runs a command, and not a program of somebody else."""
    return _commands > 0


class BoundedRun:
    """While inside, memory is bounded for a run of a graph; for commands. Runs on several threads share the bound of the first.

    A class, since every run of every update has one, and a generator as a context takes three times as many calls.
    """

    __slots__ = ("_more",)

    def __init__(self, more: int | None) -> None:
        """Args:
        more: the bytes that may be taken; None: no bound.
        """
        self._more = more

    def __enter__(self) -> None:
        global _runs, _bound_of_runs  # noqa: PLW0603 - facts about this process
        if self._more is None or not _commands:
            self._more = None
            return
        with _lock:
            if not _runs:
                _bound_of_runs = MemoryBound(self._more)
                _bound_of_runs.begin()
            _runs += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _runs, _bound_of_runs  # noqa: PLW0603 - as above
        if self._more is None:
            return
        with _lock:
            _runs -= 1
            if not _runs and _bound_of_runs is not None:
                _bound_of_runs.end()
                _bound_of_runs = None


class MemoryBound:
    """A limit of the memory that this process may take beyond what it has; without effect in a program of somebody else.

    It limits private memory (`RLIMIT_DATA`), which Linux alone keeps to.
    """

    def __init__(self, more: int) -> None:
        """Args:
        more: the bytes that may be taken.
        """
        self._more = more
        self._before: tuple[int, int] | None = None

    @classmethod
    def for_files(cls, stored: int, threads: int) -> Self:
        """The bound for opening and trying graphs whose files, with the morphable model that is read meanwhile, have so many
        bytes in all, with so many threads in all."""
        return cls(BASE + PER_BYTE * stored + STACK * threads)

    def begin(self) -> None:
        """Sets the limit."""
        used = _private_bytes() if _commands else None
        if used is None or resource is None:
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = used + self._more
        if soft == resource.RLIM_INFINITY or wanted < soft:
            self._before = soft, hard
            resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))

    def end(self) -> None:
        """Sets the limit back."""
        if self._before is not None:
            resource.setrlimit(resource.RLIMIT_DATA, self._before)
            self._before = None


def _private_bytes() -> int | None:
    """Bytes of private memory of this process; None where the system does not tell."""
    global _statm  # noqa: PLW0603 - a fact about this process
    try:
        if _statm is None or _statm[0] != os.getpid():
            file = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
            _statm = os.getpid(), file, os.sysconf("SC_PAGE_SIZE")
        return int(os.pread(_statm[1], 256, 0).split()[5]) * _statm[2]
    except (OSError, ValueError, IndexError, AttributeError):
        return None
