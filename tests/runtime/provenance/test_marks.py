"""What each format says of a generated face, and that it is still there when other programs have written the file again."""

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.sphere import sphere
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.glb import glb
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.obj import obj
from voxface.runtime.face.ply import ply
from voxface.runtime.face.png import picture_alone, png
from voxface.runtime.provenance.finding import Findings, find_marks
from voxface.runtime.provenance.mark import (
    ALGORITHMIC_MEDIA,
    LONGEST_NAME,
    OF_NO_BUNDLE,
    TRAINED_ALGORITHMIC_MEDIA,
    Mark,
)
from voxface.runtime.provenance.web_page import head_elements

MODEL = sphere()
NORMALS = vertex_normals(MODEL.mean, MODEL.triangles)
SHA256 = "0123456789abcdef" * 4
MARK = Mark("a bundle", SHA256)
IMAGE = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
FILES = ("face.png", "mesh.glb", "mesh.obj", "mesh.ply", "page.html", "document.json")


def files(mark: Mark) -> dict[str, bytes]:
    """A file of every format."""
    documents = {"clips": [{"synthetic": mark.to_json()}], "synthetic": mark.to_json()}
    return {
        "face.png": png(IMAGE, mark),
        "mesh.glb": glb(MODEL.mean, NORMALS, MODEL.albedo, MODEL.triangles, mark),
        "mesh.ply": ply(MODEL.mean, NORMALS, MODEL.albedo, MODEL.triangles, mark),
        "mesh.obj": obj(MODEL.mean, NORMALS, MODEL.triangles, mark),
        "page.html": f"<!doctype html><title>x</title>{head_elements(mark)}<p>x".encode(),
        "document.json": json.dumps(documents).encode(),
    }


def found_in(folder: Path, name: str, data: bytes) -> Findings:
    (folder / name).write_bytes(data)
    return find_marks(folder / name)


@pytest.mark.parametrize("name", FILES)
def test_every_format_says_what_and_by_which_bundle(tmp_path: Path, name: str) -> None:
    assert set(files(MARK)) == set(FILES)
    found = found_in(tmp_path, name, files(MARK)[name])
    mark = found.marks[0]
    assert found.synthetic
    assert mark.ours
    assert mark.digital_source_type == TRAINED_ALGORITHMIC_MEDIA
    assert (mark.bundle, mark.bundle_sha256) == ("a bundle", SHA256)
    assert mark.notice == MARK.notice
    assert "not the speaker's likeness" in MARK.notice


def test_marks_are_the_same_from_run_to_run() -> None:
    assert files(MARK) == files(Mark("a bundle", SHA256))


def test_a_face_without_a_bundle_or_without_a_voice_is_synthetic_too(tmp_path: Path) -> None:
    for mark, kind in ((OF_NO_BUNDLE, TRAINED_ALGORITHMIC_MEDIA), (Mark(source="population"), ALGORITHMIC_MEDIA)):
        for name, data in files(mark).items():
            first = found_in(tmp_path, name, data).marks[0]
            assert (first.synthetic, first.ours, first.digital_source_type, first.bundle) == (True, True, kind, None)


@settings(max_examples=25, deadline=None)
@given(name=st.text(max_size=300))
def test_a_bundle_may_be_called_anything(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    mark = Mark(name, SHA256)
    shown = mark.shown_bundle
    assert shown is not None
    assert len(shown) <= LONGEST_NAME
    folder = tmp_path_factory.mktemp("marks")
    for file, data in files(mark).items():
        first = found_in(folder, file, data).marks[0]
        assert first.bundle_sha256 == SHA256, file
        if file.endswith((".obj", ".ply")):
            assert data[:500].isascii()
        elif shown.strip():
            assert (first.bundle or "").strip() == shown.strip(), file
    document = files(mark)
    assert document["mesh.ply"].count(b"element vertex") == document["mesh.ply"].count(b"end_header") == 1


def test_the_picture_alone_is_what_was_marked() -> None:
    assert picture_alone(png(IMAGE, MARK)) == png(IMAGE) == picture_alone(png(IMAGE))
    assert picture_alone(b"no picture") == b"no picture"
    assert picture_alone(png(IMAGE, MARK)[:-1]) == png(IMAGE, MARK)[:-1]


# -- by other programs ------------------------------------------------------------------------------------------------------


def test_pillow_reads_picture_and_mark() -> None:
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(png(IMAGE, MARK)))
    np.testing.assert_array_equal(np.asarray(image), IMAGE)
    assert image.text["Description"] == MARK.notice
    assert image.text["Software"].startswith("voxface ")
    packet = ElementTree.fromstring(image.text["XML:com.adobe.xmp"].lstrip("\ufeff"))
    iptc = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
    assert packet.findtext(f".//{iptc}DigitalSourceType") == TRAINED_ALGORITHMIC_MEDIA
    assert packet.findtext(f".//{iptc}AISystemUsed") == "voxface, bundle a bundle"


def test_a_picture_that_pillow_has_written_again_with_its_metadata(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    from PIL.PngImagePlugin import PngInfo

    before = image_module.open(io.BytesIO(png(IMAGE, MARK)))
    kept = PngInfo()
    for keyword, text in before.text.items():
        kept.add_itxt(keyword, text, zip=True)
    before.resize((14, 10)).save(tmp_path / "again.png", pnginfo=kept)
    found = find_marks(tmp_path / "again.png")
    assert {mark.where for mark in found.marks} == {"iTXt XML:com.adobe.xmp", "text"}
    assert (found.marks[0].bundle, found.marks[0].bundle_sha256) == ("a bundle", SHA256)
    # Without being told to, Pillow drops all of it: this is why the pages say that marks can be lost.
    before.save(tmp_path / "bare.png")
    assert not find_marks(tmp_path / "bare.png").synthetic


@pytest.mark.parametrize("force", ["scene", "mesh"])
def test_a_mesh_that_trimesh_has_written_again(tmp_path: Path, force: str) -> None:
    trimesh = pytest.importorskip("trimesh", reason="trimesh comes with voxface[train]")
    loaded: Any = trimesh.load(io.BytesIO(files(MARK)["mesh.glb"]), file_type="glb", force=force)
    found = found_in(tmp_path, "again.glb", loaded.export(file_type="glb"))
    assert found.synthetic
    mark = found.marks[0]
    assert (mark.bundle, mark.bundle_sha256, mark.notice) == ("a bundle", SHA256, MARK.notice)


def test_the_bundles_mark(default_bundle: Bundle) -> None:
    assert default_bundle.mark == Mark(default_bundle.name, default_bundle.manifest.sha256)
    assert default_bundle.mark is default_bundle.mark
