"""An engine whose runs are spans of a trace."""

from voxface.runtime.engines.engine import Array, Engine
from voxface.runtime.engines.passing import PassingEngine
from voxface.runtime.timing.trace import Trace

RUN = ".run"  # suffix of the names of engine runs in a trace


class TracedEngine(PassingEngine):
    """An engine whose runs are recorded; its warm-up is not."""

    def __init__(self, engine: Engine, name: str, trace: Trace) -> None:
        super().__init__(engine)
        self._name, self._trace = name + RUN, trace

    def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
        """Runs the engine and records when the run began and ended."""
        began = self._trace.now_ns()
        try:
            return self._engine.run(feeds, out)
        finally:
            self._trace.add(self._name, began, self._trace.now_ns())
