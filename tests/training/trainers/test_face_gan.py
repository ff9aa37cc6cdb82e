"""Algorithm 1 of Wen 2019 and what `modern` changes: who is moved when, losses by hand, resuming, and the judge."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor, nn  # noqa: E402

from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.runtime.errors import InputError, UsageError  # noqa: E402
from voxface.training.data import differentiable_augmentation  # noqa: E402
from voxface.training.data.differentiable_augmentation import colour, cutout, translation  # noqa: E402
from voxface.training.data.pairs import Pairs  # noqa: E402
from voxface.training.data.voice_face_sampler import Batch, VoiceFaceSampler, held_out_recordings  # noqa: E402
from voxface.training.engine.ema import ExponentialMovingAverage  # noqa: E402
from voxface.training.engine.run import Run, RunConfig, TrainingError, bare  # noqa: E402
from voxface.training.engine.trained_networks import identities_of, load_network  # noqa: E402
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig, PictureJudge  # noqa: E402
from voxface.training.models import FaceEmbedding, FaceGenerator, VoiceEncoder  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402
from voxface.training.models.he_initialisation import initialise_he  # noqa: E402
from voxface.training.trainers.face_gan import (  # noqa: E402
    PRESETS,
    FaceGan,
    FaceGanConfig,
    train_face_gan,
)

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

TINY_JUDGE = JudgeConfig(channels=(4, 4, 4, 4, 4), embedding=2, steps=2, batch=4, seed=varied())


def small(preset: str, **changes: Any) -> FaceGanConfig:
    """A preset with narrow networks, few steps and a judge that knows nothing."""
    config = replace(
        PRESETS[preset],
        steps=2,
        batch=4,
        channels=(8, 8, 8, 8, 8),
        critic=(4, 4, 4, 4, 4),
        length=(40, 90),
        bank=min(2, PRESETS[preset].bank),
        judge=TINY_JUDGE,
        run=RunConfig(seed=varied(), accelerator="cpu", log_every=1),
    )
    return replace(config, **changes)


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return small_pairs()


@pytest.fixture
def encoder() -> VoiceEncoder:
    torch.manual_seed(varied(5))
    return VoiceEncoder(channels=(8, 8, 8, 8), embedding=6)


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def moved(network: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


def some_batch(count: int = 4, embedding: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(varied(3))
    directions = torch.randn(count, embedding, generator=generator)
    return Batch(
        nn.functional.normalize(directions, dim=1),
        torch.arange(count) % 3,
        torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1,
        torch.arange(count) % 2,
    )


# -- who is moved when -----------------------------------------------------------------------------------------------------

CRITICS = {"critic", "discriminator", "classifier"}


@pytest.mark.parametrize(
    "config",
    [small("wen2019"), small("modern"), small("modern", spectral=True, r1_every=1, augmentations=("colour", "cutout"))],
    ids=["wen2019", "modern", "modern with spectral normalisation"],
)
def test_which_optimiser_moves_which_network(
    config: FaceGanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, config, config.run)
    gan = FaceGan(run, config, 3, 6, torch.zeros(3))
    networks = {name: bare(getattr(gan, name)) for name in ("generator", *CRITICS)}
    parameters = {name: [p for _, p in network.named_parameters()] for name, network in networks.items()}
    table: list[dict[str, bool]] = []
    original = run.descend

    def descend(loss: Tensor, *optimisers: torch.optim.Optimizer, **more: Any) -> None:
        before = {name: [p.detach().clone() for p in own] for name, own in parameters.items()}
        original(loss, *optimisers, **more)
        row = {}
        for name, own in parameters.items():
            changed = [not torch.equal(p, old) for p, old in zip(own, before[name], strict=True)]
            assert all(changed) or not any(changed), name  # a network is moved as a whole or not at all
            row[name] = all(changed)
        table.append(row)

    monkeypatch.setattr(run, "descend", descend)
    for number in range(2):
        torch.manual_seed(varied(number))
        gan.step(number, some_batch())
    of_critics = {"generator": False, "critic": True, "discriminator": True, "classifier": True}
    of_generator = {"generator": True, "critic": False, "discriminator": False, "classifier": False}
    assert table == [of_critics, of_generator] * 2
    # Every parameter belongs to exactly one optimiser, the one of its network.
    owned = {
        name: {id(p) for group in optimiser.param_groups for p in group["params"]}
        for name, optimiser in gan.optimisers.items()
    }
    assert owned == {name: {id(p) for p in own} for name, own in parameters.items()}
    assert all(p.requires_grad for own in parameters.values() for p in own)  # and looked-through critics learn again


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_encoder_never_moves_not_even_its_batch_statistics_after_a_validation(
    preset: str, pairs: Pairs, encoder: VoiceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wu's published code puts its "frozen" encoder back to train mode after the first validation.
    frozen: list[Frozen] = []

    class Watched(Frozen):
        def __init__(self, module: nn.Module) -> None:
            super().__init__(module)
            frozen.append(self)

    monkeypatch.setattr("voxface.training.trainers.face_gan.Frozen", Watched)
    encoder.train()
    before = state(encoder)
    assert {"model.1.running_mean", "model.1.num_batches_tracked"} <= before.keys()
    train_face_gan(pairs, encoder, small(preset, steps=3, validate_every=1), tmp_path)
    assert len(list((tmp_path / "validation").iterdir())) == 3
    assert moved(encoder, before) == set()
    assert encoder.training  # the caller's own network comes out as it went in
    (inside,) = frozen
    assert moved(inside.module, before) == set()
    assert not any(module.training for module in inside.module.modules())
    assert not any(p.requires_grad for p in inside.parameters())


def test_the_generator_learns_through_the_critic_as_it_is_after_its_step(tmp_path: Path) -> None:
    # The order of Algorithm 1: lines 4 and 5, then 6. With a generator that stands still, the second loss is computed from
    # the moved critics.
    config = small("wen2019", noise=0.0, generator_rate=0.0, critic_rate=0.01)
    run = Run(tmp_path, config, config.run)
    gan, batch = FaceGan(run, config, 3, 6, torch.zeros(3)), some_batch()
    losses = gan.step(0, batch)
    with torch.no_grad():
        verdict = gan.discriminator(gan.critic(gan.generator(batch.embedding)))
    assert float(losses["adversarial"]) == pytest.approx(float(-torch.log(torch.sigmoid(verdict)).mean()), rel=1e-5)


# -- the losses by hand ----------------------------------------------------------------------------------------------------


class Paint(nn.Module):
    """A generator by hand: pictures of one colour, (a, b, 0) of embedding (a, b)."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, embedding: Tensor) -> Tensor:
        colours = torch.cat([embedding, torch.zeros(len(embedding), 1)], dim=1) * self.gain
        return colours[:, :, None, None].expand(-1, -1, 64, 64)


