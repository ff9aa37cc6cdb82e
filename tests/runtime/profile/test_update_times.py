"""Spans summed up: which are stages, which engine runs, in whatever pieces they come."""

from hypothesis import given
from hypothesis import strategies as st

from voxface.runtime.profile.update_times import UpdateTimes
from voxface.runtime.timing.trace import Span

# An update of 100 in three stages, one of which ran an engine twice and something else once; then a block without a face.
ONE = [
    Span("vad", 1, 0, 10),
    Span("encoder.run", 1, 12, 30),
    Span("encoder.run", 1, 30, 50),
    Span("encoder.pack", 1, 52, 55),
    Span("encoder", 1, 10, 60),
    Span("vad", 1, 60, 95),
    Span("update", 1, 0, 100),
    Span("vad", 1, 200, 204),
    Span("block", 1, 200, 206),
]


def later(spans: list[Span], ns: int) -> list[Span]:
    return [span._replace(began=span.began + ns, ended=span.ended + ns) for span in spans]


@given(st.lists(st.integers(1, 40), max_size=20))
def test_stages_and_runs(cuts: list[int]) -> None:
    spans = [span for k in range(4) for span in later(ONE, 1000 * k)]
    others = [Span("deliver", 2, k, k + 1) for k in range(0, 4000, 100)]
    times = UpdateTimes()
    at = 0
    for cut in [*cuts, len(spans)]:
        times.add([*spans[at : at + cut], *others[:3]])
        others, at = others[3:], at + cut
    assert (times.service.count, times.quiet.count, times.first_ns) == (4, 4, 100)
    assert {name: stage.percentile_ns(1) for name, stage in times.stages.items()} == {"vad": 45, "encoder": 50}
    assert {name: run.percentile_ns(1) for name, run in times.engines.items()} == {"encoder": 38}
    assert {name: part.percentile_ns(1) for name, part in times.parts.items()} == {"encoder.pack": 3}
    assert times.engine_total.total_ns == 4 * 38
    assert times.outside.total_ns == 4 * 62
    assert times.staged_ns == 4 * 95
    assert times.quiet.largest_ns == 6


def test_a_thread_without_updates_is_forgotten() -> None:
    times = UpdateTimes()
    times.add(Span("deliver", 2, 10 * k, 10 * k + 5) for k in range(100_000))
    assert sum(map(len, times._open.values())) <= 2000
