"""WAV, RF64 and W64: every sample that is there is heard, whatever the sizes in the header say."""

import os
import struct
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.stand_ins.sound_files import RATE, chunk, encoded, pcm_format, rf64, speech, wav
from voxface.runtime.audio.containers import chunks
from voxface.runtime.audio.containers.part import Part
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.audio.libsndfile import BLOCK_SAMPLES, Decoder
from voxface.runtime.errors import InputError

SPEECH = speech()
DATA = SPEECH.tobytes()
BEXT = chunk(b"bext", b"recorder".ljust(602, b"\0"))
LIST = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"a name") + chunk(b"ISFT", b"recorder"))
ID3 = b"ID3\x03" + bytes(6) + b"TIT2" + bytes(200)


def heard(path: Path, data: bytes) -> NDArray[np.int16]:
    path.write_bytes(data)
    return np.concatenate(list(read_blocks(path)))


WHOLE = {
    **{f"{more} bytes too many": wav(DATA, size=len(DATA) + more) for more in (1, 2, 16, 28, 36, 44, 63)},
    "500 samples of 2 s short, less than a frame": wav(DATA, size=len(DATA) + 600),
    "never closed, RIFF 0": wav(DATA, size=0, riff=0),
    "never closed, RIFF 36": wav(DATA, size=0, riff=36),
    "never closed, a header of 4 kB": wav(DATA, size=0, riff=4088, before=chunk(b"FLLR", bytes(4044))),
    "never closed, LIST before the sound": wav(DATA, size=0, riff=0, before=LIST),
    "never closed, LIST behind the sound": wav(DATA, size=0, riff=0, after=LIST),
    "never closed, LIST and bext behind": wav(DATA, size=0, riff=0xFFFFFFFF, after=LIST + BEXT),
    "only the first block counted": wav(DATA, size=2048, riff=36 + 2048),
    "only the first sample counted": wav(DATA, size=2, riff=38),
    "first block counted, LIST behind": wav(DATA, size=2048, riff=36 + 2048, after=LIST),
    "to a pipe, ffmpeg": wav(DATA, size=2**32 - 1, riff=2**32 - 1),
    "to a pipe, sox": wav(DATA, size=0x7FFFFFFF - 36, riff=0x7FFFFFFF),
    "to a pipe, arecord": wav(DATA, size=2**31, riff=2**31 + 36),
    "RIFF size wrong": wav(DATA, riff=12),
    "RIFF size 0": wav(DATA, riff=0),
    "LIST behind": wav(DATA, after=LIST),
    "a LIST that is cut behind": wav(DATA, after=LIST[:-9]),
    "to a pipe, LIST behind": wav(DATA, size=2**32 - 1, riff=2**32 - 1, after=LIST),
    "LIST and a megabyte of zeros behind": wav(DATA, after=LIST + bytes(1 << 20)),
    "ID3 appended": wav(DATA) + ID3,
    "zeros appended": wav(DATA) + bytes(4096),
    "chunk of odd size": wav(DATA, before=chunk(b"odd ", b"x" * 33)),
    "chunk of odd size without padding": wav(DATA, before=chunk(b"odd ", b"x" * 33, pad=False)),
    "two chunks of odd size without padding": wav(DATA, before=chunk(b"odd ", b"x" * 33, pad=False) * 2),
    "big-endian": wav(SPEECH.astype(">i2").tobytes(), kind=b"RIFX"),
    "big-endian, never closed": wav(SPEECH.astype(">i2").tobytes(), kind=b"RIFX", size=0, riff=0),
    "format chunk of 18 bytes": wav(DATA, size=0, form=pcm_format() + b"\0\0"),
    "RF64": rf64(DATA, size=len(DATA), riff=len(DATA) + 72),
    "RF64, never closed": rf64(DATA, size=0, riff=0),
    "RF64, all bits set": rf64(DATA, size=2**64 - 1, riff=2**64 - 1),
    "RF64 of a known 32-bit size": wav(DATA, kind=b"RF64", riff=2**32 - 1),
    "BW64": b"BW64" + rf64(DATA, size=len(DATA), riff=len(DATA) + 72)[4:],
}


