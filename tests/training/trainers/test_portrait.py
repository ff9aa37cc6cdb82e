"""The portrait trainer: its pictures are of the mesh of the same voice, its runs go on, its networks stay apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.stand_ins.small_pairs import small_pairs
from tests.training.seeds import varied
from voxface.training.engine.run import RunConfig
from voxface.training.models import MeshRegressor, VoiceEncoder
from voxface.training.trainers.portrait import PortraitConfig, train_portrait

pytestmark = pytest.mark.train

CONFIG = PortraitConfig(
    run=RunConfig(seed=varied(), checkpoint_every=10, log_every=1, sample_every=30, accelerator="cpu"),
    steps=30,
    batch=8,
    rate=3e-3,
    portraits=12,
    mixed=0.5,
    channels=(64, 48, 32, 16, 16),
    crop=(64, 96),
)


def networks() -> tuple[VoiceEncoder, MeshRegressor]:
    torch.manual_seed(varied(3))
    return VoiceEncoder(channels=(16, 16, 16, 16), embedding=8).eval(), MeshRegressor(2, embedding=8, hidden=8).eval()


@pytest.mark.learns
def test_it_learns_and_moves_nothing_but_the_generator(tmp_path: Path) -> None:
    encoder, mesh = networks()
    before = [{k: v.clone() for k, v in net.state_dict().items()} for net in (encoder, mesh)]
    said: list[str] = []
    face = train_portrait(small_pairs(), encoder, mesh, replace(CONFIG, steps=150), tmp_path, say=said.append)
    for net, kept in zip((encoder, mesh), before, strict=True):
        assert all(torch.equal(value, kept[name]) for name, value in net.state_dict().items())
    assert not face.training
    with np.load(tmp_path / "portraits.npz") as renders:
        assert renders["pictures"].shape == (18, 64, 64, 3)
        assert renders["pictures"].std() > 10  # a ball before a wall, not one colour
    lines = (tmp_path / "curve.jsonl").read_text().splitlines()
    losses = [float(line.split('"l1": ')[1].rstrip("}")) for line in lines]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert list((tmp_path / "samples").glob("*.png"))
    assert any("kept back" in line for line in said)


def test_a_run_that_was_cut_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    encoder, mesh = networks()
    train_portrait(small_pairs(), encoder, mesh, CONFIG, tmp_path / "whole")
    train_portrait(small_pairs(), encoder, mesh, CONFIG, tmp_path / "cut")
    for name in ("step-000000030", "step-000000020"):
        place = next((tmp_path / "cut" / "checkpoints").glob(f"*{name}*"), None)
        assert place is not None
    newest = tmp_path / "cut" / "checkpoints" / "step-000000030"
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    # Renders that were edited, by one level of one pixel, are not learnt from.
    renders = tmp_path / "cut" / "portraits.npz"
    with np.load(renders) as kept:
        arrays = dict(kept)
    arrays["pictures"][0, 0, 0, 0] ^= 1
    np.savez(renders, **arrays)
    said: list[str] = []
    train_portrait(small_pairs(), encoder, mesh, CONFIG, tmp_path / "cut", resume=True, say=said.append)
    assert any("portraits.npz: cannot be used (is not what was written) and is made again" in line for line in said)
    whole, cut = (load_file(tmp_path / name / "face.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert (tmp_path / "whole" / "curve.jsonl").read_bytes() == (tmp_path / "cut" / "curve.jsonl").read_bytes()
