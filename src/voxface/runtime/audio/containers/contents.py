"""What a sound file holds: the parts to decode one after the other, whatever its container.

A reader is imported when a file of its kind comes, since a first face waits for every import.
"""

from collections.abc import Callable
from typing import BinaryIO, cast

from voxface.runtime.audio.containers.part import MOST_PARTS, Part, Pieces, Span
from voxface.runtime.audio.containers.recognise import Foreign, NoSound, Unread, recognise
from voxface.runtime.errors import InputError


def contents(file: BinaryIO, size: int) -> list[Part] | Foreign:
    """The parts of a sound file of `size` bytes; or what it is, if ffmpeg is needed.

    Raises:
        InputError: it is no sound, of a format that is not read, or its header is damaged. The message does not name the file.
    """
    found = recognise(file, size)
    match found.kind:
        case None:
            raise InputError("not a sound file that can be read; give WAV, FLAC, OGG or MP3")
        case Unread(name):
            raise InputError(f"{name}, which is not read; convert it to WAV")
        case NoSound(name):
            raise InputError(f"{name}; is it damaged or cut short?")
        case Foreign():
            return found.kind
        case "MP3":
            from voxface.runtime.audio.containers.mp3 import read_mp3

            return read_mp3(file, found.start, size)
        case "FLAC":
            from voxface.runtime.audio.containers.flac import read_flac

            return read_flac(file, found.start, size)
    if found.start:
        raise InputError(f"an ID3 tag in front of {found.kind}; remove it, for example with `id3v2 --delete-all`")
    match found.kind:
        case "WAV":
            return _wav(file, size)
        case "Ogg":
            from voxface.runtime.audio.containers.ogg import read_ogg

            return read_ogg(file, size)
        case "AIFF":
            from voxface.runtime.audio.containers.aiff import read_aiff

            return _joined(read_aiff, file, size)
        case "AU":
            from voxface.runtime.audio.containers.au import read_au

            return _joined(read_au, file, size)
        case "CAF":
            from voxface.runtime.audio.containers.caf import read_caf

            return _joined(read_caf, file, size)
        case "NIST":
            from voxface.runtime.audio.containers.nist import read_nist

            return _joined(read_nist, file, size)
    raise AssertionError(found.kind)


def _joined(read: Callable[[BinaryIO, int], Part], file: BinaryIO, size: int) -> list[Part]:
    """The parts of files of one kind that were joined."""
    first = read(file, size)
    if first.next is None:
        return [first]
    parts, base, after = [first.within(0, first.next)], first.next, first.next
    while after:
        if len(parts) > MOST_PARTS:
            raise InputError(f"more than {MOST_PARTS} joined files")
        part = read(cast("BinaryIO", Pieces(file, (Span(base, size),))), size - base)
        after = part.next or 0
        parts.append(part.within(base, base + after if after else size))
        base += after
    return parts


def _wav(file: BinaryIO, size: int) -> list[Part] | Foreign:
    from voxface.runtime.audio.containers.wav import DECODED_TAGS, MPEG_TAGS, read_wav

    parts: list[Part] = []
    base: int | None = 0
    while base is not None:
        if len(parts) > MOST_PARTS:
            raise InputError(f"more than {MOST_PARTS} joined WAV files")
        wav = read_wav(file, size, base)
        if wav.tag in MPEG_TAGS:
            from voxface.runtime.audio.containers.mp3 import read_mp3

            parts += read_mp3(file, wav.sound.start, wav.sound.end, whole_file=False)
            if wav.part.short and not parts[-1].short:
                there = f"{wav.part.there} of the {wav.part.announced} bytes it announces"
                parts[-1] = parts[-1]._replace(open_end=there)
        elif wav.tag in DECODED_TAGS:
            parts.append(wav.part)
        elif base == 0 and wav.next is None:
            return Foreign(f"WAV of coding 0x{wav.tag:x}", "wav")
        else:
            raise InputError(f"joined WAV files, one of coding 0x{wav.tag:x}, which is not read; convert it to WAV")
        base = wav.next
    return parts
