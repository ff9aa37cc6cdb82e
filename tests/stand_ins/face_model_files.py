"""A made-up face, and small files of it in each published format, written as those models' own tools would."""

import io
import pickle
import struct
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Face:
    """A face in our frame but for its origin: millimetres, unit-normal modes.

    Attributes:
        mean [N, 3]; identity [P, N, 3]; expression [E, N, 3]; triangles [F, 3]; landmarks [68].
    """

    mean: Array
    identity: Array
    expression: Array
    triangles: Array
    landmarks: Array

    def vertices(self, coefficients: Array) -> Array:
        """Vertices float64 [N, 3], the origin midway between the outer eye corners."""
        basis = np.concatenate([self.identity, self.expression])
        placed: Array = self.mean + np.tensordot(coefficients, basis, 1)
        return placed - placed[self.landmarks[[36, 45]]].mean(axis=0)


def places() -> Array:
    """Where the 68 landmarks lie in front view, float64 [68, 2], millimetres."""
    jaw = [(66 * np.sin(a), -12 - 84 * np.cos(a)) for a in np.linspace(-np.pi / 2, np.pi / 2, 17)]
    brows = [(x, 22 - (abs(x) - 31) ** 2 / 60) for x in (*np.linspace(-50, -12, 5), *np.linspace(12, 50, 5))]
    nose = [(0, y) for y in (2, -11, -24, -37)] + [(x, -45) for x in (-14, -7, 0, 7, 14)]
    right_eye = [(-45, 0), (-36, 5), (-26, 5), (-17, 0), (-26, -5), (-36, -5)]
    left_eye = [(17, 0), (26, 5), (36, 5), (45, 0), (36, -5), (26, -5)]
    outer = [(-25 * np.cos(a), -66 + 10 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 13)[:-1]]
    inner = [(-20 * np.cos(a), -66 + 5 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 9)[:-1]]
    return np.array([*jaw, *brows, *nose, *right_eye, *left_eye, *outer, *inner])


def face(rows: int = 40, columns: int = 72, seed: int = 0) -> Face:
    """A closed head-sized egg with a nose, of rows · columns + 2 vertices; five identity and two expression modes."""
    down = np.pi * (np.arange(rows) + 1) / (rows + 1)
    round_ = 2 * np.pi * np.arange(columns) / columns
    ring = np.stack(
        [
            np.outer(np.sin(down), np.sin(round_)),
            np.outer(np.cos(down), np.ones(columns)),
            np.outer(np.sin(down), np.cos(round_)),
        ],
        -1,
    ).reshape(-1, 3)
    unit = np.concatenate([[[0, 1, 0]], ring, [[0, -1, 0]]])
    mean = unit * [75, 112, 92] + [0, -15, 0]
    near = (mean[:, 2] > 0) * np.exp(-(mean[:, 0] ** 2) / 150 - (mean[:, 1] + 35) ** 2 / 300)
    mean[:, 2] += 22 * near
    last = len(unit) - 1
    at = 1 + np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = at[:-1], np.roll(at[:-1], -1, 1), at[1:], np.roll(at[1:], -1, 1)
    triangles = np.concatenate(
        [
            np.stack([a, c, b], -1).reshape(-1, 3),
            np.stack([b, c, d], -1).reshape(-1, 3),
            np.stack([np.zeros(columns, int), at[0], np.roll(at[0], -1)], -1),
            np.stack([np.full(columns, last), np.roll(at[-1], -1), at[-1]], -1),
        ]
    )
    x, y, _ = unit.T
    zero = np.zeros_like(x)
    identity = [
        np.stack([5 * x, zero, zero], 1),
        np.stack([zero, 5 * y, zero], 1),
        np.stack([zero, zero, 4 * near], 1),
        np.stack([4 * x * (y < 0) * y**2, zero, zero], 1),
        np.random.default_rng(seed).normal(0, 1, 3) * np.stack([np.sin(5 * y), np.sin(3 * x), np.cos(4 * y)], 1),
    ]
    low = np.clip(-y - 0.3, 0, None)
    expression = [np.stack([zero, -9 * low, zero], 1), np.stack([4 * x * low, 3 * low * np.abs(x), zero], 1)]
    front = np.flatnonzero(mean[:, 2] > -5)
    far = np.linalg.norm(mean[front, None, :2] - places(), axis=2)
    return Face(mean, np.array(identity), np.array(expression), triangles, front[far.argmin(axis=0)])