class MeanColour(nn.Module):
    """A critic by hand: the picture's mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor, groups: int = 1) -> Tensor:
        return images.mean((2, 3)) * self.gain


DISCRIMINATOR = (2.0, -1.0, 0.5)
CLASSIFIER = ((1.0, 0.0, 0.0), (0.0, 3.0, 0.0))


def by_hand(tmp_path: Path, **changes: Any) -> tuple[FaceGan, Batch]:
    """Networks so small that their losses are reckoned in one line; rates are 0, so nothing moves."""
    config = small("wen2019", noise=0.0, generator_rate=0.0, critic_rate=0.0, **changes)
    run = Run(tmp_path, config, config.run)
    gan = FaceGan(run, config, 2, 2, torch.zeros(3))
    gan.generator, gan.critic = Paint(), MeanColour()
    gan.discriminator, gan.classifier = nn.Linear(3, 1, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        gan.discriminator.weight.copy_(torch.tensor([DISCRIMINATOR]))
        gan.classifier.weight.copy_(torch.tensor(CLASSIFIER))
    gan.optimisers = {
        name: run.optimiser(f"by hand {name}", torch.optim.SGD(getattr(gan, name).parameters(), lr=0.0))
        for name in gan.optimisers
    }
    real = torch.tensor([[0.5, 0.25, 0.0], [-0.5, 0.0, 1.0]])
    batch = Batch(
        torch.tensor([[0.6, 0.8], [1.0, 0.0]]),
        torch.tensor([1, 0]),
        real[:, :, None, None].expand(-1, -1, 64, 64).contiguous(),
        torch.tensor([0, 1]),
    )
    return gan, batch


def cross_entropy_with_sigmoid(logit: float, real: bool) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -math.log(p if real else 1 - p)


def nll(logits: tuple[float, float], label: int) -> float:
    return -math.log(math.exp(logits[label]) / sum(map(math.exp, logits)))


def test_losses_of_algorithm_1_by_hand(tmp_path: Path) -> None:
    gan, batch = by_hand(tmp_path)
    losses = {name: float(value) for name, value in gan.step(0, batch).items()}
    # Discriminator: 2·r − g + b/2. Real: 1 − 0.25 = 0.75 and −1 + 0.5 = −0.5. Generated: 1.2 − 0.8 = 0.4 and 2.
    real, fake = (0.75, -0.5), (0.4, 2.0)
    line_4 = sum(cross_entropy_with_sigmoid(x, True) for x in real) / 2
    line_4 += sum(cross_entropy_with_sigmoid(x, False) for x in fake) / 2
    # Classifier: (r, 3·g) of real pictures only, of person 0 and 1.
    line_5 = (nll((0.5, 0.75), 0) + nll((-0.5, 0.0), 1)) / 2
    # Generator: taken for real, and for the voices' persons 1 and 0.
    line_6 = sum(cross_entropy_with_sigmoid(x, True) for x in fake) / 2, (nll((0.6, 2.4), 1) + nll((1.0, 0.0), 0)) / 2
    expected = {"discriminator": line_4, "classifier": line_5, "adversarial": line_6[0], "identity": line_6[1]}
    assert losses == pytest.approx(expected, rel=1e-5)


def test_the_classifier_learns_from_real_pictures_only(tmp_path: Path) -> None:
    # Line 5 of Algorithm 1 and the published code; its gradient by hand, (softmax − one-hot)ᵀ · features / B of real ones.
    gan, batch = by_hand(tmp_path)
    seen: list[Tensor] = []
    original = gan.run.descend

    def descend(loss: Tensor, *optimisers: torch.optim.Optimizer) -> None:
        original(loss, *optimisers)
        gradient = gan.classifier.weight.grad
        seen.append(torch.zeros(0) if gradient is None else gradient.clone())

    gan.run.descend = descend  # type: ignore[method-assign,assignment]
    gan.step(0, batch)
    features = batch.image.mean((2, 3))
    off = torch.softmax(features @ torch.tensor(CLASSIFIER).T, 1) - nn.functional.one_hot(batch.face, 2)
    torch.testing.assert_close(seen[0], off.T @ features / 2)


def test_conditional_adds_the_logit_of_the_person_shown(tmp_path: Path) -> None:
    gan, batch = by_hand(tmp_path, conditional=True)
    losses = {name: float(value) for name, value in gan.step(0, batch).items()}
    # Real ones show 0 and 1: + 0.5 and + 3·0; generated ones should show 1 and 0: + 3·0.8 and + 1.
    real, fake = (0.75 + 0.5, -0.5 + 0.0), (0.4 + 2.4, 2.0 + 1.0)
    expected = sum(cross_entropy_with_sigmoid(x, True) for x in real) / 2
    expected += sum(cross_entropy_with_sigmoid(x, False) for x in fake) / 2
    assert losses["discriminator"] == pytest.approx(expected, rel=1e-5)
    assert losses["adversarial"] == pytest.approx(sum(cross_entropy_with_sigmoid(x, True) for x in fake) / 2, rel=1e-5)
    assert losses["classifier"] == pytest.approx((nll((0.5, 0.75), 0) + nll((-0.5, 0.0), 1)) / 2, rel=1e-5)


def test_r1_by_hand_and_when(tmp_path: Path) -> None:
    # D(x) = w · mean colour, so ∂D/∂x is w / 64² at every pixel, and ½·‖·‖² is ½·|w|² / 64².
    gan, batch = by_hand(tmp_path, r1=0.5, r1_every=3)
    told: list[float] = []
    original = gan.run.descend

    def descend(loss: Tensor, *optimisers: torch.optim.Optimizer) -> None:
        told.append(float(loss.detach()))
        original(loss, *optimisers)

    gan.run.descend = descend  # type: ignore[method-assign,assignment]
    penalty = 0.5 * sum(w * w for w in DISCRIMINATOR) / 64**2
    for number in range(4):
        losses = gan.step(number, batch)
        due = number % 3 == 0
        assert float(losses["r1"]) == pytest.approx(penalty if due else 0.0, rel=1e-5)
        whole = float(losses["discriminator"] + losses["classifier"]) + (0.5 * 3 * penalty if due else 0.0)
        assert told[2 * number] == pytest.approx(whole, rel=1e-6)


def test_likeness_by_hand(tmp_path: Path) -> None:
    gan, batch = by_hand(tmp_path, sampling="balanced", likeness=2.0)
    told: list[float] = []
    original = gan.run.descend

    def descend(loss: Tensor, *optimisers: torch.optim.Optimizer) -> None:
        told.append(float(loss.detach()))
        original(loss, *optimisers)

    gan.run.descend = descend  # type: ignore[method-assign,assignment]
    losses = {name: float(value) for name, value in gan.step(0, batch).items()}
    # (0.6, 0.8, 0) beside (0.5, 0.25, 0), (1, 0, 0) beside (−0.5, 0, 1): differences of 0.1 + 0.55 + 1.5 + 1 over six.
    assert losses["likeness"] == pytest.approx(3.15 / 6, rel=1e-5)
    assert told[1] == pytest.approx(losses["adversarial"] + losses["identity"] + 2 * 3.15 / 6, rel=1e-5)


def test_noise_is_that_of_the_paper(tmp_path: Path) -> None:
    config = small("wen2019")
    run = Run(tmp_path, config, config.run)
    gan = FaceGan(run, config, 3, 64, torch.zeros(3))
    heard: list[Tensor] = []
    bare(gan.generator).register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0].detach()))
    gan.step(
        0, some_batch(count=96, embedding=64)._replace(image=torch.zeros(2, 3, 64, 64), face=torch.zeros(2, dtype=int))
    )
    batch = some_batch(count=96, embedding=64)
    assert torch.allclose(heard[0].norm(dim=1), torch.ones(96), atol=1e-5)
    # cos of the angle to the clean one is about 1/√(1 + 64·0.05²).
    cosine = float((heard[0] * batch.embedding).sum(1).mean())
    assert cosine == pytest.approx(1 / math.sqrt(1 + 64 * 0.05**2), abs=0.02)


# -- what modern claims ----------------------------------------------------------------------------------------------------


def test_moving_average_by_hand() -> None:
    network = nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(0.0)
    average = ExponentialMovingAverage(network, 0.5)
    expected = 0.0
    for number, value in enumerate((1.0, 3.0, -2.0, 5.0, 4.0, 4.0, 0.0, 1.0, 2.0, 7.0)):
        with torch.no_grad():
            network.weight.fill_(value)
        average.update(network, number)
        beta = min(0.5, (1 + number) / (10 + number))
        expected = beta * expected + (1 - beta) * value
        assert float(average.module.weight) == pytest.approx(expected, rel=1e-5)
    average.train()
    assert not average.module.training
    assert not any(p.requires_grad for p in average.parameters())
    with pytest.raises(ValueError, match="decay"):
        ExponentialMovingAverage(network, 1.0)


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


@pytest.mark.learns
def test_spectral_normalisation_bounds_every_layer(tmp_path: Path) -> None:
    config = small("modern", spectral=True, critic_rate=0.01)
    run = Run(tmp_path, config, config.run)
    gan = FaceGan(run, config, 3, 6, torch.zeros(3))
    for number in range(12):
        gan.step(number, some_batch())
    layers = [
        module
        for network in (gan.critic, gan.discriminator)
        for module in bare(network).modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    assert len(layers) == 7
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1.0, abs=0.1)
        original = layer.parametrizations.weight.original.detach()  # type: ignore[union-attr,operator]
        assert float(torch.linalg.matrix_norm(original.flatten(1), 2)) != pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("change", [colour, translation, cutout])
def test_gradients_pass_through_augmentations(change: Any) -> None:
    images = (torch.rand(2, 3, 8, 4, dtype=torch.float64) - 0.5).requires_grad_()

    def seeded(x: Tensor) -> Tensor:
        torch.manual_seed(4)
        return cast(Tensor, change(x))

    assert not torch.equal(seeded(images), images)
    assert torch.autograd.gradcheck(seeded, (images,))


def test_translation_moves_by_whole_pixels_and_fills_with_zeros() -> None:
    torch.manual_seed(0)
    images = torch.rand(200, 3, 16, 16) + 1
    shifts = set()
    for before, after in zip(images, translation(images), strict=True):
        rows, columns = (after.sum((0, d)) > 0 for d in (2, 1))
        y, x = (int(rows.nonzero()[0]) or int(rows.sum()) - 16, int(columns.nonzero()[0]) or int(columns.sum()) - 16)
        expected = torch.zeros_like(before)
        expected[:, max(0, y) : 16 + min(0, y), max(0, x) : 16 + min(0, x)] = before[
            :, max(0, -y) : 16 - max(0, y), max(0, -x) : 16 - max(0, x)
        ]
        torch.testing.assert_close(after, expected)
        shifts.add((y, x))
    assert shifts == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}  # up to an eighth of 16, each way


def test_cutout_zeroes_one_square_of_half_the_height() -> None:
    torch.manual_seed(0)
    areas = []
    for after in cutout(torch.ones(300, 3, 16, 16)):
        hole = after[0] == 0
        assert torch.equal(hole, after[1] == 0)
        rows, columns = hole.any(1), hole.any(0)
        assert bool((hole == rows[:, None] & columns[None]).all())
        assert rows.sum() <= 8
        assert columns.sum() <= 8
        areas.append(int(hole.sum()))
    assert max(areas) == 64
    assert min(areas) <= 20  # some reach over an edge


def test_colour_keeps_what_is_where() -> None:
    torch.manual_seed(0)
    images = torch.rand(64, 3, 8, 8)
    after = colour(images)
    grey = images.mean(1) - images.mean((1, 2, 3))[:, None, None]
    changed = after.mean(1) - after.mean((1, 2, 3))[:, None, None]
    ratio = (changed / grey).flatten(1)
    contrast = ratio.median(1).values
    torch.testing.assert_close(changed, contrast[:, None, None] * grey, atol=1e-4, rtol=1e-3)  # one contrast a picture
    assert 0.5 <= float(contrast.min()) < 0.7
    assert 1.3 < float(contrast.max()) <= 1.5
    brighter = (after - images).mean((1, 2, 3))
    assert float(brighter.min()) >= -0.5
    assert float(brighter.max()) <= 0.5
    assert float(brighter.std()) == pytest.approx(1 / math.sqrt(12), rel=0.25)


def test_real_and_generated_pictures_are_augmented_alike_in_both_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, bool]] = []

    def recorded(name: str) -> Any:
        change = differentiable_augmentation.AUGMENTATIONS[name]

        def apply(images: Tensor) -> Tensor:
            done.append((name, images.requires_grad))
            return change(images)

        return apply

    config = small("modern", augmentations=("colour", "translation", "cutout"))
    for name in config.augmentations:
        monkeypatch.setitem(differentiable_augmentation.AUGMENTATIONS, name, recorded(name))
    run = Run(tmp_path, config, config.run)
    FaceGan(run, config, 3, 6, torch.zeros(3)).step(0, some_batch())
    # Real ones, generated ones for the critics (detached), generated ones for the generator (not detached).
    assert done == [(name, own) for own in (False, False, True) for name in config.augmentations]


def test_scaled_weights_keep_variances_and_begin_with_the_mean_colour() -> None:
    torch.manual_seed(0)
    colours = torch.tensor([0.3, -0.1, -0.5])
    generator, critic = FaceGenerator(channels=(96, 64, 48, 32, 24)), FaceEmbedding((16, 24, 32, 48, 64))
    sizes: list[float] = []
    for module in generator.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda _m, _i, out: sizes.append(float(out.square().mean())))
    initialise_he(generator, colours)
    with torch.no_grad():
        images = generator(nn.functional.normalize(torch.randn(48, 64), dim=1))
    assert len(sizes) == 5
    assert all(0.5 < size < 2 for size in sizes), sizes
    torch.testing.assert_close(images.mean((0, 2, 3)), colours, atol=0.15, rtol=0)
    initialise_he(critic)
    with torch.no_grad():
        assert 0.2 < float(critic(torch.randn(16, 3, 64, 64)).square().mean()) < 5


def test_presets_are_what_the_paper_and_the_code_say() -> None:
    published = PRESETS["wen2019"]
    assert (published.batch, published.steps) == (128, 50_000)
    assert (published.generator_rate, published.critic_rate, published.betas) == (2e-4, 2e-4, (0.5, 0.999))
    assert (published.noise, published.flip, published.length) == (0.05, 0.5, (300, 800))
    assert (published.adversarial, published.identity) == (1.0, 1.0)
    assert (published.channels, published.critic) == ((1024, 512, 256, 128, 64), (32, 64, 128, 256, 512))
    assert (published.bank, published.average, published.augmentations) == (0, 0.0, ())
    assert (published.r1, published.likeness) == (0.0, 0.0)
    for change in ("spectral", "conditional", "mixed", "channels_last", "last_rectified"):
        assert not getattr(published, change)
    assert (published.kernel, published.critic_kernel, published.style) == ("k4", "k4", "wen")
    assert published.initialisation == "torch"
    paper = PRESETS["wen2019-paper"]
    assert (paper.kernel, paper.critic_kernel, paper.last_rectified) == ("k3", "k3", True)
    assert (paper.steps, paper.batch, paper.initialisation) == (100_000, 128, "dcgan")
    assert (paper.noise, paper.flip) == (0.0, 0.0)
    assert (PRESETS["dcgan"].style, PRESETS["dcgan"].initialisation) == ("dcgan", "dcgan")
    modern = PRESETS["modern"]
    for same in ("channels", "critic", "length", "flip", "batch", "steps", "judge"):  # the same data and networks
        assert getattr(modern, same) == getattr(published, same)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch 0"),
        ({"average": 1.0}, "average 1.0"),
        ({"channels": (8, 8)}, "five widths"),
        ({"length": (90, 40)}, "length"),
        ({"likeness": 1.0}, "needs balanced sampling"),
        ({"augmentations": ("rain",)}, "augmentations rain: of colour, translation, cutout"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(FaceGanConfig(), **change)


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


# -- the run ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judge() -> PictureJudge:
    """Has learnt to tell the colours of four people."""
    torch.set_num_threads(1)
    return PictureJudge.train(
        small_pairs(people=8, seed=3),
        JudgeConfig(channels=(4, 4, 8, 8, 8), embedding=4, steps=60, batch=8, rate=5e-3, augmentations=()),
    )


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


def test_half_precision_trains_with_every_option(tmp_path: Path) -> None:
    run_config = RunConfig(seed=varied(), accelerator="cpu", precision="bf16-mixed")
    config = small("modern", r1=1.0, r1_every=1, augmentations=("colour", "cutout"), run=run_config)
    run = Run(tmp_path, config, config.run)
    gan = FaceGan(run, config, 3, 6, torch.zeros(3))
    losses = gan.step(0, some_batch())
    assert all(math.isfinite(float(value)) for value in losses.values())
    assert all(value.dtype == torch.float32 for value in losses.values())


@pytest.mark.learns
@pytest.mark.slow
def test_compiled_networks_train_as_plain_ones_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # All of torch.compile but the last stage, which writes C++ for five minutes.
    whole = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda network: whole(network, backend="aot_eager"))
    told: dict[str, list[dict[str, float]]] = {}
    for compiled in ("off", "on"):
        config = small("modern", compiled=compiled, r1=1.0, r1_every=2)
        run = Run(tmp_path / compiled, config, config.run)
        gan = FaceGan(run, config, 3, 6, torch.zeros(3))
        told[compiled] = []
        for number in range(4):
            torch.manual_seed(varied(number))
            told[compiled].append({name: float(value) for name, value in gan.step(number, some_batch()).items()})
    for plain, quick in zip(told["off"], told["on"], strict=True):
        assert quick == pytest.approx(plain, rel=1e-3, abs=1e-5)
