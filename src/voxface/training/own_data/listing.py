"""People of two folders, of recordings and of photographs, as VoxCeleb and VGGFace lay them out, and in simpler ways.

Each folder has one folder per person; what lies below it is the person's, however deep. VoxCeleb names a speaker id10001 and
puts the utterances of one video into one folder, id10001/VIDEO/00001.wav; VGGFace names a person A.J._Buckley. A table (CSV, or
with tabs as `vox1_meta.csv`) joins the two and says the sex. Without one, a person has the same name in both.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voxface.runtime.audio.decode import SUFFIXES
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.files.damage import is_damage, reading, reason
from voxface.runtime.files.folders import files_in
from voxface.runtime.files.text import read_text
from voxface.training.data.speech_corpus import SEXES, LeftOut, Sex
from voxface.training.faces.picture_landmarks import SUFFIXES as PICTURES
from voxface.training.own_data.fit_files import SUFFIXES as FITS
from voxface.training.own_data.fit_files import is_overlay
from voxface.training.own_data.video_frames import SUFFIXES as VIDEOS

FRAMES: Final = ".npy"
"""Arrays of log-mel frames, in the place of sound files."""
_SEX_COLUMNS: Final = ("sex", "gender")
_SET_COLUMNS: Final = ("set", "split")


@dataclass(frozen=True)
class OwnPerson:
    """A person with the files that are theirs.

    Attributes:
        name: of the photographs' folder where there is one, else of the recordings'.
        sex: "F" or "M".
        said_split: what the table says of the person's split; "" where it says nothing.
        recordings: sound files with the name of their session (a video); the utterances of one session are one recording.
        photographs: picture files, and videos.
        fits: files of faces that others have fitted, see `voxceleb_3d`.
    """

    name: str
    sex: Sex
    said_split: str
    recordings: tuple[tuple[str, Path], ...]
    photographs: tuple[Path, ...]
    fits: tuple[Path, ...] = ()


@dataclass(frozen=True)
class OwnPeople:
    """All people who can be used, by name, and folders that cannot."""

    people: tuple[OwnPerson, ...]
    left_out: tuple[LeftOut, ...]


def list_people(voices: Path, photographs: Path | None, table: Path | None, fits: Path | None = None) -> OwnPeople:
    """The people of two folders; a person needs recordings, and a sex that is known.

    Args:
        fits: a third folder, of faces that others have fitted; its folders are called as those of the photographs.

    Raises:
        InputError: a folder or the table is not there or cannot be read, or nobody can be used.
        UsageError: the table fits neither folder.
    """
    heard = _folders(voices)
    seen = {} if photographs is None else _folders(photographs)
    fitted = {} if fits is None else _folders(fits)
    lines = _table(table) if table is not None else []
    known = _joined(lines, heard, {**seen, **fitted}, table)
    people, left_out = [], []
    for name, folder in sorted(heard.items()):
        line = known.get(name, {})
        shown = line.get("photographs", name)
        sex = SEXES.get(line.get("sex", "").strip().lower())
        files = files_in(folder, {*SUFFIXES, FRAMES}, below=True)
        if not files:
            left_out.append(LeftOut(name, "no sound file in the folder"))
        elif sex is None:
            left_out.append(LeftOut(name, _no_sex(line, table)))
        else:
            pictures = files_in(seen[shown], {*PICTURES, *VIDEOS}, below=True) if shown in seen else []
            faces = files_in(fitted[shown], FITS, below=True) if shown in fitted else []
            people.append(
                OwnPerson(
                    shown if shown in seen or shown in fitted else name,
                    sex,
                    line.get("split", ""),
                    tuple((_session(folder, file), file) for file in files),
                    tuple(file for file in pictures if not is_overlay(file)),
                    tuple(faces),
                )
            )
    used = {person.name for person in people} | {line.get("photographs", "") for line in known.values()} | set(heard)
    left_out += [LeftOut(name, "photographs of nobody who is heard") for name in sorted(set(seen) - used)]
    left_out += [LeftOut(name, "faces of nobody who is heard") for name in sorted(set(fitted) - set(seen) - used)]
    if not people:
        why = f"{left_out[0].file}: {left_out[0].reason}" if left_out else "it has no folder of a person"
        raise InputError(f"{voices}: nobody here can be used; {why}")
    if fits is not None and not any(person.fits for person in people):
        raise InputError(f"{fits}: no face of anybody here ({', '.join(FITS)} in the folder of each person)")
    if len({person.name for person in people}) < len(people):
        raise InputError(f"{table}: two speakers have the photographs of one person; each needs their own")
    return OwnPeople(tuple(people), tuple(left_out))


def _folders(folder: Path) -> dict[str, Path]:
    """The folders in a folder, by name."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    with reading(folder, "a folder of people"):
        return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")}


def _session(folder: Path, file: Path) -> str:
    """The folder of a file within the person's folder; the file itself where it lies directly in that."""
    parts = file.relative_to(folder).parts
    return "/".join(parts[:-1]) if len(parts) > 1 else file.name


def _table(file: Path) -> list[dict[str, str]]:
    """Lines of a table with a header, separated by commas or tabs; names of columns in small letters."""
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    try:
        text = read_text(file)
        tabs = "\t" in text.partition("\n")[0]
        reader = csv.DictReader(io.StringIO(text), delimiter="\t" if tabs else ",", skipinitialspace=True)
        return [
            {key.strip().lower(): (value or "").strip() for key, value in line.items() if key is not None}
            for line in reader
        ]
    except Exception as error:
        if not is_damage(error):
            raise
        raise InputError(f"{file}: cannot be read as a table ({reason(error)})") from error


def _joined(
    lines: Sequence[dict[str, str]], heard: dict[str, Path], seen: dict[str, Path], table: Path | None
) -> dict[str, dict[str, str]]:
    """What the table says of each folder of recordings: "photographs", "sex" and "split", as far as it says it.

    The columns with the names of folders are found by what stands in them, since every data set calls them otherwise.
    """
    if not lines:
        return {}
    columns = list(lines[0])

    def best(folders: dict[str, Path]) -> str | None:
        hits = {column: sum(line.get(column, "") in folders for line in lines) for column in columns}
        column = max(columns, key=lambda name: hits[name])
        return column if hits[column] else None

    voice, photograph = best(heard), best(seen)
    if voice is None:
        raise UsageError(
            f"{table}: no column of it has names of folders of recordings ({', '.join(sorted(heard)[:3])} …)"
        )
    sex = next((column for column in columns if column in _SEX_COLUMNS), None)
    split = next((column for column in columns if column in _SET_COLUMNS), None)
    found = {}
    for line in lines:
        if line[voice] in heard:
            told = {"photographs": photograph, "sex": sex, "split": split}
            found[line[voice]] = {name: line[column] for name, column in told.items() if column is not None}
    return found


def _no_sex(line: dict[str, str], table: Path | None) -> str:
    if table is None:
        return "no sex is known; give a table with the columns person and sex (--people TABLE)"
    if not line:
        return f"{table.name} has no line for this folder"
    return f"{table.name}: sex {line.get('sex', '')!r} is not F or M"
