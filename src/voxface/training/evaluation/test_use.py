"""How often a bundle was evaluated on the test people of some data: looked at twice, they are validation people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import is_damage, reason
from voxface.runtime.files.regular import read_bytes

TEST_USE: Final = "test_use.jsonl"


@dataclass(frozen=True)
class Use:
    """One evaluation on test people.

    Attributes:
        suite: what was computed.
        subject, data: SHA-256 of what was evaluated and of the data.
        when: date and time, ISO 8601.
    """

    suite: str
    subject: str
    data: str
    when: str

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"suite": self.suite, "subject": self.subject, "data": self.data, "when": self.when}


def read_uses(folder: Path) -> list[Use]:
    """The evaluations that a folder of results records, oldest first.

    Raises:
        InputError: the record is damaged.
    """
    file = folder / TEST_USE
    if not file.exists():
        return []
    try:
        rows: list[Mapping[str, Any]] = [json.loads(line) for line in read_bytes(file, 1 << 26).decode().splitlines()]
        return [Use(row["suite"], row["subject"], row["data"], row["when"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        told = reason(error) if is_damage(error) else str(error)
        raise InputError(f"{file}: no record of evaluations ({told}); it is not replaced") from error


def record_use(folder: Path, use: Use) -> int:
    """Adds an evaluation to the folder's record; returns which it is, of this suite, subject and data: 1 is the first.

    Raises:
        InputError: the record is damaged, or cannot be written.
    """
    before = read_uses(folder)
    try:
        with (folder / TEST_USE).open("a") as file:
            file.write(json.dumps(use.to_json()) + "\n")
    except OSError as error:
        raise InputError(f"{folder / TEST_USE}: cannot be written ({error.strerror or error})") from error
    return 1 + sum((old.suite, old.subject, old.data) == (use.suite, use.subject, use.data) for old in before)
