"""Two engines side by side on the same clips: how far apart their outputs are, how fast each is, where they first differ."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from voxface.calibration.clips import Clip
from voxface.calibration.layer_comparison import LayerDifference, compare_layers
from voxface.calibration.stopwatch import EngineChoice, Stopwatch, TurnStopwatch
from voxface.calibration.task_error import TaskError, graph_outputs
from voxface.onnx_graph.graph import Graph, show_tensors
from voxface.runtime.bundle.bundle import GRAPHS, Bundle
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.engines.providers import PROVIDERS
from voxface.runtime.engines.trial import open_graphs
from voxface.runtime.errors import ProviderError

PERCENTILES: Final = (50, 90, 99)
DIFFERENT: Final = 1e-3  # of a tensor's largest number; rounding in FP32 leaves some 1e-6
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Side:
    """One of the two sides: a bundle on a provider."""

    bundle: Bundle
    provider: str
    threads: int | None = None

    def open(self) -> dict[str, Engine]:
        """An engine for each graph.

        Raises:
            ProviderError, BundleError, UsageError: see `voxface.runtime.engines.trial.open_graphs`.
        """
        # Numbers that are none are what a comparison is to find.
        return open_graphs(self.bundle, GRAPHS, self.provider, threads=self.threads, finite=False)


@dataclass(frozen=True)
class EngineComparison:
    """The differences between two engines.

    Attributes:
        errors: task error of each clip, the second side against the first.
        latency_ms: for each graph and "all", milliseconds of each run, float64 [2, runs]; the first row is the first side's.
        walk: for each graph, the difference of every tensor that both sides have, in the order in which the first side
            computes them; None if a side has engines that were built ahead, whose tensors cannot be seen.
        layers: for each graph, its layers alone on both sides, if they were asked for; None as for `walk`.
    """

    errors: list[TaskError]
    latency_ms: dict[str, NDArray[np.float64]]
    walk: dict[str, list["TensorDifference"] | None]
    layers: dict[str, list[LayerDifference] | None] = field(default_factory=dict)


@dataclass(frozen=True)
class TensorDifference:
    """The difference between the two sides in one tensor.

    Attributes:
        tensor: name of the tensor.
        op: ONNX operator that computes it on the first side.
        largest: largest magnitude on the first side.
        difference: largest difference; NaN if one side has no number where the other has one.
    """

    tensor: str
    op: str
    largest: float
    difference: float

    @property
    def share(self) -> float:
        """The difference as a share of the largest number; infinity if one side has no number."""
        if not np.isfinite(self.difference):
            return float("inf")
        return self.difference / self.largest if self.largest else (0.0 if self.difference == 0 else float("inf"))


def compare_engines(
    one: Side,
    other: Side,
    clips: Sequence[Clip],
    *,
    rounds: int = 5,
    walk: bool = True,
    layers: bool = False,
    stopwatch: Stopwatch | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> EngineComparison:
    """Runs both sides on every clip.

    Args:
        clips: features of the first side's front end; both sides get the same.
        rounds: how often each clip is timed on each side. The sides take turns, and the side that begins changes each round.
        walk: also compare every tensor, on the first clip.
        layers: also time every layer alone, on the first clip; goes with `walk`.
        stopwatch: what times the layers; tests hand in a model of costs.
        report: told how many of how many clips were timed.

    Raises:
        ProviderError, BundleError, UsageError: a side does not open.
    """
    engines = (one.open(), other.open())
    try:
        outputs = [graph_outputs(side, clips) for side in engines]  # warms them up as well, at every length
        errors = [TaskError.between(b, a, one.bundle.morphable) for a, b in zip(*outputs, strict=True)]
        latency = _latency(engines, clips, rounds, report)
        embedding = outputs[0][0].embedding[None]
    finally:
        for engine in (*engines[0].values(), *engines[1].values()):
            engine.__exit__(None, None, None)
    feeds: dict[str, Tensors] = {"encoder": {"log_mel": clips[0].log_mel}}
    feeds |= {"face": {"embedding": embedding}, "mesh": {"embedding": embedding}}
    differences = {name: _walk(one, other, name, feeds[name]) for name in GRAPHS} if walk else {}
    alone: dict[str, list[LayerDifference] | None] = {}
    if layers:
        watch = stopwatch or TurnStopwatch()
        alone = {
            name: None if found is None else _layers(one, other, name, feeds[name], found, watch, rounds)
            for name, found in differences.items()
        }
    return EngineComparison(errors, latency, differences, alone)


def _layers(
    one: Side,
    other: Side,
    name: str,
    feeds: Tensors,
    walk: "Sequence[TensorDifference]",
    stopwatch: Stopwatch,
    rounds: int,
) -> list[LayerDifference]:
    sides = (one, other)
    first, second = (Graph.from_bytes(side.bundle.graph(name), name=name) for side in sides)
    a, b = (EngineChoice(side.provider, side.threads) for side in sides)
    shares = {tensor.tensor: tensor.share for tensor in walk}
    return compare_layers((first, second), (a, b), feeds, shares, stopwatch, rounds)


def first_difference(walk: Sequence[TensorDifference], beyond: float = DIFFERENT) -> TensorDifference | None:
    """The first tensor whose difference is more than the share `beyond` of its largest number; None if there is none."""
    return next((tensor for tensor in walk if tensor.share > beyond), None)


def _latency(
    engines: tuple[Mapping[str, Engine], Mapping[str, Engine]],
    clips: Sequence[Clip],
    rounds: int,
    report: Callable[[int, int], None],
) -> dict[str, NDArray[np.float64]]:
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in GRAPHS}
    for round_ in range(rounds):
        for number, clip in enumerate(clips):
            report(round_ * len(clips) + number, rounds * len(clips))
            both = [_timed(engines[side], clip) for side in ((0, 1) if round_ % 2 == 0 else (1, 0))]
            first, second = both if round_ % 2 == 0 else reversed(both)
            for name in GRAPHS:
                taken[name].append((first[name], second[name]))
    found = {name: np.array(pairs).T / 1e6 for name, pairs in taken.items()}
    return {**found, "all": np.sum(list(found.values()), axis=0)}


def _timed(side: Mapping[str, Engine], clip: Clip) -> dict[str, int]:
    """Nanoseconds of each graph."""
    marks = [time.perf_counter_ns()]
    embedding = side["encoder"].run({"log_mel": clip.log_mel})["embedding"]
    marks.append(time.perf_counter_ns())
    for name in ("face", "mesh"):
        side[name].run({"embedding": embedding})
        marks.append(time.perf_counter_ns())
    return dict(zip(("encoder", "face", "mesh"), np.diff(marks).tolist(), strict=True))


def _walk(one: Side, other: Side, name: str, feeds: Tensors) -> list[TensorDifference] | None:
    if not {one.provider, other.provider} <= set(PROVIDERS):
        return None
    order, mine = _every_tensor(one, name, feeds)
    _, theirs = _every_tensor(other, name, feeds)
    return [_difference(tensor, op, mine[tensor], theirs[tensor]) for tensor, op in order.items() if tensor in theirs]


def _every_tensor(side: Side, name: str, feeds: Tensors) -> tuple[dict[str, str], Tensors]:
    """The operator that computes each floating-point tensor of a graph, in order, and the values of these tensors.

    A tensor that is given out cannot be fused away, so this run may round differently from the runs that are compared.
    """
    model = onnx.load_model_from_string(side.bundle.graph(name))
    order = {output: node.op_type for node in model.graph.node for output in node.output if output}
    try:
        with open_engine(show_tensors(model, order), side.provider, name=name, threads=side.threads) as engine:
            values = engine.run(feeds)
    except ProviderError as error:
        raise ProviderError(f"{name}, with every tensor shown: {error}") from error
    floating = {tensor: value for tensor, value in values.items() if value.dtype.kind == "f" and value.size}
    return {tensor: op for tensor, op in order.items() if tensor in floating}, floating


def _difference(tensor: str, op: str, mine: NDArray[Any], theirs: NDArray[Any]) -> TensorDifference:
    if mine.shape != theirs.shape:
        return TensorDifference(tensor, op, float("nan"), float("nan"))
    a, b = mine.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(invalid="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        difference = np.where(same, 0.0, np.abs(a - b))
    return TensorDifference(
        tensor, op, float(np.abs(a[np.isfinite(a)]).max(initial=0.0)), float(difference.max(initial=0.0))
    )
