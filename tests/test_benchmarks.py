"""The parts of the benchmarks that results rest on: turns, limits, plots, and what stands for the papers' programs."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import benchmarks
import numpy as np
import pytest
from benchmarks import record as recording
from benchmarks.interleave import Neighbours, percentiles, take_turns, take_turns_by_stage, times_as_long
from benchmarks.papers_pipeline import PapersPipeline, log_mel_by_frame
from benchmarks.plots import PLOTS

from tests.conftest import speech_like
from voxface.runtime.features.log_mel import log_mel


def test_sides_take_turns_and_warm_ups_do_not_count() -> None:
    calls: list[str] = []
    times = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 4, warm_up=2)
    assert calls == ["a", "b"] * 6
    assert {name: len(t) for name, t in times.items()} == {"a": 4, "b": 4}


def test_a_ratio_is_taken_within_each_round() -> None:
    """A machine that is ten times slower in some rounds is so for both sides."""
    slow = iter([1.0, 1.0, 10.0, 10.0, 1.0])
    now = 0.0

    def first() -> dict[str, float]:
        nonlocal now
        now = next(slow)
        return {"total": 3 * now, "part": now}

    found = take_turns_by_stage({"first": first, "second": lambda: {"total": now}}, 5, warm_up=0)
    assert times_as_long({name: stages["total"] for name, stages in found.items()}, "second") == {"first": 3.0}
    assert percentiles(found["first"]["part"])["min"] == 1
    assert percentiles(found["first"]["part"])["p99"] == pytest.approx(10)


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*clocks: tuple[float, float, float]) -> dict[str, Any]:
        readings = iter(clocks)
        monkeypatch.setattr("benchmarks.interleave._processor_seconds", lambda: next(readings))
        with Neighbours() as neighbours:
            pass
        return neighbours.to_json()

    alone = taken((100.0, 50.0, 10.0), (120.0, 60.0, 20.0))
    assert alone["cores_taken_by_others"] == 0
    assert "warning" not in alone
    crowded = taken((100.0, 50.0, 10.0), (120.0, 65.0, 20.0))
    assert crowded["cores_taken_by_others"] == 0.25
    assert "25%" in crowded["warning"]


@pytest.mark.parametrize("length", [399, 400, 4000, 16_001])
def test_the_papers_log_mel_is_ours(length: int) -> None:
    sound = speech_like(2.0)[:length]
    np.testing.assert_allclose(log_mel_by_frame(sound), log_mel(sound), atol=1e-4)


def test_the_papers_pipeline_hands_its_stages_on() -> None:
    seen: list[tuple[int, ...]] = []

    def network(x: np.ndarray) -> np.ndarray:
        seen.append(x.shape)
        return np.ones((1, 64), np.float32)

    stages = PapersPipeline(network, network, network).update(speech_like(1.0))
    assert seen == [(1, 64, 1000), (1, 64), (1, 64)]
    assert stages["total"] == pytest.approx(sum(ms for name, ms in stages.items() if name != "total"))


@pytest.mark.train
def test_operations_are_counted() -> None:
    pytest.importorskip("onnx")
    from benchmarks.roofline import _graph, work

    weight = np.zeros((6, 4, 3), np.float32)
    found = work(_graph("Conv", [weight], (1, 4, 12)), {"x": np.zeros((1, 4, 12), np.float32)})
    assert found.operations == 2 * 6 * 4 * 3 * 10  # ten places without padding
    assert found.megabytes == weight.nbytes / 1e6


@pytest.mark.parametrize("name", list(PLOTS))
def test_plots_are_pictures(name: str) -> None:
    root = ElementTree.fromstring(PLOTS[name]())
    width = float(root.attrib["width"])
    assert len(root) > 10
    for shape in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, wide = float(shape.attrib.get("x", 0)), float(shape.attrib["width"])
        assert 0 <= x <= x + wide <= width


def test_results_name_no_folder_of_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "RESULTS", tmp_path)
    recording.record("small", "python -m benchmarks.small --speech /somewhere/speech --out runs/x", {}, ("numpy",))
    assert recording.load("small")["command"] == "python -m benchmarks.small --speech speech --out runs/x"
    for file in Path(benchmarks.__file__).parent.glob("results/*.json"):
        assert " /" not in json.loads(file.read_text())["command"], file.name
