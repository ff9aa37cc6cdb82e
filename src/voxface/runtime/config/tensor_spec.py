"""What a graph takes and gives: element types and shapes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TensorSpec:
    """A graph input or output: its dtype (numpy's name) and shape; a named dimension may have any length."""

    dtype: str
    shape: tuple[int | str, ...]
