"""All trainings by commands alone, through to a bundle that runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from voxface.cli.train import TRAININGS

# As small as they go.
VOICE_ENCODER: dict[str, Any] = {"crop": "64,96"}


@pytest.mark.train
@pytest.mark.slow
def test_all_trainings_and_a_bundle_that_runs(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From pairs to a face of real speech, by commands alone: the networks are tiny and have learnt next to nothing."""
    pytest.importorskip("open3d", reason="open3d draws what experts and portraits learn from")
    pytest.importorskip("onnxscript", reason="onnxscript comes with voxface[train]")
    runs = {name: tmp_path / name for name in TRAININGS}
    widths = {"channels": "16,8,8,8,8"}
    critic = {"critic": "4,8,8,8,8"}
    crop = {"crop": "64,96"}
    given = {
        "encoder": ["--encoder", runs["voice-encoder"]],
        "expert": ["--expert", runs["expert"]],
        "generator": ["--generator", runs["face-gan"]],
        "mesh": ["--mesh", runs["mesh"]],
    }
    plan: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
        "voice-encoder": ((), VOICE_ENCODER),
        "expert": ((), {"renders.pictures": 12, "held": 4, "size": 40}),
        "face-gan": (("encoder",), {**widths, **critic, "length": "64,96", "judge.steps": 2, "judge.batch": 4}),
        "mesh": (("encoder",), {**crop, "bank": 1}),
        "portrait": (("encoder", "mesh"), {**crop, **widths, "portraits": 12}),
        "joint": (
            ("encoder", "expert", "generator"),
            {**crop, **widths, **critic, "bank": 1, "student_size": 40},
        ),
    }
    assert set(plan) == set(TRAININGS)
    for name, (needs, settings) in plan.items():
        words = ["train", name, "--data", world / "pairs", "--out", runs[name], "--steps", 2, "--batch", 4]
        words += [word for need in needs for word in given[need]]
        words += [word for setting, value in settings.items() for word in ("--set", f"{setting}={value}")]
        assert run(*words, "--accelerator", "cpu", "--json") == 0, name
        document = json.loads(capsys.readouterr().out)
        assert document["training"] == name
        assert document["losses"]["step"] in (0, 1), "the curve's first point, or the validation at the end"
        assert {f"{network}.safetensors" for network in document["networks"]} <= set(document["files"])
        about = json.loads((runs[name] / "checkpoint.json").read_text())
        assert about["trained_on"]
        assert about["licence"]
        assert about["config"]["steps"] == 2
        assert ("encoder_sha256" in about) == (name != "expert")

    encoder = runs["voice-encoder"]
    out = tmp_path / "mine.voxface"
    assert run("export", encoder, runs["face-gan"], runs["mesh"], "--out", out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["name"] == "mine"
    assert document["trained_on"] == ["4 speakers: synthetic voices and faces of sphere"]
    assert set(document["metrics"]) == set(document["training"]) == {"encoder", "face", "mesh"}
    assert run("bundle", "verify", out) == 0
    capsys.readouterr()
    assert run("run", SAMPLES[0], "--bundle", out, "--out", tmp_path / "o", "--json") == 0
    clip = json.loads(capsys.readouterr().out)["clips"][0]
    assert len(clip["coefficients"]) == 2
    assert len(clip["embedding"]) == 64
    # The other ways to a face and a mesh fit together as well; to export them is another test's business.
    from voxface.training.engine.bundle_networks import TrainedNetworks

    portrait = TrainedNetworks.load(runs["mesh"], runs["portrait"], encoder)
    assert portrait.metrics["face"]
    assert portrait.architecture["face"]["size"] == 128
    assert TrainedNetworks.load(encoder, runs["joint"]).architecture["mesh"]["kind"] == "joint"
    # A mesh that was trained with another encoder does not go into a bundle with this one.
    assert run("export", world / "encoder", runs["joint"], "--out", tmp_path / "wrong.voxface") == 3
    assert "trained with another voice encoder" in capsys.readouterr().err
