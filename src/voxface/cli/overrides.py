"""Fields of a configuration, a frozen dataclass, by name from the command line: `--set crop=200,400`, `--set run.keep=3`."""

import dataclasses
import difflib
import math
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from voxface.runtime.errors import UsageError

Config = TypeVar("Config")
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def override(config: Config, values: Mapping[str, str], options: Mapping[str, str] | None = None) -> Config:
    """The configuration with some fields changed, all at once.

    Args:
        config: a dataclass; fields of dataclasses in it are called OUTER.INNER.
        values: name -> text, read as the field's annotation says. A tuple is written with commas, None as "none".
        options: name -> how the user wrote it, for messages ("--set NAME" unless given).

    Raises:
        UsageError: a name that is no field, or a text that is no value of it.
    """
    kinds = dict(_fields(config))
    tree: dict[str, Any] = {}
    for name, text in values.items():
        written = (options or {}).get(name, f"--set {name}")
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, 1, 0.5)
            meant = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"{written}: no such setting; {meant}There are {', '.join(kinds)}")
        try:
            value = _read(text, kinds[name])
        except ValueError as error:
            raise UsageError(f"{written}: {text!r} is not {error}") from error
        inner = tree
        *outer, last = name.split(".")
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = value
    try:
        changed: Config = _replaced(config, tree)
    except (ValueError, TypeError) as error:
        raise UsageError(f"these settings do not go together: {error}") from error
    return changed


def _fields(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Name -> annotation of every field that is no dataclass itself."""
    hints = get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", hints[field.name]


def _replaced(config: Any, tree: Mapping[str, Any]) -> Any:
    changes = {
        name: _replaced(getattr(config, name), value) if isinstance(value, dict) else value
        for name, value in tree.items()
    }
    return dataclasses.replace(config, **changes)


def _read(text: str, kind: Any) -> Any:
    """A value of this annotation; ValueError says what it should have been."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        for choice in arguments:
            if str(choice) == text:
                return choice
        raise ValueError("one of " + ", ".join(map(str, arguments)))
    if origin in (Union, types.UnionType):
        if text.lower() == "none" and type(None) in arguments:
            return None
        wanted = []
        for each in (argument for argument in arguments if argument is not type(None)):
            try:
                return _read(text, each)
            except ValueError as error:
                wanted.append(str(error))
        raise ValueError(" or ".join([*wanted, *(["none"] if type(None) in arguments else [])]))
    if origin is tuple:
        parts = [part.strip() for part in text.strip("()[] ").split(",") if part.strip()]
        each = [arguments[0]] * len(parts) if arguments[-1] is Ellipsis else list(arguments)
        if len(parts) != len(each):
            raise ValueError(f"{len(each)} values with commas between them")
        return tuple(_read(part, kind) for part, kind in zip(parts, each, strict=True))
    if kind is bool:
        if text.lower() not in _YES + _NO:
            raise ValueError("true or false")
        return text.lower() in _YES
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise ValueError("a whole number") from None
    if kind is float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError("a finite number")
        return value
    if kind in (str, Path):
        return kind(text)
    raise ValueError("something that the command line can set; use the Python function")
