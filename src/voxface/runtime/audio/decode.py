"""Sound files in, mono int16 at 16 kHz out, block by block."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.resample import Resampler, to_int16
from voxface.runtime.errors import InputError, UsageError

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"})
BLOCK_SECONDS = 4.0
UNKNOWN: Final = 2**62  # from this number of frames on, libsndfile does not know how many a file has
STREAMED: Final = 0x7FFF0000  # from this number of bytes on, the writer of a WAV did not know its length
_ANNOUNCED: Final = re.compile(r"data\s*:\s*(\d+) \(should be (\d+)\)")


def read_blocks(path: Path, channel: int | None = None) -> Iterator[NDArray[np.int16]]:
    """The sound of a file, int16 [n] at 16 kHz, one channel or the mean of all, in blocks of a few seconds.

    Args:
        channel: the channel to read, from 0; None: the mean of all channels.

    Raises:
        InputError: the file is missing, empty, cut short, no sound that libsndfile reads, or holds NaN or infinity.
        UsageError: the file has no such channel.
    """
    import soundfile

    try:
        _check_file(path)
        with soundfile.SoundFile(os.fsencode(path)) as file:  # bytes, since a name need not be UTF-8
            yield from _read_open(path, file, channel)
    except TypeError as error:  # a name that ends in .raw
        raise InputError(
            f"{path}: sound without a header; `voxface live --source -` takes it on standard input"
        ) from error
    except soundfile.LibsndfileError as error:
        if error.code == 1 or "not recognised" in str(error):
            raise InputError(f"{path}: not a sound file that can be read; give WAV, FLAC, OGG or MP3") from error
        raise InputError(f"{path}: cannot be read as sound ({_reason(error)}); is it damaged or cut short?") from error
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read it") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _check_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a sound file")
    if not path.is_file():
        raise InputError(f"{path}: a pipe or a device; `voxface live --source -` takes raw sound on standard input")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes)")


def _read_open(path: Path, file: "object", channel: int | None) -> Iterator[NDArray[np.int16]]:
    import soundfile

    assert isinstance(file, soundfile.SoundFile)
    if channel is not None and channel >= file.channels:
        raise UsageError(f"channel {channel + 1}: {path.name} has {file.channels}")
    # Otherwise soundfile seeks after each block to the place where it should be. A FLAC of unknown length could then not be
    # read, and parts that are missing in a damaged file would count as read.
    file.seekable = lambda: False
    rate, promised = int(file.samplerate), int(file.frames)
    if promised == 0:
        raise InputError(f"{path}: holds no samples")
    resampler = Resampler(rate)
    done = 0
    while True:
        block: NDArray[np.float32] = file.read(int(BLOCK_SECONDS * rate), dtype="float32", always_2d=True)
        if len(block) == 0:
            break
        bad = ~np.isfinite(block).all(1)
        if bad.any():
            at = done + int(np.argmax(bad))
            raise InputError(
                f"{path}: NaN or infinity at {at / rate:.3f} s (sample {at}); repair or re-export the file"
            )
        done += len(block)
        mono = block.mean(1, dtype=np.float32) if channel is None else block[:, channel]
        yield to_int16(resampler.feed(mono))
    yield to_int16(resampler.feed(np.empty(0, np.float32), last=True))
    announced = _ANNOUNCED.search(file.extra_info)  # of a WAV only; libsndfile reads the bytes that are there
    if announced and int(announced[2]) < int(announced[1]) < STREAMED:
        promised = round(promised * int(announced[1]) / max(1, int(announced[2])))
    if done < promised < UNKNOWN:
        raise InputError(
            f"{path}: cut short, {done / rate:.2f} s of the {promised / rate:.2f} s it announces; fetch or export it again"
        )


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return text or "libsndfile gives no reason"


def find_audio(paths: list[Path]) -> list[Path]:
    """The files among `paths`, with each folder replaced by the sound files below it, in order of name.

    Raises:
        InputError: a folder holds no sound file, or cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        try:
            if not path.is_dir():
                found.append(path)
                continue
            inside = sorted(p for p in path.rglob("*") if _is_sound(p))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
        if not inside:
            raise InputError(f"{path}: no sound file in this folder (looked for {', '.join(sorted(SUFFIXES))})")
        found += inside
    return found


def _is_sound(path: Path) -> bool:
    """Whether a path is a sound file, by its name; files that begin with "._" hold metadata of macOS."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith("._") and path.is_file()
