"""`voxface data prepare --voices`: own recordings and photographs, what goes together, and a run that is killed for good."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import run
from tests.stand_ins.own_people import HEAD, landmark_graph, voxceleb
from voxface.training.data.pairs import Pairs
from voxface.training.faces.camera import Pose

pytestmark = pytest.mark.train


def command(folder: Path, out: Path) -> list[str]:
    wav, photos, table = (folder / name for name in ("wav", "VGGFace", "vox1_meta.csv"))
    words = ["data", "prepare", "--voices", wav, "--photos", photos, "--people", table, "--splits", "letters"]
    words += ["--detector", f"onnx:{folder / 'front.onnx'}", "--crops", "--faces", folder / "faces.npz", "--out", out]
    return [str(word) for word in words]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    voxceleb(tmp_path)
    pose = Pose.from_angles(np.zeros((1, 3)), np.full(1, 0.3), np.array([[30.0, 30.0]]))
    landmark_graph(tmp_path / "front.onnx", pose)
    HEAD.save(tmp_path / "faces.npz")
    return tmp_path


def test_what_it_says_and_writes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command(folder, folder / "pairs"), "--json", "--workers", 1) == 3  # photographs of nobody
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["kind"], document["people"], document["female"]) == ("own", 3, 2)
    assert document["splits"]["validation"] == {
        "people": 1, "speakers": 1, "utterances": 4, "clean_utterances": 4, "pictures": 2,
    }  # fmt: skip
    assert [error["message"] for error in document["errors"]] == ["Nobody: photographs of nobody who is heard"]
    assert "Nobody: photographs of nobody" in captured.err
    assert Pairs.load(folder / "pairs").digest == document["digest"]
    assert not list(folder.glob(".*"))
    assert run(*command(folder, folder / "pairs")) == 2
    assert "--force" in capsys.readouterr().err
    assert run(*command(folder, folder / "pairs"), "--force", "--workers", 1) == 3
    assert "12 utterances, 6 pictures; 1 files or faces left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--voices", "wav", "--photos", "VGGFace"], 2, "say what finds their landmarks: --detector onnx:FILE"),
        (["--voices", "wav", "--detector", "pts"], 2, "goes with --photos"),
        (["--voices", "wav", "--noise", "wav"], 2, "--noise: goes with --speech"),
        (["--speech", "wav", "--photos", "VGGFace"], 2, "--photos: goes with --voices"),
        (["--speech", "wav", "--voices", "wav"], 2, "not allowed with"),
        ([], 2, "required"),
        (["--voices", "wav"], 3, "no sex is known"),
        (["--voices", "nowhere"], 3, "no such folder"),
        (["--voices", ".", "--people", "vox1_meta.csv"], 2, "is below ., which is read"),
        (["--voices", "wav", "--people", "vox1_meta.csv", "--splits", "x"], 2, "hash, letters, table"),
        (["--voices", "wav", "--people", "vox1_meta.csv", "--photos", "VGGFace", "--detector", "onnx:x"], 2, "--crops"),
        (
            ["--voices", "wav", "--people", "vox1_meta.csv", "--photos", "VGGFace", "--detector", "onnx:x", "--crops"],
            3,
            "x: no",
        ),
        (["--speech", "wav", "--expert", "x.pth"], 2, "--expert: goes with --voices"),
        (["--speech", "wav", "--fits", "x"], 2, "--fits: goes with --voices"),
        (["--voices", "wav", "--expert", "x.pth"], 2, "--expert: goes with a --detector"),
        (["--voices", "wav", "--whitening", "x"], 2, "--whitening: goes with --expert or --fits"),
        (["--voices", "wav", "--frames", "2"], 2, "--frames 2: goes with --photos"),
        (["--voices", "wav", "--photos", "VGGFace", "--detector", "pts", "--frames", "0"], 2, "above 0, at most 60"),
        (["--voices", "wav", "--people", "vox1_meta.csv", "--fits", "VGGFace"], 3, "no face of anybody here"),
        (
            ["--voices", "wav", "--people", "vox1_meta.csv", "--engine", "spark"],
            2,
            "local, ray, ray:HOST:PORT or ray:auto",
        ),
        (
            ["--voices", "wav", "--people", "vox1_meta.csv", "--engine", "local:x"],
            2,
            "local, ray, ray:HOST:PORT or ray:auto",
        ),
        (
            ["--voices", "wav", "--people", "vox1_meta.csv", "--engine", "ray:auto", "--workers", "2"],
            2,
            "--workers: the cluster",
        ),
        (["--voices", "wav", "--people", "vox1_meta.csv", "--engine", "ray:127.0.0.1:1"], 5, "Ray at 127.0.0.1:1: "),
    ],
)
def test_what_does_not_go_together(
    folder: Path, words: list[str], code: int, message: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    assert run("data", "prepare", *words, "--out", "pairs") == code
    assert message in capsys.readouterr().err
    assert not (folder / "pairs").exists()


@pytest.mark.parametrize(
    "words", [("prepare", "--voices", "wav", "--people", "vox1_meta.csv"), ("synth", "--people", "2")]
)
def test_without_ray_it_says_how_to_install_it(
    folder: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run("data", *words, "--engine", "ray", "--out", "pairs") == 5
    err = capsys.readouterr().err
    assert "install" in err
    assert "ray" in err.partition("install")[2]
    assert list(folder.glob("*pairs*")) == []


@pytest.mark.slow
def test_killed_ten_times_it_writes_the_same(folder: Path) -> None:
    """kill −9 at random moments, of the process and so of its workers; what it had done is not done again."""
    words = [sys.executable, "-m", "voxface", *command(folder, folder / "whole"), "--workers", "1"]
    began = time.monotonic()
    assert subprocess.run(words, capture_output=True, check=False).returncode == 3
    seconds = time.monotonic() - began
    words = [sys.executable, "-m", "voxface", *command(folder, folder / "cut"), "--workers", "2"]
    moments = random.Random(5)
    for _ in range(10):
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(moments.uniform(0.3, 1.0) * seconds)  # not waiting for anything: the moment is to be any
            process.send_signal(signal.SIGKILL)
        if (folder / "cut").exists():
            break
    if not (folder / "cut").exists():
        assert subprocess.run(words, capture_output=True, check=False).returncode == 3
    whole, cut = (
        {file.name: file.read_bytes() for file in (folder / name).iterdir() if file.name != "verified.json"}
        for name in ("whole", "cut")
    )
    assert whole == cut
    assert not os.path.lexists(folder / ".cut.people")
