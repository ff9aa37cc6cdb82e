"""MP3 files: streams of MPEG audio, tags and other bytes one after the other, as parts that each have a true length.

libsndfile takes the length from a frame that counts the others (the Xing or Info tag), which is set right here, or stops where
the first frame and the file's size suggest; then zero bytes behind the frames make that late enough, and the count of the
frames is where reading ends.
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from voxface.runtime.audio.containers import mpeg
from voxface.runtime.audio.containers.mpeg import Frame, Header
from voxface.runtime.audio.containers.part import MOST_PARTS, Part, Piece, Span, Zeros
from voxface.runtime.errors import InputError

SLACK: Final = 2  # frames: some encoders count the frame that counts the others
RESERVOIR: Final = 10  # frames at the beginning that may need bytes of frames before them, which are not there
ID3V1: Final = 128  # bytes of the oldest tag, behind the last frame


@dataclass
class _Stream:
    """Frames of one kind, perhaps behind one that counts them; `first` is the header of the first frame of sound."""

    first: Header
    counting: Frame | None = None
    spans: list[Span] = field(default_factory=list)
    frames: int = 0

    @property
    def counted(self) -> int:
        """How many frames of sound it says it has; 0 if it does not say."""
        return self.counting.counted if self.counting is not None else 0

    def add(self, frame: Frame) -> None:
        """Takes the next frame of sound."""
        if not self.frames:
            self.first = frame.header
        self.frames += 1
        if self.spans and self.spans[-1].end == frame.start:
            self.spans[-1] = Span(self.spans[-1].start, frame.end)
        else:
            self.spans.append(Span(frame.start, frame.end))


def read_mp3(file: BinaryIO, start: int, end: int, *, whole_file: bool = True) -> list[Part]:
    """The parts of the MPEG audio in bytes [start, end) of a file.

    Args:
        whole_file: whether those bytes are all of the file that is sound, as in an MP3 file; not so within a WAV file.

    Raises:
        InputError: there is no frame in it, or there are too many joined files.
    """
    streams: list[_Stream] = []
    for frame in mpeg.frames(file, start, end):
        present = streams[-1] if streams else None
        if frame.tag:
            streams.append(_Stream(frame.header, frame))
            if len(streams) > MOST_PARTS:
                raise InputError(f"more than {MOST_PARTS} joined MP3 files")
        elif frame.whole:
            full = present is not None and 0 < present.counted <= present.frames
            if present is None or present.first.kind != frame.header.kind or full:
                present = _Stream(frame.header)
                streams.append(present)
            present.add(frame)
    streams = _joined([stream for stream in streams if stream.frames or stream.counted])
    if not streams:
        raise InputError("no frame of MPEG audio in it")
    if whole_file and len(streams) == 1 and _is_plain(streams[0], end):
        return [Part(mpeg=True)]
    return [_part(file, stream) for stream in streams]


def _joined(streams: list[_Stream]) -> list[_Stream]:
    """Streams of which none is just the frame or two that the one before forgot to count."""
    found: list[_Stream] = []
    for stream in streams:
        if found and stream.counting is None and stream.frames <= SLACK and stream.first.kind == found[-1].first.kind:
            found[-1].spans += stream.spans
            found[-1].frames += stream.frames
        else:
            found.append(stream)
    return found


def _is_plain(stream: _Stream, end: int) -> bool:
    """Whether a file has nothing but one stream that counts itself right."""
    if stream.counting is None or stream.frames != stream.counted or len(stream.spans) != 1:
        return False
    if stream.counting.tag == b"VBRI":  # libsndfile does not know it
        return False
    counting, sound = stream.counting, stream.spans[0]
    return counting.start == 0 and counting.end == sound.start and sound.end in (end, end - ID3V1)


def _part(file: BinaryIO, stream: _Stream) -> Part:
    each = stream.first.samples
    counting = _corrected(file, stream)
    if counting is not None:
        announced = stream.counted or stream.frames
        return Part((counting, *stream.spans), announced, stream.frames, each, short_from=SLACK + 1, mpeg=True)
    longer = (stream.frames + 2) * (stream.first.size + 1) - sum(span.size for span in stream.spans)
    pieces: tuple[Piece, ...] = (*stream.spans, Zeros(max(0, longer) + ID3V1))
    short = stream.counted - stream.frames > SLACK  # a tag of another kind, which libsndfile does not know
    announced, there = (stream.counted, stream.frames) if short else (0, 0)
    frames = stream.frames * each
    return Part(pieces, announced, there, each, SLACK + 1, frames, slack=RESERVOIR * each, mpeg=True)


def _corrected(file: BinaryIO, stream: _Stream) -> bytes | None:
    """The frame of a stream that counts the others, with the right numbers; None if it has none that libsndfile knows."""
    counting = stream.counting
    if counting is None or not counting.whole or not counting.counted or counting.tag == b"VBRI":
        return None
    file.seek(counting.start)
    own = bytearray(file.read(counting.header.size))
    place = mpeg.info_place(counting.header)
    flags = int.from_bytes(own[place + 4 : place + 8], "big")
    own[place + 8 : place + 12] = struct.pack(">I", stream.frames)
    if flags & 2:
        size = len(own) + sum(span.size for span in stream.spans)
        own[place + 12 : place + 16] = struct.pack(">I", min(size, 0xFFFFFFFF))
    return bytes(own)
