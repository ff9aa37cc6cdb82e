"""Bundles that declare what they do not hold, and values that no setting may have."""

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stand_ins.killed_writers import BETWEEN_TWO_STEPS, killed
from tests.stand_ins.sealed_bundle import ABOUT, FILES, SMALL, as_zip, resealed
from tests.stand_ins.sphere import sphere
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import MANIFEST, Manifest, digest
from voxface.runtime.bundle.reader import LEAST
from voxface.runtime.bundle.writer import write_folder, write_zip
from voxface.runtime.errors import BundleError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.damage import DAMAGE
from voxface.runtime.files.npz import most_in_bundle, read_npz
from voxface.runtime.files.zip_archive import ZipArchive


def listed(name: str, size: int) -> dict[str, Any]:
    """A sealed manifest that says one of its files has this size."""
    return resealed(files={**SMALL.sealed(FILES).to_json()["files"], name: {"size": size, "sha256": "0" * 64}})


# -- zips ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_unpacks_to_more_than_it_declares(tmp_path: Path, method: int) -> None:
    """zipfile unpacks BZIP2 and LZMA without a bound: 4 kB of these may be gigabytes."""
    path = tmp_path / "a.voxface"
    with zipfile.ZipFile(path, "w", method) as z:
        z.writestr("face.onnx", bytes(40 << 20))
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    with (
        ZipArchive(io.BytesIO(data), least=LEAST, ratio=4) as archive,
        pytest.raises(ValueError, match="does not have"),
    ):
        archive.read("face.onnx")


def test_members_stand_for_little_more_than_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "a.voxface"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(MANIFEST, json.dumps(listed("face.onnx", 100 << 20)))
        for name, data in {**FILES, "face.onnx": bytes(100 << 20)}.items():
            z.writestr(name, data)
    with pytest.raises(BundleError, match=r"bytes declare \d+ unpacked, more than the \d+ they may stand for"):
        Bundle.open(path)


def test_a_table_of_members_that_is_no_table(tmp_path: Path) -> None:
    many = tmp_path / "many.voxface"
    with zipfile.ZipFile(many, "w") as z:
        for index in range(30_000):
            z.writestr(zipfile.ZipInfo(str(index)), b"")
    with pytest.raises(BundleError, match="its table of members has"):
        Bundle.open(many)
    twice = as_zip(tmp_path / "twice.voxface", resealed())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "a") as z:
        z.writestr("face.onnx", b"another")
    with pytest.raises(BundleError, match="two of its members have one name"):
        Bundle.open(twice)
    shifted = as_zip(tmp_path / "shifted.voxface", resealed())
    data = bytearray(shifted.read_bytes())
    at = data.rfind(b"PK\1\2")
    data[at + 20 : at + 24] = struct.pack("<I", len(data))
    shifted.write_bytes(data)
    with pytest.raises(BundleError, match="overlap"):
        Bundle.open(shifted)


def test_a_dictionary_of_four_gigabytes(tmp_path: Path) -> None:
    """LZMA allocates the dictionary that a member asks for."""
    path = tmp_path / "a.voxface"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as z:
        z.writestr("face.onnx", b"face graph")
    data = bytearray(path.read_bytes())
    at = 30 + len("face.onnx") + 5
    data[at : at + 4] = b"\xff\xff\xff\xff"
    with ZipArchive(io.BytesIO(data), least=LEAST, ratio=4) as archive:
        assert archive.read("face.onnx") == b"face graph"


# -- folders ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["mesh.onnx", ".", "face.onnx/x", "/dev/zero"])
def test_links_that_lead_to_nothing_or_nowhere(tmp_path: Path, target: str) -> None:
    write_folder(tmp_path / "b", SMALL, FILES)
    (tmp_path / "b" / "mesh.onnx").unlink()
    (tmp_path / "b" / "mesh.onnx").symlink_to(target)
    with pytest.raises(BundleError, match=r"mesh\.onnx"):
        Bundle.open(tmp_path / "b")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(BundleError, match="no such bundle"):
        Bundle.open(tmp_path / "round")
    os.mkfifo(tmp_path / "pipe.voxface")
    with pytest.raises(BundleError, match=r"pipe\.voxface: is a pipe, no bundle; give"):
        Bundle.open(tmp_path / "pipe.voxface")


