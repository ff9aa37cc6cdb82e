"""MP3: as long as its frames are, whatever stands in front of them, between them or behind them."""

import struct
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.stand_ins.sound_files import (
    RATE,
    ape_tag,
    chunk,
    encoded,
    id3v2,
    pcm_format,
    silent_frames,
    speech,
    wav,
    without_info,
)
from voxface.runtime.audio.containers import mpeg
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.audio.resample import to_int16
from voxface.runtime.errors import InputError

SPEECH = speech()
WHOLE = encoded(SPEECH, "MP3")  # with a frame that counts the others, and the LAME tag
BARE = without_info(WHOLE)
VARIABLE = without_info(encoded(SPEECH, "MP3", bitrate_mode="VARIABLE", compression_level=0.1))
ID3V1 = b"TAG" + b"title".ljust(125, b"\0")
LYRICS = b"LYRICSBEGIN" + bytes(200) + b"000211LYRICS200"


def heard(path: Path, data: bytes) -> NDArray[np.int16]:
    path.write_bytes(data)
    return np.concatenate(list(read_blocks(path)))


def oversized(tag: bytes, size: int = 0x7F7F7F7F) -> bytes:
    """An ID3v2 tag that announces more than any file here has."""
    return tag[:6] + size.to_bytes(4, "big") + tag[10:]


@pytest.mark.parametrize("sound", [WHOLE, BARE], ids=["counted", "bare"])
@pytest.mark.parametrize(
    "before",
    [
        oversized(id3v2(0)),
        oversized(id3v2(300)),
        oversized(id3v2(300_000)),
        id3v2(40) + oversized(id3v2(60)),
        oversized(id3v2(60), 0x00_02_00_00),
    ],
    ids=["empty", "small", "long", "behind another", "a little too much"],
)
def test_a_tag_that_announces_more_than_the_file(before: bytes, sound: bytes, tmp_path: Path) -> None:
    np.testing.assert_array_equal(heard(tmp_path / "a.mp3", before + sound), heard(tmp_path / "b.mp3", sound))


