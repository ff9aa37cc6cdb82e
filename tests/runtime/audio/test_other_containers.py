"""AIFF, AU, CAF, NIST and FLAC: unfinished sizes, cut files, impossible headers; and files that are not read."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_ins.sound_files import chunk, encoded, flac_in_ogg, id3v2, speech
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.errors import InputError

SPEECH = speech()
DATA = SPEECH.astype(">i2").tobytes()


def heard(path: Path, data: bytes) -> NDArray[np.int16]:
    path.write_bytes(data)
    return np.concatenate(list(read_blocks(path)))


def aiff(*, frames: int | None = None, size: int | None = None, form: int | None = None, rate: bytes = b"", channels: int = 1,
         after: bytes = b"", kind: bytes = b"AIFF") -> bytes:  # fmt: skip
    extended = rate or struct.pack(">HQ", 16383 + 13, 16_000 << 50)
    common = struct.pack(">HIH", channels, len(SPEECH) if frames is None else frames, 16) + extended
    if kind == b"AIFC":
        common += b"NONE\0\0"
    sound = chunk(b"SSND", bytes(8) + DATA, None if size is None else size + 8, ">", pad=False)
    body = kind + chunk(b"COMM", common, order=">") + sound + after
    return b"FORM" + struct.pack(">I", len(body) if form is None else form) + body


def au(size: int, *, rate: int = 16_000, channels: int = 1, start: int = 28) -> bytes:
    return struct.pack(">4s5I", b".snd", start, size, 3, rate, channels) + b"note" + DATA


def caf(size: int, *, rate: float = 16_000.0, channels: int = 1) -> bytes:
    description = struct.pack(">d4sIIIII", rate, b"lpcm", 0, 2 * channels, 1, channels, 16)
    head = b"caff\0\1\0\0" + struct.pack(">4sq", b"desc", len(description)) + description
    return head + struct.pack(">4sqI", b"data", size, 0) + DATA


def nist(count: int, *, rate: int = 16_000, channels: int = 1) -> bytes:
    fields = f"channel_count -i {channels}\nsample_rate -i {rate}\nsample_count -i {count}\nsample_n_bytes -i 2\n"
    head = f"NIST_1A\n   1024\n{fields}sample_byte_format -s2 10\nsample_coding -s3 pcm\nend_head\n"
    return head.encode().ljust(1024, b" ") + DATA


NAME = chunk(b"NAME", b"a name", order=">")
WHOLE = {
    "AIFF": aiff(),
    "AIFF-C": aiff(kind=b"AIFC"),
    "AIFF, name behind": aiff(after=NAME),
    "AIFF, never closed": aiff(frames=0, size=0, form=0),
    "AIFF, never closed, name behind": aiff(frames=0, size=0, form=0, after=NAME),
    "AIFF, all bits set": aiff(frames=0, size=2**32 - 9, form=2**32 - 1),
    "AIFF to a pipe, sox": aiff(frames=0x7F000000, size=0x7FFFFFF0 - 8, form=0x7FFFFFFF),
    "AIFF, a header too many": aiff(size=len(DATA) + 54),
    "AIFF, only the first block counted": aiff(frames=100, size=200, form=254),
    "AIFF-C, never closed": aiff(frames=0, size=0, form=0, kind=b"AIFC"),
    "AU": au(len(DATA)),
    "AU, unknown size": au(2**32 - 1),
    "AU, never closed": au(0),
    "AU, a header too many": au(len(DATA) + 28),
    "AU, only the first block counted": au(2000),
    "CAF": caf(len(DATA) + 4),
    "CAF, unknown size": caf(-1),
    "CAF, never closed": caf(0),
    "CAF, a header too many": caf(len(DATA) + 4 + 60),
    "CAF, only the first block counted": caf(4 + 2000),
    "NIST": nist(len(SPEECH)),
    "NIST, a header too many": nist(len(SPEECH) + 30),
}


@pytest.mark.parametrize("name", WHOLE)
def test_every_sample_is_heard(name: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(heard(tmp_path / "a", WHOLE[name]), SPEECH)


CUT = {
    "AIFF": aiff()[:-20_000],
    "AU": au(len(DATA))[:-20_000],
    "CAF": caf(len(DATA) + 4)[:-20_000],
    "NIST": nist(len(SPEECH))[:-20_000],
    "FLAC": encoded(SPEECH, "FLAC")[:-20_000],
    "ALAC": encoded(SPEECH, "CAF", "ALAC_16")[:-20_000],
}


@pytest.mark.parametrize("name", CUT)
def test_a_cut_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r": (damaged or )?cut short, (([\d.]+) s of the (?!\3 s)[\d.]+ s|\d+% of the sound) "
    ):
        heard(tmp_path / "a", CUT[name])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (aiff(rate=struct.pack(">HQ", 16383, 1 << 63)), "says 1 Hz"),
        (aiff(rate=struct.pack(">HQ", 16383 + 62, 1 << 63)), "Hz, which is no rate"),
        (aiff(rate=struct.pack(">HQ", 0x7FFF, 1 << 63)), "Hz, which is no rate"),
        (aiff(channels=0), "says 0 channels"),
        (aiff(channels=30_000), "says 30000 channels"),
        (aiff()[:40], "damaged or cut short"),
        (au(9, rate=2**32 - 1), "says 4294967295 Hz"),
        (au(9, channels=2**31), "says 2147483648 channels"),
        (au(9, start=10**6), "behind the end"),
        (au(9)[:20], "damaged or cut short"),
        (caf(9, rate=float("nan")), "says 0 Hz"),
        (caf(9, rate=1e300), "Hz, which is no rate"),
        (caf(9, rate=-1.0), "says -1 Hz"),
        (caf(9, channels=10**9), "says 1000000000 channels"),
        (nist(9, rate=-5), "says -5 Hz"),
        (nist(9, channels=999), "says 999 channels"),
        (nist(10**17), "cut short"),
        (nist(-4), "header is damaged"),
    ],
)
def test_impossible_headers_are_refused_before_anything_is_allocated(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as refused:
        heard(tmp_path / "a", data)
    assert len(str(refused.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("around", "behind"), [(id3v2(3000), b""), (b"", b"TAG" + bytes(125)), (id3v2(50), b"TAG" + bytes(125))]
)
def test_flac_with_tags_of_mp3(around: bytes, behind: bytes, tmp_path: Path) -> None:
    np.testing.assert_array_equal(heard(tmp_path / "a.flac", around + encoded(SPEECH, "FLAC") + behind), SPEECH)


def flac_that_counts(count: int, **options: float) -> bytes:
    """A FLAC file whose header counts so many samples."""
    data = bytearray(encoded(SPEECH, "FLAC", **options))
    assert int.from_bytes(data[21:26], "big") & 0xFFFFFFFFF == len(SPEECH)
    data[21:26] = (int.from_bytes(data[21:26], "big") - len(SPEECH) + count).to_bytes(5, "big")
    return bytes(data)


FEW = {
    "a second less": flac_that_counts(len(SPEECH) - 16_000),
    "one sample": flac_that_counts(1),
    "one sample less": flac_that_counts(len(SPEECH) - 1),
    "none": flac_that_counts(0),
    "small blocks": flac_that_counts(9_999, compression_level=0.0),
    "behind a tag": id3v2(500) + flac_that_counts(20_000),
    "in front of a tag": flac_that_counts(20_000) + b"TAG" + bytes(125),
    "in Ogg": flac_in_ogg(flac_that_counts(20_000)),
    "in Ogg, one sample": flac_in_ogg(flac_that_counts(1)),
}


@pytest.mark.parametrize("name", FEW)
def test_flac_whose_header_counts_too_few_samples_is_heard_whole(name: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(heard(tmp_path / "a.flac", FEW[name]), SPEECH)


def test_flac_whose_header_counts_too_few_samples_joined_with_others(tmp_path: Path) -> None:
    joined = flac_that_counts(20_000) + encoded(SPEECH, "FLAC") + flac_that_counts(1)
    np.testing.assert_array_equal(heard(tmp_path / "a.flac", joined), np.tile(SPEECH, 3))


@pytest.mark.parametrize(
    ("form", "subtype", "message"),
    [
        ("SDS", "PCM_16", "SDS"),
        ("VOC", "PCM_16", "VOC"),
        ("IRCAM", "PCM_16", "IRCAM"),
        ("PVF", "PCM_16", "PVF"),
        ("PAF", "PCM_16", "PAF"),
        ("AVR", "PCM_16", "AVR"),
        ("SVX", "PCM_16", "8SVX"),
        ("MAT5", "PCM_16", "MATLAB"),
        ("XI", "DPCM_16", "XI"),
        ("MPC2K", "PCM_16", "not a sound file"),
        ("HTK", "PCM_16", "not a sound file"),
        ("MAT4", "PCM_16", "not a sound file"),
    ],
)
def test_formats_that_are_not_read_are_named_and_print_nothing(
    form: str, subtype: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = encoded(SPEECH, form, subtype, 44_100 if form == "XI" else 16_000)
    capfd.readouterr()
    with pytest.raises(InputError, match=message):
        heard(tmp_path / "a.wav", made)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "prefix", [b"RIFF", b"FORM", b"OggS", b"fLaC", b".snd", b"caff", b"NIST", b"riff", b"\xff\xfb\x90\xc4", b"ID3\4"]
)
@pytest.mark.parametrize("rest", [b"", b"\0" * 200, b"\xff" * 200, bytes(range(256))])
def test_a_magic_number_alone_is_no_sound(prefix: bytes, rest: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        heard(tmp_path / "a", prefix + rest)
    assert "\n" not in str(refused.value)


JOINED = {
    "AIFF": [aiff(), aiff(after=NAME), aiff(kind=b"AIFC")],
    "AIFF, the last one never closed": [aiff(), aiff(frames=0, size=0, form=0)],
    "AIFF, a header too many in the last": [aiff(), aiff(size=len(DATA) + 54)],
    "AU": [au(len(DATA)), au(len(DATA)), au(2**32 - 1)],
    "CAF": [caf(len(DATA) + 4), caf(len(DATA) + 4), caf(-1)],
    "ALAC in CAF": [encoded(SPEECH, "CAF", "ALAC_16")] * 3,
    "NIST": [nist(len(SPEECH))] * 3,
}


@pytest.mark.parametrize("name", JOINED)
def test_joined_files_are_heard_one_after_the_other(name: str, tmp_path: Path) -> None:
    got = heard(tmp_path / "a", b"".join(JOINED[name]))
    np.testing.assert_array_equal(got, np.tile(SPEECH, len(JOINED[name])))


def test_joined_files_of_which_the_last_is_cut(tmp_path: Path) -> None:
    for whole in (aiff(), au(len(DATA)), caf(len(DATA) + 4), nist(len(SPEECH))):
        with pytest.raises(InputError, match=r"cut short, 3\.00 s of the 4\.00 s"):
            heard(tmp_path / "a", whole + whole[: -len(DATA) // 2])


def test_joined_flac_files_are_heard_one_after_the_other(tmp_path: Path) -> None:
    one, two = encoded(SPEECH, "FLAC"), encoded(np.stack([SPEECH, SPEECH], 1), "FLAC")
    bare = one[:4] + b"\x80" + one[5:42] + one[one.index(b"\xff\xf8", 42) :]  # the first block is the only one
    np.testing.assert_array_equal(heard(tmp_path / "a.flac", bare), SPEECH)
    for files in ([one, one], [one, id3v2(90) + two, bare], [bare, bare, one]):
        got = heard(tmp_path / "a.flac", b"".join(files))
        np.testing.assert_array_equal(got, np.tile(SPEECH, len(files)))
