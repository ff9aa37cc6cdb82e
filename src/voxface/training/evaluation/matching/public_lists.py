"""A folder of the public lists on VoxCeleb's voices and faces: whose part each person is in, and which lists there are.

| file | what |
|---|---|
| `identity_splits.txt` | name and part of each person: 1 train, 2 validation, 4 test (Nagrani et al. 2018; 901, 100, 250) |
| `vox1_meta.csv` | id, name, gender, nationality |
| `matching_v2f_U.csv`, `matching_f2v_G.csv`, … | trials of matching from voice to face or back |
| `veriflist_test_GNA_unseenunheard.txt`, … | trials of verification |
| `wav_….csv` with `jpg_….csv` | items of retrieval |
| `matching*.pkl`, `verification*.pkl`, `retrieval*.pkl` | the same as pickles (`pickled_trial_lists`); `_g`: alike in gender |

A list's letters say in what all candidates of a trial are alike: gender, nationality, age; U or `random` is anybody. Names may
begin with `Splits_` and end in `.gz`.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.runtime.files.text import read_text
from voxface.training.evaluation.leaks import check_apart

Direction = Literal["v2f", "f2v"]
Task = Literal["matching", "verification", "retrieval"]
PARTS: Final = {"1": "train", "2": "validation", "3": "seen-heard test", "4": "test"}
_MATCHING: Final = re.compile(r"matching_(v2f|f2v)_(U|[GNA]+)\.csv(\.gz)?")
_VERIFICATION: Final = re.compile(r"veriflist_(?:test_)?(random|[GNA]+)(?:_(unseenunheard|seenheard))?\.txt(\.gz)?")
_PICKLED: Final = re.compile(r"(matching|verification|retrieval)\w*?(?:_([gna]+))?\.(?:pkl|pickle)")
_ITEMS: Final = re.compile(r"(wav|jpg)_\w+\.csv(\.gz)?")
_TASKS: Final[dict[str, Task]] = {"matching": "matching", "verification": "verification", "retrieval": "retrieval"}
_SPLITS: Final = ("identity_splits.txt", "Splits_identity_splits.txt")


@dataclass(frozen=True)
class Celebrity:
    """A person of the lists.

    Attributes:
        name: as faces and splits name the person.
        part: of `PARTS`; None: the splits do not name the person.
        gender: "f" or "m"; "" where it is not known.
        nationality: country; "" where it is not known.
    """

    name: str
    part: str | None
    gender: str = ""
    nationality: str = ""


@dataclass(frozen=True)
class ListFile:
    """A list.

    Attributes:
        task: what its trials are.
        files: the list; of retrieval, the voices and the faces.
        alike: letters of what candidates are alike in: "" anybody, "G", "N", "A", "GN", "GNA".
        direction: of matching; None where trials of both are in one list.
        heard: whether its people are those of the training part on purpose, on recordings that were kept from it.
    """

    task: Task
    files: tuple[Path, ...]
    alike: str = ""
    direction: Direction | None = None
    heard: bool = False

    @property
    def name(self) -> str:
        """Names of the files."""
        return " and ".join(file.name for file in self.files)

    @property
    def pickled(self) -> bool:
        """Whether it is a pickle."""
        return self.files[0].suffix in (".pkl", ".pickle")


@dataclass(frozen=True)
class PublicLists:
    """The lists of a folder.

    Attributes:
        people: by name and, where the metadata are there, by VoxCeleb's id.
        lists: in the order of their names.
    """

    people: dict[str, Celebrity]
    lists: tuple[ListFile, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Looks for the lists of a folder; trials are not read yet.

        Raises:
            InputError: no such folder, no identity split or no list in it, or one that cannot be read.
        """
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        splits = next((folder / name for name in _SPLITS if (folder / name).is_file()), None)
        if splits is None:
            raise InputError(f"{folder}: no {_SPLITS[0]} in it, so that nobody knows who was learnt from; put it there")
        parts = _parts(splits)
        people = {name: Celebrity(name, part) for name, part in parts.items()}
        meta = folder / "vox1_meta.csv"
        if meta.is_file():
            people |= _described(meta, parts)
        lists = tuple(_lists(folder))
        if not lists:
            raise InputError(f"{folder}: no list of trials in it, such as matching_v2f_U.csv")
        return cls(people, lists)

    def person(self, path: str, of: str) -> Celebrity:
        """Whose a path is, by its first part.

        Raises:
            InputError: nobody knows the person.
        """
        found = self.people.get(path.partition("/")[0])
        if found is None or found.part is None:
            raise InputError(f"{of}: {path}: the identity splits name no such person, so it may have been learnt from")
        return found

    def check_apart(self, evaluated: Iterable[Celebrity], of: ListFile) -> None:
        """Refuses a list whose people are learnt from, unless it is one of those.

        Raises:
            InputError: somebody is in the training part and in the list, or in none of a list of people heard.
        """
        names = [person.name for person in evaluated]
        learnt = [person.name for person in self.people.values() if person.part == "train"]
        if not of.heard:
            check_apart(learnt, names, of.name)
        elif strangers := sorted(set(names) - set(learnt)):
            raise InputError(
                f"{of.name}: {strangers[0]} is not in the training part, though it is a list of people heard"
            )


def _parts(file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(read_text(file).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or words[1] not in PARTS:
            raise InputError(f"{file}, line {number}: a name and a part ({', '.join(PARTS)}) are expected")
        if found.setdefault(words[0], PARTS[words[1]]) != PARTS[words[1]]:
            raise InputError(f"{file}, line {number}: {words[0]} is in two parts")
    return found


def _described(file: Path, parts: dict[str, str]) -> dict[str, Celebrity]:
    wanted = ("VoxCeleb1 ID", "VGGFace1 ID", "Gender", "Nationality")
    with reading(file, "a table", advice="put VoxCeleb's vox1_meta.csv there"):
        rows = list(csv.DictReader(io.StringIO(read_text(file)), delimiter="\t"))
    if not rows or not set(wanted) <= rows[0].keys():
        raise InputError(f"{file}: needs the columns {', '.join(wanted)}, separated by tabs")
    found = {}
    for row in rows:
        number, name, gender, nationality = (str(row[column] or "").strip() for column in wanted)
        found[name] = found[number] = Celebrity(name, parts.get(name), gender, nationality)
    return found


def _lists(folder: Path) -> Iterable[ListFile]:
    items: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if found := _MATCHING.fullmatch(file.name):
            direction: Direction = "v2f" if found[1] == "v2f" else "f2v"
            yield ListFile("matching", (file,), found[2].replace("U", ""), direction)
        elif found := _VERIFICATION.fullmatch(file.name):
            alike = "" if found[1] == "random" else found[1]
            yield ListFile("verification", (file,), alike, heard=found[2] == "seenheard")
        elif found := _PICKLED.fullmatch(file.name):
            yield ListFile(_TASKS[found[1]], (file,), (found[2] or "").upper())
        elif found := _ITEMS.fullmatch(file.name):
            items.setdefault(found[1], file)
    if len(items) == 2:
        yield ListFile("retrieval", (items["wav"], items["jpg"]))
