"""Published face models: each format against the face its file was made from, ICT-FaceKit on the real thing, and every
way a file can be wrong.
"""

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stand_ins import face_model_files as files
from tests.stand_ins.face_model_files import Face, face
from voxface.importers.face_models import FORMATS, detect_format, read_face_model
from voxface.importers.face_models.ict import FACE_VERTICES, read_ict
from voxface.importers.face_models.landmarks import read_landmarks
from voxface.importers.face_models.mat5 import read_mat
from voxface.importers.face_models.surface import drop_non_manifold, orient_outwards, split_polygons
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.inference.attributes import read_attributes
from voxface.training.faces.are_metric import (
    PAPER_MEAN_FACE,
    PAPER_PAIRS,
    PAPER_VERTICES,
    anatomical_pairs,
    are_ratios,
    variants,
)
from voxface.training.foreign.pickled_arrays import read_pickle

for module in ("h5py", "scipy"):
    pytest.importorskip(module, reason=f"{module} comes with voxface[train,dev]")

MADE = face()
Writer = Callable[..., Path]

# format, file name, what writes it, whether it brings its landmarks, whether it has expressions
WRITTEN: dict[str, tuple[str, str, Writer, bool, bool]] = {
    "ict": ("ict", "FaceXModel", files.write_ict, True, True),
    "bfm2009 .mat": ("bfm2009", "01_MorphableModel.mat", files.write_bfm2009, False, False),
    "bfm2009 pickle": ("bfm2009", "bfm_noneck_v3.pkl", files.write_tddfa, True, True),
    "bfm2017": ("bfm2017", "model2017-1_face12_nomouth.h5", files.write_bfm2017, False, True),
    "flame pickle": ("flame", "generic_model.pkl", files.write_flame, False, True),
    "flame .npz": ("flame", "flame.npz", files.write_flame, False, True),
    "gnm": ("gnm", "gnm_head.npz", files.write_gnm, False, True),
    "surrey": ("surrey", "sfm_shape_3448.bin", files.write_surrey, False, True),
}


@pytest.fixture
def landmarks(tmp_path: Path) -> Path:
    return files.write_landmarks(tmp_path / "landmarks.txt", MADE.landmarks)


def agrees(model: MorphableModel, made: Face, *, expressions: bool = True, within: float = 1e-3) -> None:
    """The model's faces are the made-up face's, in millimetres, for any coefficients."""
    generator = np.random.default_rng(1)
    identities, rest = len(made.identity), model.modes - model.identity_modes
    for _ in range(5):
        coefficients = generator.normal(size=identities + len(made.expression)).astype(np.float32)
        coefficients[identities:] *= expressions
        given = np.zeros(model.modes, np.float32)
        given[:identities] = coefficients[:identities]
        given[model.identity_modes :] = coefficients[identities : identities + rest]
        np.testing.assert_allclose(model.vertices(given), made.vertices(coefficients), atol=within)


@pytest.mark.parametrize("which", list(WRITTEN))
def test_a_file_of_each_format_gives_its_face_back(tmp_path: Path, landmarks: Path, which: str) -> None:
    name, file, write, own, expressions = WRITTEN[which]
    path = write(tmp_path / file, MADE)
    assert detect_format(path) == name
    model = read_face_model(path, landmarks=None if own else landmarks)
    agrees(model, MADE, expressions=expressions)
    assert model.triangles.dtype == np.int32
    assert model.boundary_edges == 0
    np.testing.assert_array_equal(model.landmarks, MADE.landmarks)
    # Counter-clockwise seen from outside, whichever way the format winds its triangles: the volume is that of the egg.
    a, b, c = (model.mean[model.triangles[:, k]].astype(np.float64) for k in range(3))
    assert np.einsum("ij,ij->", a, np.cross(b, c)) / 6 == pytest.approx(4 / 3 * np.pi * 75 * 112 * 92, rel=0.05)
    assert {*model.measurements} == {
        "face_width", "face_length", "jaw_width", "nose_length", "nose_width", "mouth_width",
        "outer_canthal_width", "inner_canthal_width",
    }  # fmt: skip
    assert model.licence
    assert model.provenance
    kept = read_face_model(path, name, landmarks=None if own else landmarks, modes=(3, 1))
    assert (kept.identity_modes, kept.modes) == (3, 4 if expressions else 3)
    np.testing.assert_array_equal(kept.basis[:3], model.basis[:3])


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(tmp_path: Path, landmarks: Path, protocol: int) -> None:
    agrees(read_face_model(files.write_tddfa(tmp_path / "bfm.pkl", MADE, protocol)), MADE)
    agrees(read_face_model(files.write_flame(tmp_path / "f.pkl", MADE, protocol), landmarks=landmarks), MADE)


