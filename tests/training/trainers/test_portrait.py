"""The portrait trainer: its pictures are of the mesh of the same voice, its runs go on, its networks stay apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.stand_ins.small_pairs import small_pairs
from tests.training.seeds import varied
from voxface.runtime.errors import UsageError
from voxface.training.engine.run import RunConfig
from voxface.training.engine.trained_networks import load_network
from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder
from voxface.training.trainers.portrait import CHANNELS, PRESETS, PortraitConfig, train_portrait

pytestmark = pytest.mark.train

CONFIG = PortraitConfig(
    run=RunConfig(seed=varied(), checkpoint_every=10, log_every=1, sample_every=30, accelerator="cpu"),
    steps=30,
    batch=8,
    rate=3e-3,
    portraits=12,
    mixed=0.5,
    size=64,
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


def test_pictures_of_128_pixels(tmp_path: Path) -> None:
    encoder, mesh = networks()
    config = replace(CONFIG, size=128, steps=2, channels=(16, 8, 8, 8, 8))
    face = train_portrait(small_pairs(), encoder, mesh, config, tmp_path)
    with np.load(tmp_path / "portraits.npz") as renders:
        pictures = renders["pictures"]
    assert pictures.shape == (18, 128, 128, 3)
    # A voice says nothing of the wall and the light: the corners, which the ball does not reach, are the same for all.
    assert (pictures[:, :8, :8] == pictures[0, :8, :8]).all()
    assert (pictures[:, -8:, -8:] == pictures[0, -8:, -8:]).all()
    assert (pictures != pictures[0]).any()
    again = load_network(tmp_path, "face")
    voice = torch.nn.functional.normalize(torch.randn(2, 8), dim=1)
    assert face(voice).shape == (2, 3, 128, 128)
    assert torch.equal(again(voice), face(voice))


def test_renders_of_another_size_are_not_learnt_from(tmp_path: Path) -> None:
    encoder, mesh = networks()
    for size in (64, 128):
        folder = tmp_path / str(size)
        folder.mkdir()
        if (tmp_path / "64" / "portraits.npz").exists():
            (folder / "portraits.npz").write_bytes((tmp_path / "64" / "portraits.npz").read_bytes())
        train_portrait(small_pairs(), encoder, mesh, replace(CONFIG, size=size, steps=1), folder)
        with np.load(folder / "portraits.npz") as renders:
            assert renders["pictures"].shape[1:] == (size, size, 3)


def test_widths_go_with_the_size() -> None:
    default = PRESETS["default"]
    assert (default.size, default.widths) == (128, CHANNELS[128])
    assert replace(default, size=64).widths == CHANNELS[64] == (256, 192, 128, 64, 32)  # the default bundle's of 0.2.0
    with torch.device("meta"):
        for size, channels in CHANNELS.items():
            assert FaceGenerator(channels=channels, size=size)(torch.zeros(1, 64)).shape == (1, 3, size, size)
    for wrong, said in (
        ({"size": 256}, "size 256: channels are known for 64 and 128 px; give them too"),
        ({"size": 100, "channels": (8, 8, 8)}, "size 100: 3 channels make pictures of 16 or 32 px"),
        ({"size": 64, "channels": (8,) * 6}, "size 64: 6 channels make pictures of 128 or 256 px"),
        ({"channels": ()}, "one width or more"),
        ({"channels": (8, 0)}, "each of at least 1"),
    ):
        with pytest.raises(UsageError, match=said):
            replace(default, **wrong)
