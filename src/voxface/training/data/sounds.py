"""All sounds of a folder, such as noises and room responses."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.decode import find_audio, read_blocks
from voxface.runtime.errors import InputError
from voxface.training.data.speech_corpus import LeftOut


def read_sounds(folder: Path) -> tuple[list[NDArray[np.int16]], list[LeftOut]]:
    """All sounds of a folder (noises, room responses) as int16 [n] at 16 kHz, and the unreadable files.

    Raises:
        InputError: the folder does not exist, or no file in it can be read.
    """
    found, left_out = [], []
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    for path in find_audio([folder]):
        try:
            found.append(np.concatenate(list(read_blocks(path))))
        except InputError as error:
            left_out.append(LeftOut(str(path), str(error).removeprefix(f"{path}: "), error.exit_code))
    if not found:
        raise InputError(f"{folder}: no sound in it can be read; {left_out[0].file}: {left_out[0].reason}")
    return found, left_out
