"""Mutated sound files of many formats: most are decoded alone, a share goes through `voxface run FILE good.wav --json`.

A file may be heard or refused with an InputError of one line. Bounds: `SECONDS` of time and `MOST_MB` of memory for a file by
itself; a command with it may take `COMMAND_MB`. The good file is always done.
"""

import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from tests.conftest import ROOT
from tests.fuzz.commands import Commands
from tests.stand_ins.sound_files import (
    ape_tag,
    chunk,
    encoded,
    flac_in_ogg,
    id3v2,
    ogg_page,
    ogg_pages,
    pcm_format,
    rf64,
    speech,
    wav,
    with_serial,
    without_info,
)

FULL: Final = 6000
QUICK: Final = 150
NEEDS: Final = ("resource",)
COMMAND_EVERY: Final = 25  # a case out of so many goes through the command line
SECONDS: Final = 20.0
MOST_MB: Final = 400.0  # more than before the file
COMMAND_MB: Final = 900.0
RESULT_BYTES: Final = 4096


def seeds() -> dict[str, bytes]:
    """Whole files by a name that tells format and coding."""
    sound = speech(1.0)
    loud = sound / 32768
    both = np.stack([sound, -sound // 2], 1)
    pcm = sound.tobytes()
    made = {
        f"{form} {subtype}.{form.lower()}": encoded(loud, form, subtype, 8_000 if subtype == "GSM610" else 16_000)
        for form, subtypes in {
            "WAV": ("PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32"),
            "W64": ("PCM_16", "FLOAT", "MS_ADPCM"),
            "RF64": ("PCM_16", "FLOAT"),
            "AIFF": ("PCM_16", "FLOAT", "ALAW", "IMA_ADPCM", "GSM610", "DWVW_16"),
            "AU": ("PCM_16", "FLOAT", "G721_32", "G723_24", "G723_40"),
            "CAF": ("PCM_16", "FLOAT", "ALAC_16", "ALAC_24"),
            "NIST": ("PCM_16", "ULAW"),
            "FLAC": ("PCM_16", "PCM_24"),
            "OGG": ("VORBIS", "OPUS"),
            "MP3": ("MPEG_LAYER_III",),
            "VOC": ("PCM_16",), "SDS": ("PCM_16",), "MPC2K": ("PCM_16",), "SVX": ("PCM_16",), "PAF": ("PCM_16",),
            "IRCAM": ("PCM_16",), "PVF": ("PCM_16",), "AVR": ("PCM_16",), "MAT5": ("PCM_16",), "HTK": ("PCM_16",),
        }.items()
        for subtype in subtypes
    }  # fmt: skip
    vorbis, opus, mp3, flac = (made[name] for name in (
        "OGG VORBIS.ogg", "OGG OPUS.ogg", "MP3 MPEG_LAYER_III.mp3", "FLAC PCM_16.flac"
    ))  # fmt: skip
    bare = without_info(mp3)
    stereo = encoded(both, "MP3", rate=44_100, bitrate_mode="VARIABLE", compression_level=0.3)
    return made | {
        "WAV stereo.wav": encoded(both, "WAV"),
        "FLAC stereo.flac": encoded(both, "FLAC"),
        "WAV unfinished.wav": wav(pcm, size=0, riff=0, after=chunk(b"LIST", b"INFO" + bytes(20))),
        "WAV first block.wav": wav(pcm, size=2048, riff=2084),
        "RF64 unfinished.wav": rf64(pcm, size=0, riff=0),
        "RIFX.wav": wav(sound.astype(">i2").tobytes(), kind=b"RIFX"),
        "MP3 bare.mp3": bare,
        "MP3 tags.mp3": id3v2(700) + mp3 + ape_tag(90) + b"TAG" + bytes(125),
        "MP3 joined.mp3": mp3 + id3v2(90) + stereo + bare,
        "MP3 in WAV.wav": wav(bare, form=pcm_format(bits=0, tag=0x55)),
        "Ogg FLAC.oga": flac_in_ogg(flac),
        "Ogg chain.ogg": vorbis + with_serial(opus, 3) + flac_in_ogg(flac, 9),
        "FLAC behind ID3.flac": id3v2(300) + flac,
    }


def mutated(data: bytes, name: str, others: list[bytes], rng: random.Random) -> bytes:
    """A file with one to several things wrong with it."""
    changes: list[Callable[[bytearray, random.Random], bytearray]] = [
        _flip,
        _flip,
        _number,
        _number,
        _cut,
        _repeat,
        _zeros,
        _ones,
    ]
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        made = rng.choice(changes)(made, rng)
    if rng.random() < 0.08:
        other = rng.choice(others)
        made[rng.randrange(len(made) + 1) :] = other[rng.randrange(len(other)) :]
    if name.startswith(("OGG", "Ogg")) and rng.random() < 0.7:  # otherwise the checksums let nothing pass
        made = _checked(made)
    return bytes(made)


def _place(made: bytearray, rng: random.Random) -> int:
    """A place, most often in the header."""
    end = len(made)
    return rng.randrange(max(1, min(end, rng.choice((64, 64, 300, 1200, end)))))


def _flip(made: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 30))):
        if made:
            made[_place(made, rng)] ^= 1 << rng.randrange(8)
    return made


