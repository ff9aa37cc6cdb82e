"""Each loss against a case by hand and an independent formula; where its gradient goes; what the published code got wrong."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor  # noqa: E402

from tests.training.seeds import varied  # noqa: E402
from voxface.training.losses import (  # noqa: E402
    AngularMargin,
    coefficient_loss,
    conditional_probabilities,
    discriminator_loss,
    divergence,
    generator_loss,
    published_divergence,
    published_triplet,
    r1_penalty,
    triplet_loss,
)

pytestmark = pytest.mark.train
Array = NDArray[np.float64]
seeds = st.integers(0, 2**31)
# A training in the same process switches denormals off, and Hypothesis minds.
margins = st.integers(0, 300).map(lambda k: k / 100)


def some(*shape: int, seed: int = 0, grad: bool = False) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_(grad)


def numbers(tensor: Tensor) -> Array:
    return tensor.detach().double().numpy()


# -- adversarial -----------------------------------------------------------------------------------------------------------


def test_adversarial_losses_by_hand() -> None:
    real, fake = torch.tensor([[0.0], [math.log(3)]]), torch.tensor([[0.0], [0.0], [0.0]])
    # D says 1/2 and 3/4 of the real ones, 1/2 of every fake one.
    assert discriminator_loss(real, fake).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2 + math.log(2))
    assert generator_loss(torch.tensor([[math.log(3)], [-math.log(3)]])).item() == pytest.approx(
        (math.log(4 / 3) + math.log(4)) / 2
    )


def test_adversarial_losses_are_binary_cross_entropy() -> None:
    real, fake = 3 * some(16, 1), 3 * some(16, 1, seed=1)
    entropy = torch.nn.BCEWithLogitsLoss()
    both = entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))
    assert discriminator_loss(real, fake).item() == pytest.approx(both.item(), rel=1e-5)
    assert generator_loss(fake).item() == pytest.approx(entropy(fake, torch.ones_like(fake)).item(), rel=1e-5)


def test_adversarial_losses_stay_finite_where_a_sigmoid_would_not() -> None:
    sure = torch.tensor([[500.0]])
    assert discriminator_loss(-sure, sure).item() == pytest.approx(1000)
    assert generator_loss(-sure).item() == pytest.approx(500)
    assert discriminator_loss(sure, -sure).item() == 0


def test_the_generator_still_learns_from_a_sure_discriminator() -> None:
    fake = torch.tensor([[-20.0]], requires_grad=True)
    generator_loss(fake).backward()
    assert fake.grad is not None
    assert fake.grad.item() == pytest.approx(-1, abs=1e-6)  # the saturating form would give −2e-9


def test_r1_penalty_of_a_linear_critic_is_half_its_squared_weights() -> None:
    weights = some(12, seed=3, grad=True)
    images = some(5, 3, 2, 2, seed=4, grad=True)
    penalty = r1_penalty((images.flatten(1) @ weights)[:, None], images)
    assert penalty.item() == pytest.approx(0.5 * float((numbers(weights) ** 2).sum()), rel=1e-5)
    penalty.backward()
    assert weights.grad is not None
    np.testing.assert_allclose(weights.grad, numbers(weights), rtol=1e-5)  # ∇ ½‖w‖² = w: it reaches the critic


def test_r1_penalty_is_each_picture_s_own_slope() -> None:
    images = some(4, 3, 2, 2, seed=5, grad=True)
    penalty = r1_penalty(images.pow(3).flatten(1).sum(1, keepdim=True), images)
    slopes = 3 * numbers(images).reshape(4, -1) ** 2
    assert penalty.item() == pytest.approx(0.5 * (slopes**2).sum(1).mean(), rel=1e-5)
    with pytest.raises(RuntimeError):
        r1_penalty(torch.zeros(2, 1), some(2, 3, 2, 2))


# -- coefficients ----------------------------------------------------------------------------------------------------------


def test_coefficient_loss_by_hand() -> None:
    alpha = torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.0, 1.0]])
    assert coefficient_loss(alpha, torch.zeros(2, 3)).item() == pytest.approx((9 + 1) / 2)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_coefficient_loss_is_the_mean_squared_norm(seed: int) -> None:
    alpha, target = some(7, 5, seed=seed), some(7, 5, seed=seed + 1)
    expected = np.mean(np.linalg.norm(numbers(alpha) - numbers(target), axis=1) ** 2)
    assert coefficient_loss(alpha, target).item() == pytest.approx(expected, rel=1e-4)


def test_no_gradient_goes_to_the_pseudo_ground_truth() -> None:
    alpha, target = some(4, 5, grad=True), some(4, 5, seed=1, grad=True)
    coefficient_loss(alpha, target).backward()
    assert target.grad is None
    assert alpha.grad is not None
    np.testing.assert_allclose(alpha.grad, 2 * (numbers(alpha) - numbers(target)) / 4, rtol=1e-5)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        coefficient_loss(torch.zeros(4, 5), torch.zeros(5))
    with pytest.raises(ValueError, match="shapes"):
        triplet_loss(torch.zeros(4, 5), torch.zeros(1, 5), torch.zeros(4, 5))


# -- triplet ---------------------------------------------------------------------------------------------------------------


def test_triplet_loss_by_hand() -> None:
    anchor = torch.zeros(3, 2)
    positive = torch.tensor([[3.0, 4.0], [0.0, 1.0], [1.0, 0.0]])  # 5, 1, 1 away
    negative = torch.tensor([[0.0, 2.0], [3.0, 4.0], [0.0, 1.5]])  # 2, 5, 1.5 away
    assert triplet_loss(anchor, positive, negative).item() == pytest.approx((4 + 0 + 0.5) / 3)
    assert triplet_loss(anchor, positive, negative, margin=0).item() == pytest.approx(3 / 3)


@given(seeds, margins)
@settings(max_examples=20, deadline=None)
def test_triplet_loss_is_equation_3(seed: int, margin: float) -> None:
    a, p, n = (some(6, 4, 3, seed=seed + k) for k in range(3))
    near, far = (np.linalg.norm((numbers(a) - numbers(x)).reshape(6, -1), axis=1) for x in (p, n))
    expected = np.maximum(near - far + margin, 0).mean()
    assert triplet_loss(a, p, n, margin).item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_norm_of_the_triplet_runs_over_all_axes() -> None:
    """The published code takes it over one: its triplet of these vertices has another value."""
    a, p, n = (some(2, 100, 3, seed=k) for k in range(3))
    ours = triplet_loss(a, p, n, margin=50)
    published = ((a - p).norm(dim=1) - (a - n).norm(dim=1) + 50).clamp(min=0).mean()
    assert triplet_loss(a.flatten(1), p.flatten(1), n.flatten(1), 50).item() == pytest.approx(ours.item())
    assert triplet_loss(a.mT, p.mT, n.mT, 50).item() == pytest.approx(ours.item(), rel=1e-6)
    # Its margin is one per coordinate; ours is one per face.
    scaled = triplet_loss(2 * a, 2 * p, 2 * n, margin=100)
    assert scaled.item() == pytest.approx(2 * ours.item(), rel=1e-5)
    assert abs(published.item() - ours.item()) > 0.05


def test_a_satisfied_triplet_asks_for_nothing() -> None:
    anchor = torch.zeros(2, 3, requires_grad=True)
    positive, negative = (x * torch.ones(2, 3) for x in (0.1, 5.0))
    loss = triplet_loss(anchor, positive, negative)
    loss.backward()
    assert loss.item() == 0
    assert anchor.grad is not None
    assert not anchor.grad.any()


def test_an_open_triplet_pulls_the_positive_and_pushes_the_negative() -> None:
    anchor, positive, negative = torch.zeros(1, 2), torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    for x in (positive, negative):
        x.requires_grad_()
    triplet_loss(anchor, positive, negative).backward()
    np.testing.assert_allclose(positive.grad, [[1, 0]])  # downhill is towards the anchor
    np.testing.assert_allclose(negative.grad, [[0, -1]])


def test_a_positive_that_is_the_anchor_gives_no_nan() -> None:
    anchor = some(3, 4, grad=True)
    loss = triplet_loss(anchor, anchor.detach().clone(), anchor.detach() + 0.01)
    loss.backward()
    assert anchor.grad is not None
    assert anchor.grad.isfinite().all()


# -- distillation ----------------------------------------------------------------------------------------------------------


def probabilities(features: Array, epsilon: float = 1e-7) -> Array:
    """Eq. 5, one entry after the other."""
    count = len(features)
    kernel = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            a, b = features[i], features[j]
            kernel[i, j] = (a @ b / np.linalg.norm(a) / np.linalg.norm(b) + 1) / 2 + epsilon
    found = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            if i != j:
                found[i, j] = kernel[i, j] / sum(kernel[k, j] for k in range(count) if k != j)
    return found


def test_conditional_probabilities_by_hand() -> None:
    features = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])  # cosines 0, −1, 0: kernels ½, 0, ½
    expected = [[0, 0.5, 0], [1, 0, 1], [0, 0.5, 0]]
    np.testing.assert_allclose(conditional_probabilities(features), expected, atol=1e-6)


@given(seeds, st.integers(2, 9), st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_conditional_probabilities_are_equation_5(seed: int, batch: int, width: int) -> None:
    features = some(batch, width, seed=seed) + 0.3
    found = numbers(conditional_probabilities(features))
    np.testing.assert_allclose(found, probabilities(numbers(features)), atol=3e-5)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)
    assert not found.diagonal().any()


def test_divergence_by_hand() -> None:
    # Expert: right angles everywhere, so every neighbour has ½. Student: samples 0 and 1 alike, 2 opposite to both.
    expert = torch.eye(3)
    student = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # kernels: 1 and ½, so z = 2/3, 1/3 | 2/3, 1/3 | ½, ½
    by_hand = 2 * (0.5 * math.log(0.5 / (2 / 3)) + 0.5 * math.log(0.5 / (1 / 3))) + 0
    assert divergence(expert, student).item() == pytest.approx(by_hand / 3, rel=1e-5)


@given(seeds, st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_divergence_is_equation_6_with_the_expert_as_reference(seed: int, batch: int) -> None:
    expert, student = some(batch, 6, seed=seed), some(batch, 4, seed=seed + 1)
    z_expert, z = probabilities(numbers(expert)), probabilities(numbers(student))
    total = sum(
        z_expert[j, i] * math.log(z_expert[j, i] / z[j, i]) for i in range(batch) for j in range(batch) if j != i
    )
    found = divergence(expert, student).item()
    assert found == pytest.approx(total / batch, rel=1e-3, abs=1e-5)
    assert found >= -1e-6


def test_the_divergence_is_not_the_published_direction() -> None:
    expert, student = some(8, 5), some(8, 5, seed=1).abs()
    assert divergence(expert, student).item() != pytest.approx(divergence(student, expert).item(), rel=0.02)


def test_the_divergence_does_not_grow_with_the_batch() -> None:
    small, large = (divergence(some(b, 32), some(b, 32, seed=1)).item() for b in (16, 128))
    assert large == pytest.approx(small, rel=0.25)


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_turned_and_scaled_features_carry_the_same_knowledge(seed: int) -> None:
    expert = some(6, 5, seed=seed)
    turn, _ = torch.linalg.qr(some(5, 5, seed=seed + 1))
    assert divergence(expert, 7 * expert @ turn).item() == pytest.approx(0, abs=1e-5)
    assert divergence(expert, torch.cat([expert, torch.zeros(6, 3)], 1)).item() == pytest.approx(0, abs=1e-5)


def test_no_gradient_goes_to_the_expert() -> None:
    """The published code does not detach it: an expert that is not frozen would come to meet the student."""
    expert, student = some(6, 5, grad=True), some(6, 4, seed=1, grad=True)
    divergence(expert, student).backward()
    assert expert.grad is None
    assert student.grad is not None
    assert student.grad.abs().max() > 0


@pytest.mark.learns
def test_descending_the_divergence_brings_the_student_to_the_expert() -> None:
    expert, student = some(6, 5, seed=varied()), some(6, 5, seed=varied(1), grad=True)
    optimiser = torch.optim.Adam([student], 0.05)
    first = divergence(expert, student).item()
    for _ in range(150):
        optimiser.zero_grad()
        divergence(expert, student).backward()
        optimiser.step()
    assert divergence(expert, student).item() < 0.02 * first


def test_images_of_features_are_compared_as_vectors() -> None:
    expert, student = some(4, 2, 3, 3), some(4, 3, 2, 2, seed=1)
    flat = divergence(expert.flatten(1), student.flatten(1)).item()
    assert divergence(expert, student).item() == pytest.approx(flat)


# -- as in the published code ----------------------------------------------------------------------------------------------


@given(seeds, st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_the_published_divergence_one_pair_after_the_other(seed: int, batch: int) -> None:
    expert, student = some(batch, 6, seed=seed), some(batch, 2, 2, seed=seed + 1)
    total = 0.0
    features = [numbers(x).reshape(batch, -1) for x in (expert, student)]
    for i in range(batch):
        rows = []
        for x in features:
            row = [(x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j]) + 1) / 2 for j in range(batch)]
            rows.append([value / sum(row) for value in row])
        for reference, own in zip(*rows, strict=True):
            total += own * math.log((own + 1e-7) / (reference + 1e-7))
    assert published_divergence(expert, student).item() == pytest.approx(total / batch**2, rel=2e-3, abs=1e-7)


def test_the_published_divergence_by_hand() -> None:
    expert = torch.eye(2)  # kernels 1 and 1/2: rows 2/3, 1/3
    student = torch.tensor([[1.0, 0.0], [2.0, 0.0]])  # alike: rows 1/2, 1/2
    by_hand = (0.5 * math.log(0.5 / (2 / 3)) + 0.5 * math.log(0.5 / (1 / 3))) * 2 / 4
    assert published_divergence(expert, student).item() == pytest.approx(by_hand, rel=1e-5)


def test_the_published_divergence_is_about_a_batch_smaller_than_the_papers() -> None:
    """With the weight of the published code, 10,000, the sum over the batch would count for 64 times as much."""
    expert, student = some(64, 128), some(64, 128, seed=1)
    ratio = divergence(expert, student).item() / published_divergence(expert, student).item()
    assert 50 < ratio < 75


@given(seeds, margins)
@settings(max_examples=20, deadline=None)
def test_the_published_triplet_one_axis_after_the_other(seed: int, margin: float) -> None:
    a, p, n = (some(4, 3, 7, seed=seed + k) for k in range(3))
    terms = [
        max(
            0.0,
            math.sqrt(sum((x - y) ** 2 for x, y in zip(numbers(a)[b, axis], numbers(p)[b, axis], strict=True)))
            - math.sqrt(sum((x - y) ** 2 for x, y in zip(numbers(a)[b, axis], numbers(n)[b, axis], strict=True)))
            + margin,
        )
        for b in range(4)
        for axis in range(3)
    ]
    assert published_triplet(a, p, n, margin).item() == pytest.approx(np.mean(terms), rel=1e-4, abs=1e-5)


def test_no_gradient_of_the_published_divergence_goes_to_the_expert() -> None:
    expert, student = some(6, 5, grad=True), some(6, 4, seed=1, grad=True)
    published_divergence(expert, student).backward()
    assert expert.grad is None
    assert student.grad is not None
    assert student.grad.abs().max() > 0


def test_published_losses_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="3 samples of the expert, 4"):
        published_divergence(torch.zeros(3, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="must be the same"):
        published_triplet(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), torch.zeros(1, 3, 4))


@pytest.mark.parametrize("of", [torch.zeros(3, 4), torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])])
def test_dead_and_opposite_features_stay_finite(of: Tensor) -> None:
    student = of.clone().requires_grad_()
    loss = divergence(some(3, 4), student) + divergence(of, some(3, 4, seed=1))
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_one_sample_has_no_neighbours() -> None:
    with pytest.raises(ValueError, match="two samples"):
        conditional_probabilities(torch.ones(1, 3))
    with pytest.raises(ValueError, match="3 samples"):
        divergence(torch.ones(3, 3), torch.ones(2, 3))


def test_half_precision_features_are_compared_in_single() -> None:
    expert, student = some(8, 64), some(8, 64, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = divergence(expert, student)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(divergence(expert, student).item(), rel=1e-5)


# -- angular margin --------------------------------------------------------------------------------------------------------


def placed(directions: list[list[float]], scale: float, margin: float) -> AngularMargin:
    module = AngularMargin(len(directions), len(directions[0]), scale, margin)
    with torch.no_grad():
        module.directions.copy_(torch.tensor(directions))
    return module


def test_angular_margin_by_hand() -> None:
    module = placed([[2.0, 0.0], [0.0, 0.5]], scale=4, margin=math.pi / 6)
    # 30° from class 0, 60° from class 1: the margin makes it 60° from class 0 too.
    embedding = torch.tensor([[3 * math.cos(math.pi / 6), 3 * math.sin(math.pi / 6)]])
    assert module(embedding, torch.tensor([0])).item() == pytest.approx(math.log(2), rel=1e-5)
    np.testing.assert_allclose(module.cosines(embedding).detach(), [[math.cos(math.pi / 6), 0.5]], rtol=1e-5)


@given(seeds, margins.map(lambda m: m / 5))
@settings(max_examples=20, deadline=None)
def test_angular_margin_is_arcface(seed: int, margin: float) -> None:
    torch.manual_seed(seed)
    module, embedding = AngularMargin(5, 8, scale=10, margin=margin), some(6, 8, seed=seed)
    label = np.arange(6) % 5
    x, w = (numbers(t) / np.linalg.norm(numbers(t), axis=1, keepdims=True) for t in (embedding, module.directions))
    angle = np.arccos(np.clip(x @ w.T, -1, 1))
    logits = 10 * np.cos(angle)
    rows = np.arange(6)
    if (angle[rows, label] + margin > math.pi).any():
        return
    logits[rows, label] = 10 * np.cos(angle[rows, label] + margin)
    expected = -(logits[rows, label] - np.log(np.exp(logits).sum(1))).mean()
    assert module(embedding, torch.from_numpy(label)).item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_no_margin_is_a_softmax_of_scaled_cosines() -> None:
    torch.manual_seed(0)
    module, embedding, label = AngularMargin(5, 8, scale=7, margin=0), some(6, 8), torch.arange(6) % 5
    expected = torch.nn.functional.cross_entropy(7 * module.cosines(embedding), label)
    assert module(embedding, label).item() == pytest.approx(expected.item())


def loss_at(module: AngularMargin, degrees: float) -> tuple[float, float]:
    """Loss and its slope by the angle between an embedding and its class."""
    angle = torch.tensor(math.radians(degrees), requires_grad=True)
    loss = module(torch.stack([angle.cos(), angle.sin()])[None], torch.tensor([0]))
    loss.backward()
    assert angle.grad is not None
    return loss.item(), angle.grad.item()


def test_turning_away_always_costs_more() -> None:
    """Past 180° − m the cosine of the widened angle would rise again and draw an embedding the wrong way."""
    module = placed([[1.0, 0.0], [0.0, -1.0]], scale=4, margin=0.5)  # the other class lies behind
    for degrees in (40, 89, 140, 150, 152, 160, 175):
        assert loss_at(module, degrees)[1] > 0
    # Little is lost where the two pieces meet.
    meeting = 180 - math.degrees(0.5)
    assert loss_at(module, meeting - 0.01)[0] == pytest.approx(loss_at(module, meeting + 0.01)[0], abs=0.6)


def test_an_embedding_on_its_class_has_a_finite_gradient() -> None:
    module = placed([[1.0, 0.0], [0.0, 1.0]], scale=30, margin=0.2)
    embedding = torch.tensor([[1.0, 0.0], [0.0, -1.0]], requires_grad=True)
    module(embedding, torch.tensor([0, 1])).backward()
    assert embedding.grad is not None
    assert embedding.grad.isfinite().all()


def test_a_margin_has_to_be_an_acute_angle() -> None:
    with pytest.raises(ValueError, match="margin"):
        AngularMargin(3, margin=2.0)


# -- all -------------------------------------------------------------------------------------------------------------------

ONE, TWO, THREE = (some(3, 4, seed=k).double() for k in (21, 22, 23))
ALL: dict[str, Callable[[Tensor], Tensor]] = {
    "discriminator": lambda x: discriminator_loss(x[:, :1], x[:, 1:2]),
    "generator": lambda x: generator_loss(x[:, :1]),
    "coefficients": lambda x: coefficient_loss(x, ONE),
    "triplet": lambda x: triplet_loss(x, ONE, TWO, margin=3),
    "triplet's positive": lambda x: triplet_loss(ONE, x, TWO, margin=3),
    "triplet's negative": lambda x: triplet_loss(ONE, TWO, x, margin=3),
    "divergence": lambda x: divergence(THREE, x),
}


@pytest.mark.parametrize("name", list(ALL))
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    x = some(3, 4, seed=2).double().requires_grad_()
    assert ALL[name](x).item() > 0
    assert torch.autograd.gradcheck(ALL[name], (x,))
