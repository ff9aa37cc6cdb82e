"""Training of the voice encoder: what moves, what a batch is, what the validation says, and that a run goes on exactly."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.stand_ins.small_pairs import small_pairs
from tests.training.seeds import varied
from voxface.runtime.errors import InputError, UsageError
from voxface.training.data.crops import utterances_of
from voxface.training.data.pairs import Pairs
from voxface.training.engine.run import RunConfig
from voxface.training.models import VoiceEncoder
from voxface.training.trainers.voice_encoder import (
    PRESETS,
    UNSURE,
    EncoderWithHeads,
    TrainingHeads,
    TrainingSpeakers,
    VoiceEncoderConfig,
    _share_of_rate,
    _standardised,
    told_of,
    train_voice_encoder,
    verification,
)

pytestmark = pytest.mark.train

CONFIG = VoiceEncoderConfig(
    run=RunConfig(seed=varied(), checkpoint_every=10, log_every=1, sample_every=20, accelerator="cpu"),
    steps=20,
    batch=8,
    crop=(64, 96),
    validate_every=10,
)


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


@pytest.mark.learns
def test_it_learns_and_tells_the_validation_apart(tmp_path: Path) -> None:
    said: list[str] = []
    encoder = train_voice_encoder(small_pairs(), replace(CONFIG, steps=40), tmp_path, say=said.append)
    assert not encoder.training
    points = curve(tmp_path)
    assert np.mean([p["identity"] for p in points[-5:]]) < 0.6 * np.mean([p["identity"] for p in points[:5]])
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
    model = EncoderWithHeads(VoiceEncoder(channels=(8, 8, 8, 8), embedding=8), TrainingHeads(5, 8, 20.0, 0.2))
    losses = model(torch.randn(4, 64, 64), torch.arange(4), torch.tensor([0, 1, 0, 1]), torch.randn(4, 2))
    sum(w * loss for w, loss in zip(weights, losses, strict=True)).backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert {name for name, _ in model.named_parameters()} - moved == still


def test_the_papers_loss_is_a_plain_softmax_of_the_pooled_embedding() -> None:
    torch.manual_seed(3)
    encoder = VoiceEncoder(channels=(8, 8, 8, 8), embedding=8)
    model = EncoderWithHeads(encoder, TrainingHeads(5, 8, 20.0, 0.0, "softmax")).eval()
    sound, who = torch.randn(4, 64, 96), torch.tensor([0, 4, 2, 2])
    loss = model(sound, who, torch.full((4,), UNSURE), torch.full((4, 2), float("nan")))[0]
    pooled = encoder(sound)[1].mean(2).detach().double().numpy()
    weight, bias = (p.detach().double().numpy() for p in model.heads.identity.parameters())
    logits = pooled @ weight.T + bias
    by_hand = np.log(np.exp(logits).sum(1)) - logits[np.arange(4), who.numpy()]
    assert float(loss.detach()) == pytest.approx(by_hand.mean(), rel=1e-4)
    assert PRESETS["wen2019"].classifier == "softmax"
    with pytest.raises(UsageError, match="margin"):
        VoiceEncoderConfig(classifier="softmax", margin=0.1)


def test_unknown_cues_count_for_nothing() -> None:
    torch.manual_seed(0)
    heads, voices = TrainingHeads(3, 8, 20.0, 0.0), torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    cues = torch.tensor([[1.0, 2.0], [float("nan"), 2.0], [0.5, float("nan")], [float("nan"), float("nan")]])
    found = heads.cues(voices * 8**0.5).detach()
    wanted = np.mean([(found[i, j] - cues[i, j]).item() ** 2 for i, j in ((0, 0), (0, 1), (1, 1), (2, 0))])
    loss = heads(voices, torch.zeros(4, dtype=torch.long), torch.zeros(4, dtype=torch.long), cues)[2]
    assert float(loss.detach()) == pytest.approx(wanted, rel=1e-5)
    nothing = heads(voices, torch.zeros(4, dtype=torch.long), torch.zeros(4, dtype=torch.long), cues * float("nan"))[2]
    assert float(nothing.detach()) == 0


def test_a_sex_that_is_not_sure_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    heads = TrainingHeads(3, 8, 20.0, 0.0)
    voices, who, cues = torch.randn(4, 8), torch.zeros(4, dtype=torch.long), torch.full((4, 2), float("nan"))
    some = heads(voices, who, torch.tensor([0, UNSURE, 1, UNSURE]), cues)[1]
    alone = heads(voices[[0, 2]], who[:2], torch.tensor([0, 1]), cues[:2])[1]
    torch.testing.assert_close(some, alone)
    assert float(heads(voices, who, torch.full((4,), UNSURE), cues)[1].detach()) == 0
    pairs = small_pairs()
    faster = replace(pairs.people[1], name="p1@1.1")
    changed = replace(pairs, people=(pairs.people[0], faster, *pairs.people[2:]))
    assert TrainingSpeakers.from_pairs(changed).sexes.tolist() == [0, UNSURE, 0, 1]


def test_a_published_batch_is_one_part_of_the_longest_stretches() -> None:
    pairs = small_pairs(frames=400)
    config = replace(CONFIG, crop=(30, 80), crops="published", mask_bands=0)
    for seed, (length, part) in enumerate([(30, 50), (80, 0), (47, 12)]):
        voices = TrainingSpeakers.from_pairs(pairs).draw(3, length, part, config, np.random.default_rng(seed))
        assert voices.log_mel.shape == (3, 64, length)
        again = np.random.default_rng(seed)
        people = again.integers(4, size=3)
        np.testing.assert_array_equal(voices.identity, people)
        np.testing.assert_array_equal(voices.sex, people % 2)
        utterances = utterances_of(pairs, people.astype(np.int32), again)
        for row, utterance in zip(voices.log_mel, utterances, strict=True):
            frames = pairs.utterance(int(utterance))
            first = int(again.integers(len(frames) - 80 + 1))
            normal = (frames - frames.mean(0)) / frames.std(0)
            np.testing.assert_allclose(row, normal[first + part : first + part + length].T, atol=1e-4)


def test_cues_are_standardised_over_whoever_has_both() -> None:
    cues = np.array([[100, 14], [200, 16], [400, np.nan], [np.nan, np.nan]], np.float32)
    normal = _standardised(cues)
    np.testing.assert_allclose(normal[:2], [[-1, -1], [1, 1]], atol=1e-4)
    assert normal[2, 0] == pytest.approx(3, abs=1e-3)
    assert np.isnan(normal[2, 1])
    assert np.isnan(_standardised(np.full((3, 2), np.nan, np.float32))).all()


def test_voices_beside_are_learnt_as_further_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of every batch is theirs, under numbers of their own; what is told of people is told of the first pairs."""
    seen: list[torch.Tensor] = []
    original = TrainingHeads.forward

    def forward(self: TrainingHeads, embedding: torch.Tensor, identity: torch.Tensor, *more: torch.Tensor) -> object:
        seen.append(identity)
        return original(self, embedding, identity, *more)

    monkeypatch.setattr(TrainingHeads, "forward", forward)
    said: list[str] = []
    train_voice_encoder(
        small_pairs(), replace(CONFIG, steps=8), tmp_path, beside=small_pairs(people=12, seed=1), say=said.append
    )
    drawn = torch.stack(seen)
    assert drawn.shape == (8, 8)
    assert set(drawn[:, :6].unique().tolist()) == set(range(4))
    assert set(drawn[:, 6:].unique().tolist()) <= set(range(4, 10))
    about = json.loads((tmp_path / "checkpoint.json").read_text())
    assert about["metrics"]["trivial"]["identity_top1"] == pytest.approx(0.1)
    assert about["metrics"]["test"]["people"] == 2
    assert len(about["trained_on"]) == 2
    with pytest.raises(UsageError, match="beside"):
        replace(CONFIG, beside=1.0)


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


def test_a_split_without_anybody_says_so() -> None:
    assert told_of("test", {"sex": 0.75, "people": 4}) == "test: sex 0.75, people 4"
    assert told_of("validation", {}) == "validation: nobody to measure on"
