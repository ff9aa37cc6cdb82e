"""The search for the Pareto front of time and error: regions alone, then whole graphs, then whole updates.

1. Every form of every region is timed alone on each engine, and the task error of lowering it alone is measured.
2. For each graph, choices of forms are proposed from that (`proposals`), and each is timed and measured as a whole graph.
3. The fronts of the three graphs are combined. The likely combinations are timed and measured as whole updates.

Everything that is measured goes through a `CalibrationState`, so that an interrupted search goes on where it was.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final

from voxface.calibration.calibration_state import CalibrationState
from voxface.calibration.forms import FP16, FP32, LOSSY, Choice, Forms, label, only
from voxface.calibration.lowering import Key
from voxface.calibration.pareto_front import Point, front, thinned
from voxface.calibration.proposals import RegionCost, neighbouring, propose
from voxface.calibration.region_jobs import BORDER, region_jobs
from voxface.calibration.regions import Region, neighbours
from voxface.calibration.stopwatch import EngineChoice, Job, Stopwatch, Timing
from voxface.calibration.task_error import ErrorMeter, Runner, TaskError, Tolerances, as_json, worst
from voxface.onnx_graph.graph import show_tensors
from voxface.onnx_graph.node_runner import Tensor
from voxface.runtime.bundle.manifest import GRAPHS
from voxface.runtime.engines.opening import open_engine

Report = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        region_rounds, rounds: rounds of a race of regions, and of whole graphs and updates.
        proposals: choices of one graph that are measured, about.
        updates: combinations of the three graphs that are measured for each engine, about.
    """

    region_rounds: int = 15
    rounds: int = 30
    proposals: int = 12
    updates: int = 10


QUICK: Final = Effort(region_rounds=3, rounds=5, proposals=6, updates=5)


@dataclass(frozen=True)
class Update:
    """A candidate: a choice of forms for all graphs, on an engine."""

    choice: Choice
    engine: EngineChoice

    @property
    def name(self) -> str:
        """The same for equal candidates."""
        return f"{self.engine}: {label(self.choice)}"


@dataclass(frozen=True)
class Measured:
    """A candidate with what was measured of it.

    Attributes:
        update: the candidate.
        time: of a whole update: the three graphs, one after another.
        error: task error, the worst of the clips that decide.
    """

    update: Update
    time: Timing
    error: TaskError


