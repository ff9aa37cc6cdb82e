"""The losses of Algorithm 1 of Wen 2019 and of what `modern` adds, by hand, on networks so small that a line reckons them."""

import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor, nn  # noqa: E402

from tests.stand_ins.small_face_gan import small, some_batch  # noqa: E402
from voxface.training.data.voice_face_sampler import Batch  # noqa: E402
from voxface.training.engine.run import Run, bare  # noqa: E402
from voxface.training.trainers.face_gan import FaceGan  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


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