class FromPython2:
    """An array as Python 2 pickled it: its bytes as text."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __reduce__(self) -> Any:
        from numpy._core import multiarray

        state = (1, self.array.shape, self.array.dtype, False, self.array.tobytes().decode("latin1"))
        return multiarray._reconstruct, (np.ndarray, (0,), b"b"), state  # type: ignore[attr-defined]


def test_arrays_from_python_2(tmp_path: Path) -> None:
    numbers = np.arange(-300, 300, dtype=">i2").reshape(3, -1)
    (tmp_path / "old.pkl").write_bytes(pickle.dumps({"x": FromPython2(numbers), "y": np.float64(2.5)}, 2))
    found = read_pickle(tmp_path / "old.pkl")
    np.testing.assert_array_equal(found["x"], numbers)
    assert found["y"] == 2.5


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_files(tmp_path: Path, compressed: bool) -> None:
    """Our reader against scipy's writer, types and all."""
    from scipy.io import loadmat, savemat

    random = np.random.default_rng(0)
    written = {f"x_{kind}": (100 * random.random((3, 4))).astype(kind) for kind in ("f4", "f8", "i1", "u2", "i4", "u8")}
    others = {"words": "text", "cell": np.array([1, "a"], object), "point": {"x": 1}, "phase": np.array([1j])}
    savemat(tmp_path / "m.mat", {**written, "one": 3.0, "empty": np.empty((0, 3)), **others}, do_compression=compressed)
    found = read_mat(tmp_path / "m.mat")
    theirs = loadmat(tmp_path / "m.mat")
    assert set(found) == {*written, "one", "empty"}
    for name, values in found.items():
        np.testing.assert_array_equal(values, theirs[name])
    savemat(tmp_path / "old.mat", written, format="4")
    with pytest.raises(InputError, match="save it as such"):
        read_mat(tmp_path / "old.mat")


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("blendshapes", [False, True])
def test_eos_models_of_every_version(tmp_path: Path, landmarks: Path, version: int, blendshapes: bool) -> None:
    path = files.write_surrey(tmp_path / "sfm.bin", MADE, version=version, blendshapes=blendshapes)
    model = read_face_model(path, landmarks=landmarks)
    agrees(model, MADE, expressions=version > 1)
    assert model.modes - model.identity_modes == (2 if version > 1 else 0)


def test_gnm_landmarks_are_barycentric_and_out_of_turn(tmp_path: Path) -> None:
    path = files.write_gnm(tmp_path / "gnm_head.npz", MADE)
    model = read_face_model(path, landmarks=files.write_gnm_landmarks(tmp_path / "head_sparse_68.txt", MADE))
    np.testing.assert_array_equal(model.landmarks, MADE.landmarks)
    agrees(model, MADE)


@pytest.mark.parametrize("turn", [[[0, 0, 1], [1, 0, 0], [0, 1, 0]], [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]])
def test_other_axes_become_ours(tmp_path: Path, landmarks: Path, turn: Any) -> None:
    axes = np.array(turn, float)
    turned = replace(MADE, mean=MADE.mean @ axes, identity=MADE.identity @ axes, expression=MADE.expression @ axes)
    agrees(read_face_model(files.write_gnm(tmp_path / "g.npz", turned), landmarks=landmarks), MADE)


