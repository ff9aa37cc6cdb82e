"""Voices to distil a voice encoder on: many speakers, of whom sex, age and language are known or not.

`speech_corpus` lists recordings whose speakers' sex has to be known, because faces are drawn for them. A voice encoder that a
teacher teaches needs no label at all.
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import is_damage, reason
from voxface.runtime.files.separators import separator
from voxface.runtime.files.text import read_text
from voxface.training.data.ages import years
from voxface.training.data.pairs import Split
from voxface.training.data.speaker_splits import split_of
from voxface.training.data.speech_corpus import LIBRISPEECH_CITATION, SEXES, Sex


@dataclass(frozen=True)
class Voice:
    """One recording of one speaker.

    Attributes:
        corpus: name of the set that it is of.
        speaker: id, unique among all voices.
        path: sound file.
        sex: "F", "M", or None where it is not known or doubted.
        age: youngest and oldest age in years that the speaker may have, or None where nothing is known.
        language: code, or "" where it is not known.
        licence: under which it may be used, or "" where the table does not say.
        split: whether it is learnt from ("train"), chosen by ("validation") or measured on ("test").
    """

    corpus: str
    speaker: str
    path: Path
    sex: Sex | None
    age: tuple[int, int] | None
    language: str
    licence: str
    split: Split


def voices(folder: Path) -> list[Voice]:
    """The voices that a table FOLDER/speakers.csv lists.

    It has the columns speaker_id and file, and perhaps set, sex (F or M), age (years, or Common Voice's word for a decade),
    language, licence, sex_doubtful (1: the sex is not used) and note ("speaker not given …": this voice may be another one's,
    so it is in "train").

    Raises:
        InputError: no such table, or a file that it names is not there.
    """
    table = folder / "speakers.csv"
    if not table.is_file():
        raise InputError(
            f"{folder}: no speakers.csv in it; write one with the columns speaker_id, file, sex, age, language"
        )
    try:
        text = read_text(table)
        rows = list(csv.DictReader(io.StringIO(text), delimiter=separator(text)))
    except Exception as error:
        if not is_damage(error):
            raise
        raise InputError(f"{table}: cannot be read as a table ({reason(error)})") from error
    found = []
    for number, row in enumerate(rows, 2):
        speaker, file = row.get("speaker_id") or "", row.get("file") or ""
        if not speaker or not file or not (folder / file).is_file():
            raise InputError(f"{table}, line {number}: it needs a speaker_id and a file that is there")
        sex = None if row.get("sex_doubtful") == "1" else SEXES.get((row.get("sex") or "").strip().lower())
        named = re.fullmatch(rf"{re.escape(speaker)}-\d+-\d{{4}}", Path(file).stem)
        corpus = row.get("set") or ("librispeech" if named else folder.resolve().name)
        licence = row.get("licence") or (LIBRISPEECH_CITATION if named else "")
        if not "".join((corpus, speaker, file, licence, row.get("language") or "")).isprintable():
            raise InputError(f"{table}, line {number}: a name in it has control characters, which terminals would obey")
        known = not (row.get("note") or "").startswith("speaker not given")
        split = split_of(speaker) if known else "train"
        found.append(
            Voice(corpus, speaker, folder / file, sex, years(row.get("age")), row.get("language") or "", licence, split)
        )
    if not found:
        raise InputError(f"{table}: lists no voice")
    return found
