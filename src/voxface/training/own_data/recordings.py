"""A person's recordings: the speech in them as log-mel frames, and what was rejected."""

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError, NoSpeechError
from voxface.runtime.features.log_mel import log_mel
from voxface.runtime.files.damage import reading
from voxface.runtime.files.npz import read_npy
from voxface.runtime.files.regular import read_bytes
from voxface.training.data.speech_corpus import LeftOut, voiced_audio
from voxface.training.own_data.listing import FRAMES, OwnPerson

SHORTEST: Final = 4_800
"""Least number of speech samples (0.3 s) in a recording."""
_MELS: Final = 64
_LARGEST: Final = 100.0  # of logarithms; int16 sound gives 35 at most


def hear(person: OwnPerson) -> tuple[list[NDArray[np.float16]], list[int], list[int], list[LeftOut]]:
    """Log-mel frames float16 [T, 64] of each recording that can be used, the number of its session, its place among the
    person's recordings, and the other files."""
    frames: list[NDArray[np.float16]] = []
    sessions: list[int] = []
    places: list[int] = []
    rejected: list[LeftOut] = []
    numbers: dict[str, int] = {}
    heard: dict[bytes, Path] = {}
    for place, (session, file) in enumerate(person.recordings):
        try:
            found = _read_frames(file) if file.suffix.lower() == FRAMES else _log_mel(file)
        except (InputError, NoSpeechError) as error:
            rejected.append(LeftOut(str(file), str(error).removeprefix(f"{file}: "), error.exit_code))
            continue
        same = heard.setdefault(hashlib.sha256(found.tobytes()).digest(), file)
        if same is not file:
            rejected.append(LeftOut(str(file), f"the same speech as in {same.name}"))
            continue
        frames.append(found)
        sessions.append(numbers.setdefault(session, len(numbers)))
        places.append(place)
    return frames, sessions, places, rejected


def _log_mel(file: Path) -> NDArray[np.float16]:
    """Log-mel frames float16 [T, 64] of the speech in a recording.

    Raises:
        InputError: it cannot be read.
        NoSpeechError: there is too little speech in it.
    """
    samples = voiced_audio(file)
    if len(samples) < SHORTEST:
        raise NoSpeechError(f"{len(samples) / 16_000:.2f} s of speech in it, {SHORTEST / 16_000:g} needed")
    return log_mel(samples).astype(np.float16)


def _read_frames(file: Path) -> NDArray[np.float16]:
    """Log-mel frames float16 [T, 64] from an array of them, [T, 64] or [64, T], natural logarithms as Wen 2019's authors keep.

    Raises:
        InputError: it holds something else.
    """
    with reading(file, "an array", advice=f"log-mel frames [T, {_MELS}] are needed"):
        found = read_npy(read_bytes(file))
    if found.ndim == 2 and found.shape[1] != _MELS and found.shape[0] == _MELS:
        found = found.T
    if found.ndim != 2 or found.shape[1] != _MELS or found.dtype.kind != "f" or not len(found):
        raise InputError(f"{file}: holds {found.dtype} {list(found.shape)[:8]}; log-mel frames [T, {_MELS}] are needed")
    if not (np.abs(found) < _LARGEST).all():  # false for NaN
        raise InputError(f"{file}: holds numbers that are no logarithms of a power")
    return np.asarray(found, np.float16)
