"""Whole trainings of the face GAN: what they keep, resuming, recordings held back, and what ends them."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor  # noqa: E402

from tests.stand_ins.small_face_gan import TINY_JUDGE, small, some_batch  # noqa: E402
from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.runtime.errors import InputError, UsageError  # noqa: E402
from voxface.training.data.pairs import Pairs  # noqa: E402
from voxface.training.data.voice_face_sampler import Batch, VoiceFaceSampler, held_out_recordings  # noqa: E402
from voxface.training.engine.bad_batch import TrainingError  # noqa: E402
from voxface.training.engine.run import RunConfig, bare  # noqa: E402
from voxface.training.engine.trained_networks import identities_of, load_network  # noqa: E402
from voxface.training.evaluation.pictures.picture_judge import PictureJudge  # noqa: E402
from voxface.training.models import VoiceEncoder  # noqa: E402
from voxface.training.trainers.face_gan import PRESETS, FaceGan, train_face_gan  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


def test_the_average_is_what_training_gives(pairs: Pairs, encoder: VoiceEncoder, tmp_path: Path) -> None:
    config = small("modern", steps=3, generator_rate=0.01)
    face = train_face_gan(pairs, encoder, config, tmp_path)
    from safetensors.torch import load_file

    (last,) = (tmp_path / "checkpoints").glob("step-*")
    average, generator = (load_file(last / f"{name}.safetensors") for name in ("average", "generator"))
    found = face.state_dict()
    for name, value in found.items():
        assert torch.equal(value, average[f"module.{name}"])
        assert not torch.equal(value, generator[name])
    again = load_network(tmp_path, "face")
    assert all(torch.equal(value, found[name]) for name, value in again.state_dict().items())


@pytest.mark.parametrize("spectral", [False, True])
def test_the_critics_are_saved_as_they_judge(
    spectral: bool, pairs: Pairs, encoder: VoiceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gans: list[FaceGan] = []

    class Watched(FaceGan):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            gans.append(self)

    monkeypatch.setattr("voxface.training.trainers.face_gan.FaceGan", Watched)
    config = small("wen2019-paper", steps=3, critic_rate=0.01, spectral=spectral, length=(40, 90))
    train_face_gan(pairs, encoder, config, tmp_path)
    trained = [bare(getattr(gans[0], name)).eval() for name in ("critic", "discriminator", "classifier")]
    critic, discriminator, classifier = (
        load_network(tmp_path, name) for name in ("critic", "discriminator", "classifier")
    )
    images = some_batch().image
    with torch.no_grad():
        features = trained[0](images)
        assert torch.equal(critic(images), features)
        assert torch.equal(discriminator(features), trained[1](features))
        assert torch.equal(classifier(features), trained[2](features))
    assert identities_of(tmp_path) == tuple(pairs.people[int(i)].name for i in pairs.split("train"))
    assert not {name for name in critic.state_dict() if "parametrizations" in name}


@pytest.mark.parametrize("preset", list(PRESETS))
def test_recordings_for_the_validation_are_not_learnt_from(
    preset: str, pairs: Pairs, encoder: VoiceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = pairs.split("train")
    held = held_out_recordings(pairs, people)
    for i in people:
        own = pairs.utterances[int(i)]
        last = pairs.utterance_recording[own].max()
        assert held[own].tolist() == (pairs.utterance_recording[own] == last).tolist()
    assert not held[np.isin(pairs.utterance_person, people, invert=True)].any()
    given: list[Any] = []

    def watch(pairs: Pairs, people: Any, voices: Any, device: Any) -> VoiceFaceSampler:
        given.append(voices)
        return VoiceFaceSampler(pairs, people, voices, device)

    monkeypatch.setattr("voxface.training.trainers.face_gan.VoiceFaceSampler", watch)
    train_face_gan(pairs, encoder, small(preset, steps=1), tmp_path)
    # Four utterances of three recordings each, one recording kept.
    each = 2 if preset == "modern" else 1
    left = {i: int((~held[pairs.utterances[int(i)]]).sum()) * each for i in people.tolist()}
    assert dict(enumerate(np.bincount(given[0].person, minlength=len(people)).tolist())) == left
    assert json.loads((tmp_path / "checkpoint.json").read_text())["metrics"]["unheard_recordings"] == 1.0


@pytest.mark.parametrize("preset", [*PRESETS, "modern with spectral normalisation"])
def test_resuming_gives_the_same_curve_and_the_same_generator(
    preset: str, pairs: Pairs, encoder: VoiceEncoder, tmp_path: Path
) -> None:
    name, _, more = preset.partition(" ")
    config = small(name, generator_rate=0.01, **({"spectral": True, "r1_every": 2} if more else {}))
    judge = PictureJudge.train(pairs, config.judge)
    whole = train_face_gan(pairs, encoder, replace(config, steps=5), tmp_path / "whole", judge=judge)
    train_face_gan(pairs, encoder, replace(config, steps=3), tmp_path / "parts", judge=judge)
    parts = train_face_gan(pairs, encoder, replace(config, steps=5), tmp_path / "parts", judge=judge, resume=True)
    curves = [(tmp_path / place / "curve.jsonl").read_text() for place in ("whole", "parts")]
    assert curves[0] == curves[1]
    assert [json.loads(line)["step"] for line in curves[0].splitlines()] == [0, 1, 2, 3, 4]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    with pytest.raises(UsageError, match="other settings"):
        train_face_gan(pairs, VoiceEncoder(channels=(8, 8, 8, 8), embedding=6), config, tmp_path / "parts", resume=True)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_loss_that_is_no_number_stops(preset: str, pairs: Pairs, encoder: VoiceEncoder, tmp_path: Path) -> None:
    with torch.no_grad():
        cast(Tensor, encoder.model[-1].bias)[0] = math.nan
    judge = PictureJudge.train(pairs, TINY_JUDGE)
    with pytest.raises(TrainingError, match="step 0: discriminator is nan"):
        train_face_gan(pairs, encoder, small(preset), tmp_path, judge=judge)
    (saved,) = tmp_path.glob("bad-batch-*.npz")
    with np.load(saved) as batch:
        assert set(batch.files) == set(Batch._fields)
        assert np.isnan(batch["embedding"]).any()
        assert batch["image"].shape == (4, 3, 64, 64)


def test_sample_sheets_show_training_and_validation_people(pairs: Pairs, encoder: VoiceEncoder, tmp_path: Path) -> None:
    from PIL import Image

    config = small("wen2019", run=RunConfig(seed=varied(), accelerator="cpu", sample_every=2), voices=3)
    train_face_gan(pairs, encoder, config, tmp_path)
    with Image.open(tmp_path / "samples" / "sheet-0000002.png") as sheet:
        # Two women and two men of the four training people, one each of the two others; a real picture and three voices.
        assert sheet.size == (4 * 68 - 4, 6 * 68 - 4)


def test_pictures_of_another_size_are_an_error(encoder: VoiceEncoder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pictures of 32x32 pixels: the face networks take 64x64"):
        train_face_gan(small_pairs(size=32), encoder, small("wen2019"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
