"""A part of a sound file: bytes that a decoder reads as one file, and how much of it should be there."""

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, BinaryIO, Final, NamedTuple

NO_CUT_BYTES: Final = 64  # recorders count their own header as sound
MOST_PARTS: Final = 10_000  # files that were joined


class Span(NamedTuple):
    """Bytes [start, end) of a file."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes they are."""
        return self.end - self.start


class Zeros(NamedTuple):
    """Zero bytes that no file holds."""

    size: int


Piece = bytes | Span | Zeros


class Part(NamedTuple):
    """Sound of one rate and number of channels, which a decoder reads from its beginning to its end.

    Attributes:
        pieces: the bytes to decode, new ones and such of the file; None: the whole file as it is.
        announced: how much sound the header announces, in bytes or in frames; 0: it does not say.
        there: how much of that the file has.
        each: samples of each channel in one of those units; 0: as many as were decoded of those that are there.
        short_from: from this difference on, something is missing.
        frames: samples of each channel, after which reading ends; None: as many as the decoder counts.
        slack: samples that may be missing of those in a whole file.
        mpeg: whether it is MPEG audio.
        open_end: what shows that the end is missing, although no length is known; empty if nothing does.
        next: the byte at which another file of the kind begins that was joined to it; None if none was.
    """

    pieces: tuple[Piece, ...] | None = None
    announced: int = 0
    there: int = 0
    each: int = 0
    short_from: int = NO_CUT_BYTES
    frames: int | None = None
    slack: int = 0
    mpeg: bool = False
    open_end: str = ""
    next: int | None = None

    def within(self, start: int, end: int) -> "Part":
        """The same part, of a file that is bytes [start, end) of another one."""
        pieces = (Span(0, end - start),) if self.pieces is None else self.pieces
        moved = (Span(each.start + start, each.end + start) if isinstance(each, Span) else each for each in pieces)
        return self._replace(pieces=tuple(moved))

    @property
    def short(self) -> bool:
        """Whether more is missing than writers miscount."""
        return self.announced - self.there >= self.short_from


class Missing(NamedTuple):
    """The end of a file that is not there. One rule for all containers: what announces more than it holds is refused.

    Attributes:
        seconds: how long it is; None if that is not known.
        reason: what shows that it is missing, where the length is not known.
    """

    seconds: float | None
    reason: str = ""

    def text(self, there_s: float) -> str:
        """The message for a file of which so many seconds are there."""
        if self.seconds is None:
            return f"cut short after {there_s:.2f} s ({self.reason}); fetch or export it again"
        whole = there_s + self.seconds
        return f"cut short, {there_s:.2f} s of the {whole:.2f} s it announces; fetch or export it again"


class Pieces:
    """Pieces of a file as a file of its own, for reading. It raises nothing, since a decoder in C calls it.

    Attributes:
        error: the first error of the file beneath; after it, reads give nothing.
    """

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        self._file = file
        self._pieces = [piece for piece in pieces if _size(piece) > 0]
        self._ends = list(accumulate(_size(piece) for piece in self._pieces))
        self._at = 0
        self.error: OSError | None = None

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._ends[-1] if self._ends else 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a place, which may lie behind the end but not before the beginning."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}.get(whence, 0)
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def read(self, count: int = -1) -> bytes:
        """The next `count` bytes, fewer at the end; with a negative count all that are left."""
        left = max(0, self.size - self._at)
        buffer = bytearray(left if count < 0 else min(left, count))
        return bytes(buffer[: self.readinto(buffer)])

    def readinto(self, buffer: Any) -> int:
        """Fills a writable `buffer` with the next bytes; returns how many there were."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._at < self.size and self.error is None:
            number = bisect_right(self._ends, self._at)
            piece = self._pieces[number]
            inside = self._at - (self._ends[number] - _size(piece))
            count = min(len(view) - done, self._ends[number] - self._at)
            if isinstance(piece, bytes):
                view[done : done + count] = piece[inside : inside + count]
            elif isinstance(piece, Zeros):
                view[done : done + count] = bytes(count)
            else:
                count = self._read_file(piece.start + inside, view[done : done + count])
                if not count:  # the file has become shorter
                    break
            done += count
            self._at += count
        return done

    def _read_file(self, at: int, view: memoryview) -> int:
        try:
            self._file.seek(at)
            return int(self._file.readinto(view))  # type: ignore[attr-defined]
        except OSError as error:
            self.error = error
            return 0


def _size(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size
