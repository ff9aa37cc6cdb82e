"""Algorithm 1 of Wen 2019, one step at a time: who is moved when, spectral normalisation, augmentations, precisions."""

import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor, nn  # noqa: E402

from tests.stand_ins.small_face_gan import small, some_batch  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.training.data import differentiable_augmentation  # noqa: E402
from voxface.training.data.pairs import Pairs  # noqa: E402
from voxface.training.engine.run import Run, RunConfig, bare  # noqa: E402
from voxface.training.models import VoiceEncoder  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402
from voxface.training.trainers.face_gan import PRESETS, FaceGan, FaceGanConfig, train_face_gan  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def moved(network: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


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
