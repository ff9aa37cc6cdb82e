"""`voxface export`: a checkpoint to a bundle that runs, and what it says of checkpoints that are wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("onnxscript", reason="onnxscript comes with voxface[train]")

from tests.command_line import run  # noqa: E402
from tests.conftest import SAMPLES  # noqa: E402
from tests.stand_ins.face_posterior import small_weights  # noqa: E402
from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from tests.stand_ins.sphere import sphere  # noqa: E402
from voxface.runtime.bundle.bundle import Bundle  # noqa: E402
from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR, write_face_posterior  # noqa: E402
from voxface.training.engine.bundle_networks import TrainedNetworks  # noqa: E402
from voxface.training.engine.trained_networks import save_networks  # noqa: E402
from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder  # noqa: E402
from voxface.training.models.experts.own import ImageToFace  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.slow]
STORED = Path(__file__).parent.parent / "stored" / "small.voxface"


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
    TrainedNetworks(
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


def trained_like(student: ImageToFace) -> ImageToFace:
    """Batch statistics and numbers out of the tiny range that a fresh network has."""
    for module in student.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        student.shape[1].weight.mul_(50)
    return student.eval()


def test_the_face_posterior_goes_along(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    networks = TrainedNetworks.load(checkpoint)
    assert networks.face_posterior is None
    networks.face_posterior = write_face_posterior(small_weights())
    networks.save(tmp_path / "with")
    assert run("export", tmp_path / "with", "--out", tmp_path / "with.voxface") == 0
    bundle = Bundle.open(tmp_path / "with.voxface")
    assert "face_posterior" not in bundle.missing_parts
    assert bundle.face_posterior is not None
    assert bundle.face_posterior.data == networks.face_posterior
    assert bundle.manifest.face_posterior is not None
    assert bundle.manifest.face_posterior.mesh_sha256 == bundle.graph_digests()["mesh"]
    assert run("bundle", "verify", bundle.path) == 0
    out = tmp_path / "out"
    capsys.readouterr()
    assert run("run", SAMPLES[0], "--bundle", bundle.path, "--samples", 2, "--out", out, "--json") == 0
    (clip,) = json.loads(capsys.readouterr().out)["clips"]
    assert len(clip["samples"]) == 2
    # Networks that are written into the folder later, and know no posterior, leave none there.
    TrainedNetworks.load(checkpoint).save(tmp_path / "with")
    assert not (tmp_path / "with" / FACE_POSTERIOR).exists()
    # A posterior of other faces, or a damaged one.
    for wrong, why in ((write_face_posterior(small_weights(3)), "of other faces"), (b"PK", "not a face posterior")):
        networks.face_posterior = wrong
        networks.save(tmp_path / "wrong")
        assert run("export", tmp_path / "wrong", "--out", tmp_path / "wrong.voxface") == 3
        assert why in capsys.readouterr().err
    assert not (tmp_path / "wrong.voxface").exists()


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


def test_the_model_card_goes_with_it(
    exported: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = exported["float32"]
    assert run("bundle", "info", out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["model_card"] == {"file": "model_card.md"}
    assert document["files"]["model_card.md"]["size"] > 1000
    assert run("bundle", "info", out) == 0
    assert "model card   model_card.md" in capsys.readouterr().out
    assert run("bundle", "info", out, "--card") == 0
    card = capsys.readouterr().out
    assert card.startswith("# small 1\n\nuntrained\n")
    assert "sphere 1 (CC0-1.0), 722 vertices" in card


def test_networks_of_several_trainings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An encoder from one folder, generator and student (which make the mesh network) from another; an earlier file gives way.

    So the mesh graph has a resize with aligned corners and a MobileNetV2, folded before its weights are rounded.
    """
    torch.manual_seed(4)
    wide, high = {"channels": (16, 16, 16, 32)}, {"channels": (32, 16, 8, 8, 8)}
    encoder = VoiceEncoder(**wide)
    about = {"metrics": {"eer": 0.2, "trivial": {"eer": 0.5}}, "trained_on": ["40 voices"], "config": {"steps": 7}}
    save_networks(tmp_path / "voice", {"encoder": encoder}, {"encoder": wide}, about)
    student = trained_like(ImageToFace(2))
    save_networks(
        tmp_path / "joint",
        {"face": FaceGenerator(**high), "student": student},
        {"face": high, "student": {"coefficients": 2}},
        {"trained_on": ["30 people"], "licence": "CC-BY-4.0"},
        small_pairs(),
        encoder=encoder,
    )
    out = Path(shutil.copy(STORED, tmp_path / "mine.voxface"))
    words = [
        "--force",
        "--version",
        "2.1",
        "--description",
        "Made in a test.",
        "--storage",
        "float16",
        "--out",
        out,
        "--json",
    ]
    assert run("export", tmp_path / "voice", tmp_path / "joint", *words) == 0
    document = json.loads(capsys.readouterr().out)
    assert run("bundle", "verify", out) == 0
    capsys.readouterr()
    assert (document["name"], document["version"], document["description"]) == ("mine", "2.1", "Made in a test.")
    assert document["trained_on"] == ["40 voices", "30 people"]
    assert document["licence"] == "CC-BY-4.0"
    assert document["training"] == {"encoder": {"steps": 7}}
    assert document["architecture"]["mesh"]["kind"] == "joint"
    assert document["precision"]["largest_difference_from_pytorch"]["coefficients"] < 1e-5
    assert run("bundle", "info", out, "--card") == 0
    assert "| encoder: eer | 0.2 | 0.5 |" in capsys.readouterr().out
    assert run("run", SAMPLES[0], "--bundle", out, "--out", tmp_path / "o", "--json") == 0
    assert np.abs(json.loads(capsys.readouterr().out)["clips"][0]["coefficients"]).max() > 0.01
    # One that is missing, and one that was trained with another encoder.
    assert run("export", tmp_path / "joint", "--out", out, "--force") == 3
    assert "make one with `voxface train voice-encoder`" in capsys.readouterr().err
    save_networks(tmp_path / "other", {"encoder": VoiceEncoder(**wide)}, {"encoder": wide}, about)
    assert run("export", tmp_path / "other", tmp_path / "joint", "--out", out, "--force") == 3
    assert "trained with another voice encoder" in capsys.readouterr().err


