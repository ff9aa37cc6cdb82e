"""Trained networks on disk: what is written, what is read back, and what is not put together."""

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from tests.stand_ins.sphere import sphere  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402
from voxface.runtime.files.sealed_json import sealed  # noqa: E402
from voxface.training.engine.bundle_networks import TrainedNetworks  # noqa: E402
from voxface.training.engine.trained_networks import (  # noqa: E402
    ABOUT,
    describe,
    identities_of,
    load_network,
    save_networks,
    weights_digest,
)
from voxface.training.faces.population import FacePopulation  # noqa: E402
from voxface.training.models import (  # noqa: E402
    Classifier,
    Discriminator,
    FaceEmbedding,
    FaceGenerator,
    MeshRegressor,
    VoiceEncoder,
)
from voxface.training.models.experts.own import ImageToFace  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402
from voxface.training.models.joint_mesh import JointMesh  # noqa: E402

pytestmark = pytest.mark.train

ENCODER: dict[str, Any] = {"channels": (8, 8, 8, 16)}
FACE: dict[str, Any] = {"channels": (16, 8, 8, 8, 4)}


@dataclass(frozen=True)
class Recipe:
    """As a trainer's configuration."""

    steps: int = 3
    rate: float = 0.5


def encoder(seed: int = 0) -> VoiceEncoder:
    torch.manual_seed(seed)
    return VoiceEncoder(**ENCODER)


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Path]:
    """Folders of three trainings: an encoder, and with it a face and a mesh."""
    voice_encoder = encoder()
    folders = {name: tmp_path / name for name in ("encoder", "face", "mesh")}
    about = {"licence": "CC0-1.0", "config": Recipe()}
    save_networks(
        folders["encoder"],
        {"encoder": voice_encoder},
        {"encoder": ENCODER},
        {**about, "trained_on": ["voices"], "metrics": {"eer": np.float32(0.25), "trivial": {"eer": 0.5}}},
    )
    save_networks(
        folders["face"],
        {"face": FaceGenerator(**FACE)},
        {"face": FACE},
        {**about, "trained_on": ["voices", "pictures"], "licence": "MIT"},
        encoder=Frozen(voice_encoder),
    )
    pairs = small_pairs()
    spread = FacePopulation(pairs.morphable.sex_means, np.stack([np.eye(2, dtype=np.float32)] * 2))
    save_networks(
        folders["mesh"],
        {"mesh": MeshRegressor(2, hidden=0)},
        {"mesh": {"coefficients": 2, "hidden": 0}},
        {**about, "trained_on": ["faces"], "metrics": {"are": float("nan")}},
        replace(pairs, population=spread),
        encoder=voice_encoder,
    )
    return folders


@pytest.fixture
def joint(tmp_path: Path) -> Path:
    """A training that made a face and, with it, a mesh."""
    save_networks(
        tmp_path / "joint",
        {"face": FaceGenerator(**FACE), "student": ImageToFace(2, 40)},
        {"face": FACE, "student": {"coefficients": 2, "size": 40}},
        {},
        small_pairs(),
        encoder=encoder(),
    )
    return tmp_path / "joint"


def test_what_a_run_leaves(runs: dict[str, Path]) -> None:
    assert {p.name for p in runs["encoder"].iterdir()} == {ABOUT, "encoder.safetensors"}
    assert {p.name for p in runs["mesh"].iterdir()} == {
        ABOUT,
        "mesh.safetensors",
        "morphable.npz",
        "population.npz",
    }
    about = describe(runs["mesh"])
    assert about["format"] == 2
    assert about["metrics"] == {"are": None}, "JSON knows no NaN"
    assert about["config"] == {"steps": 3, "rate": 0.5}
    assert about["encoder_sha256"] == weights_digest(encoder()) == describe(runs["face"])["encoder_sha256"]
    entry = about["networks"]["mesh"]
    assert entry["sha256"] == hashlib.sha256((runs["mesh"] / "mesh.safetensors").read_bytes()).hexdigest()


def test_the_digest_is_of_the_weights() -> None:
    one, same, other = encoder(), Frozen(encoder()), encoder(1)
    assert weights_digest(one) == weights_digest(same) != weights_digest(other)
    with torch.no_grad():
        one.model[0].weight[0, 0, 0] += 1e-7
    assert weights_digest(one) != weights_digest(same)
    # By hand, for a network of one weight and one bias.
    line = torch.nn.Linear(1, 1)
    with torch.no_grad():
        line.weight.fill_(2)
        line.bias.fill_(3)
    text = b"bias torch.float32 (1,)\n" + np.float32(3).tobytes() + b"weight torch.float32 (1, 1)\n"
    assert weights_digest(line) == hashlib.sha256(text + np.float32(2).tobytes()).hexdigest()


