"""The optimisation profile of an engine: smallest, best and largest length of every dimension that has a name."""

from collections.abc import Mapping
from dataclasses import dataclass

from voxface.runtime.bundle.engine_entries import ProfileEntry
from voxface.runtime.bundle.graph_entries import TensorEntry
from voxface.runtime.config.front_end import STRIDE, FrontEndConfig
from voxface.runtime.errors import UsageError
from voxface.runtime.inference.face_estimator import CONTEXT, PIECE


@dataclass(frozen=True)
class DimensionRange:
    """The lengths of a dimension that an engine is built for: smallest, best and largest."""

    least: int
    best: int
    most: int


# The runtime runs one clip at a time and cuts a long clip into pieces of at most the largest length here, in frames. The best
# length is that of the shortest offline clip; a live window may be shorter.
DEFAULT = {
    "B": DimensionRange(1, 1, 1),
    "T": DimensionRange(1, FrontEndConfig().shortest, (PIECE + 2 * CONTEXT) * STRIDE),
}


def read_range(text: str) -> tuple[str, DimensionRange]:
    """The dimension and its lengths from a text like "T=1,1000,6272".

    Raises:
        UsageError: the text is no such thing.
    """
    name, _, values = text.partition("=")
    try:
        least, best, most = (int(value) for value in values.split(","))
    except ValueError:
        raise UsageError(
            f"--profile {text}: give a dimension and its smallest, best and largest length: T=1,1000,6272"
        ) from None
    if name not in DEFAULT:
        raise UsageError(
            f"--profile {text}: the graphs have {' and '.join(DEFAULT)}, no {name or 'dimension without a name'}"
        )
    if not (1 <= least <= best <= most):
        raise UsageError(f"--profile {text}: lengths have to rise, from 1 on")
    return name, DimensionRange(least, best, most)


def input_shapes(inputs: Mapping[str, TensorEntry], ranges: Mapping[str, DimensionRange]) -> dict[str, ProfileEntry]:
    """Smallest, best and largest shape of each input, as the manifest lists them.

    Args:
        inputs: the inputs of a graph as a manifest lists them.
        ranges: dimension -> lengths.

    Raises:
        UsageError: a dimension without a range.
    """

    def lengths(shape: tuple[int | str, ...], which: str) -> tuple[int, ...]:
        return tuple(d if isinstance(d, int) else getattr(ranges[d], which) for d in shape)

    for name, spec in inputs.items():
        for dimension in spec.shape:
            if isinstance(dimension, str) and dimension not in ranges:
                raise UsageError(
                    f"input {name!r} has a dimension {dimension!r}; give its lengths: --profile {dimension}=1,1,1"
                )
    return {
        name: ProfileEntry(
            min=lengths(spec.shape, "least"), opt=lengths(spec.shape, "best"), max=lengths(spec.shape, "most")
        )
        for name, spec in inputs.items()
    }