def test_without_landmarks_the_error_says_what_to_give(tmp_path: Path) -> None:
    for name, file, write, own, _ in WRITTEN.values():
        if not own:
            with pytest.raises(InputError, match="carries no 68 landmarks; give --landmarks"):
                read_face_model(write(tmp_path / file, MADE), name)


def test_a_model_without_sexes_and_types(tmp_path: Path) -> None:
    model = read_ict(files.write_ict(tmp_path / "ict", MADE))
    attributes = read_attributes(model, np.ones(model.modes, np.float32))
    assert attributes.sex == {"female": 0.5, "male": 0.5}
    assert attributes.face_type == "unknown"
    assert set(attributes.distances_mm) == {"female", "male"}


# The real ICT-FaceKit.


@pytest.fixture(scope="module")
def facekit(shared: Path) -> Path:
    return shared / "ict-facekit"


@pytest.fixture(scope="module")
def ict(facekit: Path) -> MorphableModel:
    return read_ict(facekit)


def obj_vertices(path: Path) -> Any:
    rows = [line.split()[1:] for line in path.read_text().splitlines() if line.startswith("v ")]
    return np.array(rows, np.float64)


@pytest.mark.slow
def test_ict_is_the_weighted_sum_of_its_files(facekit: Path, ict: MorphableModel) -> None:
    assert ict.mean.shape == (26_719, 3)
    assert (ict.identity_modes, ict.modes) == (40, 50)
    neutral = obj_vertices(facekit / "generic_neutral_mesh.obj")
    expressions = sorted(
        p for p in facekit.glob("*.obj") if not p.stem.startswith("identity") and p.stem != "generic_neutral_mesh"
    )
    shapes = [*(facekit / f"identity{k:03d}.obj" for k in range(40)), *expressions]
    differences = np.array([obj_vertices(p) - neutral for p in shapes])
    generator = np.random.default_rng(0)
    for scale in (0, 1, 2):
        coefficients = (scale * generator.normal(size=50)).astype(np.float32)
        expected = 10 * (neutral + np.tensordot(coefficients.astype(np.float64), differences, 1))
        expected -= expected[ict.landmarks[[36, 45]]].mean(axis=0)
        assert np.abs(ict.vertices(coefficients) - expected).max() < 1e-4 * max(scale, 1)


@pytest.mark.slow
def test_ict_is_a_human_head(facekit: Path, ict: MorphableModel) -> None:
    measured = ict.measure(ict.mean)
    plausible = {
        "face_width": (125, 155), "face_length": (105, 130), "jaw_width": (95, 125), "nose_length": (42, 58),
        "nose_width": (20, 40), "mouth_width": (44, 58), "outer_canthal_width": (80, 98), "inner_canthal_width": (27, 40),
    }  # fmt: skip
    for name, (low, high) in plausible.items():
        assert low < measured[name] < high, name
    ratios = are_ratios(ict.mean, variants(ict.are_pairs)["anatomical"])
    neutral = obj_vertices(facekit / "generic_neutral_mesh.obj").astype(np.float32)
    assert ratios == pytest.approx(are_ratios(neutral, anatomical_pairs(ict.landmarks)), abs=1e-5)
    assert 1.4 < ratios["ear"] < 1.9
    assert 1.1 < ratios["forehead"] < 1.5
    assert 1.1 < ratios["midline"] < 1.5
    assert 1.3 < ratios["cheek"] <= ratios["ear"]
    assert ict.mean[ict.landmarks[[36, 45]], 0] == pytest.approx([-44.6, 44.6], abs=0.1)
    assert ict.mean[ict.landmarks[30], 2] > 30, "the nose points out of the face"


