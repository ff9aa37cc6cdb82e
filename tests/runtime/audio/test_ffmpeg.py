"""AAC, AMR, WMA and videos through the program ffmpeg: the real one where there is one, and a stand-in for what it may do."""

import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_ins.sound_files import RATE, encoded, ogg_stream, pcm_format, speech, wav
from voxface.runtime.audio import ffmpeg
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.errors import InputError

SPEECH = speech()
M4A = b"\0\0\0\x1cftypM4A " + bytes(200)
FOREIGN = {
    "mov": (M4A, "MP4, M4A, 3GP or QuickTime"),
    "matroska": (b"\x1aE\xdf\xa3" + bytes(99), "WebM or Matroska"),
    "aac": (b"\xff\xf1\x60\x40" + bytes(99), "AAC"),
    "amr": (b"#!AMR\n" + bytes(99), "AMR"),
    "asf": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(99), "WMA or ASF"),
    "avi": (b"RIFF" + bytes(4) + b"AVI " + bytes(99), "AVI"),
    "wv": (b"wvpk" + bytes(99), "WavPack"),
    "ogg": (ogg_stream([b"Speex   " + bytes(72), bytes(30)], 4), "Ogg with Speex"),
    "wav": (wav(bytes(99), form=pcm_format(tag=0xFF)), "WAV of coding 0xff"),
}


def heard(path: Path) -> NDArray[np.int16]:
    return np.concatenate(list(read_blocks(path)))


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """A program called ffmpeg, alone on PATH, that runs Python with the name `sound` of an AU file of `SPEECH`."""
    (folder / "speech.au").write_bytes(encoded(SPEECH / 32768, "AU", "FLOAT"))
    (folder / "bin").mkdir()
    text = f"#!{sys.executable} -S\nimport os, sys, time\nsound = open({str(folder / 'speech.au')!r}, 'rb').read()\n{program}\n"
    (folder / "bin" / "ffmpeg").write_text(text)
    (folder / "bin" / "ffmpeg").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(folder / "bin"))


