"""The summary that `voxface live --json` prints at the end of a run."""

from typing import Any

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.sinks.json_lines import event_json


def summary(pipeline: Pipeline, ended: str) -> dict[str, Any]:
    """The last face, percentiles of every stage and every counter as JSON; `ended`: why the run ended."""
    last, stages = pipeline.last, pipeline.last_latency_ns
    return {
        "ended": ended,
        "duration_s": pipeline.heard_s,
        "samples": {"start": pipeline.begun, "end": pipeline.session.position},
        "speakers": last.speaker if last else 0,
        "first_face_s": None if pipeline.first_face is None else (pipeline.first_face - pipeline.begun) / SAMPLE_RATE,
        "no_face": pipeline.session.reason,
        "last": event_json(last, {k: v / 1e6 for k, v in stages.items()}) if last and stages else None,
        "latency_ms": pipeline.stage_histograms.milliseconds(),
        "counters": pipeline.counters.to_json(),
    }
