"""Two engines side by side on the same clips: how far apart their answers are, how fast each is, and where they part."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from voxface.calibration.clips import Clip
from voxface.calibration.pipeline import answers
from voxface.calibration.task_error import TaskError
from voxface.runtime.bundle.bundle import GRAPHS, Bundle
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.opening import PROVIDERS, open_engine, open_graph
from voxface.runtime.errors import ProviderError

PERCENTILES: Final = (50, 90, 99)
PARTED: Final = 1e-3  # of a tensor's largest number: beyond rounding in single precision, which leaves some 1e-6
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Side:
    """One of the two: a bundle on a provider."""

    bundle: Bundle
    provider: str
    threads: int | None = None

    def open(self) -> dict[str, Engine]:
        """An engine for each graph.

        Raises:
            ProviderError, BundleError, UsageError: see `open_graph`.
        """
        return {name: open_graph(self.bundle, name, self.provider, threads=self.threads) for name in GRAPHS}


@dataclass(frozen=True)
class Comparison:
    """What was seen.

    Attributes:
        errors: of each clip, the second side against the first.
        latency_ms: for each graph and "all", milliseconds of each run, float64 [2, runs], the sides in turns.
        walk: for each graph, how far every tensor that both have is apart, in the order in which the first side computes
            them; None where a side has engines that were built ahead, which show no tensors.
    """

    errors: list[TaskError]
    latency_ms: dict[str, NDArray[np.float64]]
    walk: dict[str, list["Apart"] | None]


@dataclass(frozen=True)
class Apart:
    """One tensor of both sides.

    Attributes:
        tensor: its name.
        op: what computed it, on the first side.
        largest: largest magnitude on the first side.
        difference: largest difference; NaN where one side alone has no number.
    """

    tensor: str
    op: str
    largest: float
    difference: float

    @property
    def share(self) -> float:
        """The difference, of the largest number; infinity where one side has no number."""
        if not np.isfinite(self.difference):
            return float("inf")
        return self.difference / self.largest if self.largest else (0.0 if self.difference == 0 else float("inf"))


def compare(one: Side, other: Side, clips: Sequence[Clip], *, rounds: int = 5, walk: bool = True) -> Comparison:
    """Runs both sides on every clip.

    Args:
        clips: features of the first side's front end; both sides get the same.
        rounds: how often each clip is timed on each side; they take turns, and who begins takes turns too.
        walk: also look at every tensor, on the first clip.

    Raises:
        ProviderError, BundleError, UsageError: a side does not open.
    """
    engines = (one.open(), other.open())
    try:
        said = [answers(side, clips) for side in engines]  # warms them up as well, at every length
        errors = [TaskError.between(b, a, one.bundle.morphable) for a, b in zip(*said, strict=True)]
        latency = _latency(engines, clips, rounds)
        embedding = said[0][0].embedding[None]
    finally:
        for engine in (*engines[0].values(), *engines[1].values()):
            engine.__exit__(None, None, None)
    feeds: dict[str, Tensors] = {"encoder": {"log_mel": clips[0].log_mel}}
    feeds |= {"face": {"embedding": embedding}, "mesh": {"embedding": embedding}}
    return Comparison(errors, latency, {name: _walk(one, other, name, feeds[name]) for name in GRAPHS} if walk else {})


def parted(walk: Sequence[Apart], beyond: float = PARTED) -> Apart | None:
    """The first tensor that is farther apart than `beyond` of its largest number."""
    return next((tensor for tensor in walk if tensor.share > beyond), None)


def _latency(
    engines: tuple[Mapping[str, Engine], Mapping[str, Engine]], clips: Sequence[Clip], rounds: int
) -> dict[str, NDArray[np.float64]]:
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in GRAPHS}
    for round_ in range(rounds):
        for clip in clips:
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


def _walk(one: Side, other: Side, name: str, feeds: Tensors) -> list[Apart] | None:
    if not {one.provider, other.provider} <= set(PROVIDERS):
        return None
    order, mine = _every_tensor(one, name, feeds)
    _, theirs = _every_tensor(other, name, feeds)
    return [_apart(tensor, op, mine[tensor], theirs[tensor]) for tensor, op in order.items() if tensor in theirs]


def _every_tensor(side: Side, name: str, feeds: Tensors) -> tuple[dict[str, str], Tensors]:
    """What computes each floating-point tensor of a graph, in order, and its values.

    A tensor that is looked at cannot be fused away, so this run may round otherwise than the ones that are compared.
    """
    model = onnx.load_model_from_string(side.bundle.graph(name))
    shown = {value.name for value in model.graph.output}
    order = {output: node.op_type for node in model.graph.node for output in node.output if output}
    model.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in order if tensor not in shown)
    try:
        with open_engine(model.SerializeToString(), side.provider, name=name, threads=side.threads) as engine:
            values = engine.run(feeds)
    except ProviderError as error:
        raise ProviderError(f"{name}, with every tensor shown: {error}") from error
    floating = {tensor: value for tensor, value in values.items() if value.dtype.kind == "f" and value.size}
    return {tensor: op for tensor, op in order.items() if tensor in floating}, floating


def _apart(tensor: str, op: str, mine: NDArray[Any], theirs: NDArray[Any]) -> Apart:
    if mine.shape != theirs.shape:
        return Apart(tensor, op, float("nan"), float("nan"))
    a, b = mine.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(invalid="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        difference = np.where(same, 0.0, np.abs(a - b))
    return Apart(tensor, op, float(np.abs(a[np.isfinite(a)]).max(initial=0.0)), float(difference.max(initial=0.0)))
