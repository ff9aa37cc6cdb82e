"""What version 0.1.0 stored is still read: a bundle, a recording, a profile, trained networks, a training's checkpoint.

`tests/stored` was written by that version and is never written again; a later version's files would go beside it.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from voxface.cli import main
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.live.recording import Recording
from voxface.runtime.profile.report import Report

STORED = Path(__file__).parent / "stored"
BUNDLE = STORED / "small.voxface"
SAMPLE = Path(__file__).parent.parent / "examples" / "sample_female.flac"


def test_a_bundle_opens_verifies_and_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify", str(BUNDLE)]) == 0
    capsys.readouterr()
    assert main(["run", str(SAMPLE), "--bundle", str(BUNDLE), "--out", str(tmp_path / "o"), "--json"]) == 0
    (clip,) = json.loads(capsys.readouterr().out)["clips"]
    assert np.isfinite(clip["embedding"]).all()
    assert Path(clip["mesh"]).is_file()


def test_a_recording_is_heard_again(capsys: pytest.CaptureFixture[str]) -> None:
    recording = Recording(STORED / "recording")
    assert (recording.config.mode, recording.config.image_reuse_distance) == ("incremental", 0.15)
    assert recording.config.detect_speaker_change
    # What it does not say is what that version did: no estimate was held back for its confidence.
    assert recording.config.to_json() == {**recording.about["config"], "min_confidence": 0.0, "any_age": True}
    # The result depends on the processor's rounding and on the bundle's parts; that it is heard to its end does not.
    assert main(
        ["live", "--replay", str(STORED / "recording"), "--bundle", str(BUNDLE), "--json", "--show", "none"]
    ) in (
        0,
        3,
    )
    document = json.loads(capsys.readouterr().out)
    assert document["samples"] == {"start": 0, "end": 41_600}
    assert document["ended"] == "end of input"
    assert document["replay"]["events"] >= 3


def test_a_profile_is_read() -> None:
    report = Report.load(STORED / "profile.json")
    assert report.settings.bundle == "voxface-default"
    assert report.to_json() == json.loads((STORED / "profile.json").read_text())


def test_trained_networks_are_exported_to_the_bundle_that_was_made_of_them(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    out = tmp_path / "again.voxface"
    assert main(["export", str(STORED / "networks"), "--out", str(out), "--storage", "float16"]) == 0
    before, after = Bundle.open(BUNDLE), Bundle.open(out)
    np.testing.assert_array_equal(before.morphable.mean, after.morphable.mean)
    from voxface.onnx_graph.graph import Graph

    for name in ("encoder", "face", "mesh"):
        old, new = (Graph.from_bytes(bundle.graph(name), name=name).constants for bundle in (before, after))
        assert old.keys() == new.keys()
        for key, array in old.items():
            np.testing.assert_array_equal(array, new[key], err_msg=f"{name}: {key}")


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    from tests.stand_ins.small_training import SmallConfig, train

    folder = tmp_path / "run"
    shutil.copytree(STORED / "run", folder)
    said: list[str] = []
    networks = train(folder, SmallConfig(12), resume=True, say=said.append)
    steps = [json.loads(line)["step"] for line in (folder / "curve.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 13)) or steps == list(range(12)), steps
    assert all(np.isfinite(parameter.detach().numpy()).all() for parameter in networks["voice"].parameters())
