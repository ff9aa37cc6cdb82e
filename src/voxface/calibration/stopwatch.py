"""The stopwatch: how long graphs take on an engine, measured in turns so that other load on the machine affects all alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from voxface.onnx_graph.node_runner import Tensor
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError, ProviderError

RUNS_A_TURN: Final = (
    2  # timed, after one that is not: the caches hold this graph and not the one whose turn it was before
)


@dataclass(frozen=True)
class EngineChoice:
    """An engine: a provider, and its threads within an operator (None: its own choice)."""

    provider: str = "cpu"
    threads: int | None = None

    def __str__(self) -> str:
        if self.threads is None:
            return self.provider
        return f"{self.provider}, {self.threads} thread{'s' if self.threads > 1 else ''}"


@dataclass(frozen=True)
class Job:
    """Something to time: graphs that run one after another, as those of an update do.

    Attributes:
        parts: for each graph, a function that makes its ONNX file, and what it is fed.
        engine: what runs it.
    """

    parts: Sequence[tuple[Callable[[], bytes], Mapping[str, Tensor]]]
    engine: EngineChoice


@dataclass(frozen=True)
class Timing:
    """How long a job takes.

    Attributes:
        ms: milliseconds, the mean of the fastest quarter of the rounds: other programs make a run slower, never faster.
        noise_ms: standard error of `ms`.
        median_ms, min_ms: of all rounds.
    """

    ms: float
    noise_ms: float
    median_ms: float
    min_ms: float

    def to_json(self) -> dict[str, float]:
        """For a file."""
        return asdict(self)


class Stopwatch(Protocol):
    """Anything that says how long jobs take; tests hand in a model of costs."""

    def race(self, jobs: Mapping[str, Job], rounds: int) -> dict[str, Timing | str]:
        """The time of each job, or why the engine refuses it."""
        ...


class TurnStopwatch:
    """The stopwatch of real engines: in each round every job runs once, and the round begins with another one each time."""

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        """`clock` gives nanoseconds."""
        self._clock = clock

    def race(self, jobs: Mapping[str, Job], rounds: int) -> dict[str, Timing | str]:
        """See `Stopwatch.race`.

        Raises:
            BundleError, ProviderError: the engine refuses the first job.
        """
        found: dict[str, Timing | str] = {}
        with ExitStack() as opened:
            ready: dict[str, list[tuple[Engine, dict[str, Any]]]] = {}
            for name, job in jobs.items():
                try:
                    ready[name] = [
                        (opened.enter_context(_open(graph(), job.engine)), dict(feeds)) for graph, feeds in job.parts
                    ]
                    _run(ready[name])
                except (BundleError, ProviderError) as error:
                    if not ready or name == next(iter(jobs)):
                        raise
                    ready.pop(name, None)
                    found[name] = str(error)
            names = list(ready)
            times = np.empty((len(names), rounds))
            for round_ in range(rounds):
                for turn in range(len(names)):
                    row = (turn + round_) % len(names)
                    times[row, round_] = self._turn(ready[names[row]])
        for row, name in enumerate(names):
            found[name] = timing(times[row])
        return {name: found[name] for name in jobs}

    def _turn(self, engines: Sequence[tuple[Engine, dict[str, Any]]]) -> float:
        """Milliseconds of the faster run of a turn."""
        _run(engines)
        best = float("inf")
        for _ in range(RUNS_A_TURN):
            began = self._clock()
            _run(engines)
            best = min(best, (self._clock() - began) / 1e6)
        return best


def timing(times: NDArray[np.float64]) -> Timing:
    """The timing of a job from its milliseconds in each round."""
    fastest = np.sort(times)[: -(-len(times) // 4)]
    noise = float(fastest.std() / np.sqrt(len(fastest)))
    return Timing(float(fastest.mean()), noise, float(np.median(times)), float(times.min()))


def _open(graph: bytes, engine: EngineChoice) -> Engine:
    return open_engine(graph, engine.provider, threads=engine.threads)


def _run(engines: Sequence[tuple[Engine, dict[str, Any]]]) -> None:
    for engine, feeds in engines:
        engine.run(feeds)
