"""The check of an array against what a graph says of an input or output."""

from functools import lru_cache
from typing import Any

import numpy as np

from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.engine import Array


def check_array(name: str, array: Array, spec: TensorSpec) -> None:
    """Checks the array for an input or output.

    Raises:
        ValueError: its type, number of dimensions or one of the fixed lengths is another.
    """
    fits = array.dtype == _dtype(spec.dtype) and array.ndim == len(spec.shape)
    if not fits or [d for d, n in zip(spec.shape, array.shape, strict=True) if d != n and isinstance(d, int)]:
        raise ValueError(
            f"{name!r} is {array.dtype} {list(array.shape)}, the graph wants {spec.dtype} {list(spec.shape)}"
        )


@lru_cache(maxsize=32)
def _dtype(name: str) -> np.dtype[Any] | str:
    """The dtype of numpy's name, kept since to look it up takes longer than to compare; without one, the name."""
    try:
        return np.dtype(name)
    except TypeError:
        return name
