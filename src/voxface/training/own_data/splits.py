"""Who is learnt from, chosen by, and measured on: by a rule, or as a list says."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, get_args

from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.files.text import read_text
from voxface.runtime.files.unicode_names import composed
from voxface.training.data.pairs import Split
from voxface.training.data.speaker_splits import split_of
from voxface.training.own_data.listing import OwnPerson

RULES: Final = ("hash", "letters", "table")
_WORDS: Final[dict[str, Split]] = {
    "train": "train",
    "training": "train",
    "dev": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "1": "train",  # of Nagrani et al. 2018; their 3 are recordings of people of 1
    "2": "validation",
    "4": "test",
}


def splits(people: Sequence[OwnPerson], rule: str) -> dict[str, Split]:
    """The split of each person, by name.

    Args:
        rule: "hash": by the SHA-256 of the name, an eighth each to measure on and a twentieth to choose by.
            "letters": by the first letter of the name, as in Wen 2019's code: A and B to choose by, C to E to measure on.
            "table": what the table says (its column set or split).
            A file: lines of a name and a split, separated by a blank or a comma, as Nagrani et al. 2018 publish theirs.

    Raises:
        InputError: the file cannot be read, or the table or the file says nothing of a person or a word that is no split.
        UsageError: no such rule.
    """
    if rule == "hash":
        return {person.name: split_of(person.name) for person in people}
    if rule == "letters":
        return {person.name: _by_letter(person.name) for person in people}
    if rule == "table":
        said = {person.name: person.said_split for person in people}
        where = "the table"
    elif Path(rule).is_file():
        said, where = _listed(Path(rule)), rule
    else:
        raise UsageError(f"--splits {rule}: one of {', '.join(RULES)}, or a file of names and splits")
    found: dict[str, Split] = {}
    for person in people:
        word = said.get(person.name, "").lower()
        if word not in _WORDS:
            what = f"says {word!r} of" if word else "does not name"
            raise InputError(f"{where}: {what} {person.name}; every person needs one of {', '.join(get_args(Split))}")
        found[person.name] = _WORDS[word]
    return found


def _by_letter(name: str) -> Split:
    first = name[:1].upper()
    if first in "AB":
        return "validation"
    return "test" if first in "CDE" else "train"


def _listed(file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        words = re.fullmatch(r"\s*(\S.*?)[\s,;]+([^\s,;]+)\s*", line)  # a name may have blanks
        if words is None or words[2].lower() not in _WORDS:
            raise InputError(
                f"{file}, line {number}: a name and a split are expected; a split is {', '.join(get_args(Split))}"
            )
        name, split = composed(words[1]), words[2]
        if found.setdefault(name, split) != split:
            raise InputError(f"{file}, line {number}: {name} is in {found[name]} already; each person is in one split")
    return found
