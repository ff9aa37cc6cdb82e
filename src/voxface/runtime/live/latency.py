"""Where the time of live estimates goes, stage by stage."""

from typing import Final

from voxface.runtime.timing.histogram import Histogram

# Those between the queue and the sink follow one another without a gap: `timing.stage_timer` counts them.
STAGES: Final = (
    "capture", "queue", "intake", "vad", "features", "gate", "encoder", "face", "mesh", "attributes", "watch", "sink",
    "total",
)  # fmt: skip


class LatencyBudget:
    """Where the time of an estimate goes, from the converter (ADC) to the sinks: a histogram a stage."""

    def __init__(self) -> None:
        self.stages = {name: Histogram() for name in STAGES}

    def add(self, ns: dict[str, int]) -> None:
        """The stages of one estimate."""
        for name, value in ns.items():
            self.stages[name].add(value)

    def milliseconds(self) -> dict[str, dict[str, float]]:
        """p50, p90, p99, p99.9 and the largest of each stage that was measured."""
        return {name: histogram.milliseconds() for name, histogram in self.stages.items() if histogram.count}
