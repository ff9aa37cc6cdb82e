"""JSON from strangers: what no field of a manifest can need is refused before anything is made of it."""

import json
import math
from typing import Any, Final

DEEPEST: Final = 32  # objects within objects
MOST_VALUES: Final = 50_000
LARGEST_INTEGER: Final = 1 << 63


class UnneededJsonError(ValueError):
    """JSON that is larger or deeper than a manifest may be; the message says what it does."""


def parse_json(data: bytes) -> Any:
    """The document in these bytes. NaN and Infinity, which Python reads though they are no JSON, may be in it: see
    `check_numbers`.

    Raises:
        ValueError: no JSON.
        UnneededJsonError: a document that is nested too deep or holds too many values.
    """
    try:
        document = json.loads(data)
    except RecursionError as error:
        raise UnneededJsonError(f"is nested deeper than a manifest may be ({DEEPEST} levels)") from error
    waiting = [(document, 1)]
    seen = 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if isinstance(value, dict | list):
            if depth > DEEPEST:
                raise UnneededJsonError(f"is nested deeper than a manifest may be ({DEEPEST} levels)")
            waiting += [(each, depth + 1) for each in (value.values() if isinstance(value, dict) else value)]
            if seen + len(waiting) > MOST_VALUES:
                raise UnneededJsonError(f"holds more than {MOST_VALUES} values, more than a manifest may")
    return document


def check_numbers(document: Any) -> None:
    """Checks that every number in a document can be written as JSON and held in 64 bits, in fields that nothing reads too.

    Raises:
        ValueError: one cannot; the message names its path.
    """
    waiting = [("", document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{path}.{key}" if path else key, each) for key, each in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{path}[{index}]", each) for index, each in enumerate(value)]
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{path} is {value!r}, which is no number of JSON")
        elif isinstance(value, int) and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
            raise ValueError(f"{path} is a whole number that 64 bits cannot hold")
