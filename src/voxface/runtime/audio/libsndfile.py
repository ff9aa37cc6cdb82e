"""Decoding with libsndfile: a part of a file in, float32 blocks of all channels out."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.containers.part import Missing, Part, Pieces
from voxface.runtime.audio.samples import check_header
from voxface.runtime.errors import InputError

BLOCK_SECONDS: Final = 4.0
PIECE_SECONDS: Final = 0.25  # where a decoder meets damage, libsndfile loses all that was asked for at once
BLOCK_SAMPLES: Final = 1 << 22  # of all channels together, at most
UNKNOWN: Final = 2**62  # from this number of frames on, libsndfile does not know how many a file has
NO_CUT_S: Final = 0.025  # a frame of the features; what is shorter is not missed
# What libsndfile may read here. Others have no magic number, print on standard output, or hold no sound of a voice.
FORMATS: Final = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3", "NIST"})


class Decoder:
    """A part of a file, opened.

    Attributes:
        rate: Hz.
        channels: how many there are.
        frames: samples of each channel that it should have; 0: that is not known.
        done: samples of each channel that were read.
    """

    def __init__(self, path: Path, file: BinaryIO, part: Part) -> None:
        """Opens a `part` of `file`, which lies at `path`.

        Raises:
            InputError: it cannot be opened, libsndfile takes it for another format, or its header is impossible.
        """
        import soundfile

        self._part = part
        self._pieces = None if part.pieces is None else Pieces(file, part.pieces)
        try:
            with self._quiet():
                # Bytes, since a name need not be UTF-8.
                self._file: Any = soundfile.SoundFile(os.fsencode(path) if self._pieces is None else self._pieces)
        except soundfile.LibsndfileError as error:
            raise InputError(_unopened(part, error)) from error
        self.rate, self.channels, self.done = int(self._file.samplerate), int(self._file.channels), 0
        frames = int(self._file.frames) if part.frames is None else part.frames
        self.frames = frames if frames < UNKNOWN else 0
        try:
            if self._file.format not in FORMATS:
                raise InputError(f"{self._file.format_info} is not read; convert it to WAV")
            check_header(self.rate, self.channels)
        except InputError:
            self._file.close()
            raise

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The sound, float32 [n, channels].

        Raises:
            InputError: it is damaged or cut short within what is needed to decode it.
            OSError: the file beneath cannot be read.
        """
        import soundfile

        # Otherwise soundfile seeks after each block to the place where it should be. A FLAC of unknown length could then not
        # be read, and parts that are missing in a damaged file would count as read.
        self._file.seekable = lambda: False
        most = max(1, min(int(BLOCK_SECONDS * self.rate), BLOCK_SAMPLES // self.channels))
        piece = max(1, int(PIECE_SECONDS * self.rate))
        # Not beyond the count, since what stands behind the sound of a FLAC file is an error to its decoder.
        end = int(self._file.frames) if self._part.frames is None else self._part.frames
        damage: soundfile.LibsndfileError | None = None
        while damage is None and (size := min(most, end - self.done)) > 0:
            block, have = np.empty((size, self.channels), np.float32), 0
            try:
                with self._quiet():
                    while have < size and (count := len(self._file.read(out=block[have : have + piece]))):
                        have += count
            except soundfile.LibsndfileError as error:
                damage = error
            if self._pieces is not None and self._pieces.error is not None:
                raise self._pieces.error
            if have:
                self.done += have
                yield block[:have]
            elif damage is None:
                return
        if damage is not None:
            raise InputError(self._damage(damage)) from damage

    def missing(self) -> Missing | None:
        """What was announced and not found, after the last block."""
        part, done = self._part, self.done
        if part.open_end:
            return Missing(None, part.open_end)
        if part.short and not done:
            return Missing(None, f"{part.there / part.announced:.0%} of the sound it announces is there")
        promised = self._promised()
        seconds = 0.0 if promised is None else (promised - done) / self.rate
        return Missing(seconds) if seconds >= NO_CUT_S else None

    def close(self) -> None:
        """Closes it."""
        self._file.close()

    def _quiet(self) -> AbstractContextManager[None]:
        if not self._part.mpeg:
            return nullcontext()
        from voxface.runtime.audio.c_stderr import silence

        return silence()

    def _promised(self) -> int | None:
        """How many samples of each channel there should be; None if that is not known."""
        part, done = self._part, self.done
        if part.short and part.each:
            return done + (part.announced - part.there) * part.each
        if part.short:
            return max(done, round(done * part.announced / max(1, part.there)))
        if part.frames is not None:
            return part.frames if part.frames > done + part.slack else done
        frames = int(self._file.frames)
        return frames if frames < UNKNOWN else None

    def _damage(self, error: Exception) -> str:
        promised, reason = self._promised(), reason_of(error)
        if promised is None or promised / self.rate - self.done / self.rate < NO_CUT_S:
            return f"cannot be read as sound ({reason}); is it damaged or cut short?"
        return (
            f"damaged or cut short, {self.done / self.rate:.2f} s of the {promised / self.rate:.2f} s it announces can be read "
            f"({reason}); fetch or export it again"
        )


def _unopened(part: Part, error: Exception) -> str:
    """Why a part cannot be opened: some need their end for that."""
    if part.open_end:
        return f"cut short ({part.open_end}); fetch or export it again"
    if part.short:
        return (
            f"cut short, {part.there / part.announced:.0%} of the sound it announces is there; fetch or export it again"
        )
    return f"cannot be read as sound ({reason_of(error)}); is it damaged or cut short?"


def reason_of(error: Exception) -> str:
    """What libsndfile says, in a few words."""
    text = str(getattr(error, "error_string", error)).strip().rstrip(".").removeprefix("Error : ")
    return text or "libsndfile gives no reason"
