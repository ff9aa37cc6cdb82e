"""Runs suites and writes what they find: SUITE.json, SUITE.md and figures, each whole or not at all."""

import datetime
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from voxface.runtime.errors import InputError, UsageError, VoxfaceError
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.damage import reading
from voxface.runtime.files.regular import read_bytes
from voxface.runtime.version import __version__
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.leaks import check_leaks
from voxface.training.evaluation.result import FORMAT, SuiteResult, text
from voxface.training.evaluation.result_document import check_document
from voxface.training.evaluation.suites import SUITES, suite
from voxface.training.evaluation.test_use import Use, read_uses, record_use

_PACKAGES: Final = ("numpy", "torch", "onnxruntime")


def run_suites(
    names: tuple[str, ...],
    inputs: Inputs,
    command: str,
    *,
    say: Callable[[str], None] = lambda _: None,
    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
) -> tuple[list[dict[str, Any]], list[tuple[str, VoxfaceError]]]:
    """Runs suites one after another; what one found is written before the next begins.

    Args:
        names: of `suites.SUITES`.
        command: as it was given, for the result.
        say: told a line about each suite.
        now: the time that the record of test use gets.

    Returns:
        The documents that were written, and the suites that failed with their errors.

    Raises:
        InputError: people in several splits share recordings or pictures, the folder cannot be written, or its record of
            test use is damaged.
    """
    try:
        inputs.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{inputs.out}: cannot be made ({error.strerror or error})") from error
    read_uses(inputs.out)  # a damaged record is told before the work, not after it
    if inputs.given_pairs is not None:
        check_leaks(inputs.given_pairs, inputs.phase("looking for leaks"))
    written: list[dict[str, Any]] = []
    failed: list[tuple[str, VoxfaceError]] = []
    for name in names:
        say(f"{name} …")
        try:
            found = suite(name)(inputs)
        except VoxfaceError as error:
            if len(names) == 1:
                raise
            failed.append((name, error))
            continue
        written.append(write_result(found, inputs, command, now()))
    return written, failed


def check_new(folder: Path, names: Iterable[str]) -> None:
    """Raises UsageError where a folder has results of these suites already."""
    there = [name for name in names if (folder / f"{name}.json").exists()]
    if there:
        raise UsageError(f"{folder}: has results of {', '.join(there)} already; --force replaces them")


def write_result(found: SuiteResult, inputs: Inputs, command: str, when: datetime.datetime) -> dict[str, Any]:
    """Writes a result into the folder of results; returns the document.

    Facts `subject_sha256` and `data_sha256` of a result name what was evaluated, and on what, where that was neither the bundle
    nor the pairs.

    Raises:
        InputError: it cannot be written.
    """
    about = inputs.about()
    uses = 0
    subject, data = (
        found.facts.get(f"{name}_sha256") or (None if about[name] is None else about[name]["sha256"])
        for name in ("subject", "data")
    )
    if inputs.split == "test" and subject is not None and data is not None:
        uses = record_use(inputs.out, Use(found.suite, subject, data, when.isoformat(timespec="seconds")))
    document = {
        "format": FORMAT,
        **found.to_json(),
        **about,
        "test_use": uses,
        "command": command,
        "date": when.date().isoformat(),
        "versions": _versions(),
    }
    try:
        for name, data in found.figures.items():
            write_bytes(inputs.out / name, data)
        write_bytes(inputs.out / f"{found.suite}.md", (found.markdown() + _told(document)).encode())
        write_bytes(inputs.out / f"{found.suite}.json", text(document))
    except OSError as error:
        raise InputError(f"{inputs.out}: cannot be written ({error.strerror or error})") from error
    return document


def _versions() -> dict[str, str]:
    found = {"voxface": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _told(document: Mapping[str, Any]) -> str:
    """The last lines of the Markdown: of what the numbers are, and how often the test people have been looked at."""
    lines = ["", f"`{document['command']}`, {document['date']}"]
    if document["quick"]:
        lines.append("With --quick: so few people and trials that the numbers are worth little.")
    if document["test_use"] > 1:
        lines.append(f"This was evaluation {document['test_use']} on these test people; only the first is a test.")
    return "\n\n".join(lines) + "\n"


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """The documents of a folder of results, by suite.

    Raises:
        InputError: there are none, or one is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no folder of results of `voxface eval`")
    found = {}
    for name in (*SUITES, "preference"):
        file = folder / f"{name}.json"
        if not file.exists():
            continue
        with reading(file, "a result of `voxface eval`"):
            document = json.loads(read_bytes(file, 1 << 28))
        check_document(document, name, str(file))
        try:
            SuiteResult.from_json(document)
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
        found[name] = document
    if not found:
        raise InputError(f"{folder}: holds no result of `voxface eval`")
    return found
