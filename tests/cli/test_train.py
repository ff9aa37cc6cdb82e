"""`voxface train`: options, what it prints and writes, and what it refuses."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.mesh_training import ENCODER, mesh_words
from voxface.cli.train import PRESETS, TRAININGS


def test_help_names_the_presets_and_loads_nothing() -> None:
    code = """
import sys
from voxface.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 0
assert not {"numpy", "torch", "voxface.training"} & set(sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", code, "train", "--help"], capture_output=True, text=True, check=True)
    for name, presets in PRESETS.items():
        assert name in shown.stdout
        assert ", ".join(presets) in " ".join(shown.stdout.split())
        sub = [sys.executable, "-c", code, "train", name, "--help"]
        one = subprocess.run(sub, capture_output=True, text=True, check=True).stdout
        assert ("--encoder" in one) == (name in ("face-gan", "mesh", "joint", "portrait"))
        assert ("--mesh" in one) == (name == "portrait")
        assert ("--expert" in one) == (name == "joint")


@pytest.mark.train
@pytest.mark.parametrize("name", list(TRAININGS))
def test_the_presets_of_the_help_are_the_trainers_own(name: str) -> None:
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    trainer = importlib.import_module(f"voxface.training.trainers.{name.replace('-', '_')}")
    assert set(PRESETS[name]) == set(trainer.PRESETS)
    assert callable(getattr(trainer, f"train_{name.replace('-', '_')}"))
    for config in trainer.PRESETS.values():
        assert config.steps > 0
        assert config.run.seed == 0


@pytest.mark.train
def test_one_document(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = mesh_words(world, tmp_path / "run")
    assert run("train", *words, "--json", "--set", "run.log_every=1", "--seed", 3) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["run"] == str(tmp_path / "run")
    assert (document["training"], document["preset"], document["steps"]) == ("mesh", "default", 4)
    assert document["losses"]["step"] == 3
    assert document["losses"]["loss"] > 0
    assert document["metrics"]["validation"]["trivial"]["are"] > 0
    assert document["networks"] == ["mesh"]
    assert {"checkpoint.json", "mesh.safetensors", "morphable.npz", "curve.jsonl"} <= set(document["files"])
    assert all((tmp_path / "run" / file).is_file() for file in document["files"])
    assert "step 0: loss" in printed.err, "no terminal, so lines"
    kept = json.loads((tmp_path / "run" / "checkpoint.json").read_text())
    assert kept["config"]["hidden"] == 8
    assert kept["config"]["crop"] == [64, 96]
    assert kept["config"]["run"]["seed"] == 3

    # Again: not by mistake, but with --resume, and further.
    assert run("train", *words, "--seed", 3) == 2
    assert "--resume" in capsys.readouterr().err
    words[words.index("--steps") + 1] = "6"
    assert run("train", *words, "--seed", 3, "--resume") == 0
    printed = capsys.readouterr()
    assert "going on from step 4" in printed.err
    assert "mesh trained (default, 6 steps" in printed.out
    # With fewer steps than it has had, nothing is trained, and what is told is what is there.
    words[words.index("--steps") + 1] = "3"
    before = (tmp_path / "run" / "mesh.safetensors").read_bytes()
    assert run("train", *words, "--seed", 3, "--resume", "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["steps"] == 6
    assert "nothing left to do: 6 steps were done before" in printed.err
    assert json.loads((tmp_path / "run" / "checkpoint.json").read_text())["config"]["steps"] == 6
    assert (tmp_path / "run" / "mesh.safetensors").read_bytes() == before


@pytest.mark.train
@pytest.mark.parametrize(
    ("code", "extra", "reason"),
    [
        (2, ["--set", "hiden=3"], "--set hiden: no such setting; did you mean hidden?"),
        (2, ["--set", "hidden"], "write NAME=VALUE"),
        (2, ["--set", "target=drawing"], "not one of drawn, expected"),
        (2, ["--set", "steps=3"], "steps has been given already, by --steps"),
        (2, ["--steps", "many"], "--steps: 'many' is not a whole number"),
        (2, ["--devices", "0"], "devices 0: at least 1"),
        (2, ["--seed", "-1"], "seed -1: at least 0"),
        (2, ["--seed", "9" * 26], "less than 2^63"),
        (2, ["--steps", "0"], "--steps 0: at least 1"),
        (2, ["--batch", "-3"], "batch -3: at least 1"),
        (1, ["--batch", "1" + "0" * 12], "not enough memory"),
        (2, ["--precision", "7"], "--precision 7"),
        (2, ["--preset", "wen2019"], "invalid choice: 'wen2019'"),
        (2, ["--generator", "x"], "unrecognized arguments"),
        (3, ["--data", "nowhere"], "nowhere: no pairs here (pairs.json is missing)"),
        (3, ["--encoder", "nowhere"], "nowhere: no checkpoint here"),
        (3, ["--encoder", str(SAMPLES[0])], "the file is a sound file (FLAC)"),
        (3, ["--set", "rate=1e30", "--set", "weight_decay=1e30"], "bad-batch"),
    ],
)
def test_bad_input(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, extra: list[str], reason: str
) -> None:
    words = mesh_words(world, tmp_path / "run", steps=30)
    try:
        ended = run("train", *words, *extra)
    except SystemExit as end:  # what argparse itself refuses
        ended = int(str(end.code))
    assert ended == code
    printed = capsys.readouterr()
    assert reason in printed.err
    assert "Traceback" not in printed.err
    assert not (tmp_path / "run" / "checkpoint.json").exists()


@pytest.mark.train
@pytest.mark.parametrize("setting", ["rate=0", "weight_decay=-3", "crop=64,1000000", "mask_bands=-1", "mask_width=65"])
def test_settings_of_an_encoder_that_cannot_be(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    words = ["--data", world / "pairs", "--out", tmp_path / "run", "--steps", 1, "--batch", 4, "--accelerator", "cpu"]
    assert run("train", "voice-encoder", *words, "--set", setting) == 2
    assert setting.partition("=")[0] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.train
def test_nothing_that_is_learnt_from_is_written_over(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(world / "encoder", tmp_path / "encoder")
    shutil.copytree(world / "pairs", tmp_path / "pairs")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for out, option, reason in (
        ("encoder", "--encoder", "is --encoder as well"),
        ("pairs", "--data", "is --data as well"),
        ("encoder", None, "holds a run already"),
        ("pairs", None, "holds voices and faces to train on"),
    ):
        words = mesh_words(world, tmp_path / out)
        if option is not None:
            words[words.index(option) + 1] = str(tmp_path / out)
        assert run("train", *words) == 2
        assert reason in capsys.readouterr().err
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.train
def test_another_encoder_is_told_from_other_data(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from voxface.training.engine.trained_networks import save_networks
    from voxface.training.models import VoiceEncoder

    torch.manual_seed(1)
    save_networks(tmp_path / "other", {"encoder": VoiceEncoder(**ENCODER)}, {"encoder": ENCODER}, {})
    words = mesh_words(world, tmp_path / "mesh", steps=2)
    assert run("train", *words) == 0
    words[words.index("--encoder") + 1] = str(tmp_path / "other")
    assert run("train", *words, "--resume") == 2
    assert re.search(r"begun with other settings: encoder \([0-9a-f]{16}…, now", capsys.readouterr().err)
    portrait = ["--data", world / "pairs", "--encoder", tmp_path / "other", "--mesh", tmp_path / "mesh", "--steps", 1]
    assert run("train", "portrait", *portrait, "--out", tmp_path / "face") == 3
    assert "its mesh network was trained with another voice encoder" in capsys.readouterr().err


@pytest.mark.train
def test_no_gpu(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert run("train", *mesh_words(world, tmp_path / "run"), "--accelerator", "cuda") == 5
    assert "--accelerator cuda" in capsys.readouterr().err


@pytest.mark.train
def test_experts_that_are_none(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["joint", "--data", world / "pairs", "--encoder", world / "encoder", "--out", tmp_path / "run"]
    (tmp_path / "x.pth").write_bytes(b"nothing")
    for expert, extra, code, reason in (
        (tmp_path / "none.pth", [], 3, "none.pth: no such file or folder"),
        (tmp_path / "x.pth", [], 3, "no checkpoint of PyTorch (the file is"),
        (world / "encoder", [], 3, "holds encoder, no expert; make one with `voxface train expert`"),
        (world / "encoder", ["--whitening", tmp_path / "w.npz"], 2, "--whitening: goes with a published expert"),
    ):
        assert run("train", *words, "--expert", expert, *extra) == code
        assert reason in capsys.readouterr().err
