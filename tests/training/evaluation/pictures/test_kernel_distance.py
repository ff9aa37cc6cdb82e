"""KID against its definition written out, and what it is of one distribution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.runtime.errors import InputError
from voxface.training.evaluation.pictures.kernel_distance import kernel_distance

pairwise = pytest.importorskip("sklearn.metrics.pairwise", reason="scikit-learn comes with voxface[dev]")


def test_by_hand() -> None:
    # One feature: k(x, y) = (xy + 1)³. Within {0, 1}: k(0, 1) = 1; within {2, 3}: 7³; between: 1, 1, 27, 64.
    found = kernel_distance(np.array([[0.0], [1]]), np.array([[2.0], [3]]))
    assert found.value == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)


def test_against_the_definition_with_another_kernel_program(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(17, 5)), rng.normal(0.5, 2, size=(23, 5))
    kernels = [pairwise.polynomial_kernel(x, y, degree=3, gamma=1 / 5, coef0=1) for x, y in ((a, a), (b, b), (a, b))]
    total = 0.0
    for kernel in kernels[:2]:
        n = len(kernel)
        total += sum(kernel[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    assert kernel_distance(a, b).value == pytest.approx(total - 2 * kernels[2].mean(), rel=1e-10)


def test_of_one_distribution_it_is_nothing_on_average() -> None:
    values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values.append(kernel_distance(rng.normal(size=(20, 4)), rng.normal(size=(30, 4))).value)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    assert min(values) < 0 < max(values)
    rng = np.random.default_rng(0)
    apart = kernel_distance(rng.normal(size=(40, 4)), rng.normal(2, 1, size=(40, 4)))
    assert apart.value > 5 * np.std(values)
    assert apart.sd > 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_neither_order_nor_side_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(9, 3)), rng.normal(size=(12, 3))
    value = kernel_distance(a, b).value
    assert kernel_distance(rng.permutation(a), rng.permutation(b)).value == pytest.approx(value)
    assert kernel_distance(b, a).value == pytest.approx(value)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="are not two or more features"):
        kernel_distance(np.zeros((1, 3)), np.zeros((4, 3)))
    with pytest.raises(InputError, match="are not two or more features"):
        kernel_distance(np.zeros((4, 2)), np.zeros((4, 3)))
    with pytest.raises(InputError, match="NaN"):
        kernel_distance(np.full((4, 3), np.nan), np.zeros((4, 3)))
