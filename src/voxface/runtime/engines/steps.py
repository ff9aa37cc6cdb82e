"""Steps: work that says which run of an engine it needs next and is then given the outputs, instead of running the engine.

Who carries the steps out decides when an engine runs. `finished` runs it at once; `voxface.runtime.engines.packing` carries out
the steps of several voices together, so that runs of one graph become one run of a batch.
"""

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from voxface.runtime.engines.engine import Array, Engine
from voxface.runtime.timing.stage_timer import StageTimer

Result = TypeVar("Result")


class EngineRun:
    """A run that work waits for.

    Attributes:
        graph: name of the graph, such as "encoder".
        engine: what runs it.
        feeds: its inputs.
        share_ns: this run's share of the time of a run of several; None: it ran by itself, just now.
    """

    __slots__ = ("engine", "feeds", "graph", "share_ns")

    def __init__(self, graph: str, engine: Engine, feeds: dict[str, Array]) -> None:
        self.graph, self.engine, self.feeds = graph, engine, feeds
        self.share_ns: int | None = None

    def counted(self, timer: StageTimer, stage: str) -> None:
        """Work goes on after the run: what others did meanwhile is no part of its stage, its share of the run is."""
        if self.share_ns is not None:
            timer.begin()
            timer.add(stage, self.share_ns)


# Yields runs, is sent their outputs, or thrown what the engine raised; returns what the work gave.
Steps: TypeAlias = Generator[EngineRun, dict[str, Array], Result]


def finished(steps: Steps[Result]) -> Result:
    """What the work gives, with every run as soon as it is asked for."""
    try:
        run = next(steps)
        while True:
            try:
                outputs = run.engine.run(run.feeds)
            except Exception as error:  # an engine may raise anything; the work decides
                run = steps.throw(error)
            else:
                run = steps.send(outputs)
    except StopIteration as done:
        result: Result = done.value
        return result
