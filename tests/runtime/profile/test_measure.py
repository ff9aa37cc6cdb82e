"""A profile of the default bundle: every nanosecond has a name, and the parts fit the whole."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.stand_ins.live_session import nothing
from tests.trace_rules import check_trace, stages_of
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.profile.machine import jitter, read_bandwidth, resident_mb, this_machine
from voxface.runtime.profile.measure import SYNTHETIC, Profiler, ProfileSetup
from voxface.runtime.profile.report import Report
from voxface.runtime.timing.perfetto_trace import trace_events

SETUP = ProfileSetup(None, "cpu", 1, LiveConfig(window=32_000), 1.5)


@pytest.fixture(scope="module")
def measured() -> tuple[Report, Profiler]:
    now = time.perf_counter_ns()
    with Profiler(SETUP, (now - 1_000_000, now), keep_spans=True) as profiler:
        return profiler.paced(None, SYNTHETIC), profiler


def test_the_report_adds_up(measured: tuple[Report, Profiler], tmp_path: Path) -> None:
    report, _ = measured
    assert report.updates == 15
    assert report.quiet_blocks == 0
    assert {"intake", "vad", "features", "gate", "encoder", "face", "mesh", "attributes", "watch", "tell"} == set(
        report.stages_ms
    )
    assert set(report.engines_ms) == {"encoder", "face", "mesh"}
    assert report.engine_runs == {"encoder": 15, "face": 15, "mesh": 15}
    assert report.parts_ms["mesh.decode"]["p50"] <= report.stages_ms["tell"]["p50"]
    assert report.counters["estimates"] == 15  # not those while the window filled
    assert (report.ended, report.seconds_asked) == (None, 1.5)
    assert 1.8 <= (report.window_filled_s or 0) <= 2.31
    assert 0.98 <= report.staged <= 1.0
    for name, times in report.engines_ms.items():
        assert times["p50"] <= report.stages_ms[name]["p50"]
    assert (
        report.response_ms["p50"] >= report.service_ms["p50"] * 0.999
    )  # a histogram rounds up by a thousandth at most
    assert sum(report.cold_start_ms[k] for k in ("import", "bundle", "engines", "warm_up", "first_update")) == (
        pytest.approx(report.cold_start_ms["total"])
    )
    assert report.cold_start_ms["import"] == 1.0
    assert report.allocations.updates == 12
    assert report.allocations.peak_kb > 100  # the mesh alone is more
    assert report.scaling is None
    assert [reading.what for reading in report.readings] == ["encoder graph", "face graph", "mesh graph", "mesh decode"]
    report.save(tmp_path / "a.json")
    assert Report.load(tmp_path / "a.json") == report


def test_the_trace_nests_and_stages_are_the_whole_update(measured: tuple[Report, Profiler]) -> None:
    report, profiler = measured
    document = trace_events(profiler.spans, profiler.trace.threads, {})
    check_trace(document)
    updates = stages_of(document, "update")
    assert len(updates) >= report.updates  # and those while the window filled
    for _, stages in updates:
        assert {stage["name"] for stage in stages} >= {"vad", "features", "encoder", "face", "mesh", "attributes"}
        assert not [stage for stage in stages if "." in stage["name"]]
    whole = sum(update["dur"] for update, _ in updates)
    assert sum(stage["dur"] for _, stages in updates for stage in stages) == pytest.approx(whole, rel=0.02)
    for name in ("encoder", "face", "mesh"):
        assert all(within[0]["name"] == f"{name}.run" for _, within in stages_of(document, name))
    (lead_in,) = stages_of(document, "lead-in")
    assert {stage["name"] for stage in lead_in[1]} == {"update", "block"}
    names = {event["name"] for event in document["traceEvents"]}
    assert {"import", "bundle", "engines", "warm_up"} <= names


def test_a_trace_keeps_so_many_spans_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxface.runtime.profile.measure.MOST_SPANS", 50)
    with Profiler(replace(SETUP, seconds=0.3), (0, 0), keep_spans=True) as profiler:
        profiler.paced(None, SYNTHETIC)
    assert len(profiler.spans) == 50
    assert profiler.dropped > 50
    check_trace(trace_events(profiler.spans, profiler.trace.threads, {}))


def test_pictures_that_stay_are_no_runs() -> None:
    setup = ProfileSetup(None, "cpu", 1, LiveConfig(window=32_000, mode="incremental", image_reuse_distance=1.9), 0.5)
    with Profiler(setup, (0, 0)) as profiler:
        report = profiler.paced(None, SYNTHETIC)
    assert report.updates == 5
    assert report.engine_runs == {"encoder": 5, "mesh": 5}


def test_half_the_threads_take_turns() -> None:
    setup = ProfileSetup(None, "cpu", 2, LiveConfig(window=16_000), 0.2)
    with Profiler(setup, (0, 0)) as profiler:
        report = profiler.paced(None, SYNTHETIC)
    assert report.scaling is not None
    assert report.scaling.half_threads == 1
    assert report.scaling.speed_up > 0
    assert profiler.spans == []


def test_what_holds_no_speech_is_told_by_name() -> None:
    with Profiler(SETUP, (0, 0)) as profiler:
        with pytest.raises(NoSpeechError, match=r"silence\.wav"):
            profiler.paced(nothing(2.0), "silence.wav")
        with pytest.raises(NoSpeechError, match=r"empty\.wav: no samples"):
            profiler.paced(np.empty(0, np.int16), "empty.wav")


def test_what_is_said_of_the_machine() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.cpu
    assert 0 <= jitter() < 100
    assert read_bandwidth(1 << 20) > 0
    memory = resident_mb()
    assert memory["resident"] is None or 0 < memory["resident"] <= (memory["peak"] or 0)
