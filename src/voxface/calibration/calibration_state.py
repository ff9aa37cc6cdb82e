"""What an interrupted calibration has measured, in a file, so that the next one goes on from there."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.files.atomic import write_bytes

FORMAT: Final = "voxface calibration 1"
Value = TypeVar("Value")


class CalibrationState:
    """Results by name, each written to a file, whole or not at all, as soon as it is there.

    Attributes:
        found: how many results the file had.
    """

    def __init__(self, path: Path | None, of: Mapping[str, Any], results: dict[str, Any] | None = None) -> None:
        """See `open`; without a path nothing is written."""
        self._path, self._digest, self._results = path, digest(of), dict(results or {})
        self.found = len(self._results)

    @classmethod
    def open(cls, path: Path, of: Mapping[str, Any]) -> Self:
        """Reads the file, or begins with nothing where there is none.

        Args:
            path: the file.
            of: what the results depend on, as JSON: bundle, speech, settings, machine, versions. Results of anything else are
                of no use.

        Raises:
            UsageError: the file is no such file, or of another calibration.
            InputError: it cannot be read.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return cls(path, of)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); give another --state") from error
        try:
            document = json.loads(data)
            ours = document["format"] == FORMAT and isinstance(document["results"], dict)
        except (ValueError, KeyError, TypeError):
            ours = False
        if not ours:
            raise UsageError(f"{path}: is no state of a calibration; move it away, or give another --state")
        if document["of"] != digest(of):
            raise UsageError(
                f"{path}: is of another calibration (bundle, speech, options, machine or versions differ); "
                "remove it to begin anew, or give another --state"
            )
        return cls(path, of, document["results"])

    def get(
        self,
        name: str,
        measure: Callable[[], Value],
        to_json: Callable[[Value], Any],
        from_json: Callable[[Any], Value],
    ) -> Value:
        """The result called `name`: what the file has, or else what `measure` gives, which is written at once."""
        if name not in self._results:
            self._results[name] = json.loads(json.dumps(to_json(measure()), allow_nan=False))
            self._write()
        # Also what was just measured goes through JSON, so that going on gives the same as not having been interrupted.
        return from_json(self._results[name])

    def remove(self) -> None:
        """Removes the file: the calibration is finished."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._path is None:
            return
        document = {"format": FORMAT, "of": self._digest, "results": self._results}
        try:
            write_bytes(self._path, json.dumps(document, allow_nan=False).encode())
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written ({error.strerror}); give another --state") from error


def digest(of: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON object, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(of, sort_keys=True, allow_nan=False).encode()).hexdigest()
