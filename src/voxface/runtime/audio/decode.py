"""Sound files in, mono int16 at 16 kHz out, block by block.

What a container announces is a bound, and what is there decides: see docs/audio.md for what is read to its end, what is
refused as cut short, and how several channels become one.
"""

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.channels import ChannelMixer
from voxface.runtime.audio.containers.contents import contents
from voxface.runtime.audio.containers.part import Part
from voxface.runtime.audio.containers.recognise import Foreign
from voxface.runtime.audio.libsndfile import Decoder
from voxface.runtime.audio.resample import Resampler, to_int16
from voxface.runtime.audio.samples import LIMIT, scale_of_integers
from voxface.runtime.errors import InputError, UsageError

if TYPE_CHECKING:
    from voxface.runtime.audio.ffmpeg import FfmpegDecoder

# Names by which a folder's sound files are found: every format that is read has its usual ones here.
_LIBSNDFILE: Final = (
    ".wav", ".wave", ".bwf", ".rf64", ".bw64", ".w64", ".flac", ".ogg", ".oga", ".ogv", ".opus", ".mp3", ".mp2", ".mp1", ".aif",
    ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist",
)  # fmt: skip
_FFMPEG: Final = (
    ".m4a", ".m4b", ".m4v", ".aac", ".mp4", ".mov", ".3gp", ".3g2", ".amr", ".awb", ".wma", ".wmv", ".asf", ".webm", ".mka",
    ".mkv", ".avi", ".mpg", ".mpeg", ".flv", ".spx", ".ac3", ".wv", ".ape", ".tta", ".mpc", ".dsf", ".rm",
)  # fmt: skip
SUFFIXES = frozenset(_LIBSNDFILE + _FFMPEG)
NONE_OF_THEM: Final = "none is named .wav, .flac, .mp3, .m4a or as other sound that is read"
HEADERLESS: Final = frozenset({".raw", ".pcm"})
# What a damaged file makes a decoder, numpy or Python raise; one file's trouble is no other's.
DAMAGE: Final = (
    MemoryError, ArithmeticError, ValueError, RuntimeError, AssertionError, LookupError, TypeError, EOFError, struct.error
)  # fmt: skip


Heard = Callable[[float, float], None]
"""Callback with the seconds that were read, and how many the file has, 0 where that is not known."""


def read_blocks(path: Path, channel: int | None = None, heard: Heard | None = None) -> Iterator[NDArray[np.int16]]:
    """The sound of a file, int16 [n] at 16 kHz, one channel or the mean of all, in blocks of a few seconds.

    Where the channels cancel each other out, the loudest takes the place of the mean, see `voxface.runtime.audio.channels`.

    Args:
        channel: the channel to read, from 0; None: the mean of all channels.
        heard: told how far it is.

    Raises:
        InputError: the file is missing, empty, cut short, no sound that can be read, or holds samples that are none.
        UsageError: the file has no such channel.
    """
    with _reported(path):
        _check_file(path)
        with open(path, "rb") as file:
            yield from _Reading(path, file, channel, heard).blocks()


