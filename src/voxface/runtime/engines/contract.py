"""The contract of a bundle's graphs: names, element types and shapes of their inputs and outputs; see docs/architecture.md."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.graph_entries import GraphEntry
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.engine import Engine

DTYPE: Final = "float32"  # of every input and output
LARGEST_IMAGE: Final = 4096  # pixels of a side
LARGEST_NUMBER: Final = (
    1e6  # of an output; an embedding has length 1, a pixel 1, and nobody is 1,000 deviations from the mean
)
# Graph -> names of its inputs and outputs -> their letters; B: clips, T: frames, E: numbers of an embedding, C: frame
# embeddings, S: pixels of a side, P: coefficients.
INPUTS: Final = {
    "encoder": {"log_mel": "BMT"},
    "face": {"embedding": "BE"},
    "mesh": {"embedding": "BE"},
    "fused": {"log_mel": "BMT"},
}
OUTPUTS: Final = {
    "encoder": {"embedding": "BE", "columns": "BEC"},
    "face": {"image": "B3SS"},
    "mesh": {"coefficients": "BP"},
    "fused": {"embedding": "BE", "image": "B3SS", "columns": "BEC", "coefficients": "BP"},
}


def check_signature(name: str, engine: Engine, entry: GraphEntry) -> None:
    """Checks the signature of a loaded graph against its manifest entry and, if it is one of those named above, its contract.

    Raises:
        ValueError: an input or output has another name, type or shape.
    """
    for kind, found, listed, letters in (
        ("inputs", engine.inputs, entry.inputs, INPUTS.get(name)),
        ("outputs", engine.outputs, entry.outputs, OUTPUTS.get(name)),
    ):
        said = {key: tensor.spec for key, tensor in listed.items()}
        if found.keys() != said.keys() or not all(_agree(found[key], said[key]) for key in found):
            raise ValueError(f"has {kind} {in_words(found)}, the manifest says {in_words(said)}")
        for key, axes in (letters or {}).items():
            if key not in found or not _fits(found[key], axes):
                wanted = ", ".join(f"{key} {DTYPE}[{', '.join(axes)}]" for key, axes in (letters or {}).items())
                raise ValueError(f"has {kind} {in_words(found)}, needed are {wanted}")


def in_words(specs: Mapping[str, TensorSpec]) -> str:
    """Inputs or outputs as a line of text."""
    return ", ".join(f"{name} {spec.dtype}{list(spec.shape)}" for name, spec in specs.items()) or "none"


def check_outputs(
    name: str, outputs: Mapping[str, NDArray[Any]], frames: int, width: int | None, modes: int, *, finite: bool = True
) -> int:
    """Checks what a graph gave for one clip; returns the width E of the embedding, so that other graphs can be held to it.

    Args:
        name: "encoder", "face", "mesh" or "fused".
        outputs: its outputs.
        frames: T, the number of frames it was given.
        width: E, as far as it is known.
        modes: P of the morphable model.
        finite: whether numbers must be finite and within bounds.

    Raises:
        ValueError: an output has another shape than the contract says, or is not finite.
    """
    for key, axes in OUTPUTS[name].items():
        array = outputs[key]
        if axes.startswith("BE"):
            width = array.shape[1] if width is None and array.ndim > 1 and array.shape[1] else width
        lengths = {"B": 1, "3": 3, "E": width, "C": -(-frames // STRIDE), "P": modes}
        lengths["S"] = array.shape[-1] if array.ndim and 0 < array.shape[-1] <= LARGEST_IMAGE else LARGEST_IMAGE
        wanted = tuple(lengths[axis] for axis in axes)
        if array.shape != wanted or array.dtype != DTYPE:
            letters = [str(lengths[axis]) if axis != "S" else "S" for axis in axes]
            raise ValueError(f"gives {key} {array.dtype}{list(array.shape)}, not {DTYPE}[{', '.join(letters)}]")
        if finite and not float(np.abs(array).max(initial=0.0)) < LARGEST_NUMBER:  # NaN is not less either
            raise ValueError(f"gives {key} with numbers that are not finite, or beyond ±{LARGEST_NUMBER:,.0f}")
    return width or 0


def _fits(spec: TensorSpec, axes: str) -> bool:
    """Whether a tensor has the axes of the contract; only clips, frames and frame embeddings may be any number."""
    return (
        spec.dtype == DTYPE
        and len(spec.shape) == len(axes)
        and all(isinstance(length, int) or axis in "BTC" for axis, length in zip(axes, spec.shape, strict=True))
    )


def _agree(one: TensorSpec, other: TensorSpec) -> bool:
    """Whether types and shapes agree, as far as dimensions have no names."""
    return (
        one.dtype == other.dtype
        and len(one.shape) == len(other.shape)
        and all(
            a == b or not (isinstance(a, int) and isinstance(b, int))
            for a, b in zip(one.shape, other.shape, strict=True)
        )
    )
