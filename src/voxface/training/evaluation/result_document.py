"""The shape of SUITE.json, checked before anything is read from it: folders of results are sent around, and edited by hand."""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final

from voxface.runtime.errors import InputError
from voxface.training.evaluation.result import FORMAT, KINDS

Shape = Callable[[Any, str], None]
"""Raises ValueError where a value is of another shape; the text says where the value stands."""
_HUGE: Final = 1e300
_MOST_DIGITS: Final = 12


def check_document(document: Any, suite: str, source: str) -> None:
    """Checks a document of a suite.

    Args:
        source: the file, for the message.

    Raises:
        InputError: it is of another format or suite, or a value in it is of the wrong type; where is said.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{source}: not a result of `voxface eval` of format {FORMAT}")
    try:
        _DOCUMENT(document, "")
        if document["suite"] != suite:
            raise ValueError(f"suite is {document['suite']!r}, the file {suite}.json")
    except ValueError as error:
        raise InputError(
            f"{source}: not a result of `voxface eval` ({error}); evaluate again, or fetch it again"
        ) from None


def _of(expected: str, fits: Callable[[Any], bool]) -> Shape:
    def check(value: Any, where: str) -> None:
        if not fits(value):
            shown = repr(value)
            raise ValueError(f"{where} is {shown if len(shown) <= 40 else f'{shown[:40]} …'}, not {expected}")

    return check


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _HUGE


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_HUGE < value < _HUGE


def _plain_name(value: Any) -> bool:
    """Whether it names a picture in the folder itself."""
    return (
        isinstance(value, str)
        and value.endswith(".png")
        and PurePosixPath(value).name == value == PureWindowsPath(value).name
    )


def _record(needed: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """Objects with these keys; others are let pass, for later versions."""

    def check(value: Any, where: str) -> None:
        _OBJECT(value, where)
        for name, shape in (*needed.items(), *(optional or {}).items()):
            place = f"{where}.{name}".removeprefix(".")
            if name in value:
                shape(value[name], place)
            elif name in needed:
                raise ValueError(f"{place} is missing")

    return check


def _list_of(shape: Shape) -> Shape:
    def check(value: Any, where: str) -> None:
        _LIST(value, where)
        for k, one in enumerate(value):
            shape(one, f"{where}[{k}]")

    return check


def _map_of(shape: Shape) -> Shape:
    def check(value: Any, where: str) -> None:
        _OBJECT(value, where)
        for name, one in value.items():
            shape(one, f"{where}.{name}")

    return check


def _or_none(shape: Shape) -> Shape:
    def check(value: Any, where: str) -> None:
        if value is not None:
            shape(value, where)

    return check


def _one_of(*words: str) -> Shape:
    return _of(f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


_OBJECT: Final = _of("an object", lambda value: isinstance(value, dict))
_LIST: Final = _of("a list", lambda value: isinstance(value, list))
_TEXT: Final = _of("a text", lambda value: isinstance(value, str))
_TRUTH: Final = _of("true or false", lambda value: isinstance(value, bool))
_WHOLE: Final = _of("a whole number of 0 or more", _whole)
_NUMBER: Final = _of("a finite number", _number)
_BETTER: Final = _one_of("higher", "lower", "neither")
_INTERVAL: Final = _of(
    "two finite numbers", lambda value: isinstance(value, list) and len(value) == 2 and all(map(_number, value))
)
_COLUMN: Final = _record(
    {
        "name": _TEXT,
        "unit": _TEXT,
        "better": _BETTER,
        "digits": _of(f"a whole number up to {_MOST_DIGITS}", lambda value: _whole(value) and value <= _MOST_DIGITS),
    }
)
_MEASURED: Final = _record(
    {"value": _NUMBER}, {"interval": _INTERVAL, "sd": _NUMBER, "trials": _WHOLE, "people": _WHOLE}
)
_TABLE: Final = _record(
    {
        "name": _TEXT,
        "title": _TEXT,
        "columns": _list_of(_COLUMN),
        "rows": _list_of(_record({"method": _TEXT, "kind": _one_of(*KINDS), "values": _map_of(_MEASURED)})),
        "note": _TEXT,
    }
)
_DOCUMENT: Final = _record(
    {
        "suite": _TEXT,
        "tables": _list_of(_TABLE),
        "figures": _list_of(_of("the name of a .png file", _plain_name)),
        "per_person": _map_of(_record({"better": _BETTER, "values": _map_of(_NUMBER)})),
        "facts": _OBJECT,
        "statements": _list_of(_TEXT),
        "missing": _list_of(_TEXT),
        "subject": _or_none(_record({"name": _TEXT, "sha256": _TEXT})),
        "data": _or_none(_record({"kind": _TEXT, "sha256": _TEXT, "people": _WHOLE})),
        "split": _TEXT,
        "quick": _TRUTH,
        "seed": _WHOLE,
        "test_use": _WHOLE,
        "command": _TEXT,
        "date": _TEXT,
        "versions": _record({"voxface": _TEXT}),
    }
)
