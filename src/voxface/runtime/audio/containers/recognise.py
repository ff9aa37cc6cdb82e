"""What kind of file it is, by its first bytes: a name says little, and only files that are known are given to a decoder."""

from typing import BinaryIO, Final, Literal, NamedTuple

Kind = Literal["WAV", "AIFF", "AU", "CAF", "FLAC", "Ogg", "MP3", "NIST"]


class Foreign(NamedTuple):
    """A file that ffmpeg reads and voxface alone does not.

    Attributes:
        name: what it is, for messages.
        demuxer: ffmpeg's name of its format.
        short: what shows that the end is missing, where ffmpeg says nothing of it; empty if nothing does.
    """

    name: str
    demuxer: str
    short: str = ""


class Unread(NamedTuple):
    """A file of a known format that is not read; `name` says which."""

    name: str


class NoSound(NamedTuple):
    """A file that has what stands in front of sound and no sound; `name` says what."""

    name: str


_HEAD: Final = 512
_ASF: Final = bytes.fromhex("3026b2758e66cf11")
_ASF_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_FOREIGN: Final = (
    (0, b"\x1aE\xdf\xa3", Foreign("WebM or Matroska", "matroska")),
    (0, b"#!AMR", Foreign("AMR", "amr")),
    (0, _ASF, Foreign("WMA or ASF", "asf")),
    (0, b"FLV\x01", Foreign("Flash video", "flv")),
    (0, b"wvpk", Foreign("WavPack", "wv")),
    (0, b"MAC ", Foreign("Monkey's Audio", "ape")),
    (0, b"TTA1", Foreign("TTA", "tta")),
    (0, b"MPCK", Foreign("Musepack", "mpc8")),
    (0, b"MP+", Foreign("Musepack", "mpc")),
    (0, b"DSD ", Foreign("DSD", "dsf")),
    (0, b".RMF", Foreign("RealMedia", "rm")),
    (0, b"\x0b\x77", Foreign("AC-3", "ac3")),
    (0, b"\0\0\1\xba", Foreign("MPEG video", "mpeg")),
    (0, b"ADIF", Foreign("AAC", "aac")),
)
# Names that files of several formats begin with, the bytes that tell these apart, and the usual format.
_FAMILIES: Final = (
    ((b"RIFF", b"RIFX", b"RF64", b"BW64"), 12, "a WAV or other RIFF file"),
    ((b"riff",), 28, "a W64 file"),
    ((b"FORM",), 12, "an AIFF or other IFF file"),
)
_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # with which an MP4 or QuickTime file begins
_UNREAD: Final = (
    (0, b"\xf0\x7e", "a MIDI sample dump (SDS)"),
    (0, b"Creative Voice File", "a Creative Voice file (VOC)"),
    *((0, bytes([0x64, 0xA3, number, 0]), "an IRCAM sound file") for number in range(1, 5)),
    *((0, bytes([0, number, 0xA3, 0x64]), "an IRCAM sound file") for number in range(1, 5)),
    (0, b"PVF1", "a Portable Voice file (PVF)"),
    (0, b"PVF2", "a Portable Voice file (PVF)"),
    (0, b" paf", "an Ensoniq PARIS file (PAF)"),
    (0, b"fap ", "an Ensoniq PARIS file (PAF)"),
    (0, b"2BIT", "an AVR file"),
    (0, b"MATLAB", "a MATLAB file"),
    (0, b"Extended Instrument", "a FastTracker instrument (XI)"),
    (0, b"ALawSoundFile", "a Psion sound file (WVE)"),
    (0, b"MThd", "MIDI, which is notes and no sound"),
    (0, b"#EXTM3U", "a playlist"),
)


class Recognised(NamedTuple):
    """What a file is, and the byte at which that begins, behind tags that were put in front of it."""

    kind: Kind | Foreign | Unread | NoSound | None
    start: int


def recognise(file: BinaryIO, size: int) -> Recognised:
    """What a file of `size` bytes is; None if that is not known."""
    file.seek(0)
    head, start = file.read(_HEAD), 0
    kind = _by_magic(head)
    if kind is None:
        from voxface.runtime.audio.containers import mpeg, window

        start = mpeg.after_tags(file, size)
        if start:
            file.seek(start)
            kind = _by_magic(file.read(_HEAD))
        if kind is None:
            most = size if head[:3] == b"ID3" else start + window.SIZE  # a tag whose size is wrong may be a long one
            if next(mpeg.frames(file, start, min(size, most)), None) is not None:
                kind = "MP3"
            elif start and head[:3] == b"ID3":
                kind = NoSound("an ID3 tag and no sound behind it that can be read")
    if isinstance(kind, Foreign) and kind.demuxer == "asf":
        kind = kind._replace(short=_missing_of_asf(file, size))
    return Recognised(kind, start)


def _missing_of_asf(file: BinaryIO, size: int) -> str:
    """What shows that a WMA or ASF file is cut short: the size that its file properties announce."""
    file.seek(0)
    head = file.read(1 << 16)
    at = head.find(_ASF_PROPERTIES)
    announced = int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else 0
    return f"{size} of the {announced} bytes it announces" if size < announced < 1 << 48 else ""


def _by_magic(head: bytes) -> Kind | Foreign | Unread | NoSound | None:
    four, form = head[:4], head[8:12]
    for names, needed, family in _FAMILIES:
        if four in names and len(head) < needed:  # what would tell its format is not there
            return NoSound(f"only {len(head)} bytes of {family}")
    if four in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        if form == b"WAVE":
            return "WAV"
        return Foreign("AVI", "avi") if form == b"AVI " else Unread("a RIFF file without sound")
    if four == b"riff" and head[24:28] == b"wave":
        return "WAV"
    if four == b"FORM":
        return "AIFF" if form in (b"AIFF", b"AIFC") else Unread("an IFF file (such as Amiga's 8SVX)")
    known: dict[bytes, Kind] = {
        b"fLaC": "FLAC", b"OggS": "Ogg", b".snd": "AU", b"dns.": "AU", b"caff": "CAF", b"NIST": "NIST"
    }  # fmt: skip
    if four in known:
        return known[four]
    if head[4:8] in _BOXES:
        return Foreign("MP4, M4A, 3GP or QuickTime", "mov")
    for place, magic, foreign in _FOREIGN:
        if head[place : place + len(magic)] == magic:
            return foreign
    for place, magic, name in _UNREAD:
        if head[place : place + len(magic)] == magic:
            return Unread(name)
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return Foreign("MPEG transport stream", "mpegts")
    if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0:
        return Foreign("AAC", "aac")
    return None