def test_a_file_of_holes_is_not_read(tmp_path: Path) -> None:
    write_folder(tmp_path / "b", SMALL, FILES)
    os.truncate(tmp_path / "b" / "face.onnx", 3 << 30)
    (tmp_path / "b" / MANIFEST).write_text(json.dumps(listed("face.onnx", 3 << 30)))
    with pytest.raises(BundleError, match="3221225472 bytes that are hardly stored"):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "\x1b[31m", "a\0b"])
def test_names_that_are_no_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="names a file outside the bundle") as error:
        Bundle.open(as_zip(tmp_path / "a.voxface", listed(name, 1)))
    assert str(error.value).isprintable()


# -- manifests -------------------------------------------------------------------------------------------------------------

BASE = SMALL.to_json()
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "NaN in a free field": ({"metrics": {"face": {"l1": float("nan")}}}, r"metrics\.face\.l1 is nan"),
    "infinity in an unknown field": ({"later": [1, {"a": float("inf")}]}, r"later\[1\]\.a is inf"),
    "a number of 70 bits": ({"later": 1 << 70}, "later is a whole number that 64 bits cannot hold"),
    "FFT": ({"front_end": {"fft": 1 << 22}}, "an FFT of 4194304 points"),
    "an FFT of terabytes": ({"front_end": {"fft": 1 << 40}}, "an FFT of 1099511627776 points"),
    "shortest": ({"front_end": {"shortest": 10**9}}, "a shortest input of 1000000000 frames"),
    "shortest of nothing": ({"front_end": {"shortest": 0}}, "a shortest input of 0 frames"),
    "floor": ({"front_end": {"floor": 0.0}}, "a floor of 0.0"),
    "floor below": ({"front_end": {"floor": -1e-5}}, "a floor of -1e-05"),
    "pre-emphasis": ({"front_end": {"preemphasis": 1e30}}, r"a pre-emphasis of 1e\+30"),
    "ring": ({"vad": {"ring": 10**6}}, "a ring of 1000000 frames"),
    "slope": ({"calibration": {"sex_slope": 1e300}}, "sex_slope is 1e"),
    "weights": (
        {
            "speech_modulation": {
                "centre": {"change": 1.0, "syllables": 1e300},
                "weight": {"change": 1.0, "syllables": 1.0},
                "bias": 0,
            }
        },
        "weights of the speech modulation are not finite, or beyond",
    ),
    "population": ({"population": {"file": "nowhere.npz"}}, "it lists no file for population"),
    "card": ({"model_card": {"file": "mesh.onnx"}}, "mesh.onnx, the model card, is no text"),
}


@pytest.mark.parametrize("wrong", list(WRONG))
def test_values_that_no_field_may_have(tmp_path: Path, wrong: str) -> None:
    changes, why = WRONG[wrong]
    files = {**FILES, "mesh.onnx": b"\xff\xfe mesh"}
    document = {**SMALL.sealed(files).to_json(), **changes}
    with pytest.raises(BundleError, match=why):
        Bundle.open(as_zip(tmp_path / "a.voxface", {**document, "sha256": digest(document)}, files))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "^bundle.json is nested deeper than a manifest may be|not JSON"),
        ("[" * 100_000 + "]" * 100_000, r"^bundle.json is nested deeper than a manifest may be \(32 levels\); fetch"),
        ('{"schema": 1, "a": ' + "[" * 40 + "]" * 40 + "}", "^bundle.json is nested deeper than a manifest may be"),
        (
            '{"schema": 1, "a": [' + ",".join(["[]"] * 60_000) + "]}",
            "^bundle.json holds more than 50000 values, more than a manifest may; fetch",
        ),
        ('{"schema": [' + "1," * 500 + "1]}", "bundle schema"),
        ('{"schema": ' + "1" * 5000 + "}", "is not JSON"),
    ],
)
def test_json_that_no_manifest_is(text: str, why: str) -> None:
    with pytest.raises(BundleError, match=why) as error:
        Manifest.from_bytes(text.encode())
    assert len(str(error.value)) < 300