@pytest.mark.parametrize("name", WHOLE)
def test_every_sample_is_heard(name: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(heard(tmp_path / "a.wav", WHOLE[name]), SPEECH)


def test_an_unfinished_file_may_begin_with_silence(tmp_path: Path) -> None:
    quiet = np.concatenate([np.zeros(40_000, np.int16), SPEECH])
    for size in (0, 2048):
        np.testing.assert_array_equal(heard(tmp_path / "a.wav", wav(quiet.tobytes(), size=size, riff=0)), quiet)


def w64(size_of_data: int | None = None) -> bytes:
    made = bytearray(encoded(SPEECH, "W64"))
    at = made.index(b"data\xf3\xac\xd3\x11") + 16
    if size_of_data is not None:
        made[at : at + 8] = struct.pack("<Q", size_of_data)
    return bytes(made)


@pytest.mark.parametrize("size", [None, 0, 24, 24 + 4096, 2**64 - 1, 24 + len(DATA) + 44])
def test_w64(size: int | None, tmp_path: Path) -> None:
    got = heard(tmp_path / "a.w64", w64(size))
    assert len(got) - len(SPEECH) in range(8)  # its chunks end on multiples of eight bytes
    np.testing.assert_array_equal(got[: len(SPEECH)], SPEECH)


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610", "ULAW", "FLOAT", "PCM_24", "PCM_U8"])
def test_unfinished_headers_of_other_codings(subtype: str, tmp_path: Path) -> None:
    whole = encoded(SPEECH / 32768, "WAV", subtype)
    at = whole.index(b"data") + 4
    unfinished = whole[:4] + bytes(4) + whole[8:at] + bytes(4) + whole[at + 4 :]
    first, second = heard(tmp_path / "a.wav", whole), heard(tmp_path / "b.wav", unfinished)
    shared = min(len(first), len(second))
    assert abs(len(first) - len(second)) <= 1024  # a block
    np.testing.assert_array_equal(first[:shared], second[:shared])


CUT = {
    "wav": wav(DATA)[:-20_000],
    "wav, half": wav(DATA)[: 22 + len(DATA) // 2],
    "wav announcing 65 ms more": wav(DATA, size=len(DATA) + 2080),
    "wav announcing 2 GB": wav(DATA, size=0x7FFE0000),
    "rf64": rf64(DATA, size=len(DATA), riff=len(DATA) + 72)[:-20_000],
    "rf64 announcing 3 GB": rf64(DATA, size=3 << 30, riff=3 << 30),
    "w64": w64()[:-20_000],
    "IMA ADPCM": encoded(SPEECH, "WAV", "IMA_ADPCM")[:-4000],
}


@pytest.mark.parametrize("name", CUT)
def test_a_cut_file_is_refused_with_two_times_that_differ(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.wav: cut short, ([\d.]+) s of the (?!\1 s)[\d.]+ s it announces"):
        heard(tmp_path / "a.wav", CUT[name])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (wav(b""), "holds no samples"),
        (wav(b"", after=LIST), "holds no samples"),
        (wav(b"", size=0, riff=0), "holds no samples"),
        (wav(DATA)[:20], "damaged or cut short: no format in it"),
        (wav(DATA)[:38], "damaged or cut short: no data in it"),
        (wav(DATA, form=pcm_format(rate=1)), "says 1 Hz"),
        (wav(DATA, form=pcm_format(rate=3_999)), "says 3999 Hz"),
        (wav(DATA, form=pcm_format(rate=768_001)), "says 768001 Hz"),
        (wav(DATA, form=pcm_format(rate=2**31 - 1)), "says 2147483647 Hz"),
        (wav(DATA, form=pcm_format(channels=0)), "says 0 channels"),
        (wav(DATA, form=pcm_format(channels=257)), "says 257 channels"),
        (wav(DATA, form=pcm_format(channels=65_535)), "says 65535 channels"),
        (wav(DATA, before=chunk(b"junk", b"") * 10_001), "more than 10000 chunks"),
        (b"RIFF" + bytes(4) + b"CDXA" + bytes(99), "a RIFF file without sound"),
        (b"RIFF", r"only 4 bytes of a WAV or other RIFF file; is it damaged or cut short\?"),
        (wav(DATA)[:11], "only 11 bytes of a WAV or other RIFF file"),
        (wav(DATA)[:12], "damaged or cut short: no format in it"),
        (w64()[:27], "only 27 bytes of a W64 file"),
        (b"FORM\0\0", "only 6 bytes of an AIFF or other IFF file"),
    ],
)
def test_what_is_no_wav_is_said_in_one_line(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as refused:
        heard(tmp_path / "a.wav", data)
    assert str(refused.value).startswith(str(tmp_path / "a.wav"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("rate", [4_000, 768_000])
def test_rates_at_the_bounds_are_read(rate: int, tmp_path: Path) -> None:
    got = heard(tmp_path / "a.wav", wav(DATA, form=pcm_format(rate=rate)))
    assert len(got) == pytest.approx(len(SPEECH) * RATE / rate, abs=1)


def test_256_channels_at_the_highest_rate_take_little_at_once(tmp_path: Path) -> None:
    frames = np.zeros((30_000, 256), "<i2")
    path = tmp_path / "a.wav"
    path.write_bytes(wav(frames.tobytes(), form=pcm_format(channels=256, rate=768_000)))
    with open(path, "rb") as file, closing(Decoder(path, file, Part())) as decoder:
        sizes = [block.size for block in decoder.blocks()]
    assert sum(sizes) == frames.size
    assert max(sizes) <= BLOCK_SAMPLES


def test_a_file_beyond_4_gb_is_not_read_into_memory(tmp_path: Path) -> None:
    """A sparse RF64 file: its header is believed, and its sound comes in blocks."""
    size = 5 << 30
    head = rf64(b"", size=size, riff=size + 72)
    with open(tmp_path / "a.wav", "wb") as file:
        file.write(head)
        os.truncate(file.fileno(), len(head) + size)
    blocks = read_blocks(tmp_path / "a.wav")
    assert [len(next(blocks)) for _ in range(3)] == [4 * RATE] * 3
    blocks.close()  # type: ignore[attr-defined]


JOINED = {
    "twice": [wav(DATA), wav(DATA)],
    "with LIST": [wav(DATA, after=LIST), wav(DATA, before=LIST), wav(DATA)],
    "of other rates and channels": [wav(DATA), wav(DATA, form=pcm_format(channels=2, rate=48_000)), wav(DATA)],
    "the last one never closed": [wav(DATA), wav(DATA, size=0, riff=0)],
    "RF64": [rf64(DATA, size=len(DATA), riff=len(DATA) + 72)] * 3,
    "W64": [w64()] * 3,
    "RF64 and BW64": [wav(DATA), *(kind + rf64(DATA, size=len(DATA), riff=0)[4:] for kind in (b"RF64", b"BW64"))],
    "of other codings": [wav(DATA), encoded(SPEECH / 32768, "WAV", "FLOAT"), encoded(SPEECH, "WAV", "IMA_ADPCM")],
}


@pytest.mark.parametrize("name", JOINED)
def test_joined_files_are_heard_one_after_the_other(name: str, tmp_path: Path) -> None:
    alone = [heard(tmp_path / "a.wav", data) for data in JOINED[name]]
    np.testing.assert_array_equal(heard(tmp_path / "b.wav", b"".join(JOINED[name])), np.concatenate(alone))


def test_each_of_many_joined_files_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    walk = chunks.walk
    monkeypatch.setattr(chunks, "walk", lambda *words: (seen.append(chunk) or chunk for chunk in walk(*words)))
    got = heard(tmp_path / "a.wav", wav(DATA[:64]) * 300)
    assert len(got) == 300 * 32
    assert len(seen) < 300 * 8


def test_joined_files_of_which_the_last_is_cut(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cut short, 3\.00 s of the 4\.00 s"):
        heard(tmp_path / "a.wav", wav(DATA) + wav(DATA)[: -len(DATA) // 2])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3000),
    st.sampled_from([0, 36, 4088, 2**32 - 1, None]),
    st.lists(
        st.tuples(st.sampled_from([b"LIST", b"fact", b"junk", b"odd "]), st.binary(max_size=99), st.booleans()),
        max_size=4,
    ),
    st.booleans(),
)
def test_any_chunks_and_any_unfinished_size(
    tmp_path_factory: pytest.TempPathFactory,
    first: int,
    riff: int | None,
    chunks: list[tuple[bytes, bytes, bool]],
    behind: bool,
) -> None:
    """What comes before the sound, behind it, or in the header does not change what is heard."""
    before = b"".join(chunk(name, content, pad=pad) for name, content, pad in chunks)
    made = wav(DATA, size=first * 2 % 2048, riff=riff, before=before, after=LIST if behind else b"")
    np.testing.assert_array_equal(heard(tmp_path_factory.mktemp("wav") / "a.wav", made), SPEECH)
