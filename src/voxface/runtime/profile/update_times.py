"""Sums up the spans of a trace to one time for each stage and engine of each update."""

from collections.abc import Iterable
from typing import Final

from voxface.runtime.engines.traced import RUN
from voxface.runtime.live.pipeline import QUIET, UPDATE
from voxface.runtime.timing.histogram import Histogram
from voxface.runtime.timing.trace import Span

MOST_WAITING: Final = 1000
FOR_SINKS: Final = ("mesh.decode", "picture.decode")  # parts that a sink computes, in a live run on a thread of its own


class UpdateTimes:
    """Times of updates, from their spans. The spans of an update may come in several calls of `add`.

    Attributes:
        service: times of updates, from the first stage to the last.
        stages: times of each stage that lies directly within updates.
        engines: times of the runs of each engine in an update.
        parts: times of spans named "STAGE.PART" that are no engine runs.
        engine_total: times of all engine runs of an update together.
        outside: times of an update outside of engine runs, and of what sinks compute.
        quiet: times of the blocks that made no face.
        staged_ns: time of the stages of all updates; over `service.total_ns` it is the share of the time that has a name.
        first_ns: time of the first update.
    """

    def __init__(self) -> None:
        self.service, self.engine_total, self.outside, self.quiet = (Histogram() for _ in range(4))
        self.stages: dict[str, Histogram] = {}
        self.engines: dict[str, Histogram] = {}
        self.parts: dict[str, Histogram] = {}
        self.staged_ns = 0
        self.first_ns = 0
        self._open: dict[int, list[Span]] = {}  # of each thread, the spans that no other span contains yet
        self._within: dict[int, dict[str, int]] = {}

    def add(self, spans: Iterable[Span]) -> None:
        """Adds spans; those of a thread in the order in which they ended."""
        for span in spans:
            waiting = self._open.setdefault(span.thread, [])
            within: list[Span] = []
            while waiting and waiting[-1].began >= span.began:
                within.append(waiting.pop())
            if span.name == UPDATE:
                self._add_update(span, within, self._within.pop(span.thread, {}))
            elif span.name == QUIET:
                self.quiet.add(span.ended - span.began)
                self._within.pop(span.thread, None)
            else:
                waiting.append(span)
                if len(waiting) > 2 * MOST_WAITING:  # of a thread without updates
                    del waiting[:MOST_WAITING]
                if "." in span.name:
                    parts = self._within.setdefault(span.thread, {})
                    parts[span.name] = parts.get(span.name, 0) + span.ended - span.began

    def _add_update(self, update: Span, stages: list[Span], within: dict[str, int]) -> None:
        runs = {name.removesuffix(RUN): ns for name, ns in within.items() if name.endswith(RUN)}
        parts = {name: ns for name, ns in within.items() if not name.endswith(RUN)}
        took = update.ended - update.began
        sums: dict[str, int] = {}
        for stage in reversed(stages):
            sums[stage.name] = sums.get(stage.name, 0) + stage.ended - stage.began
        for histograms, times in ((self.stages, sums), (self.engines, runs), (self.parts, parts)):
            for name, ns in times.items():
                histograms.setdefault(name, Histogram()).add(ns)
        self.first_ns = self.first_ns or took
        self.service.add(took)
        self.engine_total.add(sum(runs.values()))
        self.outside.add(took - sum(runs.values()) - sum(parts.get(name, 0) for name in FOR_SINKS))
        self.staged_ns += sum(sums.values())
