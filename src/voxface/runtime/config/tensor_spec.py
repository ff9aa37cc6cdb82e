"""The signature of a graph: element types and shapes of its inputs and outputs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a graph: dtype (numpy's name) and shape. A dimension that has a name may have any length."""

    dtype: str
    shape: tuple[int | str, ...]
