"""Recordings of known speakers: where they are, who speaks, and what the front end makes of them."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio import read_blocks
from voxface.runtime.errors import InputError
from voxface.runtime.vad import SpeechAudio, VoiceActivityDetector

Sex = Literal["F", "M"]

# LibriSpeech speakers never trained on, half of them women: the order of the SHA-1 of their ids chose them, once.
HELD_OUT: frozenset[str] = frozenset(
    """
    89 125 211 367 481 533 730 831 1034 1116 1334 1502 1624 1688 1723 1743 1867 2033 2391 2836 2843 2952 3240
    3436 3486 3879 3982 4014 4088 4195 4297 4362 4680 4853 5022 5192 5678 5808 6000 6476 6848 7059 7148 7226
    7264 7312 7447 7517 7859 8095 8312 8580
    """.split()  # noqa: SIM905 (a list of 52 strings is harder to read)
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


def librispeech(folder: Path) -> list[Recording]:
    """The recordings that `speakers.csv` (speaker_id, sex, file) lists in a folder.

    Raises:
        InputError: no such table, or a line of it that names no file.
    """
    table = folder / "speakers.csv"
    if not table.is_file():
        raise InputError(f"{folder}: no speakers.csv in it (columns speaker_id, sex, file)")
    recordings = []
    with table.open(newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), 2):
            sex, path = row.get("sex"), folder / (row.get("file") or "")
            if sex not in ("F", "M") or not path.is_file():
                raise InputError(f"{table}, line {number}: sex {sex!r} is not F or M, or {path} is not there")
            recordings.append(Recording(row["speaker_id"], "F" if sex == "F" else "M", path))
    return recordings


def voiced_audio(path: Path) -> NDArray[np.int16]:
    """The speech of a file, int16 [n] at 16 kHz, as the runtime's VAD keeps it; empty when there is none."""
    detector = VoiceActivityDetector()
    events = [event for block in read_blocks(path) for event in detector.feed(block)]
    return np.concatenate([np.empty(0, np.int16), *(e.samples for e in events if isinstance(e, SpeechAudio))])
