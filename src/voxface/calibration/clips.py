"""Speech for calibration, through the bundle's own front end: some clips to decide on, others to measure on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.decode import find_audio, read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.errors import InputError, NoSpeechError, VoxfaceError
from voxface.runtime.features.front_end import FrontEnd
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.features.speech import check_speech
from voxface.runtime.inference.face_estimator import CONTEXT, PIECE

LONGEST = (PIECE + 2 * CONTEXT) * STRIDE  # frames that the runtime gives the encoder at once, at most


@dataclass(frozen=True)
class Clip:
    """One recording as the voice encoder gets it.

    Attributes:
        name: name of the file, without its folder.
        log_mel: float32 [1, mels, T], normalised.
    """

    name: str
    log_mel: NDArray[np.float32]


@dataclass(frozen=True)
class Clips:
    """The speech of a folder.

    Attributes:
        calibration: clips from which ranges and decisions come.
        held_out: clips on which the result is measured.
        longest: the first calibration clip, repeated to the longest input that the runtime gives the encoder. If sums over time
            overflow at all, they do so on it.
        longest_held_out: the first held-out clip, repeated likewise.
        skipped: why files were left out, one line each.
    """

    calibration: tuple[Clip, ...]
    held_out: tuple[Clip, ...]
    longest: Clip
    longest_held_out: Clip
    skipped: tuple[str, ...]


def load_clips(
    folder: Path, bundle: Bundle, *, most: int = 64, report: Callable[[int, int, str], None] | None = None
) -> Clips:
    """Reads up to `most` sound files of a folder, evenly spaced in order of name. Every second file is held out.

    Args:
        folder: folder that is searched with its sub-folders.
        bundle: the bundle whose front end and VAD are used.
        most: how many files to read at most.
        report: called after each file with the number of files done, the number of all, and the file's name.

    Raises:
        InputError: no sound file, none that can be read, or speech in fewer than two.
        NoSpeechError: no speech in any that can be read.
    """
    clips, errors = read_clips(folder, bundle, most=most, report=report)
    if len(clips) < 2:
        raise InputError(
            f"{folder}: speech in one sound file only ({clips[0].name}); give at least two, better fifty of many speakers: "
            "half of them calibrate, the others measure"
        )
    calibration, held_out = tuple(clips[::2]), tuple(clips[1::2])
    return Clips(
        calibration, held_out, _repeated(calibration[0]), _repeated(held_out[0]), tuple(str(error) for error in errors)
    )


def read_clips(
    path: Path, bundle: Bundle, *, most: int, report: Callable[[int, int, str], None] | None = None
) -> tuple[list[Clip], list[VoxfaceError]]:
    """Reads up to `most` sound files of a folder, evenly spaced in order of name, or one file.

    Returns the clips, and an error for each file that was left out.

    Raises:
        InputError: no sound file, or none that can be read.
        NoSpeechError: no speech in any that can be read.
    """
    files = find_audio([path])
    if len(files) > most:
        files = [files[int(i)] for i in np.linspace(0, len(files) - 1, most)]
    clips: list[Clip] = []
    errors: list[VoxfaceError] = []
    for done, file in enumerate(files):
        try:
            clips.append(Clip(file.name, _features(file, bundle)))
        except NoSpeechError as error:
            errors.append(NoSpeechError(f"{file}: {error}"))
        except InputError as error:
            errors.append(error)
        if report:
            report(done + 1, len(files), file.name)
    if not clips:
        silent = [error for error in errors if isinstance(error, NoSpeechError)]
        kind = NoSpeechError if silent else InputError
        raise kind(f"{path}: no speech to go by in {len(files)} sound files; {(silent or errors)[0]}")
    return clips, errors


def _repeated(clip: Clip) -> Clip:
    times = -(-LONGEST // clip.log_mel.shape[2])
    return Clip(f"{clip.name} repeated", np.ascontiguousarray(np.tile(clip.log_mel, times)[:, :, :LONGEST]))


def _features(file: Path, bundle: Bundle) -> NDArray[np.float32]:
    front_end = FrontEnd(bundle.front_end, bundle.vad)
    for block in read_blocks(file):
        front_end.feed(block)
    speech = front_end.finish()
    check_speech(speech)
    settings = bundle.front_end
    return np.ascontiguousarray(
        network_input(speech.log_mel, settings.shortest, settings.normalisation)[:, :, :LONGEST]
    )