@pytest.mark.slow
def test_the_face_region_of_ict(facekit: Path, ict: MorphableModel) -> None:
    region = read_face_model(facekit, "ict-face", modes=(3, 2))
    assert region.mean.shape == (FACE_VERTICES, 3)
    np.testing.assert_array_equal(region.mean, ict.mean[:FACE_VERTICES])
    np.testing.assert_array_equal(region.basis, ict.basis[[0, 1, 2, 40, 41], :FACE_VERTICES])
    assert region.measure(region.mean) == ict.measure(ict.mean)


# ARE.


def test_are_ratios() -> None:
    vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 3, 0], [0, 0, 5]], np.float32)
    pairs = {"outer_interocular": (0, 1), "ear": (0, 2), "midline": (1, 1)}
    assert are_ratios(vertices, pairs) == {"ear": 1.5, "midline": 0.0}
    with pytest.raises(ValueError, match="needs the pair 'outer_interocular'; there are ear"):
        are_ratios(vertices, {"ear": (0, 2)})
    with pytest.raises(ValueError, match="coincide"):
        are_ratios(vertices, {"outer_interocular": (3, 3)})


def test_the_53215_vertex_model_carries_both_sets_of_pairs(tmp_path: Path) -> None:
    made = face(127, 419)
    assert len(made.mean) == PAPER_VERTICES
    model = read_face_model(files.write_tddfa(tmp_path / "bfm_53215.pkl", made), modes=(2, 1))
    sets = variants(model.are_pairs)
    assert set(sets) == {"anatomical", "paper"}
    assert sets["paper"] == PAPER_PAIRS
    assert sets["anatomical"] == anatomical_pairs(model.landmarks)
    a, b = PAPER_PAIRS["ear"]
    reference, other = PAPER_PAIRS["outer_interocular"]
    expected = np.linalg.norm(made.mean[a] - made.mean[b]) / np.linalg.norm(made.mean[reference] - made.mean[other])
    assert are_ratios(model.mean, sets["paper"])["ear"] == pytest.approx(expected, rel=1e-5)


def test_the_papers_mean_face_ratios_on_bfm() -> None:
    path = os.environ.get("VOXFACE_BFM")
    if not path:
        pytest.skip("BFM is licensed and not ours to ship: set VOXFACE_BFM to 3DDFA's 53,215-vertex pickle to compare")
    model = read_face_model(Path(path))
    if len(model.mean) != PAPER_VERTICES:
        pytest.skip(f"VOXFACE_BFM has {len(model.mean)} vertices; the paper's indices are for {PAPER_VERTICES}")
    assert are_ratios(model.mean, variants(model.are_pairs)["paper"]) == pytest.approx(PAPER_MEAN_FACE, abs=1e-4)


# Files that are wrong.


def changed(write: Writer, file: str, **changes: Any) -> Callable[[Path], Path]:
    return lambda folder: write(folder / file, MADE, **changes)


def with_nan(array: Any) -> Any:
    out = np.array(array, np.float32)
    out.flat[7] = np.nan
    return out


def with_index(index: int) -> Any:
    out = MADE.triangles.copy()
    out[5, 1] = index
    return out


def cut(write: Writer, file: str, share: float = 0.6) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = write(folder / file, MADE)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        return path

    return make


