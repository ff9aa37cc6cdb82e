"""Two engines side by side: equal ones are equal, a planted difference is found where it was planted."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

import onnx
from onnx import numpy_helper

from tests.conftest import SAMPLES
from tests.stand_ins.cost_model import CostModel
from tests.stand_ins.small_bundle import noise_clips, small_bundle
from voxface.calibration.calibrate import CalibrationSettings, calibrate
from voxface.calibration.engine_comparison import (
    Side,
    TensorDifference,
    compare_engines,
    first_difference,
)
from voxface.calibration.task_error import Tolerances
from voxface.cli import main
from voxface.runtime.bundle.bundle import DEFAULT, Bundle
from voxface.runtime.bundle.json_record import Settings
from voxface.runtime.config.vad import VadConfig

CLIPS = noise_clips(2).calibration
_TIGHT = Tolerances(0.999999, 100, 1e-3)


def changed(bundle: Bundle, path: Path, graph: str, weight: str, change: Any) -> Bundle:
    """The bundle with one weight of a graph changed."""
    model = onnx.load_model_from_string(bundle.graph(graph))
    tensor = next(t for t in model.graph.initializer if t.name == weight)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)).astype(np.float32), weight))
    return bundle.replacing(files={bundle.manifest.graphs[graph].file: model.SerializeToString()}).write(path)


def test_a_bundle_agrees_with_itself(tmp_path: Path) -> None:
    side = Side(small_bundle(tmp_path / "a"), "cpu", 1)
    told: list[tuple[int, int]] = []
    found = compare_engines(side, side, CLIPS, rounds=3, report=lambda *how_far: told.append(how_far))
    assert told == [(done, 3 * len(CLIPS)) for done in range(3 * len(CLIPS))]
    assert len(found.errors) == len(CLIPS)
    for error in found.errors:
        assert (error.cosine, error.psnr_db, error.vertex_max_mm) == (pytest.approx(1), 150, 0)
    for walk in found.walk.values():
        assert walk
        assert first_difference(walk) is None
        assert max(tensor.share for tensor in walk) == 0
    assert set(found.latency_ms) == {"encoder", "face", "mesh", "all"}
    for both in found.latency_ms.values():
        assert both.shape == (2, 3 * len(CLIPS))
        assert (both > 0).all()
    np.testing.assert_allclose(
        found.latency_ms["all"], sum(found.latency_ms[name] for name in ("encoder", "face", "mesh"))
    )


@pytest.mark.parametrize(
    ("graph", "weight", "tensor"), [("encoder", "v", "columns"), ("face", "b2", "map8"), ("mesh", "b", "coefficients")]
)
def test_where_they_part_is_where_a_weight_was_changed(tmp_path: Path, graph: str, weight: str, tensor: str) -> None:
    one = small_bundle(tmp_path / "a")
    other = changed(one, tmp_path / "b", graph, weight, lambda w: w + 0.05)
    found = compare_engines(Side(one, "cpu", 1), Side(other, "cpu", 1), CLIPS, rounds=1)
    for name, walk in found.walk.items():
        assert walk is not None
        first = first_difference(walk)
        assert (first.tensor if first else None) == (tensor if name == graph else None)
    assert max(error.share(_TIGHT) for error in found.errors) > 1
    assert compare_engines(Side(one, "cpu"), Side(other, "cpu"), CLIPS, rounds=1, walk=False).walk == {}


def test_what_is_no_number_on_one_side_has_parted(tmp_path: Path) -> None:
    one = small_bundle(tmp_path / "a")
    other = changed(one, tmp_path / "b", "mesh", "b", lambda w: w * np.nan)
    found = compare_engines(Side(one, "cpu", 1), Side(other, "cpu", 1), CLIPS[:1], rounds=1)
    walk = found.walk["mesh"]
    assert walk is not None
    first = first_difference(walk)
    assert first is not None
    assert math.isinf(first.share)
    assert math.isnan(found.errors[0].vertex_max_mm)
    assert TensorDifference("t", "Add", 0.0, 0.0).share == 0
    assert math.isinf(TensorDifference("t", "Add", 0.0, 1e-9).share)


def test_who_begins_takes_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either side's times are its own, whoever runs first."""
    from voxface.calibration import engine_comparison as module

    side = Side(small_bundle(tmp_path / "a"), "cpu", 1)
    order: list[int] = []
    opened: list[Any] = []

    def timed(engines: Any, clip: Any) -> dict[str, int]:
        if not any(engines is known for known in opened):
            opened.append(engines)
        which = next(k for k, known in enumerate(opened) if known is engines)
        order.append(which)
        return dict.fromkeys(("encoder", "face", "mesh"), 1_000_000 * (which + 1))

    monkeypatch.setattr(module, "_timed", timed)
    found = compare_engines(side, dataclasses.replace(side, threads=2), CLIPS[:1], rounds=4, walk=False)
    assert order == [0, 1, 1, 0, 0, 1, 1, 0]
    np.testing.assert_array_equal(found.latency_ms["face"], [[1] * 4, [2] * 4])


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio = str(SAMPLES[0].parent)
    assert (
        main(["compare", str(DEFAULT), "--providers", "cpu", "cpu", "--audio", audio, "--rounds", "2", "--json"]) == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert document["clips"] >= 2
    assert document["error"]["worst"]["cosine"] == pytest.approx(1, abs=1e-6)
    assert [side["provider"] for side in document["sides"]] == ["cpu", "cpu"]
    assert set(document["latency_ms"]["all"][1]) == {"p50", "p90", "p99"}
    assert document["walk"]["encoder"]["parted"] is None
    assert (
        main(["compare", str(DEFAULT), "--providers", "cpu", "cpu", "--audio", str(SAMPLES[0]), "--rounds", "1"]) == 0
    )
    printed = capsys.readouterr().out
    assert "worst of 1 clips" in printed
    assert "none of" in printed


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "nothing to compare"),
        (("--providers", "cpu", "cpu", "cpu"), 2, "one or two"),
        (("--providers", "cpu", "cpu", "--rounds", "0"), 2, "--rounds 0"),
        (("--providers", "cpu", "abacus"), 2, "no provider 'abacus'"),
        (("--providers", "cpu", "cuda"), 5, "cuda"),
        (("--providers", "cpu", "tensorrt-rtx"), 5, "voxface build"),
        (("--against", "nowhere.voxface"), 6, "no such bundle"),
    ],
)
def test_what_cannot_be_compared(
    words: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(DEFAULT), "--audio", str(SAMPLES[0]), *words]) == code
    assert message in capsys.readouterr().err