@pytest.mark.parametrize("demuxer", FOREIGN)
def test_without_ffmpeg_the_error_names_it(demuxer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    data, name = FOREIGN[demuxer]
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(InputError, match=f"a.bin: {name} is read through the program ffmpeg, which is not on PATH"):
        heard(tmp_path / "a.bin")


@pytest.mark.parametrize("demuxer", FOREIGN)
def test_ffmpeg_is_told_the_format_and_may_open_one_file(
    demuxer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(
        tmp_path,
        monkeypatch,
        f"open({str(tmp_path / 'words')!r}, 'w').write('\\n'.join(sys.argv[1:]))\nsys.stdout.buffer.write(sound)",
    )
    path = tmp_path / "-i concat:x.mp4"
    path.write_bytes(FOREIGN[demuxer][0])
    np.testing.assert_array_equal(heard(path), SPEECH)
    words = (tmp_path / "words").read_text().split("\n")
    assert words[words.index("-f") + 1] == demuxer
    assert words[words.index("-i") + 1] == f"file:{path}"
    assert words[words.index("-protocol_whitelist") + 1] == "file,pipe"
    assert "-nostdin" in words


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("sys.exit(1)", "ffmpeg says exit code 1"),
        ("sys.stderr.write('[mov @ 0x55aa] first line\\nsecond\\n'); sys.exit(1)", "ffmpeg says first line"),
        ("sys.stderr.write('Stream map 0:a:0 matches no streams.'); sys.exit(1)", "QuickTime without sound"),
        (
            "sys.stderr.write('moov atom not found'); sys.exit(1)",
            "cut short or damaged: ffmpeg says moov atom not found",
        ),
        (
            "sys.stdout.buffer.write(sound); sys.stderr.write('partial file')",
            r"cut short after 2\.00 s \(partial file\)",
        ),
        (
            "sys.stdout.buffer.write(sound); sys.stderr.write('bad'); sys.exit(1)",
            "cannot be read as .*: ffmpeg says bad",
        ),
        (
            "sys.stdout.buffer.write(sound); sys.stderr.write('x\\nError while decoding stream #0:0: Invalid data\\n')",
            r"damaged or cut short: ffmpeg cannot decode all of it as MP4.* \(Error while decoding stream #0:0: Invalid",
        ),
        (
            "sys.stdout.buffer.write(sound); sys.stderr.write('[aist#0:0/tta @ 0x1f] Error submitting packet to decoder: x')",
            r"damaged or cut short: ffmpeg .* \(Error submitting packet to decoder: x\)",
        ),
        ("sys.stdout.buffer.write(sound[:20])", "ffmpeg finds no sound"),
        ("sys.stdout.buffer.write(sound[:24])", "holds no samples|no sound"),
        ("sys.stdout.buffer.write(b'x' * 5000)", "writes no AU file"),
        ("sys.stdout.buffer.write(sound[:16] + bytes(4) + sound[20:])", "says 0 Hz"),
        ("sys.stdout.buffer.write(sound[:20] + b'\\xff' * 4 + sound[24:])", "says 4294967295 channels"),
        ("sys.stdout.buffer.write(sound[:24] + b'\\x7f\\xc0\\0\\0' * 9)", "NaN or infinity"),
        ("sys.stderr.write('x' * 10**6); sys.exit(1)", "ffmpeg says x"),
        ("os.kill(os.getpid(), 9)", "exit code -9"),
    ],
)
def test_whatever_ffmpeg_does_is_one_line(
    program: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, program)
    (tmp_path / "a.m4a").write_bytes(M4A)
    with pytest.raises(InputError, match=message) as refused:
        heard(tmp_path / "a.m4a")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_an_ffmpeg_that_does_not_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ffmpeg").write_text("#!/nowhere/sh\n")
    (tmp_path / "ffmpeg").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.m4a").write_bytes(M4A)
    with pytest.raises(InputError, match=r"a\.m4a: MP4.* program ffmpeg, and .*/ffmpeg does not start \(No such file"):
        heard(tmp_path / "a.m4a")


def test_ogg_through_ffmpeg_without_its_last_page_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "sys.stdout.buffer.write(sound)")
    packets = [b"Speex   " + bytes(72), bytes(30), bytes(30)]
    (tmp_path / "whole.spx").write_bytes(ogg_stream(packets, 4))
    (tmp_path / "cut.spx").write_bytes(ogg_stream(packets, 4, end=False))
    np.testing.assert_array_equal(heard(tmp_path / "whole.spx"), SPEECH)
    with pytest.raises(InputError, match=r"cut short after 2\.00 s \(its last Ogg page is missing\)"):
        heard(tmp_path / "cut.spx")