def test_one_network_comes_back_as_it_was(runs: dict[str, Path]) -> None:
    log_mel = torch.randn(2, 64, 100)
    saved = encoder().eval()
    loaded = load_network(runs["encoder"], "encoder")
    assert not loaded.training
    assert torch.equal(loaded(log_mel)[0], saved(log_mel)[0])
    with pytest.raises(InputError, match=r"holds encoder, no mesh; make one with `voxface train mesh"):
        load_network(runs["encoder"], "mesh")


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("mesh", MeshRegressor(5)),
        ("mesh", MeshRegressor(5, hidden=0)),
        ("student", ImageToFace(7)),
        ("critic", FaceEmbedding()),
        ("discriminator", Discriminator()),
        ("classifier", Classifier(7)),
    ],
)
def test_a_bare_file_of_default_widths(tmp_path: Path, name: str, network: "torch.nn.Module") -> None:
    from safetensors.torch import save_file

    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    loaded = load_network(tmp_path / "weights.safetensors", name)
    assert weights_digest(loaded) == weights_digest(network)
    with pytest.raises(InputError, match="encoder does not fit its architecture"):
        load_network(tmp_path / "weights.safetensors", "encoder")


def test_parts_of_several_runs_make_a_bundle(runs: dict[str, Path]) -> None:
    whole = TrainedNetworks.load(runs["mesh"], runs["encoder"], runs["face"])
    assert weights_digest(whole.encoder) == weights_digest(encoder())
    assert isinstance(whole.mesh, MeshRegressor)
    assert whole.trained_on == ["voices", "pictures", "faces"]
    assert whole.licence == "CC0-1.0; MIT"
    assert whole.metrics["encoder"]["eer"] == 0.25
    assert whole.parts["mesh"]["config"] == {"steps": 3, "rate": 0.5}
    assert whole.population is not None
    assert not whole.face.training


def test_generator_and_student_make_a_mesh_network(runs: dict[str, Path], joint: Path, tmp_path: Path) -> None:
    whole = TrainedNetworks.load(runs["encoder"], joint)
    assert isinstance(whole.mesh, JointMesh)
    embedding = torch.nn.functional.normalize(torch.randn(3, 64), dim=1)
    student = load_network(joint, "student")
    with torch.no_grad():
        expected = student(whole.face(embedding)).coefficients
        assert torch.equal(whole.mesh(embedding), expected)
        # Saved as one network of its own, it is the same.
        whole.save(tmp_path / "whole")
        again = TrainedNetworks.load(tmp_path / "whole")
        assert torch.equal(again.mesh(embedding), expected)
    assert again.architecture["mesh"] == {"kind": "joint", "coefficients": 2, **_listed(FACE), "student": {"size": 40}}


def _listed(architecture: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) for key, value in architecture.items()}


def test_a_missing_part_names_what_makes_it(runs: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="no encoder network there; make one with `voxface train voice-encoder`"):
        TrainedNetworks.load(runs["face"], runs["mesh"])
    with pytest.raises(InputError, match="no face network there; make one with `voxface train face-gan"):
        TrainedNetworks.load(runs["encoder"], runs["mesh"])
    with pytest.raises(InputError, match="no mesh network there; make one with `voxface train mesh"):
        TrainedNetworks.load(runs["encoder"], runs["face"])


def test_two_of_one_kind_are_one_too_many(runs: dict[str, Path], joint: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="each holds another face network; leave one out"):
        TrainedNetworks.load(*runs.values(), joint)
    twin = Path(shutil.copytree(runs["face"], tmp_path / "twin"))
    assert TrainedNetworks.load(runs["encoder"], runs["face"], twin, runs["mesh"])


def test_parts_of_different_encoders_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    save_networks(other, {"encoder": encoder(1)}, {"encoder": ENCODER}, {})
    with pytest.raises(InputError, match="face network was trained with another voice encoder"):
        TrainedNetworks.load(other, runs["face"], runs["mesh"])


