"""The mesh drawn towards the mean face of the sex heard: what is computed, and that it does not lose to that mean face."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.saying_mesh import Says  # noqa: E402
from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.export.onnx_export import compare_with_torch, embedding_spec, to_onnx  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402
from voxface.training.data.pairs import Pairs  # noqa: E402
from voxface.training.engine.run import RunConfig  # noqa: E402
from voxface.training.engine.trained_networks import load_network, save_networks  # noqa: E402
from voxface.training.evaluation.geometry.held_out import HeldOut  # noqa: E402
from voxface.training.models import MeshRegressor, VoiceEncoder  # noqa: E402
from voxface.training.models.shrunk_mesh import ShrunkMesh  # noqa: E402
from voxface.training.trainers.mesh import PRESETS, MeshConfig, train_mesh  # noqa: E402
from voxface.training.trainers.mesh_shrinkage import has_both_sexes, shrink  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]
WOMAN, MAN = np.array([1.0, 0.0]), np.array([-1.0, 2.0])
METRIC = np.array([[2.0, 0.5], [0.5, 1.0]])


def by_hand(face: NDArray[np.float64], slope: float, decided: float, share: float) -> NDArray[np.float64]:
    apart = WOMAN - MAN
    t = (face - MAN) @ METRIC @ apart / (apart @ METRIC @ apart)
    within = face - MAN - t * apart
    assert within @ METRIC @ apart == pytest.approx(0, abs=1e-9)
    return MAN + (decided / (1 + np.exp(-slope * (t - 0.5))) + (1 - decided) * t) * apart + share * within


def shrunk(slope: float, decided: float, share: float) -> ShrunkMesh:
    woman, man, metric = (torch.from_numpy(each) for each in (WOMAN, MAN, METRIC))
    return ShrunkMesh.from_means(Says(), woman, man, metric, slope=slope, decided=decided, share=share)


@pytest.mark.parametrize(("slope", "decided", "share"), [(4.0, 1.0, 0.0), (7.0, 0.6, 0.3), (50.0, 0.0, 1.0)])
def test_the_formula(slope: float, decided: float, share: float) -> None:
    faces = np.random.default_rng(0).normal(size=(20, 2)) * 2
    with torch.no_grad():
        found = shrunk(slope, decided, share)(torch.from_numpy(faces.astype(np.float32))).numpy()
    np.testing.assert_allclose(found, [by_hand(face, slope, decided, share) for face in faces], atol=1e-4)


def world(noise: float, seed: int = 0) -> tuple[Pairs, HeldOut]:
    """Small people whose embeddings are their expected face and noise."""
    pairs = small_pairs(60, seed=varied(seed))
    held = pairs.split("validation")
    utterances = np.concatenate([pairs.clean_utterances[int(i)] for i in held])
    rng = np.random.default_rng(varied(seed))
    faces = pairs.expected[pairs.utterance_person[utterances]]
    heard = (faces + noise * rng.normal(size=faces.shape)).astype(np.float32)
    return pairs, HeldOut(pairs, utterances, heard, torch.device("cpu"))


def squared_mm(held: HeldOut, network: torch.nn.Module) -> float:
    return float(np.square(held.errors(network).rms_mm).mean())


@pytest.mark.parametrize("noise", [0.02, 0.5, 4.0])
def test_on_the_people_it_is_chosen_on_it_is_no_worse_than_the_network_and_the_mean_faces(noise: float) -> None:
    pairs, held = world(noise)
    made, chosen = shrink(Says(), held, pairs.expected, pairs.split("train"))
    learners = pairs.split("train")
    woman, man = (
        torch.from_numpy(pairs.expected[learners[pairs.sexes[learners] == s]].mean(0, dtype=float)) for s in (0, 1)
    )
    flat = pairs.morphable.basis.reshape(2, -1).astype(np.float64)
    metric = torch.from_numpy(flat @ flat.T / len(pairs.morphable.mean))
    found = squared_mm(held, made)
    others: list[torch.nn.Module] = [Says()]
    for slope, decided, share in itertools.product((2.0, 50.0), (0.0, 0.5, 1.0), (0.0, 0.5, 1.0)):
        others.append(ShrunkMesh.from_means(Says(), woman, man, metric, slope=slope, decided=decided, share=share))
    assert all(found <= squared_mm(held, other) + 1e-4 for other in others)
    assert chosen.people == 15
    assert (chosen.share > 0.9) if noise < 0.1 else chosen.share < 1
    if noise > 1:
        assert chosen.share < 0.2, "chance is not kept"


def test_people_without_known_means_and_a_missing_sex() -> None:
    pairs, held = world(0.5)
    own = replace(pairs, expected=np.full_like(pairs.expected, np.nan))
    _, chosen = shrink(Says(), replace(held, pairs=own), own.coefficients, own.split("train"))
    _, same = shrink(Says(), held, pairs.expected, pairs.split("train"))
    assert chosen == same, "in these pairs the faces are the expected ones"
    women = np.flatnonzero(pairs.sexes == 0).astype(np.int32)
    assert not has_both_sexes(pairs, women)
    assert has_both_sexes(pairs, pairs.split("train"))


def test_it_is_saved_loaded_and_exported(tmp_path: Path) -> None:
    torch.manual_seed(varied(1))
    architecture = {"kind": "shrunk", "coefficients": 2, "embedding": 16, "hidden": 8, "dropout": 0.1}
    woman, man, metric = (torch.from_numpy(each) for each in (WOMAN, MAN, METRIC))
    made = ShrunkMesh.from_means(MeshRegressor(2, 16, 8, 0.1), woman, man, metric, slope=6.0, decided=0.7, share=0.25)
    save_networks(tmp_path, {"mesh": made}, {"mesh": architecture}, {"trained_on": []})
    again = load_network(tmp_path, "mesh")
    assert isinstance(again, ShrunkMesh)
    x = torch.nn.functional.normalize(torch.randn(5, 16), dim=1)
    assert torch.equal(again(x), made(x))
    spec = embedding_spec("coefficients", 16)
    data, worst = to_onnx(again, spec)
    assert worst["coefficients"] < 1e-5
    assert compare_with_torch(made, data, spec)["coefficients"] < 1e-5
    save_networks(tmp_path / "new", {"mesh": made}, {"mesh": architecture | {"kind": "newer"}}, {"trained_on": []})
    with pytest.raises(InputError, match="mesh does not fit its architecture"):
        load_network(tmp_path / "new", "mesh")


def test_the_preset_of_the_paper_does_without(tmp_path: Path) -> None:
    assert PRESETS["default"].shrink
    assert not PRESETS["wu2022"].shrink
    pairs, quick = small_pairs(16), RunConfig(seed=varied(), accelerator="cpu", checkpoint_every=1000)
    torch.manual_seed(varied(5))
    encoder = VoiceEncoder(channels=(12, 12, 12, 12), embedding=16)
    for how, kind in ((True, ShrunkMesh), (False, MeshRegressor)):
        settings = MeshConfig(run=quick, steps=3, batch=4, crop=(64, 100), shrink=how)
        assert isinstance(train_mesh(pairs, encoder, settings, tmp_path / str(how)), kind)
        about = json.loads((tmp_path / str(how) / "checkpoint.json").read_text())
        assert ("shrinkage" in about) is how
        assert about["metrics"]["test"]["trivial"]["rms_mm"] > 0
        assert (tmp_path / str(how) / "face_posterior.npz").is_file(), "of people whose faces are known"
