"""Mean faces, linear maps of cues and the cascade, on data whose answer is known."""

import dataclasses

import numpy as np
import pytest

from tests.stand_ins.small_pairs import small_pairs
from voxface.runtime.errors import InputError
from voxface.training.evaluation.baselines.linear_cues import LinearCues, ridge
from voxface.training.evaluation.baselines.linear_embedding import PENALTIES, LinearEmbedding
from voxface.training.evaluation.baselines.mean_faces import LinearSexClassifier, MeanFaces


def test_mean_faces_by_hand() -> None:
    pairs = small_pairs(6)
    coefficients = np.array([[1, 0], [5, 1], [3, 0], [7, 3], [9, 9], [9, 9]], np.float32)  # F M F M F M
    pairs = dataclasses.replace(pairs, coefficients=coefficients)
    means = MeanFaces.from_pairs(pairs, np.array([0, 1, 2, 3]))
    assert means.by_sex == pytest.approx(np.array([[2, 0], [6, 2]]))
    assert means.everybody == pytest.approx([4, 1])
    assert means.of_everybody(2) == pytest.approx(np.array([[4, 1], [4, 1]]))
    assert means.of_sexes(np.array([1, 0, 1])) == pytest.approx(np.array([[6, 2], [2, 0], [6, 2]]))
    # Three women and one man: the mean face of all still counts the sexes alike.
    assert MeanFaces.from_pairs(pairs, np.array([0, 2, 4, 3])).everybody == pytest.approx(
        (coefficients[[0, 2, 4]].mean(0) + coefficients[3]) / 2
    )
    with pytest.raises(ValueError, match="both sexes"):
        MeanFaces.from_pairs(pairs, np.array([0, 2]))


def test_sex_is_heard_from_the_embedding() -> None:
    rng = np.random.default_rng(0)
    sexes = np.arange(60) % 2
    embeddings = rng.normal(0, 0.3, (60, 8)).astype(np.float32)
    embeddings[:, 3] += 2 * sexes - 0.4  # not centred: the constant is needed
    heard = LinearSexClassifier.fit(embeddings[:40], sexes[:40])
    assert (heard(embeddings[40:]) == sexes[40:]).mean() >= 0.95


def test_ridge_solves_its_own_problem() -> None:
    rng = np.random.default_rng(1)
    x, y = np.concatenate([rng.normal(size=(30, 3)), np.ones((30, 1))], axis=1), rng.normal(size=(30, 2))
    penalty = 0.3
    found = ridge(x, y, penalty)

    def cost(w: np.ndarray) -> float:
        return float(np.square(x @ w - y).sum(1).mean() + penalty * np.square(w[:-1]).sum())

    for k in range(4):
        for sign in (-1, 1):
            moved = found.copy()
            moved[k, 0] += sign * 1e-3
            assert cost(moved) > cost(found)
    # A constant far from zero is found whatever the penalty.
    assert ridge(x, y + 100, 1e6)[-1] == pytest.approx(y.mean(0) + 100, rel=1e-3)


def test_linear_cues_find_a_log_linear_world_and_fill_what_is_missing() -> None:
    rng = np.random.default_rng(2)
    pairs = small_pairs(40)
    sexes = pairs.sexes
    f0, tract = 120 * 2 ** rng.normal(0, 0.2, 40), 16 * 2 ** rng.normal(0, 0.1, 40)
    truth = np.stack([3 * np.log(f0) - 2 * np.log(tract), 1 + 0.5 * sexes + np.log(tract)], axis=1)
    pairs = dataclasses.replace(
        pairs,
        cues=np.stack([f0, tract], axis=1).astype(np.float32),
        coefficients=truth.astype(np.float32),
    )
    fit = LinearCues.fit(pairs, np.arange(30, dtype=np.int32), penalty=1e-9)
    assert fit(pairs.cues[30:], sexes[30:]) == pytest.approx(truth[30:], abs=1e-2)

    # People without cues take no part in the fit, and are given the mean of what is missing.
    cues = pairs.cues.copy()
    cues[:5, 0] = np.nan
    holes = dataclasses.replace(pairs, cues=cues)
    with_holes = LinearCues.fit(holes, np.arange(30, dtype=np.int32), penalty=1e-9)
    assert with_holes.weights == pytest.approx(
        LinearCues.fit(pairs, np.arange(5, 30, dtype=np.int32), penalty=1e-9).weights
    )
    typical = np.exp(with_holes.mean[:2]).astype(np.float32)
    missing, known = np.array([[np.nan, 16]], np.float32), np.array([[typical[0], 16]], np.float32)
    assert with_holes(missing, np.array([0])) == pytest.approx(with_holes(known, np.array([0])), abs=1e-4)
    with pytest.raises(InputError, match="known of 0 people"):
        LinearCues.fit(dataclasses.replace(pairs, cues=np.full_like(cues, np.nan)), np.arange(30, dtype=np.int32))


@pytest.mark.train
def test_the_cascade_shows_the_expert_what_a_person_would_see() -> None:
    torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
    from torch import Tensor, nn

    from voxface.training.evaluation.baselines.cascade import Cascade
    from voxface.training.models.experts.expert import Expert, Geometry

    class Bright(nn.Module):
        def forward(self, embedding: Tensor) -> Tensor:
            return 3 * embedding[:, :3, None, None].expand(-1, 3, 4, 4)

    class Colours(Expert):
        coefficients = 3

        def forward(self, images: Tensor) -> Geometry:
            colour = images.mean((2, 3))
            return Geometry(colour, colour, colour, colour)

    embedding = torch.tensor([[0.2, 0.9, -0.9, 0.5]])
    assert Cascade(Bright(), Colours())(embedding)[0].tolist() == pytest.approx([0.6, 1.0, -1.0])


def test_a_linear_map_of_embeddings_finds_a_linear_world_and_its_penalty() -> None:
    rng = np.random.default_rng(3)
    heard = rng.normal(5, 0.1, (300, 6)).astype(np.float32)
    weights = rng.normal(size=(6, 2))
    clean = ((heard - 5) @ weights * 10 + [7, -3]).astype(np.float32)
    fit = LinearEmbedding.fit(heard[:200], clean[:200], (heard[200:], clean[200:]))
    assert fit.penalty == min(PENALTIES)
    assert fit(heard[200:]) == pytest.approx(clean[200:], abs=0.05)
    # Where embeddings tell nothing, the heaviest penalty is best, and all get nearly the mean.
    noise = rng.normal([7, -3], 1, (300, 2)).astype(np.float32)
    none = LinearEmbedding.fit(heard[:30], noise[:30], (heard[200:], noise[200:]))
    assert none.penalty == max(PENALTIES)
    assert none(heard[200:]) == pytest.approx(np.broadcast_to(noise[:30].mean(0), (100, 2)), abs=0.3)
    assert LinearEmbedding.fit(heard[:200], clean[:200]).penalty == 0.1


def test_the_penalty_is_chosen_by_the_distance_of_faces() -> None:
    rng = np.random.default_rng(4)
    heard = rng.normal(size=(200, 4)).astype(np.float32)
    # The first coefficient follows the voice, the second is loud noise that moves no vertex.
    true = np.stack([heard[:, 0], rng.normal(0, 30, 200)], axis=1).astype(np.float32)
    validation = (heard[20:], true[20:])
    assert LinearEmbedding.fit(heard[:20], true[:20], validation).penalty > 1e-3
    seen = LinearEmbedding.fit(heard[:20], true[:20], validation, lambda off: off[:, :1].astype(np.float64))
    assert seen.penalty == 1e-3
