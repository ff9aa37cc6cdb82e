"""Distillation of a voice encoder: what a batch is, what the losses ask for, and that a run goes on exactly."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.stand_ins.small_voices import small_renderings
from tests.training.seeds import varied
from voxface.runtime.errors import InputError, UsageError
from voxface.training.engine.run import RunConfig
from voxface.training.engine.trained_networks import load_network
from voxface.training.models import VoiceEncoder
from voxface.training.trainers.taught_voice_encoder import (
    TaughtEncoder,
    TaughtVoiceEncoderConfig,
    train_taught_voice_encoder,
    verification,
)
from voxface.training.voices.renderings import Renderings
from voxface.training.voices.sampler import VoiceSampler

pytestmark = pytest.mark.train

SMALL = {"mels": 64, "channels": (16, 16, 24, 24, 24), "embedding": 3, "blocks": 1}
CONFIG = TaughtVoiceEncoderConfig(
    run=RunConfig(seed=varied(), checkpoint_every=5, log_every=1, accelerator="cpu"),
    steps=10,
    batch=8,
    crop=(64, 120),
    validate_every=5,
)


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Renderings:
    return small_renderings(tmp_path_factory.mktemp("voices"))


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def test_a_batch_has_two_crops_of_each_voice(voices: Renderings) -> None:
    batch = VoiceSampler(voices).draw(4, 100, 0.5, np.random.default_rng(0))
    assert batch.log_mel.shape == (8, 64, 100)
    np.testing.assert_allclose(batch.log_mel.mean((1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(batch.target, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(batch.sex[:4], batch.sex[4:])
    assert ((batch.age[:, 0] <= batch.age[:, 1]) | np.isnan(batch.age[:, 0])).all()


def test_degraded_crops_come_as_often_as_asked_for(voices: Renderings) -> None:
    sampler = VoiceSampler(voices)
    clean = [sampler.draw(4, 90, share, np.random.default_rng(1)).log_mel for share in (0.0, 1.0)]
    assert not np.allclose(clean[0], clean[1])


def test_no_loss_where_the_student_says_what_the_teacher_says() -> None:
    torch.manual_seed(0)
    model = TaughtEncoder(VoiceEncoder(**SMALL), np.eye(3, dtype=np.float32), 3)  # type: ignore[arg-type]
    log_mel = torch.randn(6, 64, 100)
    with torch.no_grad():
        target = model.eval().encoder(log_mel)[0]
        unknown = torch.full((6,), torch.nan)
        losses = model(log_mel, target, unknown, torch.stack([unknown, unknown], 1))
    assert abs(float(losses["direction"])) < 1e-5
    assert abs(float(losses["similarity"])) < 1e-5
    assert float(losses["sex"]) == float(losses["age"]) == 0


def test_an_age_within_the_decade_costs_nothing() -> None:
    torch.manual_seed(0)
    model = TaughtEncoder(VoiceEncoder(**SMALL), np.eye(3, dtype=np.float32), 3).eval()  # type: ignore[arg-type]
    torch.nn.init.zeros_(model.labels.weight)
    torch.nn.init.zeros_(model.labels.bias)  # an age of 30
    known = torch.zeros(4)
    ages = torch.tensor([[30.0, 39.0], [20.0, 30.0], [30.0, 30.0], [torch.nan, torch.nan]])
    with torch.no_grad():
        target = torch.nn.functional.normalize(torch.randn(4, 3), dim=1)
        assert float(model(torch.randn(4, 64, 90), target, known, ages)["age"]) == 0
        ages[0] = torch.tensor([50.0, 59.0])
        assert float(model(torch.randn(4, 64, 90), target, known, ages)["age"]) == pytest.approx(1 / 3)


@pytest.mark.learns
def test_it_learns_from_the_teacher(voices: Renderings, tmp_path: Path) -> None:
    said: list[str] = []
    # The teacher's directions alone, of clean voices: of six seeds the last steps' loss was at most a fifth of the first ones'.
    alone = {"similarity": 0.0, "contrast": 0.0, "sex": 0.0, "age": 0.0, "degraded": 0.0}
    config = replace(CONFIG, steps=160, rate=5e-3, validate_every=40, **alone)
    encoder = train_taught_voice_encoder(voices, config, tmp_path, architecture=SMALL, say=said.append)
    points = curve(tmp_path)
    assert np.mean([p["direction"] for p in points[-20:]]) < 0.5 * np.mean([p["direction"] for p in points[:8]])
    assert any(line.startswith("step 40") for line in said)
    kept = load_network(tmp_path, "encoder")
    assert all(torch.equal(value, kept.state_dict()[name]) for name, value in encoder.state_dict().items())
    assert set(verification(voices, encoder, "train", torch.device("cpu"))) == {"eer", "auc"}


def test_a_run_that_was_cut_goes_on_to_the_same_weights(voices: Renderings, tmp_path: Path) -> None:
    train_taught_voice_encoder(voices, CONFIG, tmp_path / "whole", architecture=SMALL)
    train_taught_voice_encoder(voices, CONFIG, tmp_path / "cut", architecture=SMALL)
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "step-000000010")
    train_taught_voice_encoder(voices, CONFIG, tmp_path / "cut", architecture=SMALL, resume=True)
    whole, cut = (load_file(tmp_path / name / "encoder.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


@pytest.mark.parametrize("blocks", [1, 2])
def test_it_starts_from_another_encoder(voices: Renderings, tmp_path: Path, blocks: int) -> None:
    start = VoiceEncoder(**SMALL).eval()  # type: ignore[arg-type]
    config = replace(CONFIG, steps=1, rate=1e-9)
    encoder = train_taught_voice_encoder(
        voices, config, tmp_path / "a", architecture={**SMALL, "blocks": blocks}, start=start
    )
    sound = torch.randn(8, 64, 120)
    with torch.no_grad():  # turned as a whole; and one step moves what batch normalisation measures by a tenth
        before, after = (network(sound)[0] @ network(sound)[0].T for network in (start, encoder))
    torch.testing.assert_close(after, before, atol=0.06, rtol=0)
    with pytest.raises(UsageError, match="does not fit"):
        train_taught_voice_encoder(voices, config, tmp_path / "b", start=start)


@pytest.mark.parametrize(
    "wrong", [{"batch": 7}, {"batch": 2}, {"crop": (0, 5)}, {"crop": (9, 5)}, {"validate_every": 0}]
)
def test_settings_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        TaughtVoiceEncoderConfig(**wrong)  # type: ignore[arg-type]


def test_more_voices_in_a_batch_than_there_are(voices: Renderings, tmp_path: Path) -> None:
    most = 2 * VoiceSampler(voices).voices
    train_taught_voice_encoder(voices, replace(CONFIG, steps=1, batch=most), tmp_path / "a", architecture=SMALL)
    with pytest.raises(UsageError, match=f"at most {most}"):
        train_taught_voice_encoder(voices, replace(CONFIG, batch=most + 2), tmp_path / "b", architecture=SMALL)
    assert not (tmp_path / "b").exists()


def test_too_few_voices_or_a_teacher_that_says_nothing(voices: Renderings, tmp_path: Path) -> None:
    one = [{**person, "split": "test" if n else "train"} for n, person in enumerate(voices.about["voices"])]
    alone = replace(voices, about={**voices.about, "voices": one})
    single = alone.of("train")[alone.speed[alone.of("train")] != 1.0]
    none = replace(alone, about={**voices.about, "voices": [{**person, "split": "test"} for person in one]})
    assert VoiceSampler(alone).voices == 2 - (not len(single))  # its two speeds
    with pytest.raises(InputError, match="0 training voices"):
        train_taught_voice_encoder(none, CONFIG, tmp_path / "a", architecture=SMALL)
    same = replace(voices, vectors=np.broadcast_to(voices.vectors[:1], voices.vectors.shape))
    with pytest.raises(InputError, match="says the same"):
        train_taught_voice_encoder(same, CONFIG, tmp_path / "a", architecture=SMALL)
    assert not (tmp_path / "a").exists()


def test_an_embedding_wider_than_the_teachers_vectors(voices: Renderings, tmp_path: Path) -> None:
    wide = {**SMALL, "embedding": 16}  # the teacher's have 4
    train_taught_voice_encoder(voices, replace(CONFIG, steps=1), tmp_path, architecture=wide)
    model = TaughtEncoder(VoiceEncoder(**wide), VoiceSampler(voices).components, 16)  # type: ignore[arg-type]
    assert tuple(model.components.shape) == (4, 16)
    assert not model.components[:, 4:].any()


def test_recordings_of_one_speaker_are_one_voice(voices: Renderings) -> None:
    people = [{**person, "split": "train"} for person in voices.about["voices"]]
    joined = [{**person, "speaker": people[n // 2]["speaker"]} for n, person in enumerate(people)]
    apart, together = (replace(voices, about={**voices.about, "voices": of}) for of in (people, joined))
    speeds = len(np.unique(voices.speed))
    assert VoiceSampler(together).voices < VoiceSampler(apart).voices <= 8 * speeds
    encoder = VoiceEncoder(**SMALL).eval()  # type: ignore[arg-type]
    assert verification(together, encoder, "train", torch.device("cpu"))
    one = [{**person, "speaker": "same"} for person in people]
    alone = replace(voices, about={**voices.about, "voices": one})
    assert verification(alone, encoder, "train", torch.device("cpu")) == {}  # nobody to tell it from
