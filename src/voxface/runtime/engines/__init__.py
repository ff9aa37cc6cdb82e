"""One interface to whatever runs a graph; each backend brings the same two files' worth: how to open, how to run.

`open_engine` is the door for a graph by itself; `of_bundle.open_graph` is the one for a graph of a bundle, which may come
with engines that were built ahead. A provider that was asked for and is not used is a `ProviderError` that names the cure.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError

PROVIDERS = ("cpu", "cuda", "tensorrt")  # of ONNX Runtime

Array = NDArray[np.float32]


@dataclass(frozen=True)
class TensorSpec:
    """A graph input or output: its dtype (numpy's name) and shape; a named dimension may have any length."""

    dtype: str
    shape: tuple[int | str, ...]


class Engine(Protocol):
    """A loaded graph. A context manager: leaving it frees what it holds."""

    @property
    def provider(self) -> str:
        """The provider really used."""
        ...

    @property
    def inputs(self) -> dict[str, TensorSpec]:
        """What `run` wants."""
        ...

    @property
    def outputs(self) -> dict[str, TensorSpec]:
        """What `run` gives."""
        ...

    def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
        """Computes every output; those named in `out` are written there, without a copy."""
        ...

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        """Runs once on zeros, named dimensions taken from `lengths` (1 where absent), so that the first real run is fast."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_engine(graph: bytes, provider: str = "cpu", *, name: str = "graph", threads: int | None = None) -> Engine:
    """Loads an ONNX graph on a provider ("cpu", "cuda", "tensorrt").

    Args:
        graph: the ONNX file's bytes.
        provider: where it is to run.
        name: what error messages call the graph.
        threads: threads within an operator on the CPU; None: one per physical core, four at most.

    Raises:
        UsageError: no provider of that name.
        ProviderError: the provider, or the library behind it, is not there.
        BundleError: the bytes are no graph.
    """
    if provider not in PROVIDERS:
        raise UsageError(f"no provider {provider!r} for an ONNX graph; there are {', '.join(PROVIDERS)}")
    from voxface.runtime.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(graph, provider, name=name, threads=threads)
