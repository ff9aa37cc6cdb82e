"""Sound files at large: what one bad file may do, float samples that are none, what is found in folders."""

import io
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.stand_ins.sound_files import RATE, encoded, flac_in_ogg, ogg_page, pcm_format, speech, wav
from voxface.runtime.audio import decode
from voxface.runtime.audio.containers import window
from voxface.runtime.audio.decode import find_audio, read_blocks
from voxface.runtime.errors import InputError, UsageError

SPEECH = speech()


def heard(path: Path) -> NDArray[np.int16]:
    return np.concatenate(list(read_blocks(path)))


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (32768, "samples of up to [0-9.]+ where 1 is full scale; divide by 32768"),
        (8388608, r"samples of up to [0-9.e+]+ where 1 is full scale; divide by 8388608"),
        (2147483648, r"samples of up to [0-9.e+]+ where 1 is full scale; divide by 2147483648"),
        (1e30, r"samples of up to [0-9.e+]+ where 1 is full scale; is it damaged\?"),
        (128, r"samples of up to [0-9.e+]+ where 1 is full scale; is it damaged\?"),
    ],
)
@pytest.mark.parametrize("form", ["WAV", "AIFF", "CAF", "W64"])
def test_float_samples_at_another_scale_are_named(
    subtype: str, scale: float, message: str, form: str, tmp_path: Path
) -> None:
    loud = SPEECH / np.abs(SPEECH).max() * 0.9
    (tmp_path / "a").write_bytes(encoded(loud * scale, form, subtype))
    with pytest.raises(InputError, match=message):
        heard(tmp_path / "a")


@pytest.mark.parametrize("scale", [32768, 8388608, 2147483648])
def test_the_scale_is_that_of_the_whole_file(scale: int, tmp_path: Path) -> None:
    loud = np.concatenate([SPEECH * 1e-3, SPEECH, SPEECH * 0.03, SPEECH]) / np.abs(SPEECH).max() * 0.9
    (tmp_path / "a").write_bytes(encoded(loud * scale, "WAV", "FLOAT"))
    with pytest.raises(InputError, match=f"samples of up to [0-9.e+]+ where 1 is full scale; divide by {scale}$"):
        heard(tmp_path / "a")


def test_float_samples_a_little_beyond_full_scale_are_only_loud(tmp_path: Path) -> None:
    sound = SPEECH.astype(np.float32) / 32768
    sound *= 7.9 / np.abs(sound).max()
    (tmp_path / "a.wav").write_bytes(encoded(sound, "WAV", "FLOAT"))
    assert np.abs(heard(tmp_path / "a.wav").astype(int)).max() >= 32767