def _check_file(path: Path) -> None:
    if not path.exists():
        raise InputError("a link that leads to no file" if path.is_symlink() else "no such file")
    if path.is_dir():
        raise InputError("is a folder, not a sound file")
    if not path.is_file():
        raise InputError("a pipe or a device; `voxface live --source -` takes raw sound on standard input")
    if path.suffix.lower() in HEADERLESS:
        raise InputError("sound without a header; `voxface live --source -` takes it on standard input")
    if path.stat().st_size == 0:
        raise InputError("the file is empty (0 bytes)")


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turns whatever a file may cause into an InputError that names it, in one line."""
    import soundfile

    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error.__cause__
    except soundfile.SoundFileError as error:
        text = str(getattr(error, "error_string", error)).strip().rstrip(".") or "libsndfile gives no reason"
        raise InputError(f"{path}: cannot be read as sound ({text}); is it damaged or cut short?") from error
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read it") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except MemoryError as error:
        raise InputError(f"{path}: takes more memory than there is; is it damaged?") from error
    except DAMAGE as error:
        raise InputError(
            f"{path}: cannot be read as sound ({type(error).__name__}: {error}); is it damaged?"
        ) from error


class _Reading:
    """The parts of an open file, made one stream of one channel at 16 kHz."""

    def __init__(self, path: Path, file: BinaryIO, channel: int | None, heard: Heard | None) -> None:
        self._path, self._file, self._channel, self._heard = path, file, channel, heard
        self._resampler: Resampler | None = None
        self._rate = 0
        self._before = 0.0  # seconds of the parts that were read

    def blocks(self) -> Iterator[NDArray[np.int16]]:
        """Blocks int16 [n]."""
        found = contents(self._file, os.fstat(self._file.fileno()).st_size)
        cut = ""
        for part in [found] if isinstance(found, Foreign) else found:
            with closing(self._open(part)) as decoder:
                yield from self._convert(decoder)
                missing = decoder.missing()
                seconds = self._before + decoder.done / decoder.rate
            if missing:
                cut = missing.text(seconds)
                break
            self._before = seconds
        if self._resampler is not None:
            yield to_int16(self._resampler.feed(np.empty(0, np.float32), last=True))
        if cut:
            raise InputError(cut)
        if not self._before:
            raise InputError("holds no samples")

    def _open(self, part: Part | Foreign) -> "Decoder | FfmpegDecoder":
        if isinstance(part, Foreign):
            from voxface.runtime.audio.ffmpeg import FfmpegDecoder

            return FfmpegDecoder(self._path, part)
        return Decoder(self._path, self._file, part)

    def _convert(self, decoder: "Decoder | FfmpegDecoder") -> Iterator[NDArray[np.int16]]:
        if self._channel is not None and self._channel >= decoder.channels:
            raise UsageError(f"channel {self._channel + 1}: {self._path.name} has {decoder.channels}")
        if self._resampler is None or decoder.rate != self._rate:
            if self._resampler is not None:
                yield to_int16(self._resampler.feed(np.empty(0, np.float32), last=True))
            self._rate, self._resampler = decoder.rate, Resampler(decoder.rate)
        mixer = ChannelMixer(decoder.rate, decoder.channels)
        blocks = decoder.blocks()
        for block in blocks:
            if not -LIMIT <= float(block.min()) <= float(block.max()) <= LIMIT:  # false of NaN too
                raise InputError(_no_sample(block, decoder.done - len(block), decoder.rate, blocks))
            if self._heard is not None:
                whole = self._before + decoder.frames / decoder.rate if decoder.frames else 0.0
                self._heard(self._before + decoder.done / decoder.rate, whole)
            mono = mixer.feed(block) if self._channel is None else block[:, self._channel]
            yield to_int16(self._resampler.feed(mono))


def _no_sample(block: NDArray[np.float32], first: int, rate: int, after: Iterator[NDArray[np.float32]]) -> str:
    """What is wrong with float samples [n, channels] of which sample `first` is the first; `after`: the blocks after it."""
    bad = ~np.isfinite(block).all(1)
    if bad.any():
        at = first + int(np.argmax(bad))
        return f"NaN or infinity at {at / rate:.3f} s (sample {at}); repair or re-export the file"
    peak = float(np.abs(block).max())
    with suppress(InputError, OSError, *DAMAGE):  # a recording may begin quietly, so only all of it shows its scale
        for later in after:
            peak = max(peak, float(np.abs(later[np.isfinite(later)]).max(initial=0)))
    scale = scale_of_integers(peak)
    cure = "is it damaged?" if scale is None else f"divide by {scale}"
    return f"samples of up to {peak:.6g} where 1 is full scale; {cure}"


def find_audio(paths: list[Path]) -> list[Path]:
    """The files among `paths`, with each folder replaced by the sound files below it, in order of name.

    Files that only ffmpeg reads are among them whether or not it is there, so that none is left out silently.

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
            raise InputError(f"{path}: no sound file in this folder ({NONE_OF_THEM})")
        found += inside
    return found


def _is_sound(path: Path) -> bool:
    """Whether a path is a sound file, by its name; files that begin with "._" hold metadata of macOS."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith("._") and path.is_file()
