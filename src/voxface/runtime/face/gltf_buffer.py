"""The binary part of a glTF file: arrays one after another, with the views and accessors that describe them."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125  # of glTF's componentType
_VERTICES, _INDICES = 34962, 34963  # of glTF's target
_TYPES: Final = {3: "VEC3", 4: "VEC4"}


class GltfBuffer:
    """Arrays of a mesh.

    Attributes:
        views, accessors: their descriptions, in the document's form.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    @property
    def size(self) -> int:
        """Bytes so far, a multiple of 4."""
        return self._size

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)

    def add_vertices(self, values: NDArray[Any], *, bounds: bool = False, normalised: bool = False) -> int:
        """Adds a value of each vertex, float32 or uint16 [N, 3 or 4]; returns the accessor's number.

        Args:
            values: the values.
            bounds: whether to say the smallest and largest, as glTF asks for positions.
            normalised: whether 65,535 means 1.
        """
        kind = _FLOAT if values.dtype == np.float32 else _UINT16
        accessor: dict[str, Any] = {"bufferView": self._view(values, _VERTICES), "componentType": kind}
        if normalised:
            accessor["normalized"] = True
        return self._accessor(accessor, len(values), _TYPES[values.shape[1]], values if bounds else None)

    def add_indices(self, indices: NDArray[np.int32]) -> int:
        """Adds the triangles int32 [F, 3]; returns the accessor's number."""
        view = self._view(indices.astype("<u4"), _INDICES)
        return self._accessor({"bufferView": view, "componentType": _UINT32}, indices.size, "SCALAR")

    def add_displacements(self, values: NDArray[np.float32], *, bounds: bool = False) -> int:
        """Adds displacements float32 [N, 3], of which most may be 0: then only the others are stored. Returns the accessor's
        number."""
        moved = np.flatnonzero(values.any(axis=1))
        narrow = len(values) <= 1 << 16
        if len(moved) * (12 + (2 if narrow else 4)) >= 12 * len(values) or not len(moved):
            return self.add_vertices(values, bounds=bounds)
        indices = self._view(moved.astype("<u2" if narrow else "<u4"))
        sparse = {
            "count": len(moved),
            "indices": {"bufferView": indices, "componentType": _UINT16 if narrow else _UINT32},
            "values": {"bufferView": self._view(values[moved])},
        }
        accessor = {"componentType": _FLOAT, "sparse": sparse}
        return self._accessor(accessor, len(values), "VEC3", values if bounds else None)

    def _accessor(self, accessor: dict[str, Any], count: int, kind: str, bounded: NDArray[Any] | None = None) -> int:
        accessor |= {"count": count, "type": kind}
        if bounded is not None:
            accessor |= {"min": bounded.min(0).tolist(), "max": bounded.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def _view(self, values: NDArray[Any], target: int | None = None) -> int:
        data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        view = {"buffer": 0, "byteOffset": self._size, "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self.views.append(view)
        padding = b"\0" * (-len(data) % 4)
        self._parts += [data, padding]
        self._size += len(data) + len(padding)
        return len(self.views) - 1
