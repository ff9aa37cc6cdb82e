"""Face models that look into other files, files of macOS beside a model's, and landmarks as other systems save them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="h5py comes with voxface[train]")
pytest.importorskip("scipy", reason="scipy comes with voxface[dev]")

from tests.stand_ins import face_model_files as files  # noqa: E402
from voxface.importers.face_models import FORMATS, read_face_model  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402

pytestmark = pytest.mark.train

MADE = files.face(12, 20)
MEAN, BASIS = "shape/model/mean", "shape/model/pcaBasis"


def external_link(model: Any, other: Path) -> None:
    del model[MEAN]
    model[MEAN] = h5py.ExternalLink(str(other), f"/{MEAN}")


def external_group(model: Any, other: Path) -> None:
    del model["shape/model"]
    model["shape/model"] = h5py.ExternalLink(str(other), "/shape/model")


def soft_link_to_an_external_one(model: Any, other: Path) -> None:
    del model[BASIS]
    model["elsewhere"] = h5py.ExternalLink(str(other), "/")
    model[BASIS] = h5py.SoftLink(f"/elsewhere/{BASIS}")


def external_storage(model: Any, other: Path) -> None:
    shape = model[MEAN].shape
    del model[MEAN]
    model.create_dataset(MEAN, shape, "<f8", external=[(str(other), 0, shape[0] * 8)])


def virtual(model: Any, other: Path) -> None:
    layout = h5py.VirtualLayout(model[MEAN].shape, "<f8")
    layout[:] = h5py.VirtualSource(str(other), MEAN, model[MEAN].shape)
    del model[MEAN]
    model.create_virtual_dataset(MEAN, layout)


def loop(model: Any, _: Path) -> None:
    del model["shape/model"]
    model["a"], model["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
    model["shape/model"] = h5py.SoftLink("/a")


def own_loop(model: Any, _: Path) -> None:
    del model[MEAN]
    model[MEAN] = h5py.SoftLink(f"/{MEAN}")


def huge(model: Any, _: Path) -> None:
    del model[MEAN]
    model.create_dataset(MEAN, (1 << 40,), "<f8", chunks=(1 << 20,))


LEADING: dict[str, tuple[Callable[[Any, Path], None], str]] = {
    "external link": (external_link, r"shape/model/mean is a link to another file \(.*other\.h5\)"),
    "external group": (external_group, "shape/model/mean is a link to another file"),
    "soft link to an external one": (soft_link_to_an_external_one, "pcaBasis is a link to another file"),
    "external storage": (external_storage, "the numbers of shape/model/mean lie in other files"),
    "virtual dataset": (virtual, "the numbers of shape/model/mean lie in other files"),
    "links in a circle": (loop, "is a link that leads on and on"),
    "a link to itself": (own_loop, "is a link that leads on and on"),
    "a huge dataset": (huge, "a damaged HDF5 file, or none .shape/model/mean says that it has"),
}


@pytest.mark.parametrize("which", list(LEADING))
def test_hdf5_that_leads_elsewhere(tmp_path: Path, which: str) -> None:
    change, message = LEADING[which]
    path, other = files.write_bfm2017(tmp_path / "m.h5", MADE), files.write_bfm2017(tmp_path / "other.h5", MADE)
    marks = files.write_landmarks(tmp_path / "l.txt", MADE.landmarks)
    with h5py.File(path, "r+") as model:
        change(model, other)
    with pytest.raises(InputError, match=message) as caught:
        read_face_model(path, landmarks=marks)
    assert str(caught.value).startswith(str(path))


def test_hdf5_with_links_within_itself(tmp_path: Path) -> None:
    path = files.write_bfm2017(tmp_path / "m.h5", MADE)
    marks = files.write_landmarks(tmp_path / "l.txt", MADE.landmarks)
    expected = read_face_model(path, landmarks=marks)
    with h5py.File(path, "r+") as model:
        model.move("shape", "form")
        model["shape"] = h5py.SoftLink("/form")
        model.move("expression/model", "expression/kept")
        model["expression/model"] = h5py.SoftLink("kept")
    np.testing.assert_array_equal(read_face_model(path, landmarks=marks).basis, expected.basis)


def test_metadata_of_macos_beside_icts_files(tmp_path: Path) -> None:
    folder = files.write_ict(tmp_path / "ict", MADE)
    expected = read_face_model(folder)
    for file in sorted(folder.iterdir()):
        file.with_name(f"._{file.name}").write_bytes(bytes.fromhex("0005160700020000") + b"Mac OS X        ")
    os.mkfifo(folder / "identity999.obj")
    np.testing.assert_array_equal(read_face_model(folder).basis, expected.basis)


def saved(text: str) -> dict[str, bytes]:
    return {
        "with a mark": b"\xef\xbb\xbf" + text.encode(),
        "lines of DOS, with a mark": b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        "lines of old Macs": text.replace("\n", "\r").encode(),
    }


def test_landmarks_as_other_systems_save_them(tmp_path: Path) -> None:
    path = files.write_flame(tmp_path / "f.npz", MADE)
    numbers = MADE.landmarks.tolist()
    texts = {
        "l.txt": "# Multi-PIE order\n" + "\n".join(map(str, numbers)) + "\n",
        "l.json": json.dumps(numbers, indent=1),
        "gnm.txt": "".join(f"{v} 0.8 {v + 1} 0.15 0 0.05\n" for v in numbers),
    }
    for name, text in texts.items():
        for how, data in saved(text).items():
            (tmp_path / name).write_bytes(data)
            found = read_face_model(path, landmarks=tmp_path / name)
            np.testing.assert_array_equal(found.landmarks, MADE.landmarks, err_msg=f"{name} {how}")
        (tmp_path / name).write_bytes(text.encode("utf-16"))
        with pytest.raises(InputError, match="is text in UTF-16; save it as UTF-8"):
            read_face_model(path, landmarks=tmp_path / name)
    (tmp_path / "face.pts").write_text("version: 1\nn_points:  68\n{\n" + "1.5 2.5\n" * 68 + "}\n")
    with pytest.raises(InputError, match=r"holds points of a picture .*, not vertices of a model"):
        read_face_model(path, landmarks=tmp_path / "face.pts")
    (tmp_path / "l.txt").write_text("1e300 " * 68)
    with pytest.raises(InputError, match="68 whole vertex indices"):
        read_face_model(path, landmarks=tmp_path / "l.txt")


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_pipes_and_devices_are_no_models(tmp_path: Path, format_: str) -> None:
    os.mkfifo(tmp_path / "m.npz")
    marks = files.write_landmarks(tmp_path / "l.txt", MADE.landmarks)
    for path, message in ((tmp_path / "m.npz", "is a pipe, no file"), (Path("/dev/zero"), "is a device, no file")):
        with pytest.raises(InputError, match=message):
            read_face_model(path, format_, landmarks=marks)
        with pytest.raises(InputError, match=message):
            read_face_model(files.write_gnm(tmp_path / "g.npz", MADE), landmarks=path)


def test_complex_numbers_do_not_lose_half(tmp_path: Path) -> None:
    arrays = {
        "v_template": np.ones((4, 3), np.float32),
        "shapedirs": np.ones((4, 3, 400), np.complex64),
        "f": np.zeros((1, 3), np.uint32),
    }
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(InputError, match=r"m\.npz: shapedirs holds complex numbers"):
        read_face_model(tmp_path / "m.npz", "flame", landmarks=None, modes=(5, 0))
