"""Calibration that sees time, with a model of costs in place of a clock: what it chooses is right for each processor."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

from tests.stand_ins.cost_model import CostModel
from tests.stand_ins.small_bundle import noise_clips, small_bundle
from voxface.calibration.calibration_state import CalibrationState
from voxface.calibration.forms import Forms
from voxface.calibration.lowering import Lowering
from voxface.calibration.pareto_front import dominates
from voxface.calibration.regions import regions
from voxface.calibration.stopwatch import EngineChoice, Job, TurnStopwatch, timing
from voxface.calibration.task_error import Tolerances
from voxface.calibration.timed_calibration import TimedCalibration, TimedSettings, calibrate_timed, state_of
from voxface.calibration.timed_search import Effort
from voxface.onnx_graph.graph import Graph
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import GRAPHS
from voxface.runtime.errors import BundleError, UsageError

LOOSE = Tolerances(0.9, 15, 5)
ENGINES = (EngineChoice("cpu", 1), EngineChoice("cpu", 2))
VNNI = CostModel(int8=0.3)
AVX2 = CostModel(int8=1.3, convolution=0.8)
NOISE = noise_clips(4)
CLIPS = replace(NOISE, longest=NOISE.calibration[1], longest_held_out=NOISE.held_out[1])  # long sums take long
EFFORT = Effort(1, 1)
KNOWN: dict[int, CalibrationState] = {}  # what tests before have measured with a model of costs


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_bundle(tmp_path_factory.mktemp("bundle") / "small")


def calibrated(bundle: Bundle, model: Any, objective: str = "latency", **more: Any) -> TimedCalibration:
    # What is measured does not depend on objective and bounds.
    state = more.pop("state", None) or KNOWN.setdefault(id(model), CalibrationState(None, {}))
    return calibrate_timed(
        bundle, CLIPS, TimedSettings(objective, ENGINES, LOOSE, effort=EFFORT, **more), state, stopwatch=model
    )


@pytest.fixture(scope="module")
def forms(bundle: Bundle) -> Forms:
    lowering = Lowering({name: Graph.from_bytes(bundle.graph(name)) for name in GRAPHS})
    rng = np.random.default_rng(0)
    for name in GRAPHS:
        feed = {"log_mel": CLIPS.calibration[0].log_mel} if name == "encoder" else {
            "embedding": rng.normal(size=(4, 8)).astype(np.float32)
        }  # fmt: skip
        lowering.observe(name, [feed])
    return Forms(lowering, (r for name, graph in lowering.graphs.items() for r in regions(graph, name)))


@pytest.mark.parametrize("model", [VNNI, AVX2], ids=["vnni", "avx2"])
def test_it_is_the_fastest_of_all_choices(bundle: Bundle, forms: Forms, model: CostModel) -> None:
    """Against every choice of forms there is: on one kind of processor INT8, on the other FP32 as convolutions."""
    result = calibrated(bundle, model)
    chosen = result.report.chosen.measured
    least = 0.0
    for name in GRAPHS:
        mine = [region for region in forms.regions.values() if region.graph == name]
        every = product(*(forms.of(region) for region in mine))
        choices = [{r.key: form for r, form in zip(mine, some, strict=True)} for some in every]
        times = [model.of(forms.graph(name, c).model().SerializeToString(), ENGINES[0]) for c in choices]
        least += min(time for time in times if time is not None)
    assert chosen.time.ms == pytest.approx(least)
    assert chosen.update.engine == ENGINES[0], "two threads take longer"
    used = set(chosen.update.choice.values())
    assert used == {"int8"} if model is VNNI else "convolutions" in used and "int8" not in used


def test_nothing_dominated_is_on_the_front(bundle: Bundle) -> None:
    result = calibrated(bundle, VNNI, "pareto")
    points = {p.name: p for p in result.report.found.points(LOOSE)}
    on = [points[row.measured.update.name] for row in result.report.front]
    assert len(on) >= 2
    assert len(points) > len(on)
    for point in on:
        assert not any(dominates(other, point) for other in points.values())
    assert result.report.chosen in result.report.front
    # Two threads are measured as well, and are on no front here.
    assert {row.measured.update.engine for row in result.report.rows} == set(ENGINES)


def test_what_is_written(bundle: Bundle, tmp_path: Path) -> None:
    result = calibrated(bundle, VNNI, "pareto")
    made = result.write(tmp_path / "out.voxface")
    found = made.manifest.to_json()["precision"]["calibrated"]
    assert (found["mode"], found["objective"]) == ("timed", "pareto")
    time = found["time"]
    assert (time["provider"], time["threads"], time["frames"]) == ("cpu", 1, 1000)
    assert time["ms"] < time["ms_as_exported"]
    assert set(time["device"]) == {"cpu", "instructions", "cores", "system"}
    document = json.loads(made.files[found["front"]["file"]])
    (chosen,) = [c for c in document["candidates"] if c["chosen"]]
    assert chosen["ms"] == time["ms"]
    assert chosen["held_out"]["cosine"] == pytest.approx(found["held_out"]["worst"]["cosine"], abs=1e-6)
    assert {layer["layer"] for layer in document["layers"]} >= {"the_first", "the_map8", "the_coefficients"}
    drawn = ElementTree.fromstring(made.files[found["front_plot"]["file"]])
    words = [e.text for e in drawn.iter() if e.text]
    assert "tolerance" in words
    assert "as exported" in words
    table = made.files[found["front_table"]["file"]].decode()
    assert "| chosen | cpu, 1 thread |" in table
    plan = json.loads(made.files[found["plan"]["file"]])
    layer = next(node for node in plan["nodes"] if node["node"] == "the_map8")
    assert set(layer["ms"]) == {"fp32", "convolutions", "fp16", "int8"}
    assert result.held_out
    with pytest.raises(UsageError, match="calibrated already"):
        calibrated(made, VNNI)


def test_bounds(bundle: Bundle) -> None:
    report = calibrated(bundle, VNNI, "pareto").report
    middle = sorted(row.measured.time.ms for row in report.front)[len(report.front) // 2]
    within = calibrated(bundle, VNNI, "error", most_ms=middle).report.chosen
    assert within.measured.time.ms <= middle
    assert within.share == min(row.share for row in report.front if row.measured.time.ms <= middle)
    assert calibrated(bundle, VNNI, "error").report.chosen.share < 1e-3
    with pytest.raises(
        UsageError, match=r"nothing takes at most 0\.0001 ms here; within the tolerance the fastest takes"
    ):
        calibrated(bundle, VNNI, most_ms=1e-4)
    for wrong in ({"objective": "speed"}, {"most_ms": 0.0}, {"engines": ()}):
        with pytest.raises(UsageError):
            TimedSettings(**{"objective": "latency", **wrong})


def test_a_form_that_the_engine_refuses_is_left_out_and_named(bundle: Bundle) -> None:
    report = calibrated(bundle, CostModel(int8=0.1, refuses=("int8",))).report
    assert "int8" not in report.chosen.measured.update.choice.values()
    assert any("int8" in name and reason == "no kernel for it" for name, reason in report.found.refused.items())
    assert "What the engine refuses" in report.to_markdown()


class KilledError(Exception):
    pass


class Killing:
    """A model of costs that is killed before a race."""

    def __init__(self, model: CostModel, at: int) -> None:
        self.model, self.left = model, at

    def race(self, jobs: Any, rounds: int) -> Any:
        if self.left == 0:
            raise KilledError
        self.left -= 1
        return self.model.race(jobs, rounds)


@pytest.mark.parametrize("at", [0, 3, 15])
def test_going_on_gives_the_same(bundle: Bundle, tmp_path: Path, at: int) -> None:
    model = CostModel(int8=VNNI.int8)
    expected = calibrated(bundle, VNNI, "pareto")
    path = tmp_path / "state"
    of = state_of(bundle, CLIPS, TimedSettings("pareto", ENGINES, LOOSE, effort=EFFORT))
    with pytest.raises(KilledError):
        calibrated(bundle, Killing(model, at), "pareto", state=CalibrationState.open(path, of))
    state = CalibrationState.open(path, of)
    assert state.found >= at
    result = calibrated(bundle, model, "pareto", state=state)
    assert result.report.to_json() == expected.report.to_json()
    assert result.bundle.files.keys() == expected.bundle.files.keys()
    assert result.bundle.files == expected.bundle.files
    assert len(model.races) == len(VNNI.races), "nothing is measured twice"
    state.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_state_is_of_one_calibration_only(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "state"
    one, other = (state_of(bundle, CLIPS, TimedSettings("error", engines, LOOSE)) for engines in (ENGINES, ENGINES[:1]))
    CalibrationState.open(path, one).get("a", lambda: 1, lambda x: x, lambda x: x)
    assert CalibrationState.open(path, one).get("a", lambda: 2, lambda x: x, lambda x: x) == 1
    assert one == state_of(bundle, CLIPS, TimedSettings("latency", ENGINES, LOOSE, most_ms=3)), "bounds only choose"
    with pytest.raises(UsageError, match="of another calibration"):
        CalibrationState.open(path, other)
    for damage in (b"", b"[]", b'{"format": "voxface calibration 1"}', b"\xff"):
        path.write_bytes(damage)
        with pytest.raises(UsageError, match="is no state of a calibration"):
            CalibrationState.open(path, one)


def test_the_real_stopwatch_takes_turns(bundle: Bundle) -> None:
    """On a clock that ticks once a look, every run takes one tick."""
    ticks = iter(range(0, 10**9, 1_000_000))
    watch = TurnStopwatch(lambda: next(ticks))
    feed = {"embedding": np.ones((1, 8), np.float32)}
    jobs = {name: Job([(lambda: bundle.graph("mesh"), feed)], ENGINES[0]) for name in "ab"}
    broken = Job([(lambda: b"nonsense", feed)], ENGINES[0])
    found = watch.race({**jobs, "broken": broken}, 4)
    assert list(found) == ["a", "b", "broken"]
    for name in "ab":
        time = found[name]
        assert not isinstance(time, str)
        assert (time.ms, time.noise_ms, time.median_ms, time.min_ms) == (1, 0, 1, 1)
    assert isinstance(found["broken"], str)
    with pytest.raises(BundleError):
        watch.race({"broken": broken}, 1)


def test_load_by_others_does_not_count() -> None:
    """As long as a quarter of the rounds is free of it."""
    found = timing(np.array([2.0, 2.1, 30.0, 2.05, 9.0, 7.0, 40.0, 8.0]))
    assert found.ms == pytest.approx(2.025)
    assert 0 < found.noise_ms < 0.05
    assert (found.median_ms, found.min_ms) == (pytest.approx(7.5), 2.0)
