"""The FID-like distance against closed forms and against SciPy's square root of a matrix."""

import numpy as np
import pytest
from numpy.typing import NDArray

from voxface.runtime.errors import InputError

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
linalg = pytest.importorskip("scipy.linalg", reason="scipy comes with voxface[dev]")

from torch import Tensor  # noqa: E402

from voxface.training.evaluation.pictures.frechet import (  # noqa: E402
    features_of,
    frechet_distance,
    gaussian,
    picture_distance,
)

Array = NDArray[np.float64]
pytestmark = pytest.mark.train


def rotation(rng: np.random.Generator, d: int) -> Array:
    return np.asarray(np.linalg.qr(rng.normal(size=(d, d)))[0])


def covariance(rng: np.random.Generator, d: int) -> Array:
    x = rng.normal(size=(3 * d, d)) * rng.uniform(0.2, 3, d)
    return np.asarray(np.cov(x, rowvar=False))


def test_diagonal_by_hand() -> None:
    # (3 − 1)² + (√4 − √1)² + (√9 − √16)² = 4 + 1 + 1
    found = frechet_distance(np.array([3.0, 5]), np.diag([4.0, 9]), np.array([1.0, 5]), np.diag([1.0, 16]))
    assert found == pytest.approx(6.0, abs=1e-12)


def test_gaussians_turned_alike_are_as_far_apart_as_before(rng: np.random.Generator) -> None:
    d = 7
    turn, a, b, shift = rotation(rng, d), rng.uniform(0, 5, d), rng.uniform(0, 5, d), rng.normal(size=d)
    found = frechet_distance(turn @ shift, turn @ np.diag(a) @ turn.T, np.zeros(d), turn @ np.diag(b) @ turn.T)
    assert found == pytest.approx((shift**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-10)


def test_two_dimensions_in_closed_form(rng: np.random.Generator) -> None:
    # tr √M = √(tr M + 2 √det M) of a 2×2 matrix with positive eigenvalues, here M = AB, turned against each other.
    a, b = covariance(rng, 2), covariance(rng, 2)
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    found = frechet_distance(np.zeros(2), a, np.zeros(2), b)
    assert found == pytest.approx(np.trace(a) + np.trace(b) - 2 * root, rel=1e-9)


@pytest.mark.parametrize("d", [3, 16, 64])
def test_against_scipy(rng: np.random.Generator, d: int) -> None:
    a, b, mean = covariance(rng, d), covariance(rng, d), rng.normal(size=d)
    expected = (mean**2).sum() + np.trace(a + b - 2 * np.real(linalg.sqrtm(a @ b)))
    assert frechet_distance(mean, a, np.zeros(d), b) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(np.zeros(d), b, mean, a) == pytest.approx(expected, rel=1e-8)  # whichever comes first
    assert frechet_distance(mean, a, mean, a) == pytest.approx(0, abs=1e-8 * np.trace(a))


def test_singular_covariances(rng: np.random.Generator) -> None:
    flat = np.diag([4.0, 0, 0])
    # In one dimension less: (2 − 1)² + 1² + 0.
    assert frechet_distance(np.zeros(3), flat, np.zeros(3), np.diag([1.0, 1, 0])) == pytest.approx(2.0, abs=1e-9)
    assert frechet_distance(np.zeros(3), np.zeros((3, 3)), np.ones(3), flat) == pytest.approx(7.0, abs=1e-9)


def test_two_samples_of_one_gaussian_are_biased_apart_less_the_more_there_are(rng: np.random.Generator) -> None:
    def distance(count: int) -> float:
        sides = [gaussian(rng.normal(size=(count, 8))) for _ in range(2)]
        return frechet_distance(*sides[0], *sides[1])

    few, many = (np.mean([distance(count) for _ in range(20)]) for count in (50, 500))
    assert 0 < many < few
    assert few / many == pytest.approx(10, rel=0.5)  # about 1/N


def test_gaussian_of_a_sample_by_hand() -> None:
    mean, found = gaussian(np.array([[0.0, 1], [2, 1], [4, 1]]))
    assert mean.tolist() == [2, 1]
    assert found.tolist() == [[4, 0], [0, 0]]
    assert gaussian(np.array([[0.0, 1], [2, 1], [4, 1]]), 0.25)[1].tolist() == [[3.5, 0], [0, 0.5]]
    assert gaussian(np.array([[1.0], [3]]))[1].tolist() == [[2]]


@pytest.mark.parametrize(("count", "d", "shrinkage"), [(64, 64, 0.0), (1, 1, 0.5), (3, 8, 0.0)])
def test_too_few_pictures_are_an_error(count: int, d: int, shrinkage: float) -> None:
    with pytest.raises(InputError, match=f"{count} pictures are too few for a Gaussian over {d} features"):
        gaussian(np.zeros((count, d)), shrinkage)


def test_some_shrinkage_does_with_few(rng: np.random.Generator) -> None:
    mean, found = gaussian(rng.normal(size=(5, 8)), 0.1)
    assert np.linalg.eigvalsh(found).min() > 0
    assert frechet_distance(mean, found, mean, found) == pytest.approx(0, abs=1e-9)


def test_wrong_input_is_an_error() -> None:
    eye = np.eye(2)
    with pytest.raises(InputError, match="features of 2 and 3 numbers"):
        frechet_distance(np.zeros(2), eye, np.zeros(3), np.eye(3))
    with pytest.raises(InputError, match="NaN"):
        frechet_distance(np.array([0, np.nan]), eye, np.zeros(2), eye)
    with pytest.raises(InputError, match="shrinkage 2"):
        gaussian(np.zeros((5, 2)), 2)


def test_pictures(rng: np.random.Generator) -> None:
    # Pictures of one colour each, seen by their mean colour: variances 0.04 and 0.01 of red, means 0.5 apart in green.
    def pictures(spread: float, green: float) -> Tensor:
        colours = np.stack([spread * (np.arange(200) % 2 * 2 - 1), np.full(200, green), np.zeros(200)], axis=1)
        made: Tensor = torch.from_numpy(np.repeat(colours[:, :, None], 16, axis=2).reshape(200, 3, 4, 4))
        return made

    def colour(images: Tensor) -> Tensor:
        return images.mean((2, 3))

    unbiased = 200 / 199
    expected = 0.25 + unbiased * (0.2 - 0.1) ** 2
    assert picture_distance(pictures(0.2, 0), pictures(0.1, 0.5), colour) == pytest.approx(expected, rel=1e-9)
    seen = features_of(pictures(0.2, 0), colour, batch=7)
    assert seen.shape == (200, 3)
    np.testing.assert_allclose(seen, colour(pictures(0.2, 0)).numpy())
