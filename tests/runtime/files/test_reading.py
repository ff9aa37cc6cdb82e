"""Files from elsewhere: pipes, devices, links, text as people save it, archives larger than they say, damage of any kind."""

import io
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import tokenize
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxface.runtime.errors import BundleError, InputError
from voxface.runtime.files.damage import DAMAGE, is_damage, reading, reason
from voxface.runtime.files.folders import files_in, is_metadata
from voxface.runtime.files.kinds import kind_of_bytes, kind_of_file
from voxface.runtime.files.npz import npz_names, read_npy, read_npz
from voxface.runtime.files.regular import check_regular, open_regular, read_bytes
from voxface.runtime.files.text import decode_text, read_json, read_text
from voxface.training.faces.landmark_files import read_landmarks

# What is a file, and what is none.


def test_what_is_no_file_is_named_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        (tmp_path / "to-pipe").symlink_to("pipe")
        (tmp_path / "loop").symlink_to("loop")
        (tmp_path / "gone").symlink_to("nowhere")
        for path, message in {
            tmp_path / "pipe": "is a pipe, no file; save what it gives as a file first",
            tmp_path / "to-pipe": "is a pipe, no file",
            tmp_path / "s": "is a socket, no file",
            Path("/dev/zero"): "is a device, no file",
            tmp_path: "is a folder, no file",
            tmp_path / "loop": "is a link that leads back to itself",
            tmp_path / "gone": "is a link to nowhere, which is not there",
            tmp_path / "absent": "no such file",
            tmp_path / "pipe" / "in-it": "no such file",
            tmp_path / "nul\0": "cannot be read",
        }.items():
            for use in (check_regular, open_regular, read_bytes):
                with pytest.raises(InputError, match=message) as caught:
                    use(path)
                assert str(caught.value).startswith(str(path))


def test_links_to_files_are_followed_and_sizes_bounded(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "one").symlink_to("file")
    (tmp_path / "two").symlink_to("one")
    assert read_bytes(tmp_path / "two", most=5) == b"12345"
    with open_regular(tmp_path / "two") as file:
        assert file.read() == b"12345"
    with pytest.raises(InputError, match="has 5 bytes, more than the 4 that are read"):
        read_bytes(tmp_path / "two", most=4)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(InputError, match="has 4398046511104 bytes"):
        read_bytes(tmp_path / "sparse")


def test_metadata_of_macos_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.wav", "._a.wav", "b.WAV", "c.txt", "sub/d.wav", "sub/._d.wav", ".hidden.wav"):
        (tmp_path / name).write_bytes(b"")
    os.mkfifo(tmp_path / "p.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "link.wav").symlink_to("a.wav")
    assert [p.name for p in files_in(tmp_path, {".wav"})] == [".hidden.wav", "a.wav", "b.WAV", "link.wav"]
    assert [p.name for p in files_in(tmp_path, {".wav"}, below=True)][-1] == "d.wav"
    assert is_metadata(Path("x/._a.wav"))
    assert not is_metadata(Path("._x/a.wav"))


# Text.

BOM = b"\xef\xbb\xbf"


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])), max_size=6))
def test_text_with_any_mark_and_any_end_of_line(lines: list[str]) -> None:
    wanted = "\n".join(lines).removeprefix("\ufeff")
    for end in ("\n", "\r\n", "\r"):
        for mark in (b"", BOM):
            data = mark + end.join(lines).encode()
            if data.startswith((BOM * 2, b"\xff\xfe", b"\xfe\xff")) or (not mark and data.startswith(BOM)):
                continue
            assert decode_text(data, "x").replace("\ufeff", "") == wanted.replace("\ufeff", "")


def test_text_that_is_none(tmp_path: Path) -> None:
    for data, message in {
        "x".encode("utf-16"): "is text in UTF-16; save it as UTF-8",
        "ab".encode("utf-16-be"): "UTF-16, or no text at all",
        b"\x89PNG\r\n\x1a\n\0": r"is a picture \(PNG\); a text file",
        b"caf\xe9": r"is no text in UTF-8 \(byte 0xe9 at 3\); save it as UTF-8",
    }.items():
        (tmp_path / "x.txt").write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_text(tmp_path / "x.txt")


def test_json_with_a_mark_or_too_deep(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(BOM + json.dumps([1, "é"]).encode())
    assert read_json(tmp_path / "x.json") == [1, "é"]
    for data, message in ((b"[" * 100_000, "nested too deeply"), (b"{'a': 1}", "a damaged JSON file, or none")):
        (tmp_path / "x.json").write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_json(tmp_path / "x.json")


# Archives.


def npz(**arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def with_header(header: str, content: bytes, *, method: int = zipfile.ZIP_STORED) -> bytes:
    raw = header.encode() + b"\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw + content)
    return out.getvalue()


@pytest.mark.parametrize("dtype", ["f4", ">f8", "f2", "i1", "u8", "?", "c8", "U3", "S2", "M8[s]"])
def test_arrays_are_those_that_numpy_reads(dtype: str) -> None:
    table = np.arange(24).reshape(4, 6)
    arrays = {
        "c": table.astype(dtype), "f": np.asfortranarray(table.astype(dtype)), "one": table[0, 0].astype(dtype),
        "none": np.empty((0, 3), dtype),
    }  # fmt: skip
    found = read_npz(npz(**arrays))
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)
        out = io.BytesIO()
        np.save(out, array)
        np.testing.assert_array_equal(read_npy(out.getvalue()), array)
    assert npz_names(npz(**arrays)) == tuple(arrays)
    assert list(read_npz(npz(**arrays), ("f", "absent"))) == ["f"]


def test_pickles_in_archives_are_not_read() -> None:
    data = npz(a=np.array([None]), b=np.ones(2))
    assert list(read_npz(data)) == ["b"]
    with pytest.raises(ValueError, match="a holds Python objects, and pickles are not read"):
        read_npz(data, ("a",))


@pytest.mark.parametrize("flag", [1, 1 << 6])
def test_encrypted_archives_are_named_as_such(flag: int) -> None:
    data = bytearray(npz(mean=np.ones(3)))
    for header, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(header) + at] |= flag
    with pytest.raises(ValueError, match=r"^mean is encrypted$"):
        read_npz(bytes(data))


