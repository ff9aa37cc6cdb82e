"""The signature of a graph: element types and shapes of its inputs and outputs."""

from typing import NamedTuple


class TensorSpec(NamedTuple):
    """An input or output of a graph: dtype (numpy's name) and shape. A dimension that has a name may have any length."""

    dtype: str
    shape: tuple[int | str, ...]