def _number(made: bytearray, rng: random.Random) -> bytearray:
    form = rng.choice(("<H", "<I", ">H", ">I", "<Q", ">Q", ">d"))
    bits = struct.calcsize(form) * 8
    values = (
        0,
        1,
        2,
        3,
        7,
        255,
        (1 << bits) - 1,
        1 << (bits - 1),
        (1 << (bits - 1)) - 1,
        rng.randrange(1 << bits),
        1 << rng.randrange(bits),
    )
    value = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e300)) if form == ">d" else rng.choice(values)
    at = _place(made, rng)
    made[at : at + bits // 8] = struct.pack(form, value)
    return made


def _cut(made: bytearray, rng: random.Random) -> bytearray:
    return made[: _place(made, rng) if rng.random() < 0.3 else rng.randrange(len(made) + 1)]


def _repeat(made: bytearray, rng: random.Random) -> bytearray:
    at = _place(made, rng)
    piece = made[at : at + rng.choice((4, 8, 44, 500, 9000))]
    made[at:at] = piece * rng.choice((1, 2, 50))
    return made


def _zeros(made: bytearray, rng: random.Random) -> bytearray:
    at = _place(made, rng)
    made[at : at + 40] = bytes(min(40, len(made) - at)) if made else b""
    return made


def _ones(made: bytearray, rng: random.Random) -> bytearray:
    at = _place(made, rng)
    made[at : at + 8] = b"\xff" * 8
    return made


def _checked(made: bytearray) -> bytearray:
    """Ogg pages with right checksums, as far as pages can be found."""
    try:
        pages = ogg_pages(bytes(made))
        return bytearray(b"".join(ogg_page(page) if len(page) > 27 else page for page in pages))
    except IndexError:
        return made


def fuzz(count: int, seed: int, folder: Path) -> list[str]:
    """Findings of `count` mutated files; number N of `seed` is the same file in every run."""
    files = seeds()
    names, others = sorted(files), list(files.values())
    good = folder / "good.wav"
    good.write_bytes(encoded(speech(3.0), "WAV"))
    found: list[str] = []
    with (
        Commands(folder, ["soundfile", "soxr", "voxface.runtime.audio.decode"]) as commands,
        _Decoding(good) as decoding,
    ):
        for number in range(count):
            rng = random.Random(f"{seed} {number}")
            name = names[number % len(names)]
            path = folder / f"case-{number}{Path(name).suffix}"
            path.write_bytes(mutated(files[name], name, others, rng))
            alone = rng.randrange(COMMAND_EVERY) > 0
            problems = decoding.problems(path) if alone else _command(commands, path, good, folder)
            if problems:
                kept = Path(tempfile.gettempdir()) / f"voxface-fuzz-sound-{seed}-{number}{path.suffix}"
                shutil.copy(path, kept)
                found += [f"case {number} ({name}, kept as {kept}): {problem}" for problem in problems]
            path.unlink()
    return found


def _command(commands: Commands, path: Path, good: Path, folder: Path) -> list[str]:
    out = folder / "out"
    outcome = commands.run("run", path, good, "--out", out, "--json", seconds=60)
    problems = outcome.problems(most_mb=COMMAND_MB, json_document=True, codes=(0, 3, 4))
    shutil.rmtree(out, ignore_errors=True)
    if not problems:
        document = json.loads(outcome.stdout)
        if [clip["file"] for clip in document["clips"] if clip["file"] == str(good)] != [str(good)]:
            problems.append("the good file was not done")
        if outcome.exit_code != (document["errors"][0]["exit_code"] if document["errors"] else 0):
            problems.append(f"exit code {outcome.exit_code} is not that of the first error")
    return problems


class _Decoding:
    """A process of one thread that has everything imported and forks for each file; a context manager."""

    def __init__(self, good: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.kinds.sound", good],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip

    def problems(self, path: Path) -> list[str]:
        """What is wrong with decoding a file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        found: list[str] = json.loads(self._process.stdout.readline())
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


def _serve(good: Path) -> None:
    """Reads names of files, writes what is wrong with each as a line of JSON."""
    from voxface.runtime.audio import ffmpeg  # noqa: F401 - imported once for all
    from voxface.runtime.audio.c_stderr import silence
    from voxface.runtime.audio.decode import read_blocks

    silence()
    assert list(read_blocks(good))
    for line in sys.stdin:
        print(json.dumps(_forked(Path(line.rstrip("\n")))), flush=True)


def _forked(path: Path) -> list[str]:
    """What is wrong with decoding a file in a forked process of its own."""
    reading, writing = os.pipe()
    streams = path.with_suffix(".streams")
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            opened = os.open(streams, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, 1)
            os.dup2(opened, 2)
            os.write(writing, _decode(path).encode("utf-8", "backslashreplace")[:RESULT_BYTES])
        finally:
            os._exit(0)
    os.close(writing)
    problems: list[str] = []
    while True:
        ended, status, _ = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - began > SECONDS:
            os.kill(child, signal.SIGKILL)
            _, status, _ = os.wait4(child, 0)
            problems.append(f"does not end within {SECONDS:.0f} s")
            break
        time.sleep(0.0005)
    with os.fdopen(reading, "rb") as pipe:
        result = pipe.read().decode()
    printed = streams.read_bytes() if streams.exists() else b""
    streams.unlink(missing_ok=True)
    if not problems and os.WIFSIGNALED(status):
        problems.append(f"ended by signal {os.WTERMSIG(status)}")
    if result:
        problems.append(result)
    if printed:
        problems.append(f"prints {printed[:120]!r}")
    return problems


def _decode(path: Path) -> str:
    """What is wrong with the answer; empty if nothing is."""
    from voxface.runtime.audio.decode import read_blocks
    from voxface.runtime.errors import InputError

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said, samples = "", 0
    try:
        for block in read_blocks(path):
            samples += len(block)
            if block.dtype != np.int16 or block.ndim != 1:
                return f"a block of {block.dtype} {block.shape}"
    except InputError as error:
        said = str(error)
    except BaseException as error:  # every other one is the finding
        return f"{type(error).__name__}: {error}"
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if more > MOST_MB:
        return f"{more:.0f} MB of memory, more than {MOST_MB:.0f}"
    if said and (not said.startswith(f"{path}: ") or "\n" in said or len(said) > len(str(path)) + 400):
        return f"a message of another form: {said!r}"
    return "" if said or samples else "neither sound nor an error"


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