def ict_with(file: str, change: Callable[[str], str]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = files.write_ict(folder / "ict", MADE)
        (path / file).write_text(change((path / file).read_text()))
        return path

    return make


def ict_without(file: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = files.write_ict(folder / "ict", MADE)
        for found in path.glob(file):
            found.unlink()
        return path

    return make


def tddfa_without_whitening(folder: Path) -> Path:
    path = files.write_tddfa(folder / "bfm.pkl", MADE)
    (folder / "param_mean_std_62d_120x120.pkl").unlink()
    return path


SHORT = files.flat(MADE.identity)[:-3]
FLAME, GNM, MAT, H5 = files.flame_fields(MADE), files.write_gnm, files.write_bfm2009, files.write_bfm2017
BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "ict: a shape with too few vertices": (
        ict_with("identity002.obj", lambda text: text.replace("v ", "# ", 1)),
        "identity002.obj: 2881 vertices, the neutral mesh has 2882",
    ),
    "ict: no identity": (ict_without("identity*.obj"), "no identityNNN.obj"),
    "ict: no landmarks": (ict_without("vertex_indices.json"), "carries no 68 landmarks"),
    "ict: NaN": (
        ict_with("identity001.obj", lambda text: text.replace("v 0 ", "v nan ", 1)),
        "NaN or infinity in the id",
    ),
    "ict: cut short": (ict_with("jawOpen.obj", lambda text: text[: len(text) // 2]), "jawOpen.obj: "),
    "ict: text": (ict_with("generic_neutral_mesh.obj", lambda text: "no mesh"), "no vertices"),
    "ict: damaged number": (ict_with("identity000.obj", lambda t: t.replace("v 0 ", "v o ", 1)), "a damaged OBJ file"),
    "ict: topology": (
        ict_with("generic_neutral_mesh.obj", lambda text: text + "f 1 2 99999\n"),
        "a triangle names vertex 99998; the mean has 2882",
    ),
    "ict: landmark": (
        ict_with("vertex_indices.json", lambda text: text.replace("[", "[99999, ", 1)),
        "69 landmarks, not 68",
    ),
    "mat: no basis": (changed(MAT, "m.mat", shapePC=None), "no 'shapePC' in this file"),
    "mat: wrong vertex count": (
        changed(MAT, "m.mat", shapePC=SHORT),
        r"shapePC has shape \[8643, 5\], not \[8646, modes\]",
    ),
    "mat: NaN": (changed(MAT, "m.mat", shapeMU=with_nan(MADE.mean)), "NaN or infinity in the mean"),
    "mat: topology": (changed(MAT, "m.mat", tl=with_index(2882) + 1), "names vertex 288[23]"),
    "mat: negative deviations": (changed(MAT, "m.mat", shapeEV=-np.ones((5, 1))), "shapeEV has 5 values"),
    "mat: another unit": (changed(MAT, "m.mat", shapeMU=MADE.mean.reshape(-1, 1)), "are 0.08547 mm apart"),
    "mat: text for numbers": (changed(MAT, "m.mat", shapeMU="no numbers"), "no 'shapeMU' in this file"),
    "mat: halves of vertices": (changed(MAT, "m.mat", tl=MADE.triangles + 0.5), "tl holds something other than whole"),
    "mat: cut short": (cut(MAT, "m.mat"), "a damaged MATLAB file"),
    "pickle: no basis": (changed(files.write_tddfa, "b.pkl", w_shp=None), "not recognised"),
    "pickle: no expressions": (changed(files.write_tddfa, "b.pkl", w_exp=None), "no 'w_exp' in this file"),
    "pickle: no triangles": (changed(files.write_tddfa, "b.pkl", tri=None), "put tri.pkl"),
    "pickle: wrong vertex count": (changed(files.write_tddfa, "b.pkl", w_shp=SHORT), r"w_shp has shape \[8643, 5\]"),
    "pickle: no whitening": (tddfa_without_whitening, "put param_mean_std_62d_120x120.pkl"),
    "pickle: cut short": (cut(files.write_tddfa, "b.pkl"), "a damaged pickle"),
    "h5: no basis": (changed(H5, "m.h5", **{"shape/model/pcaBasis": None}), "no 'shape/model/pcaBasis'"),
    "h5: wrong vertex count": (
        changed(H5, "m.h5", **{"shape/model/pcaBasis": SHORT}),
        r"pcaBasis has shape \[8643, 5\]",
    ),
    "h5: other expressions": (
        changed(H5, "m.h5", **{"expression/model/mean": np.zeros(30)}),
        "10 vertices in the expression mean",
    ),
    "h5: NaN": (
        changed(H5, "m.h5", **{"shape/model/mean": with_nan(MADE.mean).ravel()}),
        "NaN or infinity in the mean",
    ),
    "h5: negative variance": (
        changed(H5, "m.h5", **{"shape/model/pcaVariance": -np.ones(5)}),
        "negative or NaN variances",
    ),
    "h5: topology": (changed(H5, "m.h5", **{"shape/representer/cells": with_index(-1).T}), "names vertex -1"),
    "h5: cut short": (cut(H5, "m.h5", 0.3), "a damaged HDF5 file"),
    "flame: no basis": (changed(files.write_flame, "f.npz", shapedirs=None), "not recognised"),
    "flame: wrong vertex count": (
        changed(files.write_flame, "f.pkl", v_template=FLAME["v_template"][:-1]),
        r"shapedirs have shape \[2882, 3, 302\], not \[2881, 3, modes\]",
    ),
    "flame: no triangles": (changed(files.write_flame, "f.npz", f=None), "no 'f' in this file"),
    "flame: NaN": (
        changed(files.write_flame, "f.npz", shapedirs=with_nan(FLAME["shapedirs"])),
        "NaN or infinity in the id",
    ),
    "gnm: wrong vertex count": (
        changed(GNM, "g.npz", vertex_identity_basis=MADE.identity[:, :-1]),
        r"the identity basis has shape \[5, 2881, 3\], the mean has 2882",
    ),
    "gnm: no expressions": (changed(GNM, "g.npz", expression_basis=None), "no 'expression_basis'"),
    "gnm: empty basis": (changed(GNM, "g.npz", vertex_identity_basis=MADE.identity[:0]), "no identity modes"),
    "gnm: topology": (changed(GNM, "g.npz", triangles=with_index(2882)), "a triangle names vertex 2882"),
    "gnm: unordered topology": (
        changed(
            GNM, "g.npz", triangles=np.where(np.arange(5760)[:, None] % 2, MADE.triangles, MADE.triangles[:, ::-1])
        ),
        "repeated, degenerate or wound against their neighbours",
    ),
    "gnm: mirrored": (
        changed(GNM, "g.npz", template_vertex_positions=MADE.mean * [-1, 1, 1]),
        "no face seen from the front",
    ),
    "gnm: lying askew": (
        changed(
            GNM, "g.npz", template_vertex_positions=MADE.mean @ np.array([[0.7, 0.7, 0], [-0.7, 0.7, 0], [0, 0, 1]])
        ),
        "looks along no axis",
    ),
    "gnm: cut short": (cut(GNM, "g.npz"), "a damaged .npz archive"),
    "surrey: cut short": (cut(files.write_surrey, "s.bin"), "in the middle of the model"),
    "surrey: another version": (changed(files.write_surrey, "s.bin", version=9), "version 1 to 4 .it says 9"),
    "surrey: wrong vertex count": (
        changed(files.write_surrey, "s.bin", identity=MADE.identity[:, :-1]),
        "the PCA basis has",
    ),
    "surrey: NaN": (changed(files.write_surrey, "s.bin", mean=with_nan(MADE.mean)), "NaN or infinity in the mean"),
    "surrey: topology": (changed(files.write_surrey, "s.bin", triangles=with_index(4000)), "names vertex 4000"),
}


@pytest.mark.parametrize("which", list(BAD))
def test_models_that_are_wrong(tmp_path: Path, landmarks: Path, which: str) -> None:
    make, reason = BAD[which]
    path = make(tmp_path)
    given = None if which in ("ict: no landmarks", "ict: landmark") else landmarks
    with pytest.raises(InputError, match=reason) as caught:
        read_face_model(path, landmarks=given)
    assert str(caught.value).startswith(str(tmp_path)), "says which file"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format_", list(FORMATS))
def test_files_that_are_no_model_at_all(tmp_path: Path, landmarks: Path, format_: str) -> None:
    for name, data in (("empty", b""), ("text", b"this is no model\n" * 50), ("zeros", bytes(5000))):
        for suffix in (".pkl", ".npz", ".mat", ".h5", ".bin"):
            path = tmp_path / (name + suffix)
            path.write_bytes(data)
            with pytest.raises(InputError, match=str(path)):
                read_face_model(path, format_, landmarks=landmarks)
    with pytest.raises(InputError, match="no such file"):
        read_face_model(tmp_path / "nowhere", format_)


def test_formats_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "model.xyz").write_text("?")
    for path in (tmp_path, tmp_path / "model.xyz"):
        with pytest.raises(InputError, match="not recognised as a face model; say --format ict"):
            read_face_model(path)
    with pytest.raises(UsageError, match="no face-model format 'facewarehouse'"):
        read_face_model(tmp_path, "facewarehouse")


class Runs:
    """Pickles as a call that leaves a mark if it is made."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def _attacks(mark: Path) -> list[tuple[str, Any]]:
    command = f"open({str(mark)!r}, 'w').close()"
    return [
        (r"(posix|nt)\.system", Runs(os.system, f"touch {mark}")),
        (r"(builtins|__builtin__)\.(exec|eval)", Runs(exec, command)),
        (r"(builtins|__builtin__)\.getattr", Runs(getattr, np.ndarray, "tofile")),
        (r"numpy.*\.(fromfile|load|save|memmap)", Runs(np.save, str(mark), np.zeros(3))),
        (r"pathlib.*Path", mark),
        (r"numpy.*\._unpickle_ufunc|numpy", np.add),
    ]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("attack", range(6))
def test_nothing_in_a_pickle_runs(tmp_path: Path, protocol: int, attack: int) -> None:
    mark = tmp_path / "mark"
    named, thing = _attacks(mark)[attack]
    path = tmp_path / "evil.pkl"
    for hidden in ({"w_shp": thing}, {"u": np.zeros(9), "more": [thing]}, thing):
        path.write_bytes(pickle.dumps(hidden, protocol))
        with pytest.raises(InputError, match=rf"evil\.pkl: this pickle asks to load {named}"):
            read_face_model(path, "flame")
    assert not mark.exists()


def test_stand_ins_cannot_be_turned_to_other_ends(tmp_path: Path) -> None:
    """Opcodes that call, or assign to, what the unpickler hands out."""
    array, dtype = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
    tricks = {
        "assign to a class": array + b"(N}S'__setstate__'\n" + dtype + b"stb.",
        "an array of objects from bytes": dtype + b"(S'O8'\nI0\nI1\ntR.",
        "an object of a class of its own": b"ccopy_reg\n_reconstructor\n(" + dtype + b"c__builtin__\nobject\nNtR.",
        "an array larger than its bytes": b"cnumpy.core.multiarray\n_reconstruct\n("
        + array
        + b"(I0\ntS'b'\ntR(I1\n(I1000000000000\nt"
        + dtype
        + b"(S'f8'\nI0\nI1\ntRI00\nS'abc'\ntb.",
        "attributes of an allowed class": b"cnumpy\ndtype.__init__.__globals__\n.",
        "text in another encoding": b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
    }
    for what, program in tricks.items():
        (tmp_path / "trick.pkl").write_bytes(program)
        with pytest.raises(InputError, match=r"trick\.pkl: "):
            pytest.fail(f"{what}: {read_pickle(tmp_path / 'trick.pkl')}")
    files.write_tddfa(tmp_path / "bfm.pkl", MADE)
    agrees(read_face_model(tmp_path / "bfm.pkl"), MADE)


def test_objects_in_an_npz_are_not_unpickled(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for name in ("v_template", "anything"):
        fields = {**files.flame_fields(MADE), name: np.array([Runs(os.system, f"touch {mark}")], object)}
        np.savez(tmp_path / "f.npz", **fields)
        with pytest.raises(InputError, match=r"no 'v_template'|carries no 68 landmarks"):
            read_face_model(tmp_path / "f.npz")
    np.save(tmp_path / "one.npz", np.zeros(3))
    (tmp_path / "one.npz.npy").rename(tmp_path / "one.npz")
    with pytest.raises(InputError, match="is a single array"):
        read_face_model(tmp_path / "one.npz", "gnm")
    assert not mark.exists()


SMALL = face(12, 20)
READ = {w: (name, file, write) for w, (name, file, write, _, _) in WRITTEN.items() if name != "ict"}


@pytest.mark.parametrize("which", list(READ))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_found_or_harmless(tmp_path: Path, which: str, data: st.DataObject) -> None:
    """Flipped bits and cut ends: a model all the same, or one line that says what is wrong; never another error."""
    name, file, write = READ[which]
    whole = bytearray(write(tmp_path / file, SMALL).read_bytes())
    for _ in range(data.draw(st.integers(0, 5))):
        place = data.draw(st.integers(0, len(whole) - 1) | st.integers(0, min(600, len(whole) - 1)))
        whole[place] ^= 1 << data.draw(st.integers(0, 7))
    whole = whole[: data.draw(st.just(len(whole)) | st.integers(0, len(whole)))]
    (tmp_path / file).write_bytes(whole)
    marks = files.write_landmarks(tmp_path / "marks", SMALL.landmarks)
    try:
        model = read_face_model(tmp_path / file, name, landmarks=marks)
    except InputError as error:
        lines = str(error).splitlines()
    else:
        lines = ["a model"]
        assert np.isfinite(model.vertices(np.ones(model.modes, np.float32))).all()
    assert len(lines) == 1


# Landmark files and surfaces.


def test_landmark_files(tmp_path: Path) -> None:
    path = tmp_path / "landmarks"
    expected = list(range(100, 168))
    for text in (
        str(expected),
        "\n".join(map(str, expected)),
        "# all\n" + ", ".join(map(str, expected)) + "  # on one line",
        "\n".join(f"{v} 0.2 7 0.1 {v} 0.7" for v in expected),
    ):
        path.write_text(text)
        assert read_landmarks(path).tolist() == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2 3", "3 landmarks; give 68 whole"),
        ("1.5 " * 68, r"number 1 of 68 is 1\.5, no vertex index; give 68 whole vertex indices"),
        (str([*range(40), 40.25, *range(41, 67), 0.5]), r"number 41 of 68 is 40\.25, no vertex index"),
        ("1 " * 67 + "1e300", r"number 68 of 68 is 1e\+300, no vertex index"),
        ("[1, 2", "not numbers"),
        ("{}", "not numbers"),
        ("nose tip", "not numbers"),
        ("", "0 landmarks"),
        ("nan " * 68, "number 1 of 68 is nan, no vertex index; give 68 whole"),
    ],
)
def test_landmark_files_that_are_wrong(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "l.txt").write_text(text)
    with pytest.raises(InputError, match=rf"l\.txt: .*{reason}"):
        read_landmarks(tmp_path / "l.txt")
    with pytest.raises(InputError, match="no such file"):
        read_landmarks(tmp_path / "nowhere")


def test_blemishes_of_a_surface_are_left_out() -> None:
    sound = MADE.triangles
    blemished = np.concatenate([sound, sound[:3], sound[5:7, [1, 2, 0]], [[4, 4, 9]], sound[9:10, ::-1]])
    kept, dropped = drop_non_manifold(blemished)
    assert dropped == 7
    np.testing.assert_array_equal(kept, sound)
    third_sheet = np.concatenate([sound, [[*sound[0, :2], 2000]]])
    assert drop_non_manifold(third_sheet)[1] == 1
    np.testing.assert_array_equal(orient_outwards(MADE.mean, sound[:, ::-1]), sound)
    np.testing.assert_array_equal(orient_outwards(MADE.mean, sound), sound)
    assert split_polygons([[0, 1, 2, 3], [4, 5, 6]]).tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6]]
