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
from pathlib import Path
from typing import BinaryIO

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import is_damage, reason
from voxface.runtime.files.regular import open_regular

_LARGEST = 1 << 30  # bytes of a list, unpacked
_LONGEST = 1 << 16  # bytes of a line: the paths of a trial of a thousand candidates


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
    return [MatchingTrial(words[0], words[1], tuple(words[2:])) for words in matching_paths(file)]


def matching_paths(file: Path) -> Iterator[list[str]]:
    """The paths of each trial of a list of matching, one trial after another: probe, right candidate, wrong ones.

    Raises:
        InputError: it cannot be read, or a line is none.
    """
    for number, line in _lines(file):
        words = line.split()
        if len(words) < 3:
            raise _wrong(file, number, "a probe, the right candidate and a wrong one are expected")
        yield words


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
    found, size = 0, 0
    try:
        with open_regular(file) as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            lines: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=raw) if packed else raw
            for number, line in enumerate(iter(lambda: lines.readline(_LONGEST), b""), 1):
                size += len(line)
                if size > _LARGEST:
                    raise InputError(f"{file}: unpacks to more than {_LARGEST >> 20} MB; it is no list of trials")
                if len(line) == _LONGEST:
                    raise _wrong(file, number, "it is so long that it is no trial")
                if text := line.decode().strip():
                    found += 1
                    yield number, text
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
