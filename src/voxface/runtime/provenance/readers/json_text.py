"""Marks in JSON documents and in lines of JSON."""

import json
from typing import Any, Final

from voxface.runtime.provenance.found_mark import FoundMark, merged, of_json, source_types
from voxface.runtime.provenance.mark import KEY

MOST_VALUES: Final = 5_000_000  # that are looked at


def read_json(content: str) -> list[FoundMark]:
    """The marks of a document, or of lines of which each is one; where a mark stands more than once, its first place.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        documents = [("", json.loads(content))]
    except ValueError:
        lines = [(k, line) for k, line in enumerate(content.split("\n"), 1) if line.strip()]
        if len(lines) < 2:
            raise
        documents = [(f"line {k} ", json.loads(line)) for k, line in lines]
    found = [mark for prefix, document in documents for mark in _marks(prefix, document)]
    if not found:
        found = source_types("text", content)
    return list(merged(found))


def _marks(prefix: str, document: Any) -> list[FoundMark]:
    """The marks below a document, not by recursion: it may be nested deeply."""
    found: list[FoundMark] = []
    left: list[tuple[str, Any]] = [("", document)]
    seen = 0
    while left:
        where, value = left.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values")
        if isinstance(value, dict):
            if (mark := of_json(f"{prefix}{where}/{KEY}", value.get(KEY))) is not None:
                found.append(mark)
            items = [(str(key), each) for key, each in value.items()]
        elif isinstance(value, list):
            items = [(str(k), each) for k, each in enumerate(value)]
        else:
            continue
        left += [(f"{where}/{key}", each) for key, each in reversed(items) if isinstance(each, dict | list)]
    return found
