"""What is said at the end of a run: the summary that `voxface live --json` prints, and why there was no face."""

from typing import Any

from voxface.runtime.audio.samples import LIMIT
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


def why_no_face(pipeline: Pipeline) -> str:
    """Why a run that made no face made none: the newest reason, and the samples that were not heard, with a cure."""
    reason = pipeline.session.reason or "no speech found"
    rejected = pipeline.counters.rejected_samples
    if not rejected:
        return reason
    return (
        f"{reason}; {rejected} samples were NaN, infinite or beyond ±{LIMIT:g}, where 1 is full scale, and were heard as "
        "zeros; divide samples at int16 scale by 32768"
    )
