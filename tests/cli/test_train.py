"""`voxface train`: options, settings by name, what it prints, and all trainings through to a bundle that runs."""

import importlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from voxface.cli.output import Progress
from voxface.cli.overrides import override
from voxface.cli.train import PRESETS, TRAININGS
from voxface.runtime.errors import UsageError

COMMAND = [sys.executable, "-m", "voxface", "train"]
# As small as they go.
VOICE_ENCODER: dict[str, Any] = {"crop": "64,96"}
ENCODER: dict[str, Any] = {"channels": (8, 8, 8, 16)}


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


# -- settings by name --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inner:
    keep: int = 2
    label: str = "a"


@dataclass(frozen=True)
class Settings:
    """One field of each kind that trainers have."""

    run: Inner = field(default_factory=Inner)
    steps: int = 10
    rate: float = 1e-3
    fast: bool = False
    mode: Literal["slow", "quick"] = "slow"
    widths: tuple[int, ...] = (1, 2)
    crop: tuple[int, int] = (300, 800)
    clip: float | None = None

    def __post_init__(self) -> None:
        if self.crop[0] > self.crop[1]:
            raise UsageError("crop: shortest first")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("steps", "50_000", 50_000),
        ("rate", "2e-4", 2e-4),
        ("rate", "3", 3.0),
        ("fast", "yes", True),
        ("fast", "False", False),
        ("mode", "quick", "quick"),
        ("widths", "8,16, 32", (8, 16, 32)),
        ("widths", "(8,)", (8,)),
        ("crop", "[100, 200]", (100, 200)),
        ("clip", "0.5", 0.5),
        ("clip", "none", None),
    ],
)
def test_a_setting_is_read_as_its_annotation_says(name: str, text: str, value: Any) -> None:
    changed = getattr(override(Settings(clip=1.0), {name: text}), name)
    assert changed == value
    assert type(changed) is type(value)


def test_settings_within_settings_and_all_at_once() -> None:
    changed = override(Settings(), {"run.keep": "5", "crop": "900,1000", "steps": "3"})
    assert changed == Settings(run=Inner(5), crop=(900, 1000), steps=3)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("stepps", "3", "did you mean steps?"),
        ("keep", "3", "did you mean run.keep?"),
        ("xyz", "3", "There are run.keep, run.label, steps, rate"),
        ("run", "3", "no such setting"),
        ("steps", "3.5", "'3.5' is not a whole number"),
        ("steps", "", "'' is not a whole number"),
        ("rate", "nan", "not a finite number"),
        ("fast", "2", "not true or false"),
        ("mode", "fast", "not one of slow, quick"),
        ("widths", "1,x", "not a whole number"),
        ("crop", "1,2,3", "not 2 values"),
        ("clip", "x", "not a finite number or none"),
        ("crop", "5,4", "shortest first"),
    ],
)
def test_settings_that_cannot_be(name: str, text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=re.escape(reason)):
        override(Settings(), {name: text})


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        return True


def test_a_bar_with_a_rate_where_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = Progress(1000, "mesh")
    progress.say("embeddings of 16 crops")
    progress.at(501, 1000)  # goes on from step 500
    now[0] += 10
    progress.say("step 540: loss 0.5")
    progress.at(551, 1000)
    progress.close()
    printed = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "embeddings of 16 crops\n" in printed
    assert "551/1000 90 s left, 5/s loss 0.5" in printed
    assert printed.count("\n") == 1, "a step's line goes into the bar"
    assert printed.endswith("\r\033[K")


def test_a_phase_has_its_own_name_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, terminal = [0.0], Terminal()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress(1000, "mesh")

    def shown(seconds: float, done: int, total: int, *phase: str) -> str:
        now[0] += seconds
        progress.phase(done, total, *phase)
        return terminal.getvalue().split("\r")[-1]

    shown(0, 0, 3000, "encoding voices")
    assert shown(4, 20, 3000, "encoding voices").startswith("encoding voices ")
    assert "20/3000 10 min left, 5/s" in terminal.getvalue()
    first = shown(2, 500, 1000)
    assert first.startswith("mesh ")
    assert "left" not in first  # the rate of another phase says nothing of this one
    assert "33 min left" in shown(4, 501, 1000)
    assert " h left" in shown(99_999, 502, 1000)


