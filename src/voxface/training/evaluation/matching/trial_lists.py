"""Public lists of trials on VoxCeleb's voices and faces, read as they are published.

| list | a line |
|---|---|
| matching (`matching_v2f_U.csv`) | probe, the right candidate, wrong candidates: paths, separated by blanks |
| verification (`veriflist_test_….txt`, Nagrani et al. 2018) | id, speaker, person, label, voice, face, with a header |
| retrieval (`wav_20k.csv`, `jpg_20k.csv`) | id, path, with a header; tabs |

Files may be compressed (`.gz`). A path's first part is the person, by VoxCeleb's id for voices and by name for faces.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from operator import methodcaller
from pathlib import Path
from typing import Final

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import is_damage, reason
from voxface.runtime.files.regular import open_regular

BLOCK: Final = 1 << 15  # trials at a time
_LARGEST: Final = 1 << 30  # bytes of a list, unpacked
_LONGEST: Final = 1 << 16  # bytes of a line: the paths of a trial of a thousand candidates
_BLANKS: Final = methodcaller("count", " ")


@dataclass(frozen=True)
class MatchingTrial:
    """Whose of the candidates is the probe?

    Attributes:
        probe: path of a voice or a face.
        right: path of the candidate of the same person.
        wrong: paths of candidates of others, one or more.
    """

    probe: str
    right: str
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class VerificationTrial:
    """Are a voice and a face of one person?"""

    voice: str
    face: str
    same: bool


def person_of(path: str) -> str:
    """The first part of a path: whose it is."""
    return path.partition("/")[0]


def read_matching(file: Path) -> list[MatchingTrial]:
    """The trials of a list of matching.

    Raises:
        InputError: it cannot be read, or a line is none.
    """
    return [
        MatchingTrial(probe, right, tuple(wrong))
        for columns in matching_columns(file)
        for probe, right, *wrong in zip(*columns, strict=True)
    ]


def matching_columns(file: Path, block: int = BLOCK) -> Iterator[list[list[str]]]:
    """The paths of a list of matching, some trials at a time, by column: probes, right candidates, and each wrong candidate.

    Raises:
        InputError: it cannot be read, a line is no trial, or trials differ in their number of candidates.
    """
    width = 0
    for number, lines in _chunks(file, block):
        whole = lines if all(lines) else [line for line in lines if line]
        width = width or len(whole[0].split())
        # Millions of lines are split all at once; only lines of another form are looked at one by one, to say what is wrong.
        if width < 3 or set(map(_BLANKS, whole)) != {width - 1}:
            for place, line in enumerate(lines, number):
                if line and (found := len(line.split())) < 3:
                    raise _wrong(file, place, "a probe, the right candidate and a wrong one are expected")
                if line and found != width:
                    raise _wrong(file, place, f"{found - 1} candidates, {width - 1} before; keep them in two lists")
        words = "\n".join(whole).split()
        yield [words[k::width] for k in range(width)]


def read_verification(file: Path) -> list[VerificationTrial]:
    """The trials of a list of verification.

    Raises:
        InputError: it cannot be read, or a line is none.
    """
    return list(verification_trials(file))


def verification_trials(file: Path) -> Iterator[VerificationTrial]:
    """The trials of a list of verification, one after another.

    Raises:
        InputError: it cannot be read, or a line is none.
    """
    for number, line in _lines(file):
        words = [word.strip() for word in line.split(",")]
        if number == 1 and words[0] == "id":
            continue
        if len(words) != 6 or words[3] not in ("0", "1"):
            raise _wrong(
                file,
                number,
                "id, voice-speaker-id, face-speaker-id, label (0 or 1), voice-path, face-path are expected",
            )
        if (words[1] == words[2]) != (words[3] == "1"):
            raise _wrong(file, number, f"speakers {words[1]} and {words[2]} do not go with label {words[3]}")
        yield VerificationTrial(words[4], words[5], words[3] == "1")


def read_retrieval(file: Path) -> list[tuple[str, str]]:
    """(person, path) of each item of a list of retrieval.

    Raises:
        InputError: it cannot be read, or a line is none.
    """
    found = []
    for number, line in _lines(file):
        words = line.split("\t") if "\t" in line else line.split(",")
        if number == 1 and "/" not in line:
            continue
        if len(words) != 2 or not all(words):
            raise _wrong(file, number, "an id and a path are expected")
        found.append((words[0].strip(), words[1].strip()))
    return found


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Number and text of the lines of a list that are not empty; the list is read as it goes, and not kept."""
    for number, lines in _chunks(file, BLOCK):
        yield from ((place, line) for place, line in enumerate(lines, number) if line)


def _chunks(file: Path, count: int) -> Iterator[tuple[int, list[str]]]:
    """The lines of a list, `count` at a time and never all of them empty, and the number of the first of them."""
    number, size, found = 1, 0, False
    try:
        with open_regular(file) as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            lines = iter(partial((gzip.GzipFile(fileobj=raw) if packed else raw).readline, _LONGEST), b"")
            while chunk := list(islice(lines, count)):
                lengths = list(map(len, chunk))
                size += sum(lengths)
                if size > _LARGEST:
                    raise InputError(f"{file}: unpacks to more than {_LARGEST >> 20} MB; it is no list of trials")
                if max(lengths) == _LONGEST:
                    raise _wrong(file, number + lengths.index(_LONGEST), "it is so long that it is no trial")
                texts = [text.strip() for text in b"".join(chunk).decode().split("\n")[: len(chunk)]]
                if any(texts):
                    found = True
                    yield number, texts
                number += len(chunk)
    except (zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise InputError(f"{file}: cannot be unpacked ({reason(error)}); fetch it again") from error
    except Exception as error:
        if not is_damage(error):
            raise
        raise InputError(f"{file}: cannot be read as a list of trials ({reason(error)})") from error
    if not found:
        raise InputError(f"{file}: holds no trials")


def _wrong(file: Path, number: int, expected: str) -> InputError:
    return InputError(f"{file}, line {number}: {expected}")
