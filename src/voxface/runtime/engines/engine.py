"""`Engine`, the interface of all engines."""

from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.tensor_spec import TensorSpec

Array = NDArray[np.float32]


class Engine(Protocol):
    """A loaded graph. It is a context manager: leaving it frees memory and sessions."""

    @property
    def provider(self) -> str:
        """Name of the provider that runs the graph."""
        ...

    @property
    def inputs(self) -> dict[str, TensorSpec]:
        """The inputs that `run` takes: name -> dtype and shape."""
        ...

    @property
    def outputs(self) -> dict[str, TensorSpec]:
        """The outputs that `run` gives: name -> dtype and shape."""
        ...

    def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
        """Computes every output. An output named in `out` is written to that array."""
        ...

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        """Runs once on zeros, named dimensions taken from `lengths` (1 where absent), so that the first real run is fast."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
