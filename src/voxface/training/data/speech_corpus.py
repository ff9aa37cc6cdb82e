"""Speech corpus: recordings of known speakers, listed by a table `speakers.csv`, and the speech in them."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.decode import NONE_OF_THEM, SUFFIXES, read_blocks
from voxface.runtime.audio.vad import VoiceActivityDetector
from voxface.runtime.audio.vad_events import SpeechAudio
from voxface.runtime.config.age import CHILD_UP_TO
from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import is_damage, reason
from voxface.runtime.files.folders import files_in
from voxface.runtime.files.separators import separator
from voxface.runtime.files.text import read_text
from voxface.training.data.ages import years

Sex = Literal["F", "M"]
# LibriSpeech speakers who are never trained on, half of them women; they were chosen once, by the SHA-1 of their ids.
HELD_OUT: frozenset[str] = frozenset(
    """
    89 125 211 367 481 533 730 831 1034 1116 1334 1502 1624 1688 1723 1743 1867 2033 2391 2836 2843 2952 3240
    3436 3486 3879 3982 4014 4088 4195 4297 4362 4680 4853 5022 5192 5678 5808 6000 6476 6848 7059 7148 7226
    7264 7312 7447 7517 7859 8095 8312 8580
    """.split()  # noqa: SIM905 (a list of 52 strings is harder to read)
)
# The 16 women and 16 men of the other speakers that come first by the SHA-1 of "validation" + id.
VALIDATION: frozenset[str] = frozenset(
    """
    19 26 198 200 254 332 405 441 1355 1963 1970 1992 2007 2289 2817 3112 3214 3607 3723 3947 4830 5789 6385
    6880 7635 7794 8063 8088 8226 8419 8468 8629
    """.split()  # noqa: SIM905 (as above)
)
LIBRISPEECH: Final = "LibriSpeech"
LIBRISPEECH_CITATION: Final = (
    "LibriSpeech (V. Panayotov, G. Chen, D. Povey, S. Khudanpur, ICASSP 2015), CC BY 4.0, derived from LibriVox"
)
SEXES: Final[dict[str, Sex]] = {"f": "F", "female": "F", "m": "M", "male": "M"}
_NEEDED: Final = (
    "columns speaker_id, sex (F or M) with one folder of recordings per speaker, or speaker_id, sex, file with one line "
    "per recording"
)


@dataclass(frozen=True)
class Recording:
    """One sound file of one speaker."""

    speaker: str
    sex: Sex
    path: Path

    @property
    def held_out(self) -> bool:
        """Whether its speaker is kept from training."""
        return self.speaker in HELD_OUT


@dataclass(frozen=True)
class LeftOut:
    """A file that cannot be used.

    Attributes:
        file: path within the corpus's folder, or the whole path of a file elsewhere.
        reason: why it cannot be used, one line.
        exit_code: exit code of the error that is the reason.
    """

    file: str
    reason: str
    exit_code: int = InputError.exit_code


@dataclass(frozen=True)
class Corpus:
    """Recordings in a folder.

    Attributes:
        name: "LibriSpeech" where the files are named as there (SPEAKER-CHAPTER-NUMBER), else the folder's name.
        folder: the folder.
        recordings: sound files that can be used.
        left_out: files that the folder or its table names and that cannot be used.
        sets: where the table has a column `set`, the sets that the recordings are of and their licences; else none.
        unlabelled: lines of such a table whose speaker's sex is not known or doubted, or who is a child.
    """

    name: str
    folder: Path
    recordings: tuple[Recording, ...]
    left_out: tuple[LeftOut, ...] = ()
    sets: tuple[str, ...] = ()
    unlabelled: int = 0

    @cached_property
    def sexes(self) -> dict[str, Sex]:
        """Speaker -> sex."""
        return {recording.speaker: recording.sex for recording in self.recordings}

    def of(self, speaker: str) -> list[Recording]:
        """The recordings of one speaker."""
        return self._by_speaker.get(speaker, [])

    @cached_property
    def _by_speaker(self) -> dict[str, list[Recording]]:
        found: dict[str, list[Recording]] = {}
        for recording in self.recordings:
            found.setdefault(recording.speaker, []).append(recording)
        return found

    def within(self, path: Path) -> str:
        """The path relative to the folder, where it lies in it."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else str(path)


