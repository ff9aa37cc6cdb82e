"""The interface of every engine, whatever runs the graph."""

from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.tensor_spec import TensorSpec

Array = NDArray[np.float32]


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
