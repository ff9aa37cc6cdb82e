"""The 3D morphable model (3DMM): coefficients in, vertices in millimetres out; measurements and attributes of a face.

vertices = mean + Σ_p coefficient_p · basis_p  (Wu 2022, Eq. 1; Blanz & Vetter 1999), with the standard deviations folded
into the basis, so that coefficients are unit-normal. A model may also know how heads age; then
vertices(age) = vertices + Σ_s decades_s · ageing_s. Frame: millimetres, right-handed, origin between the outer corners of
the eyes, x to the subject's left, y up, z out of the face.
"""

import io
import json
import math
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from operator import mul
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import BundleError
from voxface.runtime.face.ageing import Ageing
from voxface.runtime.face.expression_names import EMBEDDED, EMBEDDED_MODEL
from voxface.runtime.files.damage import DAMAGE, reason
from voxface.runtime.files.npz import most_in_bundle, read_npz, to_float32
from voxface.runtime.processor import has_one_thread

SCHEMA = 1
MOST_MODES = 1024  # distances between faces take the eigenvectors of a matrix of this side
LARGEST = 1e6  # of millimetres and of coefficients: beyond it, arithmetic in FP32 may overflow
LARGEST_INDEX: Final = (1 << 31) - 1  # of a vertex, which is stored in 32 bits
LONGEST_METADATA = 1 << 20  # bytes
_REAL: Final = ("mean", "basis", "sex_means", "face_types", "ageing")  # arrays of real numbers; the last may be missing
PARTS = ("skin", "lips", "brows", "eyes", "scalp")


