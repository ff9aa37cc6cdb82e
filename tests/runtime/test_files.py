"""Files other programs read: checked with those programs' libraries."""

import io
import json
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.sphere import sphere
from voxface.runtime.face.glb import glb
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.obj import obj
from voxface.runtime.face.ply import ply
from voxface.runtime.face.png import png
from voxface.runtime.face.rasteriser import BACKGROUND, preview
from voxface.runtime.files.atomic import check_writable, write_atomically, write_bytes

MODEL = sphere()
NORMALS = vertex_normals(MODEL.mean, MODEL.triangles)


@pytest.mark.parametrize(
    ("suffix", "data", "scale"),
    [
        ("glb", glb(MODEL.mean, NORMALS, MODEL.albedo, MODEL.triangles), 1000),
        ("ply", ply(MODEL.mean, NORMALS, MODEL.albedo, MODEL.triangles), 1),
        ("obj", obj(MODEL.mean, NORMALS, MODEL.triangles), 1),
    ],
)
def test_meshes_read_back(suffix: str, data: bytes, scale: float) -> None:
    trimesh = pytest.importorskip("trimesh", reason="trimesh comes with voxface[train]")
    mesh = trimesh.load(io.BytesIO(data), file_type=suffix, force="mesh", process=False)
    np.testing.assert_allclose(np.asarray(mesh.vertices) * scale, MODEL.mean, atol=1e-3)
    np.testing.assert_array_equal(mesh.faces, MODEL.triangles)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0, "normals point outwards"


def test_glb_is_well_formed() -> None:
    data = glb(MODEL.mean, NORMALS, MODEL.albedo, MODEL.triangles)
    magic, version, total = struct.unpack_from("<4sII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    assert size % 4 == 0
    document = json.loads(data[20 : 20 + size])
    views, accessors = document["bufferViews"], document["accessors"]
    assert sum(view["byteLength"] for view in views) == document["buffers"][0]["byteLength"]
    assert all(view["byteOffset"] % 4 == 0 for view in views)
    assert accessors[0]["min"] == pytest.approx((MODEL.mean.min(0) / 1000).tolist())
    assert accessors[3]["count"] == MODEL.triangles.size


def test_png_reads_back(rng: np.random.Generator) -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = rng.integers(0, 256, (17, 31, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(image_module.open(io.BytesIO(png(image)))), image)
    with pytest.raises(ValueError, match="uint8"):
        png(image.astype(np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize("yaw", [0.0, 40.0, 90.0, 180.0])
def test_preview_of_a_sphere_is_a_shaded_disc(yaw: float) -> None:
    picture = preview(MODEL.mean, MODEL.triangles, MODEL.albedo, yaw=yaw, size=100).astype(int)
    covered = (np.abs(picture - BACKGROUND).sum(2) > 8).mean()
    assert covered == pytest.approx(np.pi * (0.92 * 90 / 300) ** 2, rel=0.05)
    assert picture[35, 50].sum() > picture[68, 50].sum(), "the light comes from above"


def test_preview_turns_the_way_it_says() -> None:
    red = np.where(MODEL.mean[:, [0]] > 60, [1.0, 0, 0], [0.5, 0.5, 0.5]).astype(np.float32)  # the subject's left ear
    front = preview(MODEL.mean, MODEL.triangles, red, yaw=0, size=100).astype(int)
    ears = np.argwhere(front[:, :, 0] - front[:, :, 2] > 60)
    assert ears[:, 1].mean() > 60, "the subject's left is on the viewer's right"
    nose = np.where(MODEL.mean[:, [2]] > 60, [1.0, 0, 0], [0.5, 0.5, 0.5]).astype(np.float32)
    side = preview(MODEL.mean, MODEL.triangles, nose, yaw=90, size=100).astype(int)
    assert np.argwhere(side[:, :, 0] - side[:, :, 2] > 60)[:, 1].mean() > 60, "turned to its left: it looks right"


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(part: Path) -> None:
        part.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    kept = tmp_path / "there" / "a.json"
    kept.write_bytes(b"old")
    (tmp_path / "link").symlink_to(kept)
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert kept.read_bytes() == b"new"


def test_a_pipe_is_written_into_and_a_device_is_left_in_its_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    check_writable(pipe)
    write_bytes(pipe, b"numbers")
    reader.join(10)
    assert read == [b"numbers"]
    assert pipe.is_fifo()
    write_bytes(Path(os.devnull), b"numbers")
    assert Path(os.devnull).is_char_device()


def test_what_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    check_writable(path)
    assert list(path.parent.iterdir()) == []
    with pytest.raises(OSError, match="version"):
        check_writable(Path("/proc/version/a.json"))
    path.write_bytes(b"old")
    check_writable(path)
    assert path.read_bytes() == b"old"
