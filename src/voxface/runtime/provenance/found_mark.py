"""A mark that was found in a file, of whatever maker."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from voxface.runtime.provenance.mark import DIGITAL_SOURCE_TYPES

# Of IPTC's vocabulary, what was made by a program and not taken from life, in whole or in part.
GENERATED: Final = frozenset(
    f"{DIGITAL_SOURCE_TYPES}{name}"
    for name in (
        *("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic", "algorithmicMedia"),
        *("virtualRecording", "dataDrivenMedia"),
    )
)
LONGEST: Final = 1000  # letters of a text that is told
_URI: Final = re.compile(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/(\w{1,60})")


@dataclass(frozen=True)
class FoundMark:
    """One mark.

    Attributes:
        where: the place in the file.
        digital_source_type: how the content came about, in IPTC's vocabulary.
        software: what made it.
        bundle, bundle_sha256: of a face by voxface, the bundle that made it.
        notice: the mark in words.
        signature: of a C2PA manifest: its state ("valid", "trusted", "invalid", "not checked"), and the signer, if known.
        ours: whether voxface wrote it.
        count: how often it stands there.
    """

    where: str
    digital_source_type: str | None = None
    software: str | None = None
    bundle: str | None = None
    bundle_sha256: str | None = None
    notice: str | None = None
    signature: Mapping[str, str | None] | None = None
    ours: bool = False
    count: int = 1

    @property
    def synthetic(self) -> bool:
        """Whether it says that the content was generated."""
        return self.ours or self.digital_source_type in GENERATED

    def to_json(self) -> dict[str, Any]:
        """The mark as a JSON object, always with the same keys."""
        signature = None if self.signature is None else dict(self.signature)
        return {
            "where": self.where,
            "synthetic": self.synthetic,
            "digital_source_type": self.digital_source_type,
            "software": self.software,
            "bundle": self.bundle,
            "bundle_sha256": self.bundle_sha256,
            "notice": self.notice,
            "signature": signature,
            "count": self.count,
        }


def of_json(where: str, document: Any) -> FoundMark | None:
    """The mark in an object that `Mark.to_json` has written; None if it is another object."""
    if not isinstance(document, dict) or not {"digital_source_type", "software"} <= document.keys():
        return None
    told: dict[str, Any] = {
        name: text(document.get(name))
        for name in ("digital_source_type", "software", "bundle", "bundle_sha256", "notice")
    }
    return FoundMark(where, **told, ours=(told["software"] or "").startswith("voxface"))


def source_types(where: str, content: str) -> list[FoundMark]:
    """A mark for each digital source type that text names, wherever."""
    return [FoundMark(where, f"{DIGITAL_SOURCE_TYPES}{name}") for name in dict.fromkeys(_URI.findall(content))]


def canonical(source_type: str | None) -> str | None:
    """A digital source type as IPTC writes its URI; some write https, or only the last word."""
    if not source_type:
        return None
    whole = _URI.fullmatch(source_type.strip())
    return f"{DIGITAL_SOURCE_TYPES}{whole[1]}" if whole else text(source_type)


def merged(marks: Iterable[FoundMark]) -> tuple[FoundMark, ...]:
    """Each mark once, at its first place, with the number of places."""
    found: dict[FoundMark, FoundMark] = {}
    for mark in marks:
        key = replace(mark, where="", signature=None)
        first = found.get(key)
        found[key] = mark if first is None else replace(first, count=first.count + mark.count)
    return tuple(found.values())


def text(value: Any) -> str | None:
    """A value as text in one line, cut at `LONGEST`; None for what is no text."""
    if not isinstance(value, str):
        return None
    line = "".join(letter if letter.isprintable() else " " for letter in value)
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
