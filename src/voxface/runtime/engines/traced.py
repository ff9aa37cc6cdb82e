"""An engine whose runs are spans of a trace."""

from types import TracebackType
from typing import Self

from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.engine import Array, Engine
from voxface.runtime.timing.trace import Trace

RUN = ".run"  # suffix of the names of engine runs in a trace


class TracedEngine:
    """An engine that passes all calls on to another one and records its runs; see `voxface.runtime.engines.engine.Engine`."""

    def __init__(self, engine: Engine, name: str, trace: Trace) -> None:
        self._engine, self._name, self._trace = engine, name + RUN, trace
        self.inputs: dict[str, TensorSpec] = engine.inputs
        self.outputs: dict[str, TensorSpec] = engine.outputs

    @property
    def provider(self) -> str:
        """Name of the provider that runs the graph."""
        return self._engine.provider

    def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
        """Runs the engine and records when the run began and ended."""
        began = self._trace.now_ns()
        try:
            return self._engine.run(feeds, out)
        finally:
            self._trace.add(self._name, began, self._trace.now_ns())

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        """Warms the engine up; nothing is recorded."""
        self._engine.warm_up(lengths)

    def __enter__(self) -> Self:
        self._engine.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.__exit__(kind, error, trace)