@pytest.mark.parametrize("then", ["time.sleep(600)", "while True: os.write(2, b'damaged\\n' * 100)"])
def test_an_ffmpeg_that_stalls_is_ended(then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says_who = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    stand_in(tmp_path, monkeypatch, f"{says_who}\nos.write(1, sound[:30_000])\n{then}")
    monkeypatch.setattr(ffmpeg, "STALL_S", 0.5)
    (tmp_path / "a.m4a").write_bytes(M4A)
    began = time.monotonic()
    with pytest.raises(InputError, match="gives nothing for"):
        heard(tmp_path / "a.m4a")
    assert time.monotonic() - began < 30
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


def test_who_stops_reading_ends_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless stream comes in blocks, and neither a process nor a pipe is left."""
    says_who = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    endless = "while True: sys.stdout.buffer.write(bytes(1 << 16))"
    stand_in(tmp_path, monkeypatch, f"{says_who}\nsys.stdout.buffer.write(sound)\n{endless}")
    (tmp_path / "a.m4a").write_bytes(M4A)
    before = len(os.listdir("/proc/self/fd"))
    blocks = read_blocks(tmp_path / "a.m4a")
    for _ in range(3):
        assert len(next(blocks)) * 4 <= 2 * ffmpeg.BLOCK_BYTES
    blocks.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()
    assert len(os.listdir("/proc/self/fd")) == before


REAL = shutil.which("ffmpeg")
MADE = {
    "a.m4a": [],
    "a.mp4": [],
    "a.aac": [],
    "a.mka": [],
    "a.webm": ["-c:a", "libopus"],
    "a.wma": [],
    "a.wv": [],
    "a.avi": [],
    "a.mov": [],
}


@pytest.mark.skipif(REAL is None, reason="the program ffmpeg is not on this machine")
@pytest.mark.parametrize("name", MADE)
def test_the_real_ffmpeg(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(SPEECH, "WAV"))
    words = [REAL or "", "-nostdin", "-loglevel", "error", "-i", tmp_path / "a.wav", *MADE[name], tmp_path / name]
    made = subprocess.run(words, capture_output=True, check=False)
    if made.returncode and b"ncoder" in made.stderr:
        pytest.skip("this ffmpeg was built without that encoder")
    got = heard(tmp_path / name)
    assert len(got) == pytest.approx(len(SPEECH), abs=RATE // 5)
    size = 1 << 17
    both = np.fft.irfft(np.fft.rfft(got, size) * np.conj(np.fft.rfft(SPEECH, size)), size)
    assert np.abs(both).max() > 0.8 * np.linalg.norm(got.astype(float)) * np.linalg.norm(SPEECH.astype(float))


@pytest.mark.skipif(REAL is None, reason="the program ffmpeg is not on this machine")
def test_the_real_ffmpeg_tells_of_files_that_are_cut(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(SPEECH, "WAV"))
    for name, words in {"a.m4a": ["-movflags", "faststart"], "b.m4a": [], "c.mka": [], "d.wma": []}.items():
        command = [REAL or "", "-nostdin", "-loglevel", "error", "-i", tmp_path / "a.wav", *words, tmp_path / name]
        subprocess.run(command, check=True)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(InputError, match="cut short"):
            heard(tmp_path / name)


def test_a_stream_may_begin_and_end_within_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count_of = f"int(open({str(tmp_path / 'count')!r}).read())"
    says = "print('Error while decoding stream #0:0: Invalid data', file=sys.stderr)"
    stand_in(tmp_path, monkeypatch, f"sys.stdout.buffer.write(sound)\nfor _ in range({count_of}): {says}")
    (tmp_path / "a.aac").write_bytes(FOREIGN["aac"][0])
    for count in (0, 1, 2):
        (tmp_path / "count").write_text(str(count))
        np.testing.assert_array_equal(heard(tmp_path / "a.aac"), SPEECH)
    (tmp_path / "count").write_text("3")
    with pytest.raises(InputError, match="damaged or cut short: ffmpeg cannot decode all of it as AAC"):
        heard(tmp_path / "a.aac")


@pytest.mark.skipif(REAL is None, reason="the program ffmpeg is not on this machine")
@pytest.mark.parametrize(
    ("name", "words", "share"), [("a.wav", ["-c:a", "aac"], 1.0), ("b.tta", [], 2 / 3)], ids=["AAC in WAV", "cut TTA"]
)
def test_what_the_real_ffmpeg_cannot_decode_is_refused(
    name: str, words: list[str], share: float, tmp_path: Path
) -> None:
    (tmp_path / "in.wav").write_bytes(encoded(SPEECH, "WAV"))
    command = [REAL or "", "-nostdin", "-loglevel", "error", "-i", tmp_path / "in.wav", *words, tmp_path / name]
    subprocess.run(command, check=True)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(
        InputError,
        match=r"damaged or cut short: ffmpeg cannot decode all of it|cannot be read as WAV of coding 0xff: ffmpeg says",
    ):
        heard(tmp_path / name)
