"""`voxface export`: a checkpoint to a bundle that runs, and what it says of checkpoints that are wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("onnxscript", reason="onnxscript comes with voxface[train]")

from tests.cli.test_run import run  # noqa: E402
from tests.conftest import SAMPLES  # noqa: E402
from tests.sphere import sphere  # noqa: E402
from voxface.training.checkpoint import Checkpoint  # noqa: E402
from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.slow]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained networks with a sphere for a face."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoint")
    architecture = {
        "encoder": {"channels": [32, 48, 64, 96]},
        "face": {"channels": [64, 32, 16, 16, 8], "kernel": "k3"},
        "mesh": {"coefficients": 2},
    }
    Checkpoint(
        encoder=VoiceEncoder(channels=(32, 48, 64, 96)),
        face=FaceGenerator(channels=(64, 32, 16, 16, 8), kernel="k3"),
        mesh=MeshRegressor(2),
        morphable=sphere(),
        name="small",
        version="1",
        licence="none",
        description="untrained",
        trained_on=[],
        architecture=architecture,
    ).save(folder)
    return folder


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle of each storage: one zip, one folder."""
    room = tmp_path_factory.mktemp("exported")
    paths = {"float32": room / "small.voxface", "float16": room / "folder"}
    for storage, path in paths.items():
        assert run("export", checkpoint, "--out", path, "--storage", storage) == 0
    return paths


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_what_was_exported_verifies_and_runs(
    exported: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], storage: str
) -> None:
    out = exported[storage]
    assert run("bundle", "info", out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["precision"]["storage"] == storage
    worst = document["precision"]["largest_difference_from_pytorch"]
    assert worst["embedding"] < 1e-4
    assert worst["image"] < 1e-3
    assert worst["coefficients"] < 1e-3
    assert run("bundle", "verify", out) == 0
    assert run("run", SAMPLES[0], "--bundle", out, "--out", tmp_path / "o") == 0


def test_export_replaces_its_own_earlier_result(
    checkpoint: Path, exported: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", checkpoint, "--out", exported["float16"], "--json") == 0
    assert json.loads(capsys.readouterr().out)["precision"]["storage"] == "float32"
    assert run("bundle", "verify", exported["float16"]) == 0


def test_vertices_agree_with_pytorch(checkpoint: Path, exported: dict[str, Path]) -> None:
    """From features to millimetres: PyTorch networks and the exported bundle on the same speech."""
    from voxface.runtime.bundle import Bundle
    from voxface.runtime.features import network_input
    from voxface.runtime.voice_to_face import VoiceToFace

    loaded = Checkpoint.load(checkpoint)
    with VoiceToFace(Bundle.open(exported["float32"])) as voice_to_face, torch.no_grad():
        for clip in SAMPLES:
            speech, estimate = voice_to_face.estimate_file(clip)
            embedding, _ = loaded.encoder(torch.from_numpy(network_input(speech.log_mel)))
            vertices = loaded.morphable.vertices(loaded.mesh(embedding).numpy()[0])
            image = loaded.face(embedding)[0].clamp(-1, 1).numpy().transpose(1, 2, 0)
            np.testing.assert_allclose(estimate.embedding, embedding[0].numpy(), atol=1e-4)
            np.testing.assert_allclose(estimate.vertices, vertices, atol=0.01)
            np.testing.assert_allclose(estimate.image, (image + 1) * 127.5, atol=0.5 + 0.13)


def test_checkpoints_that_are_wrong(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "b.voxface"
    assert run("export", tmp_path, "--out", out) == 3
    assert "no checkpoint here" in capsys.readouterr().err
    import shutil

    broken = Path(shutil.copytree(checkpoint, tmp_path / "broken"))
    data = (broken / "face.safetensors").read_bytes()
    (broken / "face.safetensors").write_bytes(data[: len(data) // 2])
    assert run("export", broken, "--out", out) == 3
    assert "not a checkpoint that can be loaded" in capsys.readouterr().err
    about = json.loads((checkpoint / "checkpoint.json").read_text())
    about["architecture"]["mesh"]["coefficients"] = 3
    (broken / "checkpoint.json").write_text(json.dumps(about))
    assert run("export", broken, "--out", out) == 3
    assert not out.exists()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("do not lose")
    assert run("export", checkpoint, "--out", tmp_path / "precious") == 2
    assert "is no bundle" in capsys.readouterr().err
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "do not lose"