def test_damage(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint here"):
        describe(tmp_path)
    (tmp_path / "checkpoints" / "step-000000010").mkdir(parents=True)
    with pytest.raises(InputError, match="this training is not finished; go on with"):
        describe(tmp_path)
    file = runs["face"] / "face.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(InputError, match="does not match the SHA-256"):
        load_network(runs["face"], "face")
    file.unlink()
    with pytest.raises(InputError, match="no such file"):
        load_network(runs["face"], "face")
    about = json.loads((runs["mesh"] / ABOUT).read_text())
    for change, reason in (
        ({"format": 7}, "format 7, this voxface reads 2"),
        ({"networks": {"soul": {"architecture": {}}}}, "networks this voxface does not know"),
        ({"networks": {"mesh": {"architecture": {"coefficients": 3}}}}, "does not fit its architecture"),
        ({"networks": {"mesh": {"architecture": {"depth": 3}}}}, "does not fit its architecture"),
        ({"networks": {"mesh": 3}}, "not a checkpoint that can be loaded"),
        ({"networks": []}, "not a checkpoint that can be loaded|holds nothing"),
    ):
        (runs["mesh"] / ABOUT).write_text(json.dumps(sealed({**about, **change})))
        with pytest.raises(InputError, match=reason):
            load_network(runs["mesh"], "mesh")
    (runs["mesh"] / ABOUT).write_text("{")
    with pytest.raises(InputError, match="not a checkpoint that can be loaded"):
        describe(runs["mesh"])


@pytest.mark.parametrize(
    "change",
    [
        {"encoder_sha256": "0" * 64},
        {"calibration": {"sex_slope": 9.0}},
        {"licence": "mine"},
        {"files": {}},
        {"config": {"steps": 4, "rate": 0.5}},
    ],
)
def test_an_edited_description_is_named(runs: dict[str, Path], change: dict[str, Any]) -> None:
    about = json.loads((runs["mesh"] / ABOUT).read_text())
    (runs["mesh"] / ABOUT).write_text(json.dumps({**about, **change}))
    with pytest.raises(InputError, match=r"checkpoint\.json: .*not what was written; fetch it again"):
        TrainedNetworks.load(runs["encoder"], runs["face"], runs["mesh"])


@pytest.mark.parametrize("name", ["morphable.npz", "population.npz"])
def test_another_face_model_beside_the_networks_is_named(runs: dict[str, Path], tmp_path: Path, name: str) -> None:
    """Both change every mesh and attribute, and fit as well as the right ones."""
    pairs = small_pairs()
    spread = FacePopulation(np.zeros((2, 2), np.float32), np.stack([np.eye(2, dtype=np.float32)] * 2))
    voice_encoder, network = load_network(runs["encoder"], "encoder"), load_network(runs["mesh"], "mesh")
    for folder, mean in (("one", 0.0), ("two", 1.0)):
        save_networks(
            tmp_path / folder,
            {"mesh": network},
            {"mesh": describe(runs["mesh"])["networks"]["mesh"]["architecture"]},
            {},
            replace(
                pairs,
                morphable=replace(pairs.morphable, sex_means=pairs.morphable.sex_means + np.float32(mean)),
                population=replace(spread, mean=spread.mean + np.float32(mean)),
            ),
            encoder=voice_encoder,
        )
    TrainedNetworks.load(runs["encoder"], runs["face"], tmp_path / "one")
    shutil.copy(tmp_path / "two" / name, tmp_path / "one" / name)
    with pytest.raises(InputError, match=rf"{name}: .*does not match the SHA-256 in checkpoint\.json"):
        TrainedNetworks.load(runs["encoder"], runs["face"], tmp_path / "one")
    (tmp_path / "one" / name).unlink()
    with pytest.raises(InputError, match="not a checkpoint that can be loaded"):
        TrainedNetworks.load(runs["encoder"], runs["face"], tmp_path / "one")


def test_networks_of_a_version_that_did_not_seal_them(runs: dict[str, Path]) -> None:
    for run in runs.values():
        about = json.loads((run / ABOUT).read_text())
        (run / ABOUT).write_text(json.dumps({k: v for k, v in about.items() if k not in ("seal", "files")}))
    assert TrainedNetworks.load(runs["encoder"], runs["face"], runs["mesh"]).morphable.modes == 2


def test_a_full_disk_costs_no_trained_network(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in runs["mesh"].iterdir()}
    left = [2]
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    torch.manual_seed(9)
    with pytest.raises(OSError, match="No space left"):
        save_networks(
            runs["mesh"],
            {"mesh": MeshRegressor(2)},
            {"mesh": {"coefficients": 2}},
            {},
            small_pairs(),
            encoder=encoder(),
        )
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in runs["mesh"].iterdir()} == before


def test_a_mesh_of_another_morphable_model(runs: dict[str, Path]) -> None:
    sphere(basis=np.ones((3, 722, 3), np.float32), sex_means=np.zeros((2, 3), np.float32), face_types={}).save(
        runs["mesh"] / "morphable.npz"
    )
    about = json.loads((runs["mesh"] / ABOUT).read_text())
    about["files"]["morphable.npz"] = hashlib.sha256((runs["mesh"] / "morphable.npz").read_bytes()).hexdigest()
    (runs["mesh"] / ABOUT).write_text(json.dumps(sealed(about)))
    with pytest.raises(InputError, match="mesh gives 2 coefficients, its morphable model has 3"):
        TrainedNetworks.load(runs["encoder"], runs["face"], runs["mesh"])