@pytest.mark.parametrize("data", [oversized(id3v2(3000)), id3v2(3000), id3v2(3000)[:2000]])
def test_a_tag_without_sound_is_said(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.mp3: an ID3 tag and no sound behind it that can be read; is it damaged"):
        heard(tmp_path / "a.mp3", data)


def frames(data: bytes, path: Path) -> list[mpeg.Frame]:
    path.write_bytes(data)
    with open(path, "rb") as file:
        return list(mpeg.frames(file, 0, len(data)))


def test_a_whole_file_is_what_libsndfile_makes_of_it(tmp_path: Path) -> None:
    got = heard(tmp_path / "a.mp3", WHOLE)
    np.testing.assert_array_equal(got, to_int16(soundfile.read(tmp_path / "a.mp3", dtype="float32")[0]))
    assert len(got) == len(SPEECH)


def test_a_whole_file_without_a_count_is_what_libsndfile_makes_of_it(tmp_path: Path) -> None:
    constant = without_info(encoded(SPEECH, "MP3", bitrate_mode="CONSTANT", compression_level=0.5))
    got = heard(tmp_path / "a.mp3", constant)
    np.testing.assert_array_equal(got, to_int16(soundfile.read(tmp_path / "a.mp3", dtype="float32")[0]))


AROUND = {
    "nothing": (b"", b""),
    "ID3v2": (id3v2(500), b""),
    "ID3v2 with a picture of 400 kB": (id3v2(400_000), b""),
    "two ID3v2": (id3v2(100) + id3v2(70_000), b""),
    "ID3v1": (b"", ID3V1),
    "APE": (b"", ape_tag(400)),
    "APE and ID3v1": (b"", ape_tag(400) + ID3V1),
    "APE in front": (ape_tag(60), b""),
    "lyrics and ID3v1": (b"", LYRICS + ID3V1),
    "zeros in front": (bytes(777), b""),
    "zeros behind": (b"", bytes(5000)),
    "text in front": (b"HTTP/1.0 200 OK\r\nicy-name: radio\r\n\r\n", b""),
    "text behind": (b"", b"this is no frame" * 99),
    "bytes of all ones behind": (b"", b"\xff" * 3000),
}


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("data", [WHOLE, BARE, VARIABLE], ids=["counted", "bare", "variable"])
def test_what_is_around_the_frames_changes_nothing(name: str, data: bytes, tmp_path: Path) -> None:
    before, after = AROUND[name]
    alone = heard(tmp_path / "a.mp3", data)
    np.testing.assert_array_equal(heard(tmp_path / "b.mp3", before + data + after), alone)
    sound = [frame for frame in frames(data, tmp_path / "c") if not frame.tag]
    assert len(alone) == (len(SPEECH) if data is WHOLE else sum(frame.header.samples for frame in sound))


def test_variable_bit_rates_without_a_count_are_heard_whole(tmp_path: Path) -> None:
    sizes = {frame.header.size for frame in frames(VARIABLE, tmp_path / "a")}
    assert len(sizes) > 3
    got = heard(tmp_path / "a.mp3", VARIABLE)
    loud = np.flatnonzero(np.abs(SPEECH) > 1000)[-1]
    assert len(got) > loud
    assert np.abs(got[loud - 2000 : loud + 2000]).max() > 1000


def other(rate: int, channels: int) -> bytes:
    import soxr

    sound = soxr.resample(SPEECH, RATE, rate)
    return encoded(sound if channels == 1 else np.stack([sound, sound], 1), "MP3", rate=rate)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_all_rates_of_mpeg_1_2_and_2_5(rate: int, channels: int, tmp_path: Path) -> None:
    data = other(rate, channels)
    got = heard(tmp_path / "a.mp3", data)
    np.testing.assert_array_equal(heard(tmp_path / "b.mp3", id3v2(999) + data + ape_tag(9)), got)
    assert len(got) == pytest.approx(len(SPEECH), abs=3)
    bare = heard(tmp_path / "c.mp3", without_info(data))
    each = {frame.header.samples for frame in frames(data, tmp_path / "d")}
    assert each == {576 if rate < 32_000 else 1152}
    assert len(bare) - len(got) in range(3 * 1152 * RATE // rate + 3)


JOINED = {
    "the same twice": [WHOLE, WHOLE],
    "three, with tags": [id3v2(300) + WHOLE + ID3V1, id3v2(9000) + WHOLE, WHOLE + ape_tag(30)],
    "counted and bare": [WHOLE, BARE],
    "bare and counted": [BARE, WHOLE],
    "mono and stereo": [WHOLE, other(16_000, 2)],
    "rates": [WHOLE, other(44_100, 2), other(22_050, 1), WHOLE],
    "with text between": [WHOLE + b"junk" * 99, WHOLE],
    "variable and counted": [VARIABLE, WHOLE],
}


@pytest.mark.parametrize("name", JOINED)
def test_joined_files_are_heard_one_after_the_other(name: str, tmp_path: Path) -> None:
    alone = [heard(tmp_path / "a.mp3", data) for data in JOINED[name]]
    got = heard(tmp_path / "b.mp3", b"".join(JOINED[name]))
    assert len(got) == pytest.approx(sum(map(len, alone)), abs=3 * len(alone))
    if name not in ("rates",):  # resampling goes on across parts of one rate, so only these are the same to the bit
        np.testing.assert_array_equal(got, np.concatenate(alone))


def test_two_bare_files_joined_are_one_stream(tmp_path: Path) -> None:
    one = len(heard(tmp_path / "a.mp3", BARE))
    assert len(heard(tmp_path / "b.mp3", BARE + BARE)) == 2 * one
    assert len(heard(tmp_path / "b.mp3", BARE + id3v2(77) + BARE)) == 2 * one


def count_of(data: bytes, count: int) -> bytes:
    """An MP3 whose counting frame says another number."""
    at = data.index(b"Xing" if b"Xing" in data[:200] else b"Info")
    return data[: at + 8] + struct.pack(">I", count) + data[at + 12 :]


def test_the_count_may_be_wrong(tmp_path: Path) -> None:
    at = WHOLE.index(b"Xing") + 8
    count = struct.unpack(">I", WHOLE[at : at + 4])[0]
    for said in (count + 1, count + 2, count - 1):
        got = heard(tmp_path / "a.mp3", count_of(WHOLE, said))
        assert len(got) == pytest.approx(len(SPEECH), abs=1152)
    with pytest.raises(InputError, match=r"cut short, 2\.00 s of the 3\.\d\d s it announces"):
        heard(tmp_path / "a.mp3", count_of(WHOLE, count + 40))


def test_a_cut_file_that_counts_its_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.mp3: cut short, 1\.\d\d s of the 2\.00 s it announces"):
        heard(tmp_path / "a.mp3", WHOLE[: len(WHOLE) * 2 // 3])
    with pytest.raises(InputError, match="cut short"):
        heard(tmp_path / "a.mp3", WHOLE + WHOLE[: len(WHOLE) * 2 // 3])


def test_a_cut_file_that_counts_nothing_is_read_to_its_end(tmp_path: Path) -> None:
    whole, cut = len(heard(tmp_path / "a.mp3", BARE)), len(heard(tmp_path / "b.mp3", BARE[: len(BARE) // 2]))
    assert cut == pytest.approx(whole / 2, abs=1152)


def vbri(mp3: bytes, count: int) -> bytes:
    """A frame with Fraunhofer's tag in front of frames of sound."""
    first = mp3[:2] + bytes([mp3[2] & 0x0F | 0x80]) + mp3[3:4]  # of a bit rate that gives room for the tag
    header = mpeg.parse(first)
    assert header is not None
    tag = struct.pack(">4sHHHIIHHHH", b"VBRI", 1, 0, 75, len(mp3) + header.size, count, 0, 1, 1, 1)
    return (first + bytes(32) + tag).ljust(header.size, b"\0") + mp3


def test_the_vbri_tag_counts_too(tmp_path: Path) -> None:
    count = len(frames(VARIABLE, tmp_path / "a"))
    big = vbri(VARIABLE, count)
    np.testing.assert_array_equal(heard(tmp_path / "a.mp3", big), heard(tmp_path / "b.mp3", VARIABLE))
    with pytest.raises(InputError, match=r"cut short, .* it announces"):
        heard(tmp_path / "a.mp3", vbri(VARIABLE, count + 30))


@pytest.mark.parametrize(
    ("word", "seconds"),
    [(0xFFFD8000, 1152 / 44_100), (0xFFFF8000, 384 / 44_100), (0xFFF58400, 1152 / 24_000)],
    ids=["MPEG 1 layer II", "MPEG 1 layer I", "MPEG 2 layer II"],
)
def test_layers_one_and_two(word: int, seconds: float, tmp_path: Path) -> None:
    got = heard(tmp_path / "a.mp2", silent_frames(word, 100) + ID3V1)
    assert len(got) / RATE == pytest.approx(100 * seconds, abs=0.001)
    assert not got.any()


IN_WAV = {
    "its own chunk": wav(BARE, form=pcm_format(bits=0, tag=0x55) + struct.pack("<HHIHHH", 12, 1, 2, 576, 1, 1393)),
    "never closed": wav(BARE, form=pcm_format(bits=0, tag=0x55), size=0, riff=0),
    "with the frame that counts": wav(WHOLE, form=pcm_format(bits=0, tag=0x55), before=chunk(b"fact", bytes(4))),
    "LIST behind": wav(BARE, form=pcm_format(bits=0, tag=0x55), after=chunk(b"LIST", b"INFO")),
    "layer number 2": wav(BARE, form=pcm_format(bits=0, tag=0x50)),
}


@pytest.mark.parametrize("name", IN_WAV)
def test_mp3_in_a_wav_file(name: str, tmp_path: Path) -> None:
    alone = heard(tmp_path / "a.mp3", WHOLE if name == "with the frame that counts" else BARE)
    np.testing.assert_array_equal(heard(tmp_path / "a.wav", IN_WAV[name]), alone)


@pytest.mark.parametrize("data", [BARE, WHOLE], ids=["bare", "with the frame that counts"])
def test_a_wav_file_with_mp3_that_is_cut(data: bytes, tmp_path: Path) -> None:
    whole = wav(data, form=pcm_format(bits=0, tag=0x55))
    with pytest.raises(InputError, match=r"a\.wav: cut short,? .*announces"):
        heard(tmp_path / "a.wav", whole[: -len(data) // 2])


def test_an_mp3_by_another_name_and_another_file_called_mp3(tmp_path: Path) -> None:
    assert len(heard(tmp_path / "a.wav", WHOLE)) == len(SPEECH)
    assert len(heard(tmp_path / "a.mp3", encoded(SPEECH, "FLAC"))) == len(SPEECH)


@pytest.mark.parametrize(
    "data", [b"\xff" * 9999, bytes(9999), b"\xff\xfb\x90\xc4" * 3000, id3v2(200_000), b"ID3\x04\0\0\x7f\x7f\x7f\x7f"]
)
def test_what_only_looks_like_mp3_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a sound file|cut short"):
        heard(tmp_path / "a.mp3", data)


def test_pcm_is_not_taken_for_mp3(tmp_path: Path) -> None:
    loud = np.random.default_rng(5).integers(-32768, 32767, 1 << 18, np.int16)
    with pytest.raises(InputError, match="not a sound file"):
        heard(tmp_path / "a.bin", loud.tobytes())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from([b"", b"TAG" + bytes(125), id3v2(33), b"x" * 50, ape_tag(8)])),
        max_size=6,
    )
)
def test_junk_between_frames_loses_no_frame(
    tmp_path_factory: pytest.TempPathFactory, junk: list[tuple[int, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("mp3")
    places = [frame.start for frame in frames(BARE, folder / "a")]
    data = BARE
    for number, piece in sorted(junk, reverse=True):
        at = places[
            4 + number * 4 % (len(places) - 8) // 4 * 4
        ]  # fewer than three frames in a row are taken for chance
        data = data[:at] + piece + data[at:]
    np.testing.assert_array_equal(heard(folder / "b.mp3", data), heard(folder / "c.mp3", BARE))


@pytest.mark.skipif(sys.platform != "linux", reason="C's standard error is silenced with glibc only")
def test_a_damaged_mp3_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damaged = bytearray(BARE)
    for at in np.random.default_rng(1).integers(4, len(BARE), 400):
        damaged[at] ^= 0x55
    with suppress(InputError):
        heard(tmp_path / "a.mp3", bytes(damaged))
    assert capfd.readouterr() == ("", "")