def test_lines_where_nobody_does(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(1000, "mesh")
    progress.at(1, 1000)
    progress.say("step 0: loss 0.5")
    progress.close()
    assert capsys.readouterr().err == "step 0: loss 0.5\n"


# -- trainings ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pairs `pairs` and an untrained voice encoder `encoder`."""
    torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
    pytest.importorskip("lightning_fabric", reason="lightning-fabric comes with voxface[train]")
    from tests.stand_ins.small_pairs import small_pairs
    from voxface.training.engine.trained_networks import save_networks
    from voxface.training.faces.population import FacePopulation
    from voxface.training.models import VoiceEncoder

    folder = tmp_path_factory.mktemp("world")
    pairs = small_pairs()
    spread = np.stack([np.eye(2, dtype=np.float32) / 4] * 2)
    replace(pairs, population=FacePopulation(pairs.morphable.sex_means, spread)).save(folder / "pairs")
    torch.manual_seed(0)
    save_networks(folder / "encoder", {"encoder": VoiceEncoder(**ENCODER)}, {"encoder": ENCODER}, {})
    return folder


def mesh_words(world: Path, out: Path, steps: int = 4) -> list[str]:
    """A training of a second."""
    words = ["mesh", "--data", world / "pairs", "--encoder", world / "encoder", "--out", out, "--steps", steps]
    words += ["--batch", 4, "--accelerator", "cpu", "--set", "hidden=8", "--set", "bank=1", "--set", "crop=64,96"]
    return [str(word) for word in words]


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


@contextmanager
def signal_to_itself(number: signal.Signals, when: Callable[[], object]) -> Iterator[None]:
    """Sends this process a signal as soon as something is so, unless the context is left before."""
    left = threading.Event()

    def watch() -> None:
        while not left.wait(0.01):
            if when():
                os.kill(os.getpid(), number)
                return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        left.set()
        watching.join()


def assert_told_how_to_go_on(folder: Path, out: str, err: str) -> None:
    """Of a training that was interrupted."""
    assert out == ""
    last = max((folder / "checkpoints").glob("step-*"))
    assert err.splitlines()[-1] == f"voxface: interrupted; go on from {last} with --resume"
    assert "Traceback" not in err


@pytest.mark.train
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_names_the_checkpoint_to_go_on_from(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    words = [*mesh_words(world, folder, steps=100_000), "--checkpoint-every", "5"]
    with signal_to_itself(number, lambda: list((folder / "checkpoints").glob("step-*"))):
        assert run("train", *words) == 128 + number
    assert_told_how_to_go_on(folder, *capsys.readouterr())


@pytest.mark.train
@pytest.mark.slow
def test_a_process_that_is_asked_to_end_does_so_too(world: Path, tmp_path: Path) -> None:
    words = [*COMMAND, *mesh_words(world, tmp_path / "run", steps=100_000), "--checkpoint-every", "5"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    patience = time.monotonic() + 120
    while not list((tmp_path / "run" / "checkpoints").glob("step-*")) and time.monotonic() < patience:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert_told_how_to_go_on(tmp_path / "run", out, err)


@pytest.mark.train
@pytest.mark.slow
def test_one_of_two_processes_speaks(world: Path, tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [*launcher, "-m", "voxface", "train", *mesh_words(world, tmp_path / "run"), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=threads)
    assert json.loads(done.stdout)["networks"] == ["mesh"]
    assert done.stderr.count("step 0: loss") == 1
    assert done.stderr.count("embeddings of 16 crops") == 1
    again = subprocess.run(words, capture_output=True, text=True, check=False, env=threads)
    assert again.returncode != 0
    assert [error["exit_code"] for error in json.loads(again.stdout)["errors"]] == [2]
    assert again.stderr.count("holds a run already; go on with --resume") == 1


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
    from voxface.training.engine.trained_networks import TrainedNetworks

    portrait = TrainedNetworks.load(runs["mesh"], runs["portrait"], encoder)
    assert portrait.metrics["face"]
    assert portrait.architecture["face"]["size"] == 128
    assert TrainedNetworks.load(encoder, runs["joint"]).architecture["mesh"]["kind"] == "joint"
    # A mesh that was trained with another encoder does not go into a bundle with this one.
    assert run("export", world / "encoder", runs["joint"], "--out", tmp_path / "wrong.voxface") == 3
    assert "trained with another voice encoder" in capsys.readouterr().err
