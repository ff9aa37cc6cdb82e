"""Decoding with the program ffmpeg, as a child process: AAC, AMR, WMA and the sound of videos.

It is told the format that the file's first bytes show, so that it guesses nothing; it may open that file and nothing else.
"""

import os
import re
import selectors
import shutil
import struct
import subprocess
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.containers.part import Missing
from voxface.runtime.audio.containers.recognise import Foreign
from voxface.runtime.audio.samples import check_header
from voxface.runtime.errors import InputError

STALL_S: Final = 60.0  # without a byte of sound in so many seconds, it is ended
BLOCK_BYTES: Final = 1 << 20
MOST_ALLOCATED: Final = 1 << 28  # bytes that ffmpeg may ask for at once
_AU: Final = struct.Struct(">4s5I")  # magic, where the sound begins, its size, coding, rate, channels
_FLOAT: Final = 6
_CUT: Final = re.compile(r"partial file|ended prematurely|truncat|unexpected end|moov atom not found", re.IGNORECASE)
# ffmpeg goes on after these and says in the end that all went well: up to version 5, and from 6 on.
_LOST: Final = re.compile(
    r"^(Error while decoding|Error submitting (a )?packet to decoder|Decoding error)", re.IGNORECASE
)
# What has no length or need not say it may begin and end within a frame.
_OPEN: Final = frozenset({"aac", "ac3", "amr", "mpeg", "mpegts", "wav"})
_MOST_LOST_OF_OPEN: Final = 2
SPEAKER: Final = re.compile(r"^\[[^\]]*@ 0x[0-9a-f]+\] ")  # names the part of ffmpeg that says the line
_NO_SOUND: Final = "matches no streams"


class FfmpegDecoder:
    """The sound of a file, as ffmpeg writes it into a pipe.

    Attributes:
        rate: Hz.
        channels: how many there are.
        frames: 0: it does not say before the end how many samples of each channel there are.
        done: samples of each channel that were read.
    """

    frames: Final = 0

    def __init__(self, path: Path, kind: Foreign) -> None:
        """Starts ffmpeg and reads the first bytes that it writes; `close` ends it.

        Raises:
            InputError: ffmpeg is not there, or finds no sound in the file.
        """
        program = shutil.which("ffmpeg")
        if program is None:
            raise InputError(
                f"{kind.name} is read through the program ffmpeg, which is not on PATH; install it, or convert the file to WAV"
            )
        words: list[str | bytes] = [
            program, "-nostdin", "-hide_banner", "-loglevel", "error", "-max_alloc", str(MOST_ALLOCATED), "-threads", "1",
            "-protocol_whitelist", "file,pipe", "-f", kind.demuxer, "-i", b"file:" + os.fsencode(path),
            "-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "pipe:1",
        ]  # fmt: skip
        self._kind, self._said, self._cut, self.done = kind, b"", "", 0
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise InputError(
                f"{kind.name} is read through the program ffmpeg, and {program} does not start ({error.strerror}); mend it, "
                "or convert the file to WAV"
            ) from error
        self._output = self._read()
        self._held = b""
        try:
            self.rate, self.channels = self._begin()
        except BaseException:
            self.close()
            raise

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The sound, float32 [n, channels].

        Raises:
            InputError: ffmpeg cannot decode all of it, or does nothing for a minute.
        """
        size = 4 * self.channels
        for data in self._output:
            self._held += data
            whole = len(self._held) // size * size
            if whole >= BLOCK_BYTES:
                yield self._take(whole)
        self._check_end()
        if whole := len(self._held) // size * size:
            yield self._take(whole)

    def missing(self) -> Missing | None:
        """What ffmpeg says of a missing end, after the last block."""
        return Missing(None, self._cut or self._kind.short) if self._cut or self._kind.short else None

    def close(self) -> None:
        """Ends ffmpeg."""
        if self._process.poll() is None:
            self._process.kill()
        self._output.close()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def _take(self, count: int) -> NDArray[np.float32]:
        samples = np.frombuffer(self._held[:count], ">f4").astype(np.float32).reshape(-1, self.channels)
        self._held = self._held[count:]
        self.done += len(samples)
        return samples

    def _begin(self) -> tuple[int, int]:
        """Reads the header of what ffmpeg writes; returns rate and channels."""
        for data in self._output:
            self._held += data
            if len(self._held) >= _AU.size:
                magic, start, _, coding, rate, channels = _AU.unpack_from(self._held)
                if magic != b".snd" or coding != _FLOAT or not _AU.size <= start < 1 << 16:
                    raise InputError("the program ffmpeg on PATH writes no AU file; is it ffmpeg?")
                if len(self._held) >= start:
                    check_header(rate, channels)
                    self._held = self._held[start:]
                    return rate, channels
        self._check_end()
        raise InputError(
            f"cut short or damaged: ffmpeg says {self._cut}" if self._cut else "ffmpeg finds no sound in it"
        )

    def _read(self) -> Generator[bytes, None, None]:
        """What ffmpeg writes, as it comes; what it says is kept, the first and last of it."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        ends = time.monotonic() + STALL_S
        with selectors.DefaultSelector() as selector:
            for pipe in (self._process.stdout, self._process.stderr):
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, ends - time.monotonic()))
                if not ready or time.monotonic() > ends:
                    raise InputError(f"ffmpeg gives nothing for {STALL_S:.0f} s and was ended; is the file damaged?")
                for key, _ in ready:
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is self._process.stdout:
                        yield data
                        ends = time.monotonic() + STALL_S
                    else:
                        self._said = (self._said + data)[: 1 << 14]

    def _check_end(self) -> None:
        code = self._process.wait(STALL_S)
        lines = [SPEAKER.sub("", line).strip()[:200] for line in self._said.decode("utf-8", "replace").splitlines()]
        said = [line for line in lines if line]
        if any(_NO_SOUND in line for line in said):
            raise InputError(f"{self._kind.name} without sound")
        self._cut = next((line for line in said if _CUT.search(line)), "")
        if code and not self._cut:
            raise InputError(
                f"cannot be read as {self._kind.name}: ffmpeg says {said[0] if said else f'exit code {code}'}"
            )
        lost = [line for line in said if _LOST.search(line)]
        if len(lost) > (_MOST_LOST_OF_OPEN if self._kind.demuxer in _OPEN else 0) and not self._cut:
            raise InputError(
                f"damaged or cut short: ffmpeg cannot decode all of it as {self._kind.name} ({lost[0]}); "
                "fetch or export it again"
            )
