"""`voxface eval` of another method's files: their names are printed, and scored by the command."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("matplotlib", reason="matplotlib comes with voxface[eval]")

from tests.command_line import run
from tests.stand_ins.small_pairs import small_pairs

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "pairs"
    small_pairs(16).save(folder)
    return folder


def test_names_are_printed_and_files_of_these_names_are_scored(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = tmp_path / "recordings.csv"
    assert run("eval", "recordings", "--data", data, "--out", named, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"recordings": str(named), "count": 48}
    assert run("eval", "recordings", "--data", data, "--out", named) == 2
    assert "--force replaces it" in capsys.readouterr().err

    truth = small_pairs(16).coefficients
    theirs = tmp_path / "theirs"
    for row in csv.DictReader(named.open()):
        if row["split"] == "test":
            (theirs / row["file"]).parent.mkdir(parents=True, exist_ok=True)
            np.save(theirs / f"{row['file']}.npy", truth[int(row["person"][1:])])
    out = tmp_path / "results"
    words = ("eval", "geometry", "--data", data, "--predictions", theirs, "--method", "CMP", "--out", out)
    assert run(*words, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["results"]
    ours = found["tables"][0]["rows"][0]
    assert (ours["method"], ours["kind"]) == ("CMP", "ours")
    assert ours["values"]["mean"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["subject"]["name"] == "CMP"
    assert found["command"] == "voxface eval geometry --data pairs --predictions theirs --method CMP"
    assert {file.name for file in out.iterdir()} >= {"geometry.json", "geometry.md", "geometry-ratios.png"}

    (theirs / "p12" / "7.npy").write_bytes(b"")
    assert run(*words, "--force") == 3
    told = capsys.readouterr().err
    assert "7.npy: the recordings of p12 are 0 to 2, not 7" in told
    assert "Traceback" not in told


def test_joint_gain_says_what_to_give(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("eval", "joint-gain", "--data", data, "--out", tmp_path / "out", "--quick") == 2
    assert "--beside: joint training is compared with networks trained apart" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("joint-gain*"))
