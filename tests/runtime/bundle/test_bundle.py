"""Bundles: verified before use, whatever is wrong with them."""

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stand_ins.sealed_bundle import FILES, SEALED, SMALL, as_zip, resealed
from tests.stand_ins.sphere import sphere
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import MANIFEST
from voxface.runtime.bundle.writer import check_target, write_bundle, write_folder, write_zip
from voxface.runtime.errors import BundleError, InputError, UsageError


@pytest.mark.parametrize("write", [write_zip, write_folder])
def test_write_and_open(tmp_path: Path, write: Callable[..., None]) -> None:
    path = tmp_path / "small.voxface"
    write(path, SMALL, FILES)
    bundle = Bundle.open(path)
    assert bundle.files == FILES
    assert bundle.name == "small"
    assert bundle.graph("face") == b"face graph"
    np.testing.assert_array_equal(bundle.morphable.triangles, sphere().triangles)
    assert list(tmp_path.iterdir()) == [path], "nothing else is left"
    write(path, replace(SMALL, name="second"), FILES)
    assert Bundle.open(path).name == "second"


def test_a_morphable_model_read_ahead_is_refused_where_it_is_asked_for(tmp_path: Path) -> None:
    write_zip(tmp_path / "a", SMALL, {**FILES, "morphable.npz": b"none"})
    bundle = Bundle.open(tmp_path / "a")
    bundle.read_ahead()
    for _ in range(2):
        with pytest.raises(BundleError, match="not a morphable model"):
            _ = bundle.morphable


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_damaged_member_that_was_compressed(tmp_path: Path, method: int) -> None:
    """Random bytes do not shrink, so the packed stream is nearly all of the file."""
    files = {**FILES, "face.onnx": np.random.default_rng(0).bytes(5000)}
    path = tmp_path / "a.voxface"
    with zipfile.ZipFile(path, "w", method) as z:
        z.writestr(MANIFEST, json.dumps(SMALL.sealed(files).to_json()))
        for name, data in files.items():
            z.writestr(name, data)
    assert Bundle.open(path).files == files
    whole = path.read_bytes()
    for at in range(200, len(whole) - 400, len(whole) // 40):
        path.write_bytes(whole[:at] + bytes(b ^ 0x5A for b in whole[at : at + 40]) + whole[at + 40 :])
        with pytest.raises(BundleError):
            Bundle.open(path)


def test_pipes_are_no_bundles_and_hang_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleError, match="is a pipe, no bundle"):
        Bundle.open(tmp_path / "pipe")
    write_folder(tmp_path / "b", SMALL, FILES)
    (tmp_path / "b" / "face.onnx").unlink()
    os.mkfifo(tmp_path / "b" / "face.onnx")
    with pytest.raises(BundleError, match=r"face\.onnx is no file"):
        Bundle.open(tmp_path / "b")