def corpus(folder: Path) -> Corpus:
    """Recordings of a folder with a table `speakers.csv`.

    With the columns speaker_id, sex, file the table lists the recordings. With speaker_id and sex alone, the recordings are the
    sound files below FOLDER/SPEAKER_ID/. Sexes are F or M; formats are those of the runtime; unusable files are left out.

    A table with a column `set` is one of several sets of speech, which do not all know the sex of their speakers. There, lines
    without a sex, with a doubted one (sex_doubtful is 1) or of children (age) are not errors, but counted. It may have a column
    `licence`.

    Raises:
        InputError: no such folder, no table, or nothing in it can be used.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    table = folder / "speakers.csv"
    if not table.is_file():
        raise InputError(f"{folder}: no speakers.csv in it; write one, {_NEEDED}")
    try:
        text = read_text(table)
        reader = csv.DictReader(io.StringIO(text), delimiter=separator(text))
        rows = list(reader)
        columns = set(reader.fieldnames or ())
    except Exception as error:
        if not is_damage(error):
            raise
        raise InputError(f"{table}: cannot be read as a table ({reason(error)})") from error
    if not {"speaker_id", "sex"} <= columns:
        raise InputError(f"{table}: it needs {_NEEDED}")
    known = [row for row in rows if _has_known_sex(row)] if "set" in columns else rows
    found = list(_listed(folder, known) if "file" in columns else _by_folder(folder, known))
    recordings = tuple(item for item in found if isinstance(item, Recording))
    left_out = tuple(item for item in found if isinstance(item, LeftOut))
    if not recordings:
        why = f"; {left_out[0].file}: {left_out[0].reason}" if left_out else f"; it needs {_NEEDED}"
        raise InputError(f"{table}: names no recording that is there{why}")
    named = all(re.fullmatch(rf"{re.escape(r.speaker)}-\d+-\d{{4}}", r.path.stem) for r in recordings)
    speakers = {recording.speaker for recording in recordings}
    sets = {
        f"{row['set']} ({row.get('licence') or 'its licence is for you to know'})"
        for row in known
        if row.get("set") and row["speaker_id"] in speakers
    }
    if not "".join(sets).isprintable():
        raise InputError(f"{table}: a set or a licence in it has control characters, which terminals would obey")
    read = Corpus(
        LIBRISPEECH if named else folder.resolve().name,
        folder,
        recordings,
        left_out,
        tuple(sorted(sets)),
        len(rows) - len(known),
    )
    for recording in recordings:
        if read.sexes[recording.speaker] != recording.sex:
            raise InputError(f"{table}: speaker {recording.speaker} is both F and M")
    return read


def _has_known_sex(row: dict[str, str]) -> bool:
    """Whether a line of a table of several sets is of an adult whose sex is known."""
    age = years(row.get("age"))
    said = (row.get("sex") or "").strip().lower()
    return said not in ("", "other") and row.get("sex_doubtful") != "1" and (age is None or age[1] > CHILD_UP_TO)


def _listed(folder: Path, rows: list[dict[str, str]]) -> Iterator[Recording | LeftOut]:
    seen = set()
    for number, row in enumerate(rows, 2):
        file, sex, speaker = (
            row.get("file") or "",
            SEXES.get((row.get("sex") or "").strip().lower()),
            row["speaker_id"],
        )
        where = f"speakers.csv, line {number}"
        if not file or not speaker:
            yield LeftOut(file or where, f"{where}: no {'speaker_id' if file else 'file'}")
        elif sex is None:
            yield LeftOut(file, f"{where}: sex {row.get('sex')!r} is not F or M")
        elif not (folder / file).is_file():
            yield LeftOut(file, f"{where}: the file is not there")
        elif file in seen:
            yield LeftOut(file, f"{where}: the file is listed twice")
        else:
            seen.add(file)
            yield Recording(speaker, sex, folder / file)


def _by_folder(folder: Path, rows: list[dict[str, str]]) -> Iterator[Recording | LeftOut]:
    sexes = {row["speaker_id"]: (row.get("sex") or "").strip() for row in rows if row["speaker_id"]}
    inside = {path.name: path for path in folder.iterdir() if path.is_dir()}
    for speaker in sorted(sexes.keys() | inside.keys()):
        sex = SEXES.get(sexes.get(speaker, "").lower())
        files = files_in(inside[speaker], SUFFIXES, below=True) if speaker in inside else []
        if speaker not in sexes:
            if files:
                yield LeftOut(speaker, f"speakers.csv has no line for speaker {speaker}: {len(files)} recordings")
        elif sex is None:
            yield LeftOut(speaker, f"speakers.csv: sex {sexes[speaker]!r} of speaker {speaker} is not F or M")
        elif not files:
            yield LeftOut(speaker, f"no sound file in a folder of that name ({NONE_OF_THEM})")
        else:
            yield from (Recording(speaker, sex, path) for path in files)


def librispeech(folder: Path) -> list[Recording]:
    """The recordings that `speakers.csv` (speaker_id, sex, file) lists in a folder, all of them there.

    Raises:
        InputError: no such table, or a line of it that names no file.
    """
    found = corpus(folder)
    if found.left_out:
        raise InputError(f"{found.folder / 'speakers.csv'}: {found.left_out[0].file}: {found.left_out[0].reason}")
    return list(found.recordings)


def voiced_audio(path: Path) -> NDArray[np.int16]:
    """Speech of a file, int16 [n] at 16 kHz, as the runtime's VAD keeps it; empty where there is none.

    Raises:
        InputError: the file cannot be read.
    """
    return _speech(read_blocks(path))


def voiced_samples(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Speech in samples int16 [n] at 16 kHz, as the runtime's VAD keeps it; empty where there is none."""
    return _speech(iter([samples]))


def _speech(blocks: Iterator[NDArray[np.int16]]) -> NDArray[np.int16]:
    detector = VoiceActivityDetector()
    events = [event for block in blocks for event in detector.feed(block)]
    return np.concatenate([np.empty(0, np.int16), *(e.samples for e in events if isinstance(e, SpeechAudio))])
