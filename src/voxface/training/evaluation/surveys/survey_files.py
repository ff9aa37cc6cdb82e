"""A survey in a folder: the page that subjects get, and the key that they do not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.damage import reading
from voxface.runtime.files.regular import read_bytes
from voxface.training.evaluation.result import text
from voxface.training.evaluation.surveys.survey import SIDES, Question, survey

PAGE: Final = "survey.html"
KEY: Final = "survey_key.json"
_LARGEST_KEY: Final = 1 << 24  # bytes


def write_survey(
    folder: Path, questions: Sequence[Question], method: str, other: str, *, seed: int, force: bool = False
) -> dict[str, Any]:
    """Writes page and key; returns the key.

    Raises:
        UsageError: the folder has a survey already, and `force` is false.
        InputError: a picture cannot be shown, or the folder cannot be written.
    """
    if (folder / KEY).exists() and not force:
        raise UsageError(
            f"{folder}: has a survey already, whose answers fit no other; choose another folder, or --force"
        )
    made = survey(questions, seed=seed)
    key = {**made.key, "method": method, "other": other, "seed": seed}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / KEY, text(key))
        write_bytes(folder / PAGE, made.page.encode())
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return key


def read_key(folder: Path) -> dict[str, Any]:
    """The key of the survey in a folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    file = folder / KEY
    if not file.exists():
        raise InputError(f"{file}: no such file; give the folder in which the survey was built as --out")
    with reading(file, "a survey's key", advice="build the survey again with the same pictures and seed"):
        key: dict[str, Any] = json.loads(read_bytes(file, _LARGEST_KEY))
        whole = [isinstance(key[name], str) for name in ("survey", "method", "other")]
        whole += [
            isinstance(q["id"], str) and isinstance(q["section"], str) and q["ours"] in SIDES for q in key["questions"]
        ]
        if not key["questions"] or not all(whole):
            raise ValueError("its questions are not whole")
    return key
