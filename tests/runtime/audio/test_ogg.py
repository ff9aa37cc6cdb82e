"""Ogg: chains are heard whole, sound is found beside other streams, a stream without its end is cut short."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.stand_ins.sound_files import (
    encoded,
    flac_in_ogg,
    ogg_page,
    ogg_pages,
    ogg_stream,
    speech,
    with_serial,
)
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.audio.resample import to_int16
from voxface.runtime.errors import InputError

SPEECH = speech()
VORBIS = encoded(SPEECH, "OGG", "VORBIS")
OPUS = encoded(SPEECH, "OGG", "OPUS")
FLAC = encoded(SPEECH, "FLAC")
STEREO = encoded(np.stack([SPEECH, SPEECH], 1), "OGG", "VORBIS", 22_050)


def heard(path: Path, data: bytes) -> NDArray[np.int16]:
    path.write_bytes(data)
    return np.concatenate(list(read_blocks(path)))


@pytest.mark.parametrize("data", [VORBIS, OPUS], ids=["Vorbis", "Opus"])
def test_a_whole_file_is_what_libsndfile_makes_of_it(data: bytes, tmp_path: Path) -> None:
    got = heard(tmp_path / "a.ogg", data)
    np.testing.assert_array_equal(got, to_int16(soundfile.read(tmp_path / "a.ogg", dtype="float32")[0]))
    assert len(got) == len(SPEECH)


CHAINS = {
    "Vorbis twice": [VORBIS, with_serial(VORBIS, 5)],
    "Vorbis twice with one serial number": [VORBIS, VORBIS],
    "Opus twice": [OPUS, with_serial(OPUS, 6)],
    "three": [VORBIS, OPUS, with_serial(VORBIS, 9)],
    "FLAC twice": [flac_in_ogg(FLAC, 1), flac_in_ogg(FLAC, 2)],
    "Vorbis, FLAC, Opus": [VORBIS, flac_in_ogg(FLAC), OPUS],
    "another rate and number of channels": [VORBIS, STEREO, OPUS],
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_heard_link_by_link(name: str, tmp_path: Path) -> None:
    alone = [heard(tmp_path / "a.ogg", data) for data in CHAINS[name]]
    got = heard(tmp_path / "b.ogg", b"".join(CHAINS[name]))
    np.testing.assert_array_equal(got, np.concatenate(alone))
    assert len(got) >= 2 * len(SPEECH)


def test_flac_in_ogg_is_flac(tmp_path: Path) -> None:
    np.testing.assert_array_equal(heard(tmp_path / "a.oga", flac_in_ogg(FLAC)), SPEECH)


def skeleton(serial: int) -> list[bytes]:
    return ogg_pages(ogg_stream([b"fishead\0" + bytes(56), b"fisbone\0" + bytes(44)], serial))


def video(serial: int, count: int = 20) -> list[bytes]:
    return ogg_pages(ogg_stream([b"\x80theora" + bytes(35), *([b"picture" * 99] * count)], serial, packets_a_page=1))


@pytest.mark.parametrize("data", [VORBIS, OPUS, flac_in_ogg(FLAC)], ids=["Vorbis", "Opus", "FLAC"])
def test_sound_beside_a_video_and_a_skeleton(data: bytes, tmp_path: Path) -> None:
    sound, pictures, bones = ogg_pages(data), video(77), skeleton(78)
    first = [bones[0], pictures[0], sound[0]]
    rest = [page for both in zip(pictures[1:], bones[1:] + sound[1:], strict=False) for page in both]
    rest += [page for page in [*sound[1:], *pictures[1:]] if page not in rest]
    order = sorted(rest, key=lambda page: sound.index(page) if page in sound else -1)
    both = b"".join([*first, *order])
    np.testing.assert_array_equal(heard(tmp_path / "a.ogg", both), heard(tmp_path / "b.ogg", data))


def test_bytes_between_pages_are_skipped(tmp_path: Path) -> None:
    pages = ogg_pages(VORBIS)
    assert len(pages) > 3
    data = b"".join(pages[:3]) + b"OggS but no page" * 20 + b"".join(pages[3:])
    assert len(heard(tmp_path / "a.ogg", data)) == len(SPEECH)


def no_end(data: bytes) -> bytes:
    """All pages, of which none says that it is the last: a recorder that was killed."""
    return b"".join(ogg_page(page, flags=page[5] & ~4) for page in ogg_pages(data))


CUT = {
    "Vorbis, half": VORBIS[: len(VORBIS) // 2],
    "Opus, half": OPUS[: len(OPUS) // 2],
    "FLAC, half": flac_in_ogg(FLAC)[: len(flac_in_ogg(FLAC)) // 2],
    "Vorbis without its last page": VORBIS[: -len(ogg_pages(VORBIS)[-1])],
    "Vorbis, no page is the last": no_end(VORBIS),
    "a chain whose second link is cut": VORBIS + OPUS[: len(OPUS) // 2],
    "a chain whose first link has no end": no_end(VORBIS) + OPUS,
}


@pytest.mark.parametrize("name", CUT)
def test_a_stream_without_its_end_is_cut_short(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.ogg: (damaged or )?cut short"):
        heard(tmp_path / "a.ogg", CUT[name])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"".join(video(3)), "an Ogg file without sound"),
        (b"".join(ogg_pages(VORBIS)[2:]), "begins in the middle"),
        (VORBIS + ogg_stream([b"Speex   " + bytes(72), bytes(30)], 4), "a chain of Ogg streams with Speex"),
        (b"OggS" + bytes(90), "without sound|begins in the middle"),
        (b"OggS" * 5000, "without sound"),
    ],
)
def test_what_is_no_sound_is_said(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        heard(tmp_path / "a.ogg", data)


def test_a_radio_stream_that_counts_from_elsewhere(tmp_path: Path) -> None:
    """The places of a recorded broadcast begin anywhere."""
    pages = ogg_pages(VORBIS)
    moved = [
        ogg_page(page, granule=granule + 1_000_000)
        if (granule := int.from_bytes(page[6:14], "little", signed=True)) > 0
        else page
        for page in pages
    ]
    assert len(heard(tmp_path / "a.ogg", b"".join(moved))) == pytest.approx(len(SPEECH), abs=1024)


def flipped(page: bytes, at: int) -> bytes:
    return page[:at] + bytes([page[at] ^ 0x10]) + page[at + 1 :]


LONG = speech(4.0)
STREAMS = {
    "Vorbis": encoded(LONG, "OGG", "VORBIS"),
    "Opus": encoded(LONG, "OGG", "OPUS"),
    "FLAC": flac_in_ogg(encoded(LONG, "FLAC")),
}


@pytest.mark.parametrize("codec", STREAMS)
@pytest.mark.parametrize("before", [b"", OPUS], ids=["alone", "second link"])
def test_a_page_that_is_lost_or_damaged_is_refused(codec: str, before: bytes, tmp_path: Path) -> None:
    """One flipped bit anywhere in a page: its capture pattern, flags, place, serial number, number, checksum, table or body."""
    pages = ogg_pages(STREAMS[codec])
    assert len(pages) >= 5
    damaged = {"lost": pages[:-2] + pages[-1:]}
    for number in (2, len(pages) - 2, len(pages) - 1):
        for at in (0, 3, 4, 5, 6, 13, 14, 18, 22, 26, 27, 90, len(pages[number]) - 1):
            damaged[f"page {number}, byte {at}"] = [
                *pages[:number],
                flipped(pages[number], at),
                *pages[number + 1 :],
            ]
    for name, what in damaged.items():
        with pytest.raises(InputError, match=r"a\.ogg: (damaged|cut short)"):
            print(name, len(heard(tmp_path / "a.ogg", before + b"".join(what))))


def renumbered(data: bytes, first: int, behind: int) -> bytes:
    """An Ogg stream whose pages from `behind` on are counted from `first`."""
    pages = ogg_pages(data)
    counted = [
        page[:18] + (first + number).to_bytes(4, "little") + page[22:] for number, page in enumerate(pages[behind:])
    ]
    return b"".join([*pages[:behind], *(ogg_page(page) for page in counted)])


@pytest.mark.parametrize(
    "data",
    [
        renumbered(VORBIS, 1000, 2),
        renumbered(OPUS, 1000, 2),
        VORBIS + renumbered(with_serial(VORBIS, 8), 500, 0),
        renumbered(VORBIS, 0, 3),
    ],
    ids=["tuned in", "tuned in, Opus", "another link", "again from 0"],
)
def test_numbers_that_are_left_out_without_loss(data: bytes, tmp_path: Path) -> None:
    whole = len(SPEECH) * (2 if data.startswith(VORBIS) else 1)
    assert len(heard(tmp_path / "a.ogg", data)) == pytest.approx(whole, abs=400)  # libogg drops a packet across a gap


def test_many_broken_pages_cost_little(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than 1000 Ogg pages have a wrong checksum"):
        heard(tmp_path / "a.ogg", (b"OggS" + bytes(22) + b"\xff" + b"\xff" * 99) * 20_000)
