"""An engine around another one, to which it passes everything on."""

from types import TracebackType
from typing import Self

from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.engine import Array, Engine


class PassingEngine:
    """An engine that does what another one does; subclasses add to its runs. See `voxface.runtime.engines.engine.Engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.inputs: dict[str, TensorSpec] = engine.inputs
        self.outputs: dict[str, TensorSpec] = engine.outputs

    @property
    def provider(self) -> str:
        """Name of the provider that runs the graph."""
        return self._engine.provider

    def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
        """Runs the engine."""
        return self._engine.run(feeds, out)

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        """Warms the engine up."""
        self._engine.warm_up(lengths)

    def __enter__(self) -> Self:
        self._engine.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.__exit__(kind, error, trace)