@dataclass
class Found:
    """The result of a search.

    Attributes:
        candidates: every candidate that was measured as a whole update.
        costs: engine -> region -> what was measured of the region alone.
        alone: region -> form -> task error of lowering it alone.
        refused: what an engine refused: a job's name -> the reason.
    """

    candidates: list[Measured] = field(default_factory=list)
    costs: dict[str, dict[Key, RegionCost]] = field(default_factory=dict)
    alone: dict[Key, dict[str, TaskError]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def points(self, limits: Tolerances) -> list[Point[Measured]]:
        """The candidates as points."""
        return [
            Point(m, m.time.ms, m.error.share(limits), m.time.noise_ms, name=m.update.name) for m in self.candidates
        ]


class TimedSearch:
    """Measures regions, graphs and updates."""

    def __init__(
        self,
        forms: Forms,
        feeds: Mapping[str, Mapping[str, Tensor]],
        *,
        alone: ErrorMeter,
        deciding: ErrorMeter,
        limits: Tolerances,
        engines: Sequence[EngineChoice],
        stopwatch: Stopwatch,
        effort: Effort,
        state: CalibrationState,
        report: Report,
    ) -> None:
        """Takes the forms and, for each graph, the inputs that are timed.

        Args:
            forms: the forms of the regions.
            feeds: graph -> inputs of one update.
            alone: meter with which regions are lowered alone.
            deciding: meter of graphs and updates.
            limits: the tolerances, of which errors are shares.
            engines: the engines; each is searched.
            stopwatch: what measures time.
            effort: how much is measured.
            state: what is known already.
            report: called with the phase, how much of it is done, of how much, and on what.
        """
        self._forms, self._feeds, self._alone, self._deciding = forms, feeds, alone, deciding
        self._limits, self._engines, self._stopwatch = limits, engines, stopwatch
        self._effort, self._state, self._report = effort, state, report
        self._tensors: dict[str, dict[str, Tensor]] = {}
        self._found = Found()

    def run(self) -> Found:
        """Searches."""
        regions = list(self._forms.regions.values())
        for done, region in enumerate(regions):
            self._found.alone[region.key] = {
                form: self._error(self._alone, "alone", {region.key: form}, self._engines[0].provider)
                for form in self._forms.of(region)
                if form in LOSSY
            }
            self._report("each layer's error", done + 1, len(regions), region.name)
        for at, engine in enumerate(self._engines):
            costs = self._found.costs.setdefault(str(engine), {})
            for done, region in enumerate(regions):
                costs[region.key] = self._cost(region, engine)
                self._report(
                    "each layer's time", at * len(regions) + done + 1, len(self._engines) * len(regions), region.name
                )
        fronts = {engine: [self._graph_front(name, engine) for name in GRAPHS] for engine in self._engines}
        self._updates({engine: self._combined(found) for engine, found in fronts.items()})
        return self._found

    def held_out(self, meter: ErrorMeter, update: Update) -> TaskError:
        """The task error of a candidate on other clips, the worst one's."""
        return self._error(meter, "held out", update.choice, update.engine.provider)

    def _cost(self, region: Region, engine: EngineChoice) -> RegionCost:
        """Times of a region's forms alone; forms that cannot be cut out or that the engine refuses are left out."""
        jobs = region_jobs(self._forms, region, self._tensor(region.graph, region.source), engine)
        times = self._race(f"{engine}: region {'/'.join(region.key)}", jobs, self._effort.region_rounds)
        share = {form: error.share(self._limits) for form, error in self._found.alone[region.key].items()}
        return RegionCost(
            {form: times[form].ms for form in jobs if form in times and form not in BORDER},
            share,
            sum(times[what].ms for what in BORDER if what in times),
        )

    def _graph_front(self, name: str, engine: EngineChoice) -> list[Point[Choice]]:
        """The front of one graph: proposals timed and measured as whole graphs, the others in FP32; then the neighbours of the
        fastest of them."""
        costs = {key: cost for key, cost in self._found.costs[str(engine)].items() if key[0] == name}
        regions = [region for region in self._forms.regions.values() if region.graph == name]
        proposed = propose(costs, neighbours(regions), self._effort.proposals)
        points = self._graphs(name, engine, proposed, "proposals")
        fastest = min((p for p in points if p.share <= 1), key=lambda p: (p.ms, p.name), default=points[0])
        known = {point.name for point in points}
        more = [c for c in neighbouring(fastest.what, costs, self._effort.proposals) if label(c) not in known]
        exported = next(point for point in points if point.name == FP32)
        if more:
            second = self._graphs(name, engine, [{}, *more], "their neighbours")
            # The machine may have been busier in one race than in the other: FP32 as exported ran in both.
            factor = exported.ms / next(point.ms for point in second if point.name == FP32)
            points += [replace(p, ms=p.ms * factor) for p in second if p.name != FP32]
        return front(points)

    def _graphs(self, name: str, engine: EngineChoice, some: Sequence[Choice], what: str) -> list[Point[Choice]]:
        """Choices of one graph, timed and measured. FP32 as exported comes first: the others are compared with it."""
        choices = {label(choice): choice for choice in some}
        names = sorted(choices, key=lambda text: (text != FP32, text))
        jobs = {text: Job([self._graph_part(name, choices[text])], engine) for text in names}
        times = self._race(f"{engine}: graph {name}, {what}", jobs, self._effort.rounds)
        points = []
        for done, text in enumerate(names):
            if text in times:
                error = self._error(self._deciding, "graph", choices[text], engine.provider)
                share = error.share(self._limits)
                points.append(Point[Choice](choices[text], times[text].ms, share, times[text].noise_ms, name=text))
            self._report(f"{name} on {engine}, {what}", done + 1, len(names), text)
        return points

    def _combined(self, fronts: Sequence[Sequence[Point[Choice]]]) -> list[Choice]:
        """The likely front of whole updates: graphs run one after another, so times add up; so, at most, do errors."""
        points = []
        for parts in product(*fronts):
            choice = {key: form for part in parts for key, form in part.what.items()}
            points.append(
                Point[Choice](choice, sum(p.ms for p in parts), sum(p.share for p in parts), name=label(choice))
            )
        return [point.what for point in thinned(front(points), self._effort.updates)]

    def _updates(self, choices: Mapping[EngineChoice, Sequence[Choice]]) -> None:
        """Times all candidates of all engines in one race, and measures their errors."""
        updates = {u.name: u for engine, some in choices.items() for u in (Update(choice, engine) for choice in some)}
        first = Update({}, self._engines[0])
        updates = {first.name: first, **{name: u for name, u in sorted(updates.items()) if name != first.name}}
        jobs = {
            name: Job([self._graph_part(graph, u.choice) for graph in GRAPHS], u.engine) for name, u in updates.items()
        }
        times = self._race("updates", jobs, self._effort.rounds)
        for done, (name, update) in enumerate(updates.items()):
            if name in times:
                error = self._error(self._deciding, "update", update.choice, update.engine.provider)
                self._found.candidates.append(Measured(update, times[name], error))
            self._report("whole updates", done + 1, len(updates), name)

    def _graph_part(self, name: str, choice: Choice) -> tuple[Callable[[], bytes], Mapping[str, Tensor]]:
        def data() -> bytes:
            made: bytes = self._forms.graph(name, choice).model().SerializeToString()
            return made

        return data, self._feeds[name]

    def _race(self, name: str, jobs: Mapping[str, Job], rounds: int) -> dict[str, Timing]:
        """The times of jobs; those that the engine refuses are left out."""
        times = self._state.get(
            f"time {name}",
            lambda: self._stopwatch.race(jobs, rounds),
            lambda found: {k: t if isinstance(t, str) else t.to_json() for k, t in found.items()},
            lambda found: {k: t if isinstance(t, str) else Timing(**t) for k, t in found.items()},
        )
        self._found.refused |= {f"{name}, {k}": t for k, t in times.items() if isinstance(t, str)}
        return {k: t for k, t in times.items() if not isinstance(t, str)}

    def _error(self, meter: ErrorMeter, what: str, choice: Choice, provider: str) -> TaskError:
        """The worst clip's task error, on the engine that is timed and, where there are FP16 nodes, also as a device with FP16
        arithmetic computes it: ONNX Runtime's CPU provider computes them in FP32."""
        return self._state.get(
            f"error {what} on {provider}: {label(choice)}",
            lambda: worst([e for runners in self._runners(choice, provider) for e in meter.errors(runners)]),
            as_json,
            lambda found: TaskError(**{k: math.nan if v is None else v for k, v in found.items()}),
        )

    def _runners(self, choice: Choice, provider: str) -> list[dict[str, Runner]]:
        changed = {name: self._forms.graph(name, choice) for name in GRAPHS if only(choice, name)}
        real: dict[str, Runner] = {
            name: open_engine(graph.model().SerializeToString(), provider, name=name) for name, graph in changed.items()
        }
        half = {key[0] for key, form in choice.items() if form == FP16}
        if not half:
            return [real]
        emulated = {name: self._forms.lowering.emulator(graph) for name, graph in changed.items() if name in half}
        return [real, {**real, **emulated}]

    def _tensor(self, name: str, tensor: str) -> Tensor:
        """The value of a tensor of an FP32 graph in the update that is timed."""
        if name not in self._tensors:
            graph = self._forms.lowering.graphs[name]
            sources = sorted({r.source for r in self._forms.regions.values() if r.graph == name})
            made = [source for source in sources if source not in self._feeds[name]]
            known = dict(self._feeds[name])
            if made:
                with open_engine(show_tensors(graph.model(), made), name=name) as engine:
                    known |= engine.run(dict(self._feeds[name]))
            self._tensors[name] = known
        return self._tensors[name][tensor]