def flat(modes: Array) -> Array:
    """Modes [K, N, 3] as columns [3N, K]."""
    return modes.reshape(len(modes), -1).T


def normalised(modes: Array) -> tuple[Array, Array]:
    """Unit columns [3N, K] and their standard deviations [K]."""
    wide = flat(modes)
    deviations = np.linalg.norm(wide, axis=0)
    return wide / deviations, deviations


def write_landmarks(path: Path, landmarks: Array) -> Path:
    path.write_text("# Multi-PIE order\n" + "\n".join(map(str, landmarks.tolist())) + "\n")
    return path


def write_ict(folder: Path, made: Face) -> Path:
    """An OBJ folder in centimetres, quads where two triangles share a side."""
    import json

    folder.mkdir()
    polygons = [f"f {a + 1}/1 {b + 1}/2 {c + 1}/3" for a, b, c in made.triangles.tolist()]

    def write(name: str, vertices: Array, faces: list[str]) -> None:
        lines = [f"v {x:.8g} {y:.8g} {z:.8g}" for x, y, z in (vertices / 10).tolist()]
        (folder / name).write_text("# made up\n" + "\n".join([*lines, "usemtl M_Face", *faces]) + "\n")

    write("generic_neutral_mesh.obj", made.mean, polygons)
    for index, mode in enumerate(made.identity):
        write(f"identity{index:03d}.obj", made.mean + mode, [])
    for name, mode in zip(("jawOpen", "mouthSmile_L"), made.expression, strict=True):
        write(f"{name}.obj", made.mean + mode, [])
    (folder / "vertex_indices.json").write_text(json.dumps({"idx_to_landmark_verts": made.landmarks.tolist()}))
    return folder


def write_bfm2009(path: Path, made: Face, **changes: Any) -> Path:
    """`01_MorphableModel.mat`: micrometres, triangles from 1 and clockwise."""
    from scipy.io import savemat

    basis, deviations = normalised(made.identity * 1000)
    fields = {
        "shapeMU": (made.mean * 1000).reshape(-1, 1).astype(np.float32),
        "shapePC": basis.astype(np.float32),
        "shapeEV": deviations[:, None].astype(np.float32),
        "texMU": np.zeros((3, 1)),
        "tl": (made.triangles[:, ::-1] + 1).astype(np.float64),
        **changes,
    }
    savemat(path, {key: value for key, value in fields.items() if value is not None})
    return path


def write_tddfa(path: Path, made: Face, protocol: int = 4, **changes: Any) -> Path:
    """3DDFA-V2's pickle with its whitening file: micrometres, modes scaled so that the deviations matter."""
    deviations = np.concatenate([np.ones(12), np.full(40, 1e5), np.full(10, 2.0)])
    fields = {
        "u": (made.mean * 1000).reshape(-1, 1).astype(np.float32),
        "w_shp": (flat(made.identity) * 1000 / 1e5).astype(np.float32),
        "w_exp": (flat(made.expression) * 1000 / 2.0).astype(np.float32),
        "tri": np.asfortranarray(made.triangles.T.astype(np.int32)),
        "keypoints": (3 * made.landmarks[:, None] + np.arange(3)).ravel().astype(np.int64),
        "note": "entries that are no arrays are left out",
        **changes,
    }
    path.write_bytes(pickle.dumps({k: v for k, v in fields.items() if v is not None}, protocol))
    whitening = {"mean": np.ones(62, np.float32), "std": deviations.astype(np.float32)}
    (path.parent / "param_mean_std_62d_120x120.pkl").write_bytes(pickle.dumps(whitening, protocol))
    return path


def write_bfm2017(path: Path, made: Face, **changes: Any) -> Path:
    """statismo HDF5; half of the mean stands in the expression model."""
    import h5py

    identity, deviations = normalised(made.identity)
    expression, expression_deviations = normalised(made.expression)
    fields = {
        "shape/model/mean": (made.mean * 0.75).ravel(),
        "shape/model/pcaBasis": identity,
        "shape/model/pcaVariance": deviations**2,
        "shape/representer/cells": made.triangles.T.astype(np.int32),
        "expression/model/mean": (made.mean * 0.25).ravel(),
        "expression/model/pcaBasis": expression,
        "expression/model/pcaVariance": expression_deviations**2,
        **changes,
    }
    with h5py.File(path, "w") as file:
        file["metadata/landmarks/json"] = "[]"
        for name, value in fields.items():
            if value is not None:
                file[name] = value
    return path