def test_vertices_agree_with_pytorch(checkpoint: Path, exported: dict[str, Path]) -> None:
    """From features to millimetres: PyTorch networks and the exported bundle on the same speech."""
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.features.normalisation import network_input
    from voxface.runtime.voice_to_face import VoiceToFace

    loaded = TrainedNetworks.load(checkpoint)
    with VoiceToFace(Bundle.open(exported["float32"])) as voice_to_face, torch.no_grad():
        for clip in SAMPLES:
            speech, estimate = voice_to_face.estimate_file(clip)
            embedding, _ = loaded.encoder(torch.from_numpy(network_input(speech.log_mel)))
            vertices = loaded.morphable.vertices(loaded.mesh(embedding).numpy()[0])
            image = loaded.face(embedding)[0].clamp(-1, 1).numpy().transpose(1, 2, 0)
            np.testing.assert_allclose(estimate.embedding, embedding[0].numpy(), atol=1e-4)
            np.testing.assert_allclose(estimate.vertices, vertices, atol=0.01)
            np.testing.assert_allclose(estimate.image, (image + 1) * 127.5, atol=0.5 + 0.13)


def test_a_bundle_normalises_as_its_encoder_learnt(tmp_path: Path, checkpoint: Path) -> None:
    """A deep encoder of frames of which only the level is taken away: its bundle gives what PyTorch gives, live too.

    It takes the place of an earlier folder.
    """
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.features.normalisation import network_input
    from voxface.runtime.inference.incremental import IncrementalEstimator
    from voxface.runtime.timing.stage_timer import StageTimer
    from voxface.runtime.voice_to_face import VoiceToFace

    torch.manual_seed(0)
    architecture = {"channels": (16, 24, 24, 32, 24), "blocks": 2, "normalisation": "level"}
    encoder = VoiceEncoder(**architecture).eval()  # type: ignore[arg-type]
    about = {"trained_on": [], "licence": "Apache-2.0", "metrics": {}}
    save_networks(tmp_path / "encoder", {"encoder": encoder}, {"encoder": architecture}, about)
    networks = {"face": FaceGenerator(), "mesh": MeshRegressor(2)}
    faces = {"face": {}, "mesh": {"coefficients": 2}}
    save_networks(tmp_path / "faces", networks, faces, about, small_pairs(), encoder=encoder)
    out = Bundle.open(STORED).write(tmp_path / "level").path
    assert out.is_dir()
    assert run("export", tmp_path / "encoder", tmp_path / "faces", "--out", out, "--force") == 0
    assert run("bundle", "verify", out) == 0
    bundle = Bundle.open(out)
    assert bundle.front_end.normalisation == "level"
    with VoiceToFace(bundle) as voice_to_face, torch.no_grad():
        speech, estimate = voice_to_face.estimate_file(SAMPLES[0])
        wanted = encoder(torch.from_numpy(network_input(speech.log_mel, how="level")))[0][0].numpy()
        np.testing.assert_allclose(estimate.embedding, wanted, atol=1e-4)
        other = encoder(torch.from_numpy(network_input(speech.log_mel)))[0][0].numpy()
        assert np.abs(wanted - other).max() > 1e-3
        incremental = IncrementalEstimator(voice_to_face.estimator).estimate(speech, timer=StageTimer())
        np.testing.assert_allclose(incremental.embedding, wanted, atol=1e-4)


def test_checkpoints_that_are_wrong(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "b.voxface"
    assert run("export", tmp_path, "--out", out) == 3
    assert "no checkpoint here" in capsys.readouterr().err
    broken = Path(shutil.copytree(checkpoint, tmp_path / "broken"))
    data = (broken / "face.safetensors").read_bytes()
    (broken / "face.safetensors").write_bytes(data[: len(data) // 2])
    assert run("export", broken, "--out", out) == 3
    assert "not a checkpoint that can be loaded" in capsys.readouterr().err
    about = json.loads((checkpoint / "checkpoint.json").read_text())
    about["networks"]["mesh"]["architecture"]["coefficients"] = 3
    (broken / "checkpoint.json").write_text(json.dumps(about))
    assert run("export", broken, "--out", out) == 3
    assert not out.exists()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("do not lose")
    assert run("export", checkpoint, "--out", tmp_path / "precious") == 2
    assert "is no bundle" in capsys.readouterr().err
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "do not lose"
