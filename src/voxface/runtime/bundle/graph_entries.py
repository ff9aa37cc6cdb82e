"""The manifest's entries of ONNX graphs: files and signatures."""

from collections.abc import Mapping
from typing import Self

from voxface.runtime.bundle.json_record import JsonRecord
from voxface.runtime.config.tensor_spec import TensorSpec


class TensorEntry(JsonRecord):
    """A graph input or output: numpy's name of its dtype, and its shape; a dimension that has a name may have any length."""

    dtype: str
    shape: tuple[int | str, ...]

    @classmethod
    def from_spec(cls, spec: TensorSpec) -> Self:
        """The entry of a tensor."""
        return cls(dtype=spec.dtype, shape=spec.shape)

    @property
    def spec(self) -> TensorSpec:
        """The tensor."""
        return TensorSpec(self.dtype, self.shape)


def tensor_entries(specs: Mapping[str, TensorSpec]) -> dict[str, TensorEntry]:
    """Entries of an engine's inputs or outputs."""
    return {name: TensorEntry.from_spec(spec) for name, spec in specs.items()}


class GraphEntry(JsonRecord):
    """An ONNX graph.

    Attributes:
        file: its file.
        inputs, outputs: its signature.
        of: only for a fused graph: SHA-256 of each graph that it was made of.
    """

    file: str
    inputs: Mapping[str, TensorEntry]
    outputs: Mapping[str, TensorEntry]
    of: Mapping[str, str] | None = None
