"""Training of the voice encoder: what moves, what a batch is, what the validation says, and that a run goes on exactly."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.training.small_pairs import small_pairs
from voxface.runtime.errors import InputError, UsageError
from voxface.training.models import VoiceEncoder
from voxface.training.pairs import Pairs
from voxface.training.run import RunConfig
from voxface.training.trainers.voice_encoder import (
    PRESETS,
    Heads,
    Telling,
    VoiceEncoderConfig,
    _batch,
    _share_of_rate,
    _standardised,
    train_voice_encoder,
    verification,
)

pytestmark = pytest.mark.train

CONFIG = VoiceEncoderConfig(
    run=RunConfig(checkpoint_every=10, log_every=1, sample_every=20, accelerator="cpu"),
    steps=20,
    batch=8,
    crop=(64, 96),
    validate_every=10,
)


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def test_it_learns_and_tells_the_validation_apart(tmp_path: Path) -> None:
    said: list[str] = []
    encoder = train_voice_encoder(small_pairs(), CONFIG, tmp_path, say=said.append)
    assert not encoder.training
    points = curve(tmp_path)
    assert np.mean([p["identity"] for p in points[-5:]]) < np.mean([p["identity"] for p in points[:5]])
    assert points[9]["validation/auc"] > 0.5
    about = json.loads((tmp_path / "checkpoint.json").read_text())
    metrics = about["metrics"]
    assert metrics["trivial"] == {"eer": 0.5, "auc": 0.5, "sex": 0.5, "identity_top1": 0.25}
    assert 0 <= metrics["validation"]["eer"] <= 1
    assert metrics["test"]["people"] == 2
    stored = load_file(tmp_path / "encoder.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in encoder.state_dict().items())
    assert list((tmp_path / "samples").glob("*.png"))


def test_a_run_that_was_cut_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    train_voice_encoder(small_pairs(), CONFIG, tmp_path / "whole")
    train_voice_encoder(small_pairs(), CONFIG, tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "step-000000020")
    train_voice_encoder(small_pairs(), CONFIG, tmp_path / "cut", resume=True)
    whole, cut = (load_file(tmp_path / name / "encoder.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert curve(tmp_path / "whole") == curve(tmp_path / "cut")


@pytest.mark.parametrize(
    ("weights", "still"),
    [
        ((1.0, 0.0, 0.0), {"heads.sex.directions", "heads.cues.weight", "heads.cues.bias"}),
        ((1.0, 1.0, 0.0), {"heads.cues.weight", "heads.cues.bias"}),
        ((1.0, 1.0, 1.0), set()),
    ],
)
def test_each_task_moves_the_encoder_and_its_own_head_only(
    weights: tuple[float, float, float], still: set[str]
) -> None:
    torch.manual_seed(0)
    telling = Telling(VoiceEncoder(channels=(8, 8, 8, 8), embedding=8), Heads(5, 8, 20.0, 0.2))
    losses = telling(torch.randn(4, 64, 64), torch.arange(4), torch.tensor([0, 1, 0, 1]), torch.randn(4, 2))
    sum(w * loss for w, loss in zip(weights, losses, strict=True)).backward()
    moved = {name for name, p in telling.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert {name for name, _ in telling.named_parameters()} - moved == still


def test_unknown_cues_count_for_nothing() -> None:
    torch.manual_seed(0)
    heads, voices = Heads(3, 8, 20.0, 0.0), torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    cues = torch.tensor([[1.0, 2.0], [float("nan"), 2.0], [0.5, float("nan")], [float("nan"), float("nan")]])
    found = heads.cues(voices * 8**0.5).detach()
    wanted = np.mean([(found[i, j] - cues[i, j]).item() ** 2 for i, j in ((0, 0), (0, 1), (1, 1), (2, 0))])
    loss = heads(voices, torch.zeros(4, dtype=torch.long), torch.zeros(4, dtype=torch.long), cues)[2]
    assert float(loss.detach()) == pytest.approx(wanted, rel=1e-5)
    nothing = heads(voices, torch.zeros(4, dtype=torch.long), torch.zeros(4, dtype=torch.long), cues * float("nan"))[2]
    assert float(nothing.detach()) == 0


def test_a_published_batch_is_one_part_of_the_longest_stretches() -> None:
    pairs = small_pairs(frames=400)
    config = replace(CONFIG, crop=(30, 80), crops="published", mask_bands=0)
    lengths = set()
    for seed in range(12):
        rng = np.random.default_rng
        batch = _batch(pairs, np.array([0, 4, 8]), config, rng(seed), rng(seed + 99))
        shared = rng(seed)
        length = int(shared.integers(30, 81))
        start = int(shared.integers(80 - length + 1))
        assert batch.shape == (3, 64, length)
        lengths.add(length)
        places = rng(seed + 99)
        for row, utterance in zip(batch, (0, 4, 8), strict=True):
            frames = pairs.utterance(utterance)
            first = int(places.integers(len(frames) - 80 + 1))
            normal = (frames - frames.mean(0)) / frames.std(0)
            np.testing.assert_allclose(row, normal[first + start : first + start + length].T, atol=1e-4)
    assert len(lengths) > 5


def test_cues_are_standardised_over_the_training_people() -> None:
    cues = np.array([[100, 14], [200, 16], [400, np.nan], [np.nan, np.nan]], np.float32)
    normal = _standardised(cues, np.array([0, 1]))
    np.testing.assert_allclose(normal[:2], [[-1, -1], [1, 1]], atol=1e-4)
    assert normal[2, 0] == pytest.approx(3, abs=1e-3)
    assert np.isnan(normal[2, 1])
    assert np.isnan(_standardised(np.full((3, 2), np.nan, np.float32), np.array([0, 1, 2]))).all()


def test_the_rate_follows_from_the_step_alone() -> None:
    config = replace(CONFIG, steps=100)
    rates = [_share_of_rate(step, config) for step in range(100)]
    assert max(rates) == pytest.approx(1)
    assert int(np.argmax(rates)) in (19, 20)
    assert rates[-1] < 0.01
    assert {_share_of_rate(step, replace(config, schedule="constant")) for step in range(100)} == {1.0}


def test_halves_stand_in_for_a_second_recording() -> None:
    class Loudest(torch.nn.Module):
        """The mean frame as embedding: whoever is at the same pitch is the same."""

        def forward(self, log_mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            band = log_mel.std(2)
            return torch.nn.functional.normalize(band, dim=1), log_mel

    pairs = small_pairs()
    found = verification(pairs, Loudest(), "train", torch.device("cpu"))
    assert set(found) == {"eer", "auc"}
    clean = pairs.utterance_clean.copy()
    clean[1::4] = clean[2::4] = False  # one recording each is left
    one = Pairs(**{**{k: getattr(pairs, k) for k in pairs.__dataclass_fields__}, "utterance_clean": clean})
    assert set(verification(one, Loudest(), "train", torch.device("cpu"))) == {"eer", "auc"}


def test_bad_settings_and_too_few_people() -> None:
    with pytest.raises(UsageError, match="crop"):
        replace(CONFIG, crop=(100, 50))
    with pytest.raises(UsageError, match="margin"):
        replace(CONFIG, margin=2.0)
    with pytest.raises(InputError, match="two people"):
        train_voice_encoder(small_pairs(people=2), CONFIG, Path("nowhere"))
    assert PRESETS["wen2019"].crop == (300, 800)
