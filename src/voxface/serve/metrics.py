"""What the server counts and times, in the text format of Prometheus. Nothing of it is about a voice or a face.

Counters and histograms may be told of from any thread; gauges are read when they are asked for.
"""

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS: Final = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.13, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
CLIP_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
SIZES: Final = (1, 2, 3, 4, 6, 8, 12, 16)
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        own = self._own = CollectorRegistry(auto_describe=False)
        self.update_s = Histogram(
            "voxface_update_seconds",
            "From the arrival of an update's newest sound, or from when it was spoken if it came before, to its answer",
            buckets=SECONDS,
            registry=own,
        )
        self.stage_s = Histogram(
            "voxface_stage_seconds", "Time of each stage of an update", ["stage"], buckets=SECONDS, registry=own
        )
        self._stages: dict[str, Histogram] = {}
        self.busy_s = Counter("voxface_busy_seconds", "Time that sessions had an inference thread", registry=own)
        self.batch = Histogram(
            "voxface_batch_size", "Runs of a graph that were put together", ["graph"], buckets=SIZES, registry=own
        )
        self.sound_s = Counter("voxface_sound_seconds", "Sound heard", registry=own)
        self.faces = Counter("voxface_faces", "Faces of live sessions", registry=own)
        self.lost = Counter("voxface_lost_samples", "Samples lost, by cause", ["cause"], registry=own)
        self.dropped = Counter("voxface_dropped_frames", "Frames dropped since too many waited", registry=own)
        self.skipped = Counter("voxface_skipped_estimates", "Estimates left out under load", registry=own)
        self.engine_failures = Counter("voxface_engine_failures", "Estimates that failed", registry=own)
        self.superseded = Counter(
            "voxface_superseded_answers", "Answers dropped since a client read too slowly", registry=own
        )
        self.refused = Counter("voxface_refused", "What was refused, by reason", ["reason"], registry=own)
        self.garbage = Counter(
            "voxface_garbage_messages", "Messages that were no sound, by kind", ["kind"], registry=own
        )
        self.clips = Counter("voxface_clips", "Whole clips, by outcome", ["outcome"], registry=own)
        self.clip_s = Histogram("voxface_clip_seconds", "Time of a whole clip", buckets=CLIP_SECONDS, registry=own)
        self.retries = Counter(
            "voxface_clip_retries", "Clips begun anew elsewhere, since a machine was lost", registry=own
        )
        self.moved = Counter(
            "voxface_sessions_moved",
            "Live sessions that went on with another replica, since theirs was lost",
            registry=own,
        )
        self.replica_failures = Counter(
            "voxface_replica_failures",
            "Replicas for live sessions that did not start, or were lost",
            ["what"],
            registry=own,
        )
        self._gauges = {
            "sessions": Gauge("voxface_sessions", "Live sessions", ["state"], registry=own),
            "replicas": Gauge("voxface_replicas", "Replicas for live sessions", ["state"], registry=own),
            "load": Gauge("voxface_load", "Share of the inference threads' time that sessions take", registry=own),
            "late": Gauge("voxface_late_seconds", "Lateness of updates, 95th percentile of 5 s", registry=own),
            "waiting": Gauge("voxface_waiting_turns", "Sessions whose sound waits for a thread", registry=own),
            "clips": Gauge("voxface_waiting_clips", "Clips that wait for their turn", registry=own),
            "connections": Gauge("voxface_connections", "Open connections", registry=own),
            "draining": Gauge("voxface_draining", "Whether the server is being shut down", registry=own),
        }

    def stage(self, name: str) -> Histogram:
        """The histogram of a stage; kept, since looking a label up takes longer than counting."""
        found = self._stages.get(name)
        if found is None:
            found = self._stages[name] = self.stage_s.labels(name)
        return found

    def watch(self, name: str, read: Callable[[], float], label: str | None = None) -> None:
        """A gauge that is read when it is asked for; `label`: of the gauges that have one."""
        gauge = self._gauges[name]
        (gauge if label is None else gauge.labels(label)).set_function(read)

    def count_of(self, name: str, what: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """A counter that something else counts, by label."""
        self._own.register(_Counted(name, what, label, read))

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._own)


class _Counted(Collector):
    def __init__(self, name: str, what: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        self._name, self._what, self._label, self._read = name, what, label, read

    def collect(self) -> list[Metric]:
        family = CounterMetricFamily(self._name, self._what, labels=[self._label])
        for label, value in self._read().items():
            family.add_metric([label], value)
        return [family]