def flame_fields(made: Face) -> dict[str, Any]:
    """FLAME's arrays: metres, 300 identity modes of which most are empty, expressions after them."""
    directions = np.zeros((len(made.mean), 3, 302))
    directions[..., : len(made.identity)] = made.identity.transpose(1, 2, 0) / 1000
    directions[..., 300:] = made.expression.transpose(1, 2, 0) / 1000
    return {"v_template": made.mean / 1000, "shapedirs": directions, "f": made.triangles.astype(np.uint32)}


def write_flame(path: Path, made: Face, protocol: int = 2, **changes: Any) -> Path:
    """FLAME as a pickle with chumpy and scipy.sparse objects in it, or as `.npz`."""
    fields = {**flame_fields(made), **changes}
    fields = {key: value for key, value in fields.items() if value is not None}
    if path.suffix == ".npz":
        np.savez(path, **fields, kintree_table=np.array([[None, 0]], object))
        return path
    from scipy.sparse import csc_matrix

    chumpy, ch = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")
    kind = type("Ch", (), {"__module__": "chumpy.ch", "__qualname__": "Ch"})
    ch.Ch = kind  # type: ignore[attr-defined]
    wrapped = kind()
    wrapped.__dict__.update(x=fields["shapedirs"], _dirty_vars=set(), _itr=None)
    fields |= {"shapedirs": wrapped, "J_regressor": csc_matrix(np.eye(3)), "bs_style": "lbs"}
    sys.modules |= {"chumpy": chumpy, "chumpy.ch": ch}
    try:
        path.write_bytes(pickle.dumps(fields, protocol))
    finally:
        del sys.modules["chumpy"], sys.modules["chumpy.ch"]
    return path


def write_gnm(path: Path, made: Face, **changes: Any) -> Path:
    """`gnm_head.npz`: metres."""
    fields = {
        "version": "3.0",
        "variant": "head",
        "template_vertex_positions": made.mean / 1000,
        "vertex_identity_basis": made.identity / 1000,
        "expression_basis": made.expression / 1000,
        "triangles": made.triangles,
        "identity_names": ["a"],
        **changes,
    }
    np.savez_compressed(path, **{key: value for key, value in fields.items() if value is not None})
    return path


def write_gnm_landmarks(path: Path, made: Face) -> Path:
    """`head_sparse_68.txt`: barycentric, with a part of the jaw out of turn as in the published file."""
    turn = [0, 1, 6, 5, 4, 3, 2, *range(7, 68)]
    path.write_text("".join(f"{v} 0.8 {v + 1} 0.15 0 0.05\n" for v in made.landmarks[turn].tolist()))
    return path


def write_surrey(path: Path, made: Face, *, version: int = 4, blendshapes: bool = False, **changes: Any) -> Path:
    """An eos `MorphableModel` in a cereal binary archive."""
    out = io.BytesIO()

    def matrix(values: Array) -> None:
        table = np.asarray(values, np.float32).reshape(len(values), -1)
        out.write(struct.pack("<ii", *table.shape) + np.asfortranarray(table).tobytes("F"))

    def triangles(table: Array) -> None:
        out.write(struct.pack("<Q", len(table)) + table.astype("<i4").tobytes())

    def pca(mean: Array, modes: Array, table: Array) -> None:
        basis, deviations = normalised(modes)
        matrix(mean.ravel())
        matrix(basis)
        matrix(deviations**2)
        triangles(table)

    nothing = np.empty((0, 3))
    out.write(struct.pack("<I", version))
    pca(
        changes.get("mean", made.mean), changes.get("identity", made.identity), changes.get("triangles", made.triangles)
    )
    for _ in range(3):
        out.write(struct.pack("<ii", 0, 0))
    triangles(nothing)
    if version > 1:
        out.write(struct.pack("<B", 0))
        if blendshapes:
            out.write(struct.pack("<iQ", 1, len(made.expression)))
            for index, mode in enumerate(made.expression):
                name = f"blendshape {index}".encode()
                out.write(struct.pack("<Q", len(name)) + name)
                matrix(mode.ravel())
        else:
            out.write(struct.pack("<i", 0))
            pca(np.zeros_like(made.mean), made.expression, nothing)
    if version > 2:
        out.write(struct.pack("<B", 1))
    out.write(struct.pack("<Q", 0) * (2 if version > 3 else 1))
    path.write_bytes(out.getvalue())
    return path
