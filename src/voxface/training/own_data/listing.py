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
from voxface.runtime.files.separators import separator
from voxface.runtime.files.text import read_text
from voxface.runtime.files.unicode_names import composed, is_unicode
from voxface.training.data.speech_corpus import SEXES, LeftOut, Sex
from voxface.training.faces.picture_landmarks import NOT_READ
from voxface.training.faces.picture_landmarks import SUFFIXES as PICTURES
from voxface.training.own_data.fit_files import SUFFIXES as FITS
from voxface.training.own_data.fit_files import is_overlay
from voxface.training.own_data.video_frames import SUFFIXES as VIDEOS

FRAMES: Final = ".npy"
"""Arrays of log-mel frames, in the place of sound files."""
_SEX_COLUMNS: Final = ("sex", "gender")
_OF_MACOS: Final = "__MACOSX"  # what its archives keep beside the folders, for itself
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
    if not heard:
        raise InputError(f"{voices}: has no folder of a person; put the recordings of each into one of their own")
    seen = {} if photographs is None else _folders(photographs)
    fitted = {} if fits is None else _folders(fits)
    known = {} if table is None else _joined(_table(table), heard, {**seen, **fitted}, table)
    people, left_out = [], []
    for name, folder in sorted(heard.items()):
        line = known.get(name, {})
        shown = line.get("photographs", name)
        sex = SEXES.get(line.get("sex", "").strip().lower())
        try:
            files = files_in(folder, {*SUFFIXES, FRAMES}, below=True)
            pictures = files_in(seen[shown], {*PICTURES, *VIDEOS, *NOT_READ}, below=True) if shown in seen else []
            faces = files_in(fitted[shown], FITS, below=True) if shown in fitted else []
        except OSError as error:
            left_out.append(LeftOut(str(error.filename or folder), f"cannot be read ({error.strerror or error})"))
            continue
        if not is_unicode(name):
            left_out.append(LeftOut(name, "the name of the folder is no UTF-8; rename it"))
        elif not files:
            links = any(path.is_symlink() and path.is_dir() for path in folder.iterdir())
            more = "; links to folders in it are not followed" if links else ""
            left_out.append(LeftOut(name, f"no sound file in the folder{more}"))
        elif sex is None:
            left_out.append(LeftOut(name, _no_sex(line, table)))
        else:
            if shown in seen and not pictures:
                left_out.append(LeftOut(shown, f"no picture in the folder ({', '.join((*PICTURES, *sorted(VIDEOS)))})"))
            elif photographs is not None and shown not in seen:
                left_out.append(LeftOut(shown or name, "no folder of photographs; the voice is kept without a face"))
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
        raise InputError(f"{voices}: nobody here can be used; {left_out[0].file}: {left_out[0].reason}")
    if fits is not None and not any(person.fits for person in people):
        raise InputError(f"{fits}: no face of anybody here ({', '.join(FITS)} in the folder of each person)")
    if len({person.name for person in people}) < len(people):
        raise InputError(f"{table}: two speakers have the photographs of one person; each needs their own")
    return OwnPeople(tuple(people), tuple(left_out))


def _folders(folder: Path) -> dict[str, Path]:
    """The folders in a folder, by name, composed as a table has it; macOS hands out names that are not.

    Raises:
        InputError: there is no such folder, or two of its folders have one name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: {'is no folder' if folder.exists() else 'no such folder'}")
    found: dict[str, Path] = {}
    with reading(folder, "a folder of people"):
        for path in sorted(folder.iterdir()):
            if not path.is_dir() or path.name.startswith(".") or path.name == _OF_MACOS:
                continue
            if path != found.setdefault(composed(path.name), path):
                raise InputError(f"{path}: another folder has the same name in other Unicode; rename one, or join them")
    return found


def _session(folder: Path, file: Path) -> str:
    """The folder of a file within the person's folder; the file itself where it lies directly in that."""
    parts = file.relative_to(folder).parts
    return "/".join(parts[:-1]) if len(parts) > 1 else file.name


def _table(file: Path) -> list[dict[str, str]]:
    """Lines of a table with a header, separated by commas, tabs or semicolons; names of columns in small letters.

    Raises:
        InputError: it cannot be read, or holds no line.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    try:
        text = read_text(file)
        reader = csv.DictReader(io.StringIO(text), delimiter=separator(text), skipinitialspace=True)
        lines = [
            {key.strip().lower(): composed((value or "").strip()) for key, value in line.items() if key is not None}
            for line in reader
        ]
    except Exception as error:
        if not is_damage(error):
            raise
        raise InputError(f"{file}: cannot be read as a table ({reason(error)})") from error
    if not lines:
        raise InputError(f"{file}: a line with the names of columns is needed, and a line for each person")
    return lines


def _joined(
    lines: Sequence[dict[str, str]], heard: dict[str, Path], seen: dict[str, Path], table: Path
) -> dict[str, dict[str, str]]:
    """What the table says of each folder of recordings: "photographs", "sex" and "split", as far as it says it.

    The columns with the names of folders are found by what stands in them, since every data set calls them otherwise.

    Raises:
        UsageError: no column has names of folders, or the sex.
        InputError: two lines say different things of one folder.
    """
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
    if sex is None:
        raise UsageError(
            f"{table}: no column {' or '.join(_SEX_COLUMNS)} (its first line names {', '.join(columns)[:80]}); who has no "
            "known sex is left out"
        )
    split = next((column for column in columns if column in _SET_COLUMNS), None)
    told = {"photographs": photograph, "sex": sex, "split": split}
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        name = line.get(voice, "")
        if name not in heard:
            continue
        said = {what: line.get(column, "") for what, column in told.items() if column is not None}
        before = found.setdefault(name, said)
        for what, word in said.items():
            if word != before[what]:
                raise InputError(f"{table}: says {what} {before[what]!r} of {name} in one line and {word!r} in another")
    return found


def _no_sex(line: dict[str, str], table: Path | None) -> str:
    if table is None:
        return "no sex is known; give a table with the columns person and sex (--people TABLE)"
    if not line:
        return f"{table.name} has no line for this folder"
    return f"{table.name}: sex {line.get('sex', '')!r} is not F or M"
