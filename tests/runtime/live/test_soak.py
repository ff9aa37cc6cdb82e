"""A shortened day of the benchmark, across sample 2³¹."""

import pytest
from benchmarks.live_soak import DRIFT_PPM, SAMPLE_RATE, soak


@pytest.mark.slow
def test_memory_and_indices_over_hours() -> None:
    measured = soak(0.25, start=2**31 - 5 * 60 * SAMPLE_RATE, say=lambda _: None)
    assert measured["start"] + measured["samples"] > 2**31
    assert measured["index_error"] == measured["sink_index_error"] == 0
    assert measured["gaps"] == measured["missing_frames"] == 0
    assert measured["memory_growth_mb"] < 5
    assert measured["drift_ppm"]["measured"] == pytest.approx(DRIFT_PPM, abs=5)
    counters = measured["counters"]
    assert counters["lost"] == {}
    assert counters["estimates"] > 800
    assert counters["speaker_changes"] > 0
    assert {"silence", "noise"} <= set(counters["no_face"])
