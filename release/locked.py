"""What a lock holds, read back."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ENTRY: Final = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[\w.]+)(?: ; (?P<marker>[^\\\n]+?))?(?P<hashes>(?: \\\n +--hash=sha256:[0-9a-f]{64})+)\n"
    r"(?: +# via (?P<via>.+)\n)?",
    re.M,
)


@dataclass(frozen=True)
class Locked:
    """One package of a lock.

    Attributes:
        name: as an index writes it, in lower case.
        version: its version.
        marker: where it is installed (PEP 508); "": everywhere.
        hashes: SHA-256 of each of its files.
        via: the packages that ask for it; "voxface-runtime" is this one.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    via: tuple[str, ...]


def read_lock(path: Path) -> list[Locked]:
    """Every package of a lock.

    Raises:
        ValueError: a line is none of a lock's.
    """
    text = "".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("#"))
    found, end = [], 0
    for match in _ENTRY.finditer(text):
        if match.start() != end:
            break
        end = match.end()
        via = tuple(word.split()[0] for word in (match["via"] or "").split(",") if word.strip())
        hashes = tuple(re.findall(r"sha256:([0-9a-f]{64})", match["hashes"]))
        found.append(Locked(match["name"], match["version"], match["marker"] or "", hashes, via))
    if end != len(text):
        raise ValueError(f"{path}: not understood: {text[end:].splitlines()[0]!r}")
    return found
