"""The two status lines of every screen: state and level of the sound, confidence and latency of the face."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxface.runtime.inference.attributes import Attributes
    from voxface.runtime.live.pipeline import Pipeline
    from voxface.runtime.live.sink_worker import SinkEvent


def status(pipeline: "Pipeline", sink_event: "SinkEvent | None") -> list[str]:
    """State and level; confidence and latency."""
    from voxface.runtime.inference.attributes import sex_in_words
    from voxface.runtime.live.events import FaceEstimated

    session = pipeline.session
    state = "voice" if session.speaking else "-"
    if session.reason:
        state += f"  no face: {session.reason}"
    first = f"{pipeline.heard_s:7.1f} s  {session.level.rms_db:6.1f} dB  {state}"
    event = sink_event.event if sink_event else None
    if not isinstance(event, FaceEstimated):
        return [first, "waiting for a second of voice"]
    estimate = event.estimate
    total = pipeline.stage_histograms.stages["total"]
    age = _age(estimate.attributes)
    settled = "settled" if event.converged else "converging"
    return [
        first,
        f"speaker {event.speaker}  {estimate.voiced_seconds:.1f} s of speech  confidence {estimate.confidence:.2f}  {settled}  "
        f"{sex_in_words(estimate.attributes.sex)}  {age + '  ' if age else ''}latency {total.percentile_ns(0.5) / 1e6:.0f} ms "
        f"(p99 {total.percentile_ns(0.99) / 1e6:.0f})",
    ]


def _age(attributes: "Attributes") -> str:
    """The age in few letters, since a line is long already; "" where none is told."""
    if attributes.is_child:
        return f"child ({attributes.child:.0%})"
    age = attributes.age
    return "" if age is None else f"age {age.years:.0f} ({age.low:.0f}-{age.high:.0f})"