ABSURD = {
    "shape (1000000000000,)": ("'<f8'", "(1000000000000,)"),
    "shape beyond 64 bits": ("'<f8'", "(9223372036854775807, 99)"),
    "a negative shape": ("'<f8'", "(-3, 2)"),
    "wide text": ("'<U1000000000'", "(1,)"),
    "a wide record": ("[('a', '<f8', (99999999,))]", "(9,)"),
    "wide bytes": ("'|V99999999'", "(3,)"),
    "texts without letters": ("'|S0'", "(1000000000000, 3)"),
    "texts without letters either": ("'<U0'", "(1000000000000,)"),
    "one number too many": ("'<f8'", "(4,)"),
}


@pytest.mark.parametrize("which", list(ABSURD))
def test_absurd_shapes_take_no_memory(which: str) -> None:
    dtype, shape = ABSURD[which]
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DAMAGE) as caught:
        read_npz(with_header(header, bytes(24)))
    assert is_damage(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kilobytes"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "(" * 9000,
        "{'descr'",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'more': 1}",
        "\x01",
        "9" * 5000,
    ],
)
def test_damaged_headers(header: str) -> None:
    with pytest.raises((*DAMAGE, Exception)) as caught:
        read_npz(with_header(header, bytes(24)))
    assert is_damage(caught.value)


def test_what_unpacks_to_a_thousand_times_its_size() -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (134217728,), }"
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n")
        for _ in range(64):
            member.write(bytes(1 << 24))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="a has 1073741824 bytes, more than the 268435456 that are read"):
        read_npz(out.getvalue())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_archives_that_numpy_does_not_write() -> None:
    with pytest.raises(ValueError, match="compressed in a way that numpy does not write"):
        read_npz(
            with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", bytes(24), method=zipfile.ZIP_LZMA)
        )
    flipped = bytearray(npz(a=np.arange(99.0)))
    flipped[70] ^= 255
    with pytest.raises(DAMAGE):
        read_npz(bytes(flipped))
    with pytest.raises(ValueError, match="a single array"):
        read_npz(b"\x93NUMPY")
    with pytest.raises(ValueError, match="no zip archive"):
        read_npz(b"")


# Damage.


def raised(error: BaseException) -> None:
    raise error


def test_every_error_of_the_list_becomes_one_line(tmp_path: Path) -> None:
    for kind in DAMAGE:
        error = tokenize.TokenError("a\nb", (1, 2)) if kind is tokenize.TokenError else kind("a\nb")
        with (
            pytest.raises(InputError, match=r"x: a damaged thing, or none \(.*\); fetch it again"),
            reading("x", "a thing"),
        ):
            raised(error)
        assert "\n" not in reason(error)
    for error in (KeyboardInterrupt(), InputError("known"), BundleError("known")):
        with pytest.raises(type(error)), reading("x", "a thing"):
            raised(error)
    with pytest.raises(BundleError, match="asks for more memory"), reading("x", "a thing", error=BundleError):
        raised(MemoryError())
    with pytest.raises(InputError, match=r"x: cannot be read \(Input/output error\)"), reading("x", "a thing"):
        raised(OSError(5, "Input/output error"))


def test_errors_of_libraries_are_damage_although_the_runtime_does_not_load_them() -> None:
    safetensors = pytest.importorskip("safetensors", reason="safetensors comes with voxface[train]")
    picture = pytest.importorskip("PIL.Image", reason="Pillow comes with voxface[train]")
    assert is_damage(safetensors.SafetensorError("x"))
    assert is_damage(picture.DecompressionBombError("x"))
    assert not is_damage(type("Bug", (Exception,), {})())
    code = "import sys, voxface.runtime.files.damage; assert not {'PIL', 'safetensors', 'h5py'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_files_of_another_kind_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"\xef\xbb\xbf \n<HTML>")
    with (
        pytest.raises(InputError, match="is a web page, not an"),
        reading(path, "an .npz archive"),
    ):
        read_npz(path.read_bytes())
    assert kind_of_bytes(b"") == "empty"
    assert kind_of_bytes(b"plain text") is None
    assert kind_of_file(tmp_path) is None
    assert kind_of_file(Path("/dev/zero")) is None


def test_a_field_that_is_too_long_for_csv_is_damage(tmp_path: Path) -> None:
    """csv's error is recognised without an import of csv, for which a first face would wait."""
    table = tmp_path / "marks.csv"
    table.write_text('a,"' + "1" * 200_000 + "\n")
    with pytest.raises(InputError, match=r"marks\.csv: cannot be read as CSV \(field larger than field limit"):
        read_landmarks(table)
