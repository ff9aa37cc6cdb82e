"""Reports: what they mean in words, kept in files, and beside one another."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.stand_ins.good_profile import GOOD, times
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.profile import diagnosis
from voxface.runtime.profile.comparison import LEAST_MS, changes, check_comparable, compare
from voxface.runtime.profile.diagnosis import RULES, diagnose
from voxface.runtime.profile.report import Reading, Report, Scaling

HERE = Path("saved.json")


def with_first(ms: float) -> Report:
    return replace(GOOD, cold_start_ms={**GOOD.cold_start_ms, "first_update": ms})


def with_threads(threads: int) -> Report:
    return replace(GOOD, settings=replace(GOOD.settings, threads=threads), scaling=None)


def late(last: float) -> Report:
    return replace(GOOD, late_ms=[5.0, 5.0, 5.0, last])


def skipping(count: int) -> Report:
    return replace(GOOD, utilisation=None, late_ms=[], counters={"skipped_estimates": count})


def slowest(ms: float) -> Report:
    return replace(GOOD, response_ms=GOOD.response_ms | {"max": ms})


def filled(seconds: float | None) -> Report:
    return replace(GOOD, window_filled_s=seconds)


# Each rule on either side of its limit: silent, then speaking, with a word of what it says.
BOUNDARIES: list[tuple[Callable[[Report], str | None], Report, Report, str]] = [
    (diagnosis.falling_behind, replace(GOOD, utilisation=0.999), replace(GOOD, utilisation=1.0), "100% of the time"),
    (diagnosis.falling_behind, late(105.0), late(105.1), "105 ms late"),
    (diagnosis.falling_behind, skipping(0), skipping(1), "1 of 1001 estimates"),
    (diagnosis.stalled, slowest(100.0), slowest(100.1), "responded 100 ms after it was due (8 ms"),
    (diagnosis.window_not_full, filled(7.2), filled(7.1), "7.1 of 8 s"),
    (diagnosis.window_not_full, filled(None), filled(0.0), "0.0 of 8 s"),
    (diagnosis.too_many_threads, with_threads(4), with_threads(5), "5 on 4 cores"),
    (
        diagnosis.too_many_threads,
        replace(GOOD, scaling=Scaling(1, 1.1, 1.9)),
        replace(GOOD, scaling=Scaling(1, 1.09, 1.5)),
        "1.09 times as fast as 1",
    ),
    (
        diagnosis.too_many_threads,
        replace(GOOD, scaling=Scaling(1, 1.0, 1.49)),
        replace(GOOD, scaling=Scaling(1, 1.0, 1.5)),
        "1.5 cores busy",
    ),
    (diagnosis.spinning, replace(GOOD, idle_cpu=0.099), replace(GOOD, idle_cpu=0.1), "10% of a core"),
    (diagnosis.spinning, replace(GOOD, idle_cpu=None), replace(GOOD, idle_cpu=1.0), "100% of a core"),
    (diagnosis.jittery, replace(GOOD, jitter=0.099), replace(GOOD, jitter=0.1), "varies by 10%"),
    (diagnosis.slow_first, with_first(39.9), with_first(40.0), "5 times the usual"),
    (
        diagnosis.memory_bound,
        replace(GOOD, readings=[Reading("mesh decode", 6.5, 17.9, 30.0)]),
        replace(GOOD, readings=[Reading("mesh decode", 6.5, 18.0, 30.0)]),
        "mesh decode reads 6.5 MB at 18.0 of 30.0 GB/s",
    ),
    (diagnosis.dispatch_bound, replace(GOOD, outside_ms=2.66), replace(GOOD, outside_ms=2.67), "'vad' (0.50 ms)"),
]


@pytest.mark.parametrize(("rule", "silent", "speaking", "word"), BOUNDARIES)
def test_a_rule_speaks_from_its_limit_on(
    rule: Callable[[Report], str | None], silent: Report, speaking: Report, word: str
) -> None:
    assert rule(silent) is None
    said = rule(speaking)
    assert said is not None
    assert word in said


def test_every_rule_has_its_boundary_tested_and_a_good_profile_gets_none() -> None:
    assert {rule for rule, *_ in BOUNDARIES} == set(RULES)
    assert diagnose(GOOD) == {}
    assert list(diagnose(replace(with_first(100.0), jitter=1.0))) == ["slow_first", "jittery"]


def test_a_stage_whose_engine_seldom_runs_is_all_its_own() -> None:
    """Its p50 is that of updates that kept the picture."""
    seldom = replace(GOOD, outside_ms=4.0, engine_runs={"encoder": 1000, "face": 500})
    assert "'face' (2.00 ms)" in (diagnosis.dispatch_bound(seldom) or "")


def test_what_falls_behind_is_not_called_a_stall() -> None:
    assert diagnosis.stalled(replace(slowest(900.0), utilisation=1.1)) is None
    assert (
        diagnosis.stalled(replace(slowest(900.0), utilisation=None)) is None
    )  # of a microphone it is from the converter


def test_kept_and_read_again(tmp_path: Path) -> None:
    for report in (GOOD, replace(GOOD, scaling=None, readings=[], device={"name": "x", "drift_ppm": None})):
        report.save(tmp_path / "a.json")
        assert Report.load(tmp_path / "a.json") == report


def spoil(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document | changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: [], "not a saved profile"),
        (lambda _: {"name": "something else"}, "not a saved profile"),
        (spoil(format=0), "format 0, this voxface reads 2"),
        (spoil(response_ms={"p99": 1.0}), "damaged.*p50"),
        (spoil(service_ms=times(-1.0)), "damaged.*negative"),
        (spoil(stages_ms={"vad": {}}), "damaged.*p50"),
        (lambda document: {key: value for key, value in document.items() if key != "updates"}, "damaged.*updates"),
        (spoil(updates="many"), "damaged.*many"),
        (spoil(updates=True), "damaged"),
        (spoil(machine=None), "damaged"),
        (spoil(stages_ms=[]), "damaged"),
        (spoil(readings={}), "damaged"),
    ],
)
def test_what_is_no_profile(change: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(change(GOOD.to_json())))
    with pytest.raises(InputError, match=message):
        Report.load(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(json.dumps(GOOD.to_json()).replace("8.1", "NaN", 1))
    with pytest.raises(InputError, match=r"not a saved profile.*NaN is no number"):
        Report.load(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match="not a saved profile"):
        Report.load(tmp_path / "a.json")
    with pytest.raises(InputError, match="no saved profile there"):
        Report.load(tmp_path / "b.json")


def worse(saved: Report, now: Report, threshold: float = 1.2) -> set[tuple[str, str]]:
    return {(row.what, row.percentile) for row in compare(saved, now, threshold) if row.worse}


def test_slower_than_the_threshold_is_worse() -> None:
    assert worse(GOOD, GOOD, 1.0) == set()
    assert worse(GOOD, replace(GOOD, response_ms=times(8.1 * 1.2, 16.2))) == set()
    assert worse(GOOD, replace(GOOD, response_ms=times(8.1 * 1.21, 16.2))) == {("response", "p50")}
    assert worse(GOOD, replace(GOOD, response_ms=times(8.1, 20.0))) == {("response", "p99")}
    assert worse(GOOD, replace(GOOD, stages_ms=GOOD.stages_ms | {"vad": times(0.75)})) == {("vad", "p50")}
    faster = replace(GOOD, response_ms=times(1.0), service_ms=times(1.0))
    assert worse(GOOD, faster) == set()
    assert {row.ratio for row in compare(GOOD, GOOD, 1.2)} == {1.0}


def test_what_is_too_short_or_too_rare_is_not_judged() -> None:
    short = replace(GOOD, stages_ms=GOOD.stages_ms | {"tell": times(0.01 + 0.99 * LEAST_MS, 9.0)})
    assert worse(GOOD, short) == set()
    grown = replace(GOOD, stages_ms=GOOD.stages_ms | {"tell": times(0.01 + 1.01 * LEAST_MS, 9.0)})
    assert worse(GOOD, grown) == {("tell", "p50")}
    assert worse(GOOD, replace(GOOD, updates=999, response_ms=times(8.1, 100.0))) == set()
    assert worse(replace(GOOD, updates=999), replace(GOOD, response_ms=times(8.1, 100.0))) == set()
    assert worse(GOOD, replace(GOOD, updates=30, response_ms=times(80.0))) == {("response", "p50")}
    assert worse(GOOD, replace(GOOD, updates=29, response_ms=times(80.0))) == set()
    fresh = replace(GOOD, stages_ms=GOOD.stages_ms | {"watch": times(5.0)})  # a stage that was not there before
    assert worse(GOOD, fresh) == set()
    assert worse(fresh, GOOD) == set()


@pytest.mark.parametrize(
    ("settings", "machine", "message"),
    [
        ({"bundle_sha256": "1" * 64}, {}, "bundle a .000000000000. there, a .111111111111. here"),
        ({"provider": "cuda"}, {}, "provider cpu there, cuda here"),
        ({"source": "microphone"}, {}, "source"),
        ({"source_sha256": "2" * 64}, {}, "source synthetic voice there, sound file 222222222222 here"),
        ({"window_s": 2.0}, {}, "window"),
        ({"updates_per_second": 20.0}, {}, "updates a second"),
        ({}, {"cpu": "another"}, "processor a processor there, another here"),
        ({}, {"cores": 8}, "cores 4 there, 8 here"),
    ],
)
def test_what_cannot_be_compared(settings: dict[str, Any], machine: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_comparable(GOOD, replace(GOOD.settings, **settings), replace(GOOD.machine, **machine), HERE)


def test_a_sound_file_is_what_is_in_it() -> None:
    before = replace(GOOD, settings=replace(GOOD.settings, source="a.wav", source_sha256="3" * 64))
    check_comparable(before, replace(before.settings, source="b.wav"), GOOD.machine, HERE)
    with pytest.raises(UsageError, match="source sound file 333333333333 there, sound file 444444444444 here"):
        check_comparable(before, replace(before.settings, source_sha256="4" * 64), GOOD.machine, HERE)


def of_bundle(sha256: str, precision: str | None = None, lineage: list[str] | None = None) -> Report:
    return replace(GOOD, settings=replace(GOOD.settings, bundle_sha256=sha256, precision=precision, lineage=lineage))


def test_a_calibrated_bundle_is_compared_with_what_it_was_made_of() -> None:
    plain, graphs = "1" * 64, "2" * 64
    before = of_bundle(plain, "float32 weights, float32 arithmetic", [plain, graphs])
    int8 = of_bundle("3" * 64, "int8 weights, int8+float32 arithmetic", ["3" * 64, "4" * 64, plain])
    fp16 = of_bundle("5" * 64, "float16 weights, float16 arithmetic", ["5" * 64, "6" * 64, plain])
    built = of_bundle("7" * 64, "float32 weights, float32 arithmetic", ["7" * 64, graphs])
    earlier = of_bundle(plain)
    for one, other in ((before, int8), (int8, before), (int8, fp16), (before, built), (earlier, int8)):
        check_comparable(one, other.settings, other.machine, HERE)
    assert changes(before, int8) == [
        "bundle a (111111111111) -> a (333333333333)",
        "precision float32 weights, float32 arithmetic -> int8 weights, int8+float32 arithmetic",
    ]
    assert changes(earlier, before) == []
    stranger = of_bundle("8" * 64, "int8 weights, int8+float32 arithmetic", ["8" * 64, "9" * 64, "a" * 64])
    for one, other in ((before, stranger), (earlier, built), (int8, stranger)):
        with pytest.raises(UsageError, match="cannot be compared with this profile: bundle a "):
            check_comparable(one, other.settings, other.machine, HERE)
    # What is not a matter of precision is still refused.
    with pytest.raises(UsageError, match=r"profile: updates a second 10\.0 there, 5\.0 here$"):
        check_comparable(before, replace(int8.settings, updates_per_second=5.0), GOOD.machine, HERE)
    with pytest.raises(UsageError, match="profile: processor "):
        check_comparable(before, int8.settings, replace(GOOD.machine, cpu="another"), HERE)


def test_what_a_profile_of_an_earlier_version_lacks_stays_out(tmp_path: Path) -> None:
    GOOD.save(tmp_path / "old.json")
    assert "lineage" not in (tmp_path / "old.json").read_text()
    assert Report.load(tmp_path / "old.json") == GOOD
    new = of_bundle("1" * 64, "float32 weights, float32 arithmetic", ["1" * 64])
    new.save(tmp_path / "new.json")
    assert Report.load(tmp_path / "new.json") == new


def test_what_may_differ_is_told() -> None:
    other = replace(GOOD, settings=replace(GOOD.settings, threads=1, mode="incremental"), versions={"numpy": "2.1"})
    check_comparable(GOOD, other.settings, other.machine, HERE)
    assert changes(GOOD, other) == ["threads 2 -> 1", "mode exact -> incremental", "numpy 2.0 -> 2.1"]
