"""Frozen dataclasses that are JSON objects: known fields are typed, fields that are not known are kept.

A newer voxface, or somebody else's tool, may add fields to a manifest. They stay when this voxface reads the manifest and
writes it again, so that no tool has to know all of it.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from math import isfinite
from types import NoneType, UnionType
from typing import Any, ClassVar, Final, Generic, Self, TypeVar, Union, dataclass_transform, get_args, get_origin

Config = TypeVar("Config")
LONGEST_SHOWN: Final = 80  # letters
_KINDS: Final = {str: "a text", int: "a whole number", float: "a finite number"}


def stored_as(name: str) -> Any:
    """An optional field of a `JsonRecord` that has another name in JSON, because Python reserves that name."""
    return field(default=None, metadata={"json": name})


_declare_fields: Final = dataclass(init=False, repr=False, eq=False, kw_only=True)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field, stored_as))
class JsonRecord:
    """A JSON object. Subclasses declare its fields; a field that may be missing has the default None.

    Field types may be `str`, `int`, `float`, `Any`, tuples and mappings of these, other records, and unions.

    A subclass is a frozen dataclass whose methods stand here: those that `dataclass` would write for each record of the
    manifest took 8 ms to compile, which every start would wait for.

    Attributes:
        unknown: fields of the object that the class does not declare, and declared fields whose value is null.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def __init_subclass__(cls) -> None:
        _declare_fields(cls)

    def __init__(self, **values: Any) -> None:
        declared = {each.name: each for each in fields(self)}
        wrong = [name for name in values if name not in declared]
        wrong += [name for name, each in declared.items() if name not in values and _is_required(each)]
        if wrong:
            raise TypeError(f"{type(self).__name__}: {', '.join(wrong)} missing, or no field of it")
        self.__dict__.update({"unknown": {}, **values})  # other defaults are attributes of the class

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __repr__(self) -> str:
        said = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
        return f"{type(self).__qualname__}({said})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, each.name) == getattr(other, each.name) for each in fields(self))

    __hash__ = None  # type: ignore[assignment]  # `unknown` is a dictionary

    @classmethod
    def from_json(cls, document: object, at: str = "") -> Self:
        """A record from parsed JSON; `to_json` gives an equal document.

        Args:
            document: the JSON object.
            at: its path in the whole document, for messages.

        Raises:
            ValueError: a field is missing or has a value of another type; the message names its path.
        """
        if not isinstance(document, Mapping):
            raise ValueError(f"{at or 'it'} is no object")
        known: dict[str, Any] = {}
        taken = set()
        for name, declared in _declared(cls).items():
            if name not in document:
                if declared.default is MISSING:
                    raise ValueError(f"{_below(at, name)} is missing")
                continue
            if document[name] is None and declared.default is None:
                continue
            taken.add(name)
            known[declared.name] = _decode(declared.type, document[name], _below(at, name))
        unknown = {key: value for key, value in document.items() if key not in taken}
        return cls(**known, unknown=unknown)

    def to_json(self) -> dict[str, Any]:
        """The object, known fields first and in the order of their declaration; a field that is None is left out."""
        values = {name: getattr(self, declared.name) for name, declared in _declared(type(self)).items()}
        known = {name: _encode(value) for name, value in values.items() if value is not None}
        return {**known, **{name: _encode(value) for name, value in self.unknown.items() if name not in known}}


_declare_fields(JsonRecord)


@dataclass(frozen=True)
class Settings(Generic[Config]):
    """Settings in a manifest, which may leave out those that have their default value.

    A setting that the configuration class does not know is an error, because ignoring it would change results.

    Attributes:
        config: all settings.
        written: names of the settings that the JSON object holds.
    """

    config: Config
    written: tuple[str, ...]

    @classmethod
    def complete(cls, config: Config) -> Self:
        """Settings that are all written."""
        return cls(config, tuple(each.name for each in fields(config)))  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """The JSON object."""
        return {name: getattr(self.config, name) for name in self.written}


def _is_required(declared: "Field[Any]") -> bool:
    return declared.default is MISSING and declared.default_factory is MISSING


def _declared(record: type[JsonRecord]) -> dict[str, "Field[Any]"]:
    """JSON name -> field."""
    return {each.metadata.get("json", each.name): each for each in fields(record) if each.name != "unknown"}


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _decode(kind: Any, value: Any, at: str) -> Any:
    """A JSON value as a declared type.

    Raises:
        ValueError: it is of another type.
    """
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (UnionType, Union):
        return _decode_union([arg for arg in args if arg is not NoneType], value, at)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{at} is no list")
        return tuple(_decode(args[0], each, f"{at}[{index}]") for index, each in enumerate(value))
    if origin is Settings:
        if not isinstance(value, Mapping):
            raise ValueError(f"{at} is no object")
        kinds = {each.name: each.type for each in fields(args[0])}
        known = {name: _decode(kinds.get(name, Any), each, _below(at, name)) for name, each in value.items()}
        try:
            return Settings(args[0](**known), tuple(value))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{at}: {error}") from error
    if isinstance(kind, type) and issubclass(kind, JsonRecord):
        return kind.from_json(value, at)
    if origin is not None:  # a mapping
        if not isinstance(value, Mapping):
            raise ValueError(f"{at} is no object")
        return {name: _decode(args[1], each, _below(at, name)) for name, each in value.items()}
    return _decode_scalar(kind, value, at)


def _decode_union(kinds: list[Any], value: Any, at: str) -> Any:
    for kind in kinds[:-1]:
        try:
            return _decode(kind, value, at)
        except ValueError:
            continue
    try:
        return _decode(kinds[-1], value, at)
    except ValueError:
        if not all(kind in _KINDS for kind in kinds):
            raise
        wanted = " or ".join(_KINDS[kind] for kind in kinds)
        raise ValueError(f"{at} is {shown(value)}, not {wanted}") from None


def _decode_scalar(kind: type, value: Any, at: str) -> Any:
    """A text or number, unchanged: 1 stays an integer for a field of type float, so that it is written as it was read."""
    fits = isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)
    if not fits or (kind is float and not _is_finite(value)):
        raise ValueError(f"{at} is {shown(value)}, not {_KINDS[kind]}")
    return value


def shown(value: object) -> str:
    """A value of a JSON document as a message shows it: its beginning, whatever letters it has."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _is_finite(number: float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # a whole number beyond the largest float, which JSON may hold
        return False


def _encode(value: Any) -> Any:
    if isinstance(value, JsonRecord | Settings):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: _encode(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(each) for each in value]
    return value
