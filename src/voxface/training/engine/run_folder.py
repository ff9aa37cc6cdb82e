"""The folder of a run: whether a run may begin there or go on, and its lock against another process."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from voxface.runtime.errors import UsageError
from voxface.training.engine.checkpoint import CHECKPOINTS, newest_checkpoint, read_state
from voxface.training.engine.learning_curve import CURVE


class RunFolder:
    """A folder that one training writes.

    Attributes:
        path: the folder.
        identity: what a run that goes on must have in common with the one that began, as JSON holds it.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Args: the folder, which need not exist, and the identity: plain values by name."""
        self.path = path
        self.identity: dict[str, Any] = json.loads(json.dumps(identity, default=str))
        self._lock: IO[str] | None = None

    def last_checkpoint(self, resume: bool) -> Path | None:
        """The checkpoint to resume from, if any.

        Raises:
            UsageError: the folder holds pairs, a run (without `resume`), or a run of another identity.
            InputError: the last checkpoint cannot be read.
        """
        last = newest_checkpoint(self.path / CHECKPOINTS)
        if (self.path / "pairs.json").exists():
            raise UsageError(f"{self.path}: holds voices and faces to train on; choose another --out")
        if not resume and (last is not None or any((self.path / name).exists() for name in (CURVE, "checkpoint.json"))):
            raise UsageError(f"{self.path}: holds a run already; go on with --resume, or choose another --out")
        if last is not None:
            changed = [
                f"{name} ({_short(before)}, now {_short(now)})"
                for name, before, now in _differences("identity", read_state(last).get("identity"), self.identity)
            ]
            if changed:
                raise UsageError(
                    f"{self.path}: this run was begun with other settings: {', '.join(changed)}; choose another --out"
                )
        return last

    def claim(self) -> None:
        """Makes the folder, and locks it for this process until `close`, or until the process ends.

        Raises:
            UsageError: another process has it.
            OSError: it cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = (self.path / ".lock").open("a")
        with suppress(ImportError):  # Windows has none
            import fcntl

            try:
                fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UsageError(f"{self.path}: another process is training here; choose another --out") from error

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _differences(name: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """(name, before, now) of the innermost fields that differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(key, before.get(key), now.get(key))
    elif before != now:
        yield name, before, now


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:16]}…"