def test_a_bundle_can_be_given_by_its_name(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.voxface", SMALL, FILES)
    assert Bundle.open(str(tmp_path / "a.voxface")).path == tmp_path / "a.voxface"


# -- where bundles may be written ------------------------------------------------------------------------------------------


def test_a_folder_with_anything_else_in_it_is_not_replaced(tmp_path: Path) -> None:
    place = tmp_path / "proj"
    write_bundle(place, SMALL, FILES)
    check_target(place, force=True)
    (place / ".git").mkdir()
    (place / ".git" / "HEAD").write_text("ref")
    (place / "paper.tex").write_text("years of work")
    for attempt in (lambda: check_target(place, force=True), lambda: write_bundle(place, SMALL, FILES)):
        with pytest.raises(UsageError, match=r"proj: holds files that are not the bundle's \(\.git/HEAD, paper\.tex\)"):
            attempt()
    assert (place / "paper.tex").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["proj"]


@pytest.mark.parametrize("name", ["a.voxface", "a"])
def test_a_bundle_is_replaced_if_that_is_asked_for(tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path / name, SMALL, FILES)
    with pytest.raises(UsageError, match=f"--out .*{name}: is there already; .* or replace it with --force"):
        check_target(tmp_path / name)
    check_target(tmp_path / name, force=True)


def test_what_is_no_bundle_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("precious")
    (tmp_path / "table.voxface").write_text("a,b\n")
    with zipfile.ZipFile(tmp_path / "other.voxface", "w") as z:
        z.writestr("word/document.xml", "<x/>")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.voxface").mkdir()
    for name in ("notes.txt", "table.voxface", "other.voxface", "folder", "folder.voxface"):
        with pytest.raises(UsageError, match=f"{name}: is there already and is no bundle"):
            check_target(tmp_path / name)
    with pytest.raises(InputError, match="cannot be written"):
        check_target(Path("/proc/a.voxface"))
    check_target(tmp_path / "new" / "b.voxface")


def test_what_is_read_is_not_written_to(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", SMALL, FILES)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for target in ("a", "a/inner", "link", "link/inner"):
        with pytest.raises(UsageError, match=rf"{target}: is .*a, or in it"):
            check_target(tmp_path / target, tmp_path / "a")


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    write_folder(tmp_path / "real", SMALL, FILES)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_folder(tmp_path / "link", replace(SMALL, name="second"), FILES)
    assert (tmp_path / "link").is_symlink()
    assert Bundle.open(tmp_path / "real").name == "second"


def test_the_same_contents_give_the_same_bytes(tmp_path: Path) -> None:
    write_zip(tmp_path / "a", SMALL, FILES)
    write_zip(tmp_path / "b", SMALL, dict(reversed(FILES.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_is_found_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.voxface"
    write_zip(path, SMALL, FILES)
    whole = bytearray(path.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(whole)
    try:
        bundle = Bundle.open(path)
    except BundleError:
        return
    # It was a date or an attribute in the zip's own headers.
    assert bundle.files == FILES
    assert bundle.manifest.to_json() == SEALED


@pytest.mark.parametrize("name", list(FILES))
def test_a_flipped_byte_in_a_file_of_a_folder(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path / "b", SMALL, FILES)
    data = bytearray((tmp_path / "b" / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "b" / name).write_bytes(data)
    with pytest.raises(BundleError, match=rf"{name} does not match its SHA-256"):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..", "c:evil", "a\\..\\evil", ""])
def test_paths_outside_the_bundle(tmp_path: Path, name: str) -> None:
    table = {**SEALED["files"], name: {"size": 1, "sha256": "0" * 64}}
    with pytest.raises(BundleError, match="outside the bundle"):
        Bundle.open(as_zip(tmp_path / "a.voxface", resealed(files=table)))
    folder = tmp_path / "folder"
    write_folder(folder, SMALL, FILES)
    (folder / MANIFEST).write_text(json.dumps(resealed(files=table)))
    with pytest.raises(BundleError, match="outside the bundle"):
        Bundle.open(folder)


def test_a_zip_member_outside_the_bundle(tmp_path: Path) -> None:
    path = as_zip(tmp_path / "a.voxface", SEALED, {**FILES, "../evil": b"x"})
    with pytest.raises(BundleError, match=r"outside the bundle \('\.\./evil'\)"):
        Bundle.open(path)
    assert not (tmp_path.parent / "evil").exists()


def test_a_link_that_leaves_the_bundle(tmp_path: Path) -> None:
    write_folder(tmp_path / "b", SMALL, FILES)
    (tmp_path / "secret").write_bytes(FILES["face.onnx"])
    (tmp_path / "b" / "face.onnx").unlink()
    os.symlink(tmp_path / "secret", tmp_path / "b" / "face.onnx")
    with pytest.raises(BundleError, match="leaves the bundle"):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (resealed(schema=2), "schema 2, this voxface reads schema 1; upgrade"),
        (resealed(schema="1"), "schema 1"),
        ({"name": "x"}, "names no schema"),
        ([1, 2], "names no schema"),
        ({**SEALED, "name": "edited"}, "does not match its own SHA-256"),
        (resealed(files=None), "lists no files"),
        (resealed(graphs={}), "incomplete or wrong"),
        (resealed(front_end={"hop": 500}), "incomplete or wrong"),
        (resealed(vad={"loudness": 3}), "incomplete or wrong"),
        (resealed(calibration={"sex_slope": 0}), "not positive"),
        (resealed(calibration={"sex_slope": "steep"}), "incomplete or wrong"),
        (resealed(calibration=3), "incomplete or wrong"),
        (resealed(morphable_model={"file": "other.npz"}), "lists no file for morphable_model"),
        (resealed(files={**SEALED["files"], "more": {"size": 4, "sha256": "0" * 64}}), "more is missing"),
        (resealed(files={**SEALED["files"], "more": 4}), "incomplete or wrong"),
    ],
)
def test_manifests_that_are_wrong(tmp_path: Path, manifest: Any, reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        Bundle.open(as_zip(tmp_path / "a.voxface", manifest))


def test_a_small_zip_with_a_very_large_file(tmp_path: Path) -> None:
    path = tmp_path / "bomb.voxface"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(MANIFEST, json.dumps(SEALED))
        for name, data in {**FILES, "face.onnx": bytes(50_000_000)}.items():
            z.writestr(name, data)
    with pytest.raises(BundleError, match=r"face\.onnx has 50000000 bytes, more than"):
        Bundle.open(path)


@pytest.mark.parametrize("data", [b"", b"PK\5\6" + bytes(18), b"not a zip at all", bytes(1000)])
def test_files_that_are_no_bundle(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.voxface").write_bytes(data)
    with pytest.raises(BundleError, match=r"a\.voxface"):
        Bundle.open(tmp_path / "a.voxface")


def test_missing_empty_and_cut_short(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        Bundle.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match=r"bundle\.json is missing"):
        Bundle.open(tmp_path / "empty")
    write_folder(tmp_path / "b", SMALL, FILES)
    (tmp_path / "b" / "mesh.onnx").unlink()
    with pytest.raises(BundleError, match=r"mesh\.onnx is missing"):
        Bundle.open(tmp_path / "b")
    write_zip(tmp_path / "a.voxface", SMALL, FILES)
    data = (tmp_path / "a.voxface").read_bytes()
    (tmp_path / "a.voxface").write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError, match="damaged"):
        Bundle.open(tmp_path / "a.voxface")


def test_an_interrupted_write_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "b", SMALL, FILES)

    def fail(self: Path, data: bytes) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        write_folder(tmp_path / "b", replace(SMALL, name="new"), FILES)
    monkeypatch.undo()
    assert Bundle.open(tmp_path / "b").name == "small"
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_the_default_bundle_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default_bundle: Bundle) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("default", Path("default")):
        assert Bundle.open(name).path == default_bundle.path
    default_bundle.replacing(name="mine").write(tmp_path / "default")
    assert Bundle.open("default").name == "mine"  # what lies here goes first
    with pytest.raises(BundleError, match=r"other: no such bundle; give .* or default"):
        Bundle.open("other")


def test_default_bundle_is_whole_and_small(default_bundle: Bundle) -> None:
    assert sum(len(data) for data in default_bundle.files.values()) <= 13_000_000
    assert "mean face" in default_bundle.manifest.description, "it says what it is"
    assert any("CC BY 4.0" in line for line in default_bundle.manifest.trained_on)