def test_bundles_with_other_ears_or_faces_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = small_bundle(tmp_path / "a")
    for name, change in (("ears", {"vad": Settings.complete(VadConfig(mode=3))}), ("faces", {})):
        files = {}
        if name == "faces":
            model = one.morphable
            files["morphable.npz"] = dataclasses.replace(model, basis=model.basis * 2).to_bytes()
        one.replacing(files=files, **change).write(tmp_path / name)
        assert (
            main(["compare", str(tmp_path / "a"), "--against", str(tmp_path / name), "--audio", str(SAMPLES[0])]) == 2
        )
        assert "cannot be compared" in capsys.readouterr().err


def test_layers_alone(tmp_path: Path, default_bundle: Bundle) -> None:
    """Against an INT8 bundle, whose layers have no constant weights: borders are found, and their gap is the walk's."""
    one = small_bundle(tmp_path / "a")
    int8 = calibrate(one, noise_clips(4), CalibrationSettings("int8", Tolerances(0.9, 15, 5)))
    other = int8.write(tmp_path / "b")
    model = CostModel()
    for sides in ((one, other), (other, one)):
        pair = tuple(Side(bundle, "cpu", 1) for bundle in sides)
        found = compare_engines(*pair, CLIPS, rounds=1, layers=True, stopwatch=model)
        face = found.layers["face"]
        assert face is not None
        assert [layer for piece in face for layer, _ in piece.layers] == [
            "the_map4",
            "the_map8",
            "the_map16",
            "the_flat",
        ]
        walk = {tensor.tensor: tensor.share for tensor in found.walk["face"] or ()}
        assert face[-1].share == walk["image"]
        a, b = face[1].ms
        assert a is not None
        assert b is not None
        assert (b < a) == (sides[0] is one), "INT8 is cheaper in this model"
    assert compare_engines(*pair, CLIPS, rounds=1).layers == {}


def test_layers_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "compare",
        str(DEFAULT),
        "--providers",
        "cpu",
        "cpu",
        "--audio",
        str(SAMPLES[0]),
        "--rounds",
        "1",
        "--layers",
    ]
    assert main([*words, "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert {operator for layer in layers["face"] for operator in layer["operators"]} == {"ConvTranspose"}
    assert all(ms > 0 for graph in layers.values() for layer in graph for ms in layer["ms"])
    assert all(layer["share"] < 1e-5 for graph in layers.values() for layer in graph)
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "node_convolution_3" in printed
    assert "sum; the graph:" in printed
    assert main([*words, "--no-walk"]) == 2
    assert "give one of the two" in capsys.readouterr().err
