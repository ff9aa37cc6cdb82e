"""Marks of other makers, and files that are damaged or mean harm."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.sphere import sphere
from voxface.runtime.errors import InputError, VoxfaceError
from voxface.runtime.face.face_files import face_files
from voxface.runtime.face.png import png
from voxface.runtime.provenance.finding import Findings, find_marks
from voxface.runtime.provenance.mark import DIGITAL_SOURCE_TYPES, TRAINED_ALGORITHMIC_MEDIA, Mark
from voxface.runtime.provenance.png_text import SIGNATURE, chunk
from voxface.runtime.provenance.readers.png import LARGEST_TEXT

IMAGE = np.zeros((4, 4, 3), np.uint8)
BARE = png(IMAGE)
MODEL = sphere()
MARK = Mark("a bundle", "0" * 64)
MARKED = face_files(IMAGE, MODEL.mean, MODEL, MARK)  # once: it draws the mesh
PROPERTY = "Iptc4xmpExt:DigitalSourceType"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" {attribute}>{element}'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def with_chunk(kind: bytes, data: bytes) -> bytes:
    """The bare picture with one more chunk."""
    at = len(SIGNATURE) + 25
    return BARE[:at] + chunk(kind, data) + BARE[at:]


def glb_of(document: object) -> bytes:
    """A GLB file of this document."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


def look(folder: Path, name: str, data: bytes) -> Findings:
    (folder / name).write_bytes(data)
    return find_marks(folder / name)


@pytest.mark.parametrize(
    ("attribute", "element"),
    [
        ("", f"<{PROPERTY}>{TRAINED_ALGORITHMIC_MEDIA}</{PROPERTY}>"),
        (f'{PROPERTY}="{TRAINED_ALGORITHMIC_MEDIA}"', ""),
        ("", f'<{PROPERTY} rdf:resource="{TRAINED_ALGORITHMIC_MEDIA}"/>'),
        (f'{PROPERTY}="{TRAINED_ALGORITHMIC_MEDIA.replace("http:", "https:")}"', ""),
    ],
    ids=["element", "attribute", "resource", "https"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_xmp_of_another_maker(tmp_path: Path, attribute: str, element: str, packed: bool) -> None:
    packet = XMP.format(attribute=attribute, element=element)
    body = zlib.compress(packet.encode()) if packed else packet.encode()
    data = with_chunk(b"iTXt", b"XML:com.adobe.xmp\0" + (b"\1" if packed else b"\0") + b"\0\0\0" + body)
    found = look(tmp_path, "a.png", data)
    (mark,) = found.marks
    assert found.synthetic
    assert (mark.ours, mark.digital_source_type) == (False, TRAINED_ALGORITHMIC_MEDIA)


def test_a_photograph_says_that_it_is_one(tmp_path: Path) -> None:
    capture = f"{DIGITAL_SOURCE_TYPES}digitalCapture"
    packet = XMP.format(attribute=f'Iptc4xmpExt:DigitalSourceType="{capture}"', element="")
    found = look(tmp_path, "a.png", with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet.encode()))
    assert found.marks[0].digital_source_type == capture
    assert not found.synthetic


def test_software_is_told_and_proves_nothing(tmp_path: Path) -> None:
    found = look(tmp_path, "a.png", with_chunk(b"zTXt", b"Software\0\0" + zlib.compress(b"Some editor 3")))
    assert [mark.software for mark in found.marks] == ["Some editor 3"]
    assert not found.synthetic


def test_other_formats_of_other_makers(tmp_path: Path) -> None:
    kind = TRAINED_ALGORITHMIC_MEDIA
    others = {
        "a.glb": glb_of({"asset": {"version": "2.0", "generator": "Other 1", "extras": {"source": kind}}}),
        "a.html": f'<html><script type="application/ld+json">{{"digitalSourceType": "{kind}"}}</script>'.encode(),
        "a.json": json.dumps({"meta": {"digitalSourceType": kind}}).encode(),
        "a.obj": f"# DigitalSourceType: {kind}\nv 0 0 0\n".encode(),
        "a.ply": f"ply\nformat ascii 1.0\ncomment DigitalSourceType: {kind}\nend_header\n".encode(),
    }
    for name, data in others.items():
        found = look(tmp_path, name, data)
        assert found.synthetic, name
        assert not found.marks[0].ours, name
    for name, data in {
        "b.glb": glb_of({"asset": {"version": "2.0"}}),
        "b.json": b"[1, 2]",
        "b.obj": b"v 0 0 0\n",
    }.items():
        assert look(tmp_path, name, data).marks == (), name


def test_lines_of_json_are_counted_and_told_once(tmp_path: Path) -> None:
    other = Mark("another")
    lines = [json.dumps({"event": "face", "synthetic": mark.to_json()}) for mark in (MARK, MARK, other)]
    found = look(tmp_path, "events.jsonl", ("\n".join(['{"event":"no-face"}', *lines]) + "\n").encode())
    assert [(mark.where, mark.bundle, mark.count) for mark in found.marks] == [
        ("line 2 /synthetic", "a bundle", 2),
        ("line 4 /synthetic", "another", 1),
    ]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("cut.png", BARE[:-6], "damaged PNG file"),
        ("sum.png", BARE[:50] + bytes([BARE[50] ^ 1]) + BARE[51:], "checksum"),
        ("long.png", SIGNATURE + b"\x7f\xff\xff\xffIDAT" + bytes(20), "beyond its end"),
        ("text.png", with_chunk(b"tEXt", b"no keyword"), "without its keyword"),
        ("bomb.png", with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(LARGEST_TEXT + 9))), "bytes of text"),
        ("zlib.png", with_chunk(b"zTXt", b"Comment\0\0not packed"), "damaged PNG file"),
        ("xml.png", with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<a><b>"), "damaged PNG file"),
        ("entities.png", with_chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
         "declares entities"),
        ("cut.glb", MARKED["mesh.glb"][:100], "damaged GLB file"),
        ("one.glb", b"glTF\1\0\0\0" + MARKED["mesh.glb"][8:], "no document of glTF 2.0"),
        ("list.glb", glb_of([]), "no object"),
        ("cut.ply", MARKED["mesh.ply"][:60], "no end"),
        ("cut.json", b'{"a": ', "damaged JSON file"),
        ("deep.json", b"[" * 100_000, "nested too deeply"),
        ("latin.json", b'{"a": "\xff"}', "no text in UTF-8"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "is a picture (JPEG)"),
        ("a.txt", b"words", "is no PNG, GIF, GLB"),
        ("none.obj", b"", "is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    with pytest.raises(InputError, match=r"\A[^\n]*\Z") as caught:
        look(tmp_path, name, data)
    assert why in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_a_folder_and_nothing(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.png"):
        with pytest.raises(InputError):
            find_marks(path)


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["face.png", "mesh.glb", "mesh.ply", "mesh.obj"]),
    at=st.integers(0, 4000),
    put=st.binary(max_size=8),
    cut=st.integers(0, 8),
    end=st.integers(0, 6000),
)
def test_damage_is_told_as_damage(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: int, put: bytes, cut: int, end: int
) -> None:
    whole = MARKED[name]
    at = at % len(whole)
    data = (whole[:at] + put + whole[at + cut :])[: len(whole) if end > 4000 else end]
    try:
        look(tmp_path_factory.mktemp("damaged"), name, data)
    except VoxfaceError as error:
        told = error
    else:
        return
    assert told.exit_code == 3