def test_values_that_are_none_are_found_on_any_channel(tmp_path: Path) -> None:
    sound = np.zeros((5 * RATE, 3), np.float32)
    sound[70_000, 2] = np.inf
    (tmp_path / "a.wav").write_bytes(encoded(sound, "WAV", "FLOAT"))
    with pytest.raises(InputError, match=r"NaN or infinity at 4\.375 s \(sample 70000\)"):
        heard(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "error",
    [MemoryError("32 GiB"), OverflowError("too large"), RuntimeError("x"), AssertionError(), IndexError("x"), ValueError("x"),
     TypeError("x"), ZeroDivisionError(), soundfile.SoundFileRuntimeError("x"), OSError(5, "Input error"), struct.error("x")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_whatever_a_file_makes_a_decoder_raise_ends_that_file_alone(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(SPEECH, "WAV"))

    def fail(*words: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(soundfile.SoundFile, "read", fail)
    with pytest.raises(InputError, match=r"a\.wav: ") as refused:
        heard(tmp_path / "a.wav")
    assert "\n" not in str(refused.value)


def test_an_error_of_the_caller_is_the_callers(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(SPEECH, "WAV"))
    with pytest.raises(UsageError, match=r"channel 3: a\.wav has 1"):
        next(read_blocks(tmp_path / "a.wav", channel=2))


def test_a_file_that_becomes_shorter_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(np.zeros(20 * RATE, "<i2").tobytes(), size=0))  # read piece by piece
    blocks = read_blocks(path)
    next(blocks)
    os.truncate(path, 300_000)
    with pytest.raises(InputError, match="cut short"):
        list(blocks)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.symlink_to(path.with_name("nowhere")), "a link that leads to no file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (os.mkfifo, "a pipe or a device"),
        (lambda path: path.symlink_to("/dev/zero"), "a pipe or a device"),
        (lambda path: path.symlink_to(path), "a link that leads to no file"),
        (
            lambda path: path.write_text("just text " * 99),
            "not a sound file that can be read; give WAV, FLAC, OGG or MP3",
        ),
    ],
)
def test_what_is_no_file(make: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    make(tmp_path / "a.wav")
    with pytest.raises(InputError, match=message):
        heard(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.raw", "a.pcm", "A.RAW"])
def test_sound_without_a_header(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(SPEECH.tobytes())
    with pytest.raises(InputError, match="without a header"):
        heard(tmp_path / name)


def test_files_that_only_ffmpeg_reads_are_found_in_folders_too(tmp_path: Path) -> None:
    names = [
        "a.wav",
        "b.m4a",
        "c.OGA",
        "d.webm",
        "e.amr",
        "f.wma",
        "g.3gp",
        "h.mkv",
        "i.avi",
        "j.ape",
        "k.wave",
        "l.spx",
    ]
    for name in [*names, "notes.txt", "._a.wav", "table.csv"]:
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in find_audio([tmp_path])] == names


def test_no_sound_leaves_a_file_open(tmp_path: Path) -> None:
    """Neither a good file, nor one that is given up in the middle, nor a bad one."""
    (tmp_path / "a.wav").write_bytes(encoded(np.zeros(9 * RATE, np.int16), "WAV"))
    (tmp_path / "b.oga").write_bytes(flac_in_ogg(encoded(SPEECH, "FLAC")))
    (tmp_path / "c.wav").write_bytes(wav(b"", form=pcm_format(rate=1)))
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a.wav", "b.oga", "c.wav"):
        blocks = read_blocks(tmp_path / name)
        try:
            next(blocks)
        except InputError:
            continue
        blocks.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


MANY = 20_000
TOO_MANY = {
    "Ogg streams": b"".join(ogg_page(b"OggS\0\2" + bytes(21), serial=number) for number in range(MANY)),
    "joined FLAC files": b"fLaC\0\0\0\x22" * MANY,
    "joined WAV files": wav(b"") * MANY,
}


@pytest.mark.parametrize("what", TOO_MANY)
def test_a_file_of_nothing_but_beginnings_costs_little(what: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(TOO_MANY[what])
    with pytest.raises(InputError, match=f"more than 10000 {what}"):
        heard(tmp_path / "a")


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=60), st.integers(1, 3), st.integers(0, 70), st.sampled_from([8, 16, 64]))
def test_a_window_finds_what_the_whole_has(data: bytes, copies: int, start: int, size: int) -> None:
    whole = (data + b"OggS\0\2") * copies + data
    pattern = re.compile(rb"OggS\x00[\x00-\x07]")
    found = pattern.search(whole, start)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "SIZE", size)
        view = window.Window(io.BytesIO(whole), len(whole))
        view.read(start // 2, 4)
        assert view.find(pattern, start, 6) == (found.start() if found else None)
        assert view.read(start, 6) == whole[start : start + 6]


def test_the_first_bytes_decide_and_not_the_name(tmp_path: Path) -> None:
    for name, data in {
        "a.mp3": encoded(SPEECH, "WAV"),
        "a.wav": encoded(SPEECH, "FLAC"),
        "a.flac": encoded(SPEECH, "AIFF", "PCM_16"),
        "a.ogg": encoded(SPEECH, "CAF", "PCM_16"),
        "a.m4a": encoded(SPEECH, "AU", "PCM_16"),
        "no-name": encoded(SPEECH, "W64", "PCM_16"),
    }.items():
        (tmp_path / name).write_bytes(data)
        np.testing.assert_array_equal(heard(tmp_path / name), SPEECH)
    assert decode.SUFFIXES >= {".wav", ".flac", ".mp3", ".ogg", ".m4a"}
