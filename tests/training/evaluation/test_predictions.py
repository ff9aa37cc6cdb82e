"""Another method's files: every form gives the same face, and what does not fit is named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.head_pairs import head_pairs
from voxface.runtime.errors import InputError
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.obj import obj
from voxface.runtime.face.ply import ply
from voxface.runtime.face.png import png
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.predictions import Predictions

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return head_pairs(8, expression=1)


def picture(seed: int, size: int = 64) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def test_every_form_of_a_mesh_gives_the_same_face(pairs: Pairs, tmp_path: Path) -> None:
    model = pairs.morphable
    coefficients = pairs.coefficients[6].copy()
    coefficients[model.identity_modes :] = 0
    vertices = model.vertices(coefficients)
    normals = vertex_normals(vertices, model.triangles)
    folder = tmp_path / "theirs"
    (folder / "p6").mkdir(parents=True)
    (folder / "p6" / "0.obj").write_bytes(obj(vertices, normals, model.triangles))
    (folder / "p6" / "1.ply").write_bytes(ply(vertices, normals, model.albedo, model.triangles))
    np.save(folder / "p6" / "2.npy", vertices.astype(np.float64))
    np.savez(folder / "p7.npz", coefficients=coefficients)  # of all recordings of p7
    own = pairs.clean_utterances[6].tolist() + pairs.clean_utterances[7].tolist()

    read = Predictions.read(folder, pairs, None)
    assert read.name == "theirs"
    assert read.makes == {"meshes"}
    found = read.vertices(own)
    assert found.shape == (6, *model.mean.shape)
    np.testing.assert_allclose(found, np.repeat(vertices[None], 6, 0), atol=2e-4)  # OBJ has four digits
    # Coefficients of vertices are those that made them.
    np.testing.assert_allclose(read.coefficients(own), np.repeat(coefficients[None], 6, 0), atol=2e-3)
    ascii_ply = (
        "ply\nformat ascii 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    )
    lines = "\n".join(" ".join(f"{x:.5f}" for x in row) for row in vertices)
    (folder / "p6" / "1.ply").write_text(ascii_ply.format(len(vertices)) + lines + "\n")
    np.testing.assert_allclose(Predictions.read(folder, pairs, None).vertices(own[1:2])[0], vertices, atol=2e-5)


def test_expression_of_coefficients_is_left_out_of_meshes(pairs: Pairs, tmp_path: Path) -> None:
    coefficients = np.zeros(pairs.morphable.modes, np.float32)
    coefficients[-1] = 3
    np.save(tmp_path / "p6.npy", coefficients)
    read = Predictions.read(tmp_path, pairs, "m")
    u = pairs.clean_utterances[6][:1]
    np.testing.assert_allclose(read.vertices(u)[0], pairs.morphable.mean, atol=1e-5)
    np.testing.assert_array_equal(read.coefficients(u)[0], coefficients)


def test_pictures_of_each_recording_or_of_all(pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / "p6").mkdir()
    (tmp_path / "p6" / "1.png").write_bytes(png(picture(1)))
    (tmp_path / "p6.png").write_bytes(png(picture(0)))
    np.save(tmp_path / "p7.npy", picture(2))
    read = Predictions.read(tmp_path, pairs, "SF2F")
    assert read.name == "SF2F"
    assert read.makes == {"faces"}
    u = pairs.clean_utterances[6]
    found = read.faces([*u, int(pairs.clean_utterances[7][0])])
    for row, seed in zip(found, (0, 1, 0, 2), strict=True):
        np.testing.assert_array_equal(row, picture(seed))


def test_pictures_of_several_sizes_are_brought_to_that_of_the_data(pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / "p6.png").write_bytes(png(np.full((96, 96, 3), 77, np.uint8)))
    (tmp_path / "p7.png").write_bytes(png(np.full((32, 32, 3), 99, np.uint8)))
    read = Predictions.read(tmp_path, pairs, None)
    both = [int(pairs.clean_utterances[i][0]) for i in (6, 7)]
    found = read.faces(both)
    assert found.shape == (2, 64, 64, 3)
    assert found[0].min() == found[0].max() == 77
    assert found[1].min() == found[1].max() == 99
    assert read.faces(both[:1]).shape == (1, 96, 96, 3)  # alone it stays as it is


def test_the_digest_is_of_names_and_contents(pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / "p6.png").write_bytes(png(picture(0)))
    one = Predictions.read(tmp_path, pairs, "a").digest
    assert one == Predictions.read(tmp_path, pairs, "b").digest
    shutil.move(tmp_path / "p6.png", tmp_path / "p7.png")
    assert Predictions.read(tmp_path, pairs, "a").digest != one


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nobody/0.png", "nobody/0 is no recording"),
        ("nobody.png", "nobody is no recording"),
        ("p6/3.png", "the recordings of p6 are 0 to 2, not 3"),
        ("p6/first.png", "the recordings of p6 are 0 to 2, not first"),
        ("deep/p6/0.png", "deep/p6/0 is no recording"),
    ],
)
def test_files_of_no_recording_are_named(pairs: Pairs, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(png(picture(0)))
    with pytest.raises(InputError, match=says) as told:
        Predictions.read(tmp_path, pairs, None)
    assert "voxface eval recordings" in str(told.value)
    assert str(tmp_path / name) in str(told.value)


def test_what_is_missing_damaged_or_of_another_topology_is_named(pairs: Pairs, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        Predictions.read(tmp_path / "none", pairs, None)
    with pytest.raises(InputError, match="no pictures or meshes here"):
        Predictions.read(tmp_path, pairs, None)
    u = pairs.clean_utterances[6]

    def told(file: str, data: bytes, *, faces: bool = False) -> str:
        for old in tmp_path.iterdir():
            old.unlink()
        (tmp_path / file).write_bytes(data)
        with pytest.raises(InputError) as error:
            use(faces=faces)
        return str(error.value)

    def use(*, faces: bool) -> None:
        read = Predictions.read(tmp_path, pairs, None)
        read.faces(u) if faces else read.vertices(u)

    def array(values: object) -> bytes:
        np.save(tmp_path / "made.npy", np.asarray(values))
        return (tmp_path / "made.npy").read_bytes()

    vertices = pairs.morphable.mean
    assert "p6.obj: has 1 vertices; those of small-head" in told("p6.obj", b"v 1 2 3\n")
    assert "p6.obj: a damaged OBJ mesh" in told("p6.obj", b"v 1 2\n")
    assert "p6.obj: a damaged OBJ mesh" in told("p6.obj", b"# nothing\n")
    assert "p6.obj: is empty, not an OBJ mesh" in told("p6.obj", b"")
    assert "p6.ply: a damaged PLY mesh" in told("p6.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 5\n")
    assert "vertices are to be in millimetres" in told("p6.npy", array(vertices / 1000))
    assert "has 3 coefficients; small-head" in told("p6.npy", array([0.0, 1, 2]))
    assert "not finite" in told("p6.npy", array(np.full(10, np.nan)))
    assert "is no picture" in told("p6.npy", array(np.zeros((2, 2))))
    assert "damaged" in told("p6.npy", array(vertices)[:-9])
    assert "p6.png: cannot be read as a picture" in told("p6.png", b"none", faces=True)
    assert "p6.png: is 20×30; cut it to a square" in told("p6.png", png(np.zeros((30, 20, 3), np.uint8)), faces=True)
    assert "no mesh of p6/0; give p6/0 or p6 with its ending" in told("p7.npy", array(vertices))
    assert "no picture of p6/0" in told("p7.png", png(picture(0)), faces=True)


def test_two_files_of_one_recording_are_refused(pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / "p6.obj").write_bytes(b"v 0 0 0\n")
    np.save(tmp_path / "p6.npy", np.zeros(10))
    with pytest.raises(InputError, match="is of the same recording; leave one out"):
        Predictions.read(tmp_path, pairs, None)


def test_noisy_renderings_have_no_predictions(pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / "p6.png").write_bytes(png(picture(0)))
    noisy = int(np.flatnonzero(~pairs.utterance_clean)[0])
    with pytest.raises(InputError, match="is no clean recording"):
        Predictions.read(tmp_path, pairs, None).faces([noisy])