def test_a_long_value_is_shown_by_its_beginning() -> None:
    with pytest.raises(BundleError) as error:
        Manifest.from_json({**ABOUT, "name": ["x" * 10_000]})
    assert len(str(error.value)) < 200


# -- arrays ----------------------------------------------------------------------------------------------------------------


def npy(shape: tuple[int, ...], descr: str = "<f4", body: bytes = b"") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape!r}}}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def npz(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members.items():
            z.writestr(f"{name}.npy", data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (npz(a=npy((1 << 40,))), r"says it is float32 \[1099511627776\]"),
        (npz(a=npy((-1, 3))), "says it is"),
        (npz(a=npy((1 << 26,), "<f4", bytes(1 << 28))), "more than the"),
        (npz(a=b"\x93NUMPY\x09\x00" + bytes(100)), ".*"),
        (npz(a=b"\x93NUMPY\x01\x00\x03\x00((("), "EOF in multi-line statement"),
        (b"\x80\x04.", "no zip archive"),
    ],
)
def test_arrays_that_declare_what_they_do_not_hold(data: bytes, why: str) -> None:
    with pytest.raises(DAMAGE, match=why):
        read_npz(data, most=most_in_bundle(len(data)))


def test_arrays_come_back() -> None:
    given = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.asfortranarray(np.eye(3, dtype=np.float16)[:2])}
    out = io.BytesIO()
    np.savez_compressed(out, **given)  # type: ignore[arg-type]
    for name, array in read_npz(out.getvalue()).items():
        np.testing.assert_array_equal(array, given[name])
        assert array.dtype == given[name].dtype


def changed(**arrays: Callable[[Any], Any]) -> bytes:
    """The bytes of a morphable model with some arrays changed."""
    with np.load(io.BytesIO(sphere().to_bytes())) as z:
        held = {name: z[name] for name in z.files}
    held |= {name: change(held[name]) for name, change in arrays.items()}
    out = io.BytesIO()
    np.savez_compressed(out, **held)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (changed(mean=lambda a: a * 1e30), "mean holds NaN or infinity, or numbers beyond"),
        (changed(mean=lambda a: a.astype(np.float64) * 1e300), "mean holds NaN or infinity"),
        (changed(face_types=lambda a: np.full((len(a), a.shape[1] if a.size else 2), np.nan)), "face|zip"),
        (changed(triangles=lambda a: a.astype(np.float32)), "triangles are no whole numbers"),
        (changed(metadata=lambda a: np.frombuffer(b"[" * 5000, np.uint8)), "morphable model"),
        (changed(metadata=lambda a: np.zeros(2 << 20, np.uint8)), "too much metadata"),
    ],
)
def test_morphable_models_that_are_none(data: bytes, why: str) -> None:
    with pytest.raises(BundleError, match=why):
        MorphableModel.from_bytes(data)


def test_an_honest_bundle_packed_by_any_tool_opens(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.voxface", SMALL, FILES)
    with zipfile.ZipFile(tmp_path / "a.voxface") as z, zipfile.ZipFile(tmp_path / "b.voxface", "w", 8) as packed:
        packed.comment = b"packed again"
        for name in z.namelist():
            packed.writestr(name, z.read(name))
    assert Bundle.open(tmp_path / "b.voxface").files == FILES


def test_a_bundle_whose_writer_was_killed_between_two_steps_is_read(tmp_path: Path) -> None:
    write_folder(tmp_path / "b", SMALL, FILES)
    killed(BETWEEN_TWO_STEPS, tmp_path / "b")
    assert not (tmp_path / "b").exists()
    assert Bundle.open(tmp_path / "b").files == FILES
