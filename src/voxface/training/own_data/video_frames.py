"""Pictures of a video, so many a second, decoded by the program ffmpeg as a child process.

As for sound (`voxface.runtime.audio.ffmpeg`), it is told the format that the file's first bytes show, and may open that file
and nothing else.
"""

import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.containers.recognise import Foreign, recognise
from voxface.runtime.audio.ffmpeg import MOST_ALLOCATED, SPEAKER, STALL_S
from voxface.runtime.errors import InputError, ProviderError
from voxface.runtime.files.regular import open_regular

SUFFIXES: Final = frozenset({
    ".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".flv", ".wmv",
})  # fmt: skip
_MOST_BYTES: Final = 1 << 27  # of one picture; ffmpeg's own bound is on what it allocates


def is_video(file: Path) -> bool:
    """Whether a file is a video by its name."""
    return file.suffix.lower() in SUFFIXES


def require_ffmpeg(files: Iterable[Path]) -> None:
    """Checks before the work that videos among these files can be read.

    Raises:
        ProviderError: there is one, and no ffmpeg.
    """
    first = next(filter(is_video, files), None)
    if first is not None and shutil.which("ffmpeg") is None:
        raise ProviderError(f"{first}: {_NOT_THERE}; install it, or take the pictures out of the videos yourself")


_NOT_THERE: Final = "videos are read through the program ffmpeg, which is not on PATH"


def frames(file: Path, per_second: float) -> Generator[tuple[float, NDArray[np.uint8]], None, None]:
    """Seconds from the beginning, and the picture uint8 [H, W, 3] shown then, turned as the video says; one is in memory.

    Raises:
        InputError: it is no video, there is no ffmpeg, or it cannot decode all of it; what came before is good.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise InputError(f"{file}: {_NOT_THERE}; install it")
    with open_regular(file) as data:
        kind = recognise(data, os.fstat(data.fileno()).st_size).kind
    if not isinstance(kind, Foreign):
        raise InputError(f"{file}: is no video that is read ({kind if isinstance(kind, str) else 'unknown format'})")
    words: list[str | bytes] = [
        program, "-nostdin", "-hide_banner", "-loglevel", "error", "-max_alloc", str(MOST_ALLOCATED), "-threads", "1",
        "-protocol_whitelist", "file,pipe", "-f", kind.demuxer, "-i", b"file:" + os.fsencode(file), "-map", "0:v:0",
        "-vf", f"fps={per_second:.6g}", "-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "pipe:1",
    ]  # fmt: skip
    count = 0
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, bufsize=0)
        except OSError as error:
            raise InputError(f"{file}: {program} does not start ({error.strerror})") from error
        assert process.stdout is not None
        try:
            while (picture := _next(process.stdout, file)) is not None:
                yield count / per_second, picture
                count += 1
            code = process.wait(STALL_S)
        finally:
            if process.poll() is None:
                process.kill()
            process.stdout.close()
            process.wait()
        said.seek(0)
        text = said.read(1 << 14).decode("utf-8", "replace")
        lines = [line for each in text.splitlines() if (line := SPEAKER.sub("", each).strip())]
    if any("matches no streams" in line for line in lines):
        raise InputError(f"{file}: {kind.name} without pictures")
    if code or lines or not count:
        why = lines[0][:200] if lines else f"exit code {code}" if code else "no picture"
        raise InputError(f"{file}: cannot be decoded to its end as {kind.name}: ffmpeg says {why}")


def _next(pipe: IO[bytes], file: Path) -> NDArray[np.uint8] | None:
    """The next picture of a stream of binary PPM, or None at its end."""
    head = b""
    while head.count(b"\n") < 3:  # "P6", width and height, 255
        byte = _read(pipe, 1, file)
        if not byte or len(head) > 64:
            if head:
                raise InputError(f"{file}: the program ffmpeg on PATH writes no PPM; is it ffmpeg?")
            return None
        head += byte
    try:
        magic, size, most, _ = head.split(b"\n")
        width, height = map(int, size.split())
    except ValueError as error:
        raise InputError(f"{file}: the program ffmpeg on PATH writes no PPM; is it ffmpeg?") from error
    length = 3 * width * height
    if magic != b"P6" or most != b"255" or not 0 < length <= _MOST_BYTES:
        raise InputError(f"{file}: pictures of {width}×{height} px, more than are read")
    pixels = _read(pipe, length, file)
    if len(pixels) < length:
        return None  # cut short; ffmpeg says why
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def _read(pipe: IO[bytes], count: int, file: Path) -> bytes:
    """So many bytes, or fewer at the end."""
    data = bytearray()
    while len(data) < count:
        if not select.select([pipe], [], [], STALL_S)[0]:
            raise InputError(f"{file}: ffmpeg gives nothing for {STALL_S:.0f} s and was ended; is it damaged?")
        more = os.read(pipe.fileno(), min(count - len(data), 1 << 20))
        if not more:
            break
        data += more
    return bytes(data)
