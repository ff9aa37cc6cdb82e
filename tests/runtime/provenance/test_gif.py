"""Marks in GIF files: what is written is found and the pictures stay, marks of other makers, damage anywhere."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from voxface.runtime.errors import InputError, VoxfaceError
from voxface.runtime.provenance.finding import Findings, find_marks
from voxface.runtime.provenance.gif_comment import with_gif_mark
from voxface.runtime.provenance.mark import TRAINED_ALGORITHMIC_MEDIA, Mark
from voxface.runtime.provenance.xmp import xmp_packet

MARK = Mark("a bündle", "0123456789abcdef" * 4)


def gif(pictures: int = 3, **more: object) -> bytes:
    """Pictures of random grey, one after the other, by another program."""
    rng, stored = np.random.default_rng(1), io.BytesIO()
    first, *rest = [Image.fromarray(rng.integers(0, 256, (9, 7), np.uint8)) for _ in range(pictures)]
    first.save(stored, "GIF", save_all=True, append_images=rest, duration=40, loop=0, **more)
    return stored.getvalue()


def look(folder: Path, data: bytes) -> Findings:
    (folder / "a.gif").write_bytes(data)
    return find_marks(folder / "a.gif")


def pictures_of(data: bytes) -> list[bytes]:
    return [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


def test_what_is_written_is_found_and_the_pictures_stay(tmp_path: Path) -> None:
    data = with_gif_mark(gif(), MARK)
    found = look(tmp_path, data)
    assert (found.format, found.synthetic) == ("GIF", True)
    (mark,) = found.marks
    assert (mark.where, mark.ours, mark.bundle_sha256) == ("comment", True, MARK.bundle_sha256)
    assert mark.digital_source_type == TRAINED_ALGORITHMIC_MEDIA
    assert mark.bundle == r"a b\xfcndle"
    assert "It is not the speaker's likeness." in str(mark.notice)
    assert pictures_of(data) == pictures_of(gif())
    assert b"Synthetic face" in Image.open(io.BytesIO(data)).info["comment"]


def test_one_without_a_mark_and_one_that_another_program_has_commented(tmp_path: Path) -> None:
    assert look(tmp_path, gif()).marks == ()
    assert look(tmp_path, gif(comment=b"A holiday")).marks == ()
    found = look(tmp_path, gif(comment=f"DigitalSourceType: {TRAINED_ALGORITHMIC_MEDIA}".encode()))
    assert found.synthetic
    assert not found.marks[0].ours


def test_xmp_of_another_maker(tmp_path: Path) -> None:
    whole = gif()
    trailer = bytes([1, *range(255, -1, -1), 0])
    extension = b"\x21\xff\x0bXMP DataXMP" + xmp_packet(MARK).encode() + trailer
    found = look(tmp_path, whole[:-1] + extension + whole[-1:])
    assert [(mark.where, mark.digital_source_type) for mark in found.marks] == [("XMP", TRAINED_ALGORITHMIC_MEDIA)]


def test_xmp_that_is_cut_into_blocks(tmp_path: Path) -> None:
    whole, packet = gif(), xmp_packet(MARK).encode()
    parts = [packet[at : at + 100] for at in range(0, len(packet), 100)]
    blocks = b"".join(bytes([len(part)]) + part for part in parts)
    found = look(tmp_path, whole[:-1] + b"\x21\xff\x0bXMP DataXMP" + blocks + b"\0" + whole[-1:])
    assert [(mark.where, mark.bundle_sha256) for mark in found.marks] == [("XMP", MARK.bundle_sha256)]


@pytest.mark.parametrize("size", [7, 13, 100, -1])
def test_one_that_is_cut_off_is_damaged(tmp_path: Path, size: int) -> None:
    with pytest.raises(InputError, match=r"\A[^\n]*damaged GIF file[^\n]*\Z"):
        look(tmp_path, gif()[:size])


@given(place=st.integers(0, 2000), value=st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_damage_anywhere_is_an_error_for_a_person_or_none(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    data = bytearray(with_gif_mark(gif(), MARK))
    data[place % len(data)] = value
    with suppress(VoxfaceError):  # any other exception is a fault
        assert look(tmp_path_factory.mktemp("damaged"), bytes(data)).format == "GIF"


def test_what_is_no_gif_is_not_marked() -> None:
    with pytest.raises(ValueError, match="expected a GIF file"):
        with_gif_mark(b"\x89PNG\r\n\x1a\n" + bytes(40), MARK)