def test_the_first_format_is_still_read(runs: dict[str, Path], tmp_path: Path) -> None:
    """What `save` wrote before there were partial checkpoints."""
    old = tmp_path / "old"
    TrainedNetworks.load(runs["encoder"], runs["face"], runs["mesh"]).save(old)
    new = json.loads((old / ABOUT).read_text())
    architecture = {name: entry["architecture"] for name, entry in new["networks"].items()}
    kept = {
        "name": "first",
        "version": "0.1",
        "licence": "CC0-1.0",
        "description": "old",
        "trained_on": ["voices"],
        "metrics": {"auc": 0.9},
        "architecture": {**architecture, "recipe": {"steps": 700}},
    }
    (old / ABOUT).write_text(json.dumps(kept))
    loaded = TrainedNetworks.load(old)
    assert (loaded.name, loaded.version, loaded.description) == ("first", "0.1", "old")
    assert loaded.metrics == {"auc": 0.9}
    assert weights_digest(loaded.encoder) == weights_digest(encoder())
    assert weights_digest(load_network(old, "encoder")) == weights_digest(encoder())
    assert loaded.parts["encoder+face+mesh"]["config"] == {"recipe": {"steps": 700}}


def test_names_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="soul"):
        save_networks(tmp_path, {"soul": encoder()}, {"soul": {}}, {})
    with pytest.raises(ValueError, match="without architecture"):
        save_networks(tmp_path, {"encoder": encoder()}, {}, {})
    assert not list(tmp_path.iterdir())


# -- critics of a GAN ----------------------------------------------------------------------------------------------------------

CRITIC: dict[str, Any] = {"channels": (4, 4, 4, 8, 8), "kernel": "k3", "last_rectified": True, "style": "dcgan"}


@pytest.fixture
def gan(tmp_path: Path) -> Path:
    """Folder of a GAN's training: a face generator, and its critics, which know two people."""
    torch.manual_seed(4)
    save_networks(
        tmp_path / "gan",
        {
            "face": FaceGenerator(**FACE),
            "critic": FaceEmbedding(**CRITIC),
            "discriminator": Discriminator(),
            "classifier": Classifier(2),
        },
        {"face": FACE, "critic": CRITIC, "discriminator": {}, "classifier": {"identities": 2}},
        {"licence": "MIT", "trained_on": ["pictures"]},
        encoder=encoder(),
        identities=("Ann", "Bo"),
    )
    return tmp_path / "gan"


def test_critics_come_back_as_they_were_with_the_people_they_know(gan: Path) -> None:
    torch.manual_seed(4)
    FaceGenerator(**FACE)
    saved = FaceEmbedding(**CRITIC).eval(), Discriminator(), Classifier(2)
    critic, discriminator, classifier = (load_network(gan, name) for name in ("critic", "discriminator", "classifier"))
    pictures = torch.rand(3, 3, 64, 64) * 2 - 1
    features = saved[0](pictures)
    assert torch.equal(critic(pictures), features)
    assert torch.equal(discriminator(features), saved[1](features))
    assert torch.equal(classifier(features), saved[2](features))
    assert identities_of(gan) == ("Ann", "Bo")


def test_a_bundle_takes_no_critics(runs: dict[str, Path], gan: Path) -> None:
    whole = TrainedNetworks.load(runs["encoder"], gan, runs["mesh"])
    assert weights_digest(whole.face) == weights_digest(load_network(gan, "face"))
    assert set(whole.architecture) == {"encoder", "face", "mesh"}
    assert "Ann" not in json.dumps(whole.parts), "whose faces a classifier knows is not told"
    whole.save(gan.parent / "whole")
    assert not {p.stem for p in (gan.parent / "whole").iterdir()} & {"critic", "discriminator", "classifier"}


def test_runs_without_critics_say_so(runs: dict[str, Path]) -> None:
    told = r"holds face, no critic; make one with `voxface train face-gan` or `joint` \(earlier versions kept it"
    with pytest.raises(InputError, match=told):
        load_network(runs["face"], "critic")
    with pytest.raises(InputError, match="holds no classifier"):
        identities_of(runs["face"])
    assert isinstance(load_network(runs["face"], "face"), FaceGenerator)


@pytest.mark.parametrize("names", [(), ("Ann",), ("Ann", "Ann"), ("Ann", "Bo", "Cy")])
def test_a_classifier_has_a_name_for_each_class(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="of 2 classes"):
        save_networks(
            tmp_path / "c", {"classifier": Classifier(2)}, {"classifier": {"identities": 2}}, {}, identities=names
        )
    assert not (tmp_path / "c").exists()


def test_names_that_do_not_fit_the_classes_are_damage(gan: Path) -> None:
    document = json.loads((gan / ABOUT).read_text())
    document["networks"]["classifier"]["identities"] = ["Ann"]
    (gan / ABOUT).write_text(json.dumps(sealed({key: value for key, value in document.items() if key != "seal"})))
    with pytest.raises(InputError, match="no name for each class"):
        identities_of(gan)