@dataclass(frozen=True)
class MorphableModel:
    """A morphable model of N vertices and P modes.

    Attributes:
        name: name of the model.
        version: version of the model.
        licence: licence under which it may be used.
        provenance: who made it, and how.
        mean: float32 [N, 3], millimetres.
        basis: float32 [P, N, 3], millimetres per standard deviation; identity modes first, then expression modes.
        identity_modes: number of identity modes among the P modes.
        triangles: int32 [F, 3], counter-clockwise seen from outside.
        landmarks: int32 [68] vertices in Multi-PIE order.
        are_pairs: the point pairs of the ARE metric (Wu 2022, §4.2): name -> (vertex, vertex).
        measurements: name -> path of vertices, whose length in millimetres is the measurement.
        parts: uint8 [N], index into `PARTS`.
        albedo: float32 [N, 3] in [0, 1], sRGB, the colours of a preview.
        sex_means: float32 [2, P], coefficients of the mean (female, male).
        sex_scale: one standard deviation, in mm RMS over vertices, of the within-sex distance along the female-male line.
        face_types: name -> float32 [P], coefficients of a typical face of each type.
        boundary_edges: edges that belong to one triangle only (neck cut, openings of eyes and mouth); 0 when closed.
        ageing: how the heads change with age; None where the model does not know.
        expression_names: name of each expression mode; empty where they have none.
    """

    name: str
    version: str
    licence: str
    provenance: str
    mean: NDArray[np.float32]
    basis: NDArray[np.float32]
    identity_modes: int
    triangles: NDArray[np.int32]
    landmarks: NDArray[np.int32]
    are_pairs: dict[str, tuple[int, int]]
    measurements: dict[str, tuple[int, ...]]
    parts: NDArray[np.uint8]
    albedo: NDArray[np.float32]
    sex_means: NDArray[np.float32]
    sex_scale: float
    face_types: dict[str, NDArray[np.float32]]
    boundary_edges: int = field(default=0)
    ageing: Ageing | None = None
    expression_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, p = len(self.mean), len(self.basis)
        _require(self.mean.shape == (n, 3) and n >= 4, f"mean has shape {self.mean.shape}, not [N, 3]")
        _require(self.basis.shape == (p, n, 3) and p >= 1, f"basis has shape {self.basis.shape}, not [P, {n}, 3]")
        _require(p <= MOST_MODES, f"{p} modes, at most {MOST_MODES}")
        _require(0 < self.identity_modes <= p, f"{self.identity_modes} identity modes of {p} modes")
        _require(self.triangles.ndim == 2 and self.triangles.shape[1] == 3, "triangles are not [F, 3]")
        _require(self.landmarks.shape == (68,), f"landmarks have shape {self.landmarks.shape}, not [68]")
        _require(self.sex_means.shape == (2, p), f"sex_means have shape {self.sex_means.shape}, not [2, {p}]")
        _require(self.parts.shape == (n,) and self.albedo.shape == (n, 3), "parts or albedo do not match the vertices")
        _require(int(self.parts.max()) < len(PARTS), f"parts name more than {len(PARTS)} parts")
        for name, path in self.measurements.items():
            _require(len(path) >= 2, f"measurement {name} is a path of {len(path)} vertices")
        if self.ageing is not None:
            moved = self.ageing.per_decade.shape
            _require(moved[1] == n, f"ageing has shape {list(moved)}, not [2, {n}, 3]")
        named, expressions = len(self.expression_names), p - self.identity_modes
        _require(named in (0, expressions), f"{named} names of {expressions} expression modes")
        _require(len(set(self.expression_names)) == named, "two expression modes have one name")
        _require(self.sex_scale > 0, f"sex_scale is {self.sex_scale}, not positive")
        for what, indices in (
            ("triangles", self.triangles),
            ("landmarks", self.landmarks),
            *((f"ARE pair {k}", np.array(v)) for k, v in self.are_pairs.items()),
            *((f"measurement {k}", np.array(v)) for k, v in self.measurements.items()),
        ):
            low, high = int(indices.min()), int(indices.max())
            _require(0 <= low and high < n, f"{what} name vertex {low if low < 0 else high}, outside 0..{n - 1}")
        for name, coefficients in self.face_types.items():
            _require(coefficients.shape == (p,), f"face type {name} has shape {coefficients.shape}, not [{p}]")
        for name, array in (
            ("mean", self.mean),
            ("basis", self.basis),
            ("albedo", self.albedo),
            ("sex_means", self.sex_means),
            *((f"face type {name}", coefficients) for name, coefficients in self.face_types.items()),
        ):
            within = -LARGEST < float(array.min()) and float(array.max()) < LARGEST  # false for NaN
            _require(within, f"{name} holds NaN or infinity, or numbers beyond ±{LARGEST:,.0f}")

    @property
    def modes(self) -> int:
        """P, the number of coefficients."""
        return len(self.basis)

    def vertices(
        self, coefficients: NDArray[np.float32], decades: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Vertices float32 [..., N, 3] in millimetres of coefficients float32 [..., P].

        Args:
            decades: float32 [2], by which they age (`Ageing.decades`); None: not at all. Only of a model with `ageing`.
        """
        basis = self.basis.reshape(self.modes, -1)
        # A single face is computed by BLAS, in two thirds of einsum's time, only if BLAS uses one thread.
        whole = coefficients.ndim > 1 or has_one_thread()
        moved = coefficients @ basis if whole else np.einsum("p,pm->m", coefficients, basis)
        vertices = moved.reshape(*coefficients.shape[:-1], *self.mean.shape)
        vertices += self.mean
        if decades is not None and self.ageing is not None:
            vertices += np.einsum("s,snk->nk", decades, self.ageing.per_decade)
        return vertices.astype(np.float32, copy=False)

    @cached_property
    def mean_faces(self) -> NDArray[np.float32]:
        """Vertices of the mean woman and the mean man, float32 [2, N, 3], millimetres."""
        return self.vertices(self.sex_means)

    def place(self, coefficients: NDArray[np.float32]) -> NDArray[np.float64]:
        """Points float64 [..., P] for faces of coefficients float32 [..., P].

        The distance between two points is the distance between the two meshes, RMS over vertices in millimetres. No mesh is
        computed.
        """
        placed: NDArray[np.float64] = coefficients @ self._axes
        return placed

    def place_among_types(self, coefficients: NDArray[np.float32]) -> tuple[list[float], list[float]]:
        """The point of a face of coefficients float32 [P], P numbers, and its squared distances to `type_places`, first the
        women's. One product of a matrix gives both."""
        axes_and_types, lengths = self._axes_and_types
        numbers: list[float] = (coefficients @ axes_and_types).tolist()
        place = numbers[: self.modes]
        length = sum(map(mul, place, place))
        return place, [
            max(0.0, length - 2 * along + other) for along, other in zip(numbers[self.modes :], lengths, strict=True)
        ]

    def distance(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """The distance between two faces of coefficients float32 [P], RMS over vertices in millimetres."""
        apart = self.place(one - other)
        return math.sqrt(apart @ apart)

    @cached_property
    def sex_places(self) -> NDArray[np.float64]:
        """The points (see `place`) of the mean woman and the mean man, float64 [2, P]."""
        return self.place(self.sex_means)

    @cached_property
    def type_places(self) -> NDArray[np.float64]:
        """The points (see `place`) of the mean woman and the mean man, first as they are, then with each face type: float64
        [2, 1 + types, P]."""
        faces = np.array([*self.face_types.values()], np.float32).reshape(-1, self.modes)
        apart = self.place(faces - self.sex_means.mean(0))
        places: NDArray[np.float64] = self.sex_places[:, None] + np.concatenate([np.zeros((1, self.modes)), apart])
        return places

    @cached_property
    def _axes_and_types(self) -> tuple[NDArray[np.float64], list[float]]:
        """The matrix float64 [P, P + 2 (1 + types)] that gives the point of a face and its product with each point of
        `type_places`; and their squared lengths."""
        types = self.type_places.reshape(-1, self.modes)
        matrix = np.concatenate([self._axes, self._axes @ types.T], 1)
        return matrix, np.einsum("tp,tp->t", types, types).tolist()

    @cached_property
    def sexes_apart(self) -> float:
        """The distance between the mean woman and the mean man, RMS over vertices in millimetres."""
        return self.distance(*self.sex_means)

    @cached_property
    def _axes(self) -> NDArray[np.float64]:
        """A square root of BBᵀ/N, float64 [P, P].

        For a difference d of coefficients, the mean over vertices of squared distances is dᵀ(BBᵀ/N)d.
        """
        flat = self.basis.reshape(self.modes, -1)
        squares, axes = np.linalg.eigh((flat @ flat.T).astype(np.float64) / len(self.mean))
        return np.ascontiguousarray(axes * np.sqrt(np.maximum(squares, 0.0)))

    def measure(self, vertices: NDArray[np.float32]) -> dict[str, float]:
        """Every measurement, in millimetres, of one mesh float32 [N, 3]."""
        return self._paths.lengths(np.subtract(*vertices[self._paths.ends]))

    def measurements_of(
        self, coefficients: NDArray[np.float32], decades: NDArray[np.float32] | None = None
    ) -> dict[str, float]:
        """Every measurement, in millimetres, of the mesh that `vertices` gives. Only the edges along the paths are computed."""
        return self._paths.lengths(self._paths.edges(coefficients, decades))

    def measurement_slopes(
        self, coefficients: NDArray[np.float32], decades: NDArray[np.float32] | None = None
    ) -> NDArray[np.float64]:
        """How every measurement changes with the coefficients, millimetres per standard deviation: float64 [M, P], about the
        mesh that `vertices` gives."""
        return self._paths.slopes(self._paths.edges(coefficients, decades))

    @cached_property
    def _paths(self) -> "_Paths":
        return _Paths.from_model(self)

    def to_bytes(self) -> bytes:
        """The model as an `.npz` file; the basis is stored in FP16 (error below 4 µm per millimetre)."""
        metadata = {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "licence": self.licence,
            "provenance": self.provenance,
            "identity_modes": self.identity_modes,
            "are_pairs": self.are_pairs,
            "measurements": self.measurements,
            "sex_scale": self.sex_scale,
            "face_types": list(self.face_types),
            "boundary_edges": self.boundary_edges,
            "parts": PARTS,
            **({} if self.ageing is None else {"mean_age": self.ageing.mean_age}),
            **({"expression_names": self.expression_names} if self.expression_names else {}),
        }
        arrays = {
            "metadata": np.frombuffer(json.dumps(metadata).encode(), np.uint8),
            "mean": self.mean,
            "basis": self.basis.astype(np.float16),
            "triangles": self.triangles,
            "landmarks": self.landmarks,
            "parts": self.parts,
            "albedo": np.round(self.albedo * 255).astype(np.uint8),
            "sex_means": self.sex_means,
            "face_types": np.array(list(self.face_types.values()), np.float32).reshape(-1, self.modes),
        }
        if self.ageing is not None:
            arrays["ageing"] = self.ageing.per_decade.astype(np.float16)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            for key, array in arrays.items():
                entry = io.BytesIO()
                np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)
                # A fixed date: the same model gives the same bytes, and so the same hash.
                z.writestr(zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0)), entry.getvalue(), zipfile.ZIP_DEFLATED)
        return out.getvalue()

    def save(self, path: Path) -> None:
        """Writes `to_bytes` to `path`."""
        from voxface.runtime.files.atomic import write_bytes

        write_bytes(path, self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """A model from the bytes that `to_bytes` gave.

        Raises:
            BundleError: the bytes are no morphable model, or an invalid one.
        """
        try:
            arrays = read_npz(data, most=most_in_bundle(len(data)))
            _require(arrays["metadata"].nbytes <= LONGEST_METADATA, "too much metadata")
            about: dict[str, Any] = json.loads(arrays["metadata"].tobytes())
            _require(about["schema"] == SCHEMA, f"schema {about['schema']}, this voxface reads schema {SCHEMA}")
            for key in ("name", "version", "licence", "provenance"):
                _require(isinstance(about[key], str), f"{key} is no text")
            for key, largest in (("triangles", LARGEST_INDEX), ("landmarks", LARGEST_INDEX), ("parts", 255)):
                array = arrays[key]
                _require(array.dtype.kind in "iu", f"{key} are no whole numbers")
                in_range = not array.size or (array.min() >= 0 and array.max() <= largest)  # before it is made narrower
                _require(bool(in_range), f"{key} are not within 0 to {largest}")
            real = [key for key in (*_REAL, "albedo") if key in arrays or key != "ageing"]
            for key in real:
                _require(arrays[key].dtype.kind in "fiu", f"{key} is {arrays[key].dtype}, no real numbers")
            # What is not finite is refused below.
            widened = {key: to_float32(arrays[key]) for key in real if key != "albedo"}
            aged = widened.get("ageing")
            return cls(
                name=about["name"],
                version=about["version"],
                licence=about["licence"],
                provenance=about["provenance"],
                mean=widened["mean"],
                basis=widened["basis"],
                identity_modes=int(about["identity_modes"]),
                triangles=arrays["triangles"].astype(np.int32),
                landmarks=arrays["landmarks"].astype(np.int32),
                are_pairs={k: (int(v[0]), int(v[1])) for k, v in about["are_pairs"].items()},
                measurements={k: tuple(int(i) for i in v) for k, v in about["measurements"].items()},
                parts=arrays["parts"].astype(np.uint8),
                albedo=(arrays["albedo"] / np.float32(255)).astype(np.float32),
                sex_means=widened["sex_means"],
                sex_scale=float(about["sex_scale"]),
                face_types=dict(zip(about["face_types"], widened["face_types"], strict=True)),
                boundary_edges=int(about["boundary_edges"]),
                ageing=None if aged is None else Ageing(aged, float(about["mean_age"])),
                expression_names=_expression_names(about, len(arrays["basis"])),
            )
        except DAMAGE as error:
            raise BundleError(f"not a morphable model: {reason(error)}; export or download it again") from error


class _Paths(NamedTuple):
    """The E edges along which measurements are taken, path after path."""

    ends: NDArray[np.int64]  # [2, E], vertices
    mean: NDArray[np.float32]  # [3 E], from one end to the other
    basis: NDArray[np.float32]  # [P, 3 E]
    ageing: NDArray[np.float32] | None  # [2, 3 E]
    begins: dict[str, int]  # first edge of each path

    @classmethod
    def from_model(cls, model: MorphableModel) -> Self:
        paths = model.measurements.values()
        ends = np.array([edge for path in paths for edge in pairwise(path)], np.int64).reshape(-1, 2).T
        begins = np.cumsum([0, *(len(path) - 1 for path in paths)]).tolist()
        return cls(
            ends=ends,
            mean=np.subtract(*model.mean[ends]).ravel(),
            basis=np.subtract(*model.basis[:, ends].swapaxes(0, 1)).reshape(model.modes, -1),
            ageing=None
            if model.ageing is None
            else np.subtract(*model.ageing.per_decade[:, ends].swapaxes(0, 1)).reshape(2, -1),
            begins=dict(zip(model.measurements, begins, strict=False)),
        )

    def edges(self, coefficients: NDArray[np.float32], decades: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """The edges float32 [E, 3] of a face."""
        found: NDArray[np.float32] = np.einsum("p,pm->m", coefficients, self.basis)
        found += self.mean
        if decades is not None and self.ageing is not None:
            found += np.einsum("s,sm->m", decades, self.ageing)
        return found.reshape(-1, 3)

    def lengths(self, edges: NDArray[np.float32]) -> dict[str, float]:
        """The length of every path, of edges float32 [E, 3]."""
        if not self.begins:
            return {}
        each = np.sqrt(np.einsum("ek,ek->e", edges, edges)).astype(np.float64)
        return dict(zip(self.begins, np.add.reduceat(each, [*self.begins.values()]).tolist(), strict=True))

    def slopes(self, edges: NDArray[np.float32]) -> NDArray[np.float64]:
        """The gradient float64 [M, P] of the length of every path, of edges float32 [E, 3]; 0 for an edge without length."""
        modes = len(self.basis)
        if not self.begins:
            return np.zeros((0, modes))
        towards = edges.astype(np.float64)
        lengths = np.linalg.norm(towards, axis=1, keepdims=True)
        towards /= np.where(lengths > 0, lengths, 1)
        each = np.einsum("pek,ek->ep", self.basis.reshape(modes, -1, 3), towards)
        slopes: NDArray[np.float64] = np.add.reduceat(each, [*self.begins.values()], axis=0)
        return slopes


def _expression_names(about: dict[str, Any], modes: int) -> tuple[str, ...]:
    """The names of the expression modes that a file gives, or those of the embedded model, which its files did not say."""
    names = about.get("expression_names")
    if names is None:
        known = about["name"] == EMBEDDED_MODEL and modes - int(about["identity_modes"]) == len(EMBEDDED)
        return EMBEDDED if known else ()
    _require(
        isinstance(names, list) and all(isinstance(name, str) and name.isprintable() for name in names),
        "expression_names are no list of names",
    )
    return tuple(names)


def _require(true: bool, message: str) -> None:
    if not true:
        raise BundleError(f"invalid morphable model: {message}")
