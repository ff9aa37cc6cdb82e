"""The judge of generated pictures."""

import copy
import weakref
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor  # noqa: E402

from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.training.data.differentiable_augmentation import augment  # noqa: E402
from voxface.training.data.images import as_images, as_pictures  # noqa: E402
from voxface.training.data.pairs import Pairs  # noqa: E402
from voxface.training.data.voice_face_sampler import held_out_recordings  # noqa: E402
from voxface.training.evaluation.pictures import generated_faces, picture_judge  # noqa: E402
from voxface.training.evaluation.pictures.generated_faces import FaceTest  # noqa: E402
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig, PictureJudge  # noqa: E402
from voxface.training.models import VoiceEncoder  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402
from voxface.training.trainers.face_gan import (  # noqa: E402
    PRESETS,
)

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


TINY_JUDGE = JudgeConfig(channels=(4, 4, 4, 4, 4), embedding=2, steps=2, batch=4, seed=varied())


def coloured() -> Pairs:
    """Eight people whose colours are far apart; those of `small_pairs` follow the face and may be almost the same."""
    pairs = small_pairs(people=8, seed=3)
    colours = np.array(list(product((68, 188), repeat=3)))[pairs.picture_person]
    noise = np.random.default_rng(varied(3)).normal(0, 12, pairs.pictures.shape)
    return replace(pairs, pictures=np.clip(colours[:, None, None] + noise, 0, 255).astype(np.uint8), digest="coloured")


@pytest.fixture(scope="module")
def judge() -> PictureJudge:
    """Has learnt to tell the colours of four people, and is sure of them."""
    torch.set_num_threads(1)
    return PictureJudge.train(
        coloured(),
        JudgeConfig(
            channels=(4, 4, 8, 8, 8), embedding=4, steps=120, batch=8, rate=5e-3, augmentations=(), seed=varied()
        ),
    )


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return small_pairs()


@pytest.fixture
def encoder() -> VoiceEncoder:
    torch.manual_seed(varied(5))
    return VoiceEncoder(channels=(8, 8, 8, 8), embedding=6)


@pytest.mark.learns
def test_the_judge_knows_people_from_pictures_it_has_not_seen(judge: PictureJudge) -> None:
    pairs = coloured()
    assert judge.people.tolist() == pairs.split("train").tolist()
    # One of two pictures of each is put aside; validation people's are all unknown.
    assert np.bincount(pairs.picture_person[judge.aside], minlength=8).tolist() == [1] * 4 + [0] * 4
    assert len(judge.unseen(pairs)) == 4 + 2 * 2
    assert judge.report["identity_top1"] >= 0.75
    assert judge.report["chance"] == {"identity_top1": 1 / 4, "identity_top5": 1.0, "sex": 0.5}


def test_the_judge_leaves_the_randomness_of_the_training_alone(pairs: Pairs) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    PictureJudge.train(pairs, TINY_JUDGE)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.learns
def test_metrics_of_a_generator_that_shows_the_right_pictures(judge: PictureJudge, encoder: VoiceEncoder) -> None:
    pairs = coloured()
    test = FaceTest.from_pairs(
        pairs, Frozen(encoder), judge, held_out_recordings(pairs, pairs.split("train")), each=3, length=(40, 90)
    )
    assert test.fresh == 1.0
    assert np.bincount(test.person, minlength=6).tolist() == [3] * 6
    assert test.person[test.opposite].tolist() == pairs.picture_person[judge.unseen(pairs)].tolist()
    truth = as_images(torch.from_numpy(pairs.pictures[np.array([pairs.pictures_of[int(i)][0] for i in test.person])]))
    wrong = truth.roll(len(truth) // 2, 0)

    def showing(images: Tensor) -> Any:
        def generator(embedding: Tensor) -> Tensor:
            same = torch.cdist(embedding, test.embedding).argmin(1)
            return images[same]

        return generator

    right, false = test.measure(showing(truth)), test.measure(showing(wrong))
    assert right["identity_top1"] == float((judge.person(truth[test.known])[:, 0] == test.person[test.known]).mean())
    assert right["identity_top1"] > false["identity_top1"]
    assert right["sex_unknown_people"] == float(
        (judge.sexes_by(judge.features(truth[~test.known])) == pairs.sexes[test.person[~test.known]]).mean()
    )
    trivial = test.trivial()
    assert right["frechet"] < trivial["frechet_mean_picture"]
    assert trivial["identity_top1_chance"] == 1 / 4


def test_pictures_are_made_and_judged_batch_by_batch(
    judge: PictureJudge, encoder: VoiceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = coloured()
    held = held_out_recordings(pairs, pairs.split("train"))
    test = FaceTest.from_pairs(pairs, Frozen(encoder), judge, held, each=3, length=(40, 90))
    made: list[weakref.ref[Tensor]] = []

    def generator(embedding: Tensor) -> Tensor:
        assert sum(images() is not None for images in made) <= 1, "pictures of batches before are still in memory"
        images = embedding[:, :3, None, None].expand(-1, -1, 64, 64).clone()
        made.append(weakref.ref(images))
        return images

    together = test.measure(generator), test.trivial()
    assert len(made) == 1
    for module in (generated_faces, picture_judge):
        monkeypatch.setattr(module, "BATCH", 4)
    in_parts = replace(test).measure(generator), replace(test).trivial()
    assert len(made) == 1 + -(-len(test.person) // 4)
    for a, b in zip(together, in_parts, strict=True):
        known = [name for name, value in a.items() if value is not None]
        assert len(known) >= 5
        assert [b[name] for name in known] == pytest.approx([a[name] for name in known], rel=1e-4)


def test_pictures_and_images_there_and_back(rng: np.random.Generator) -> None:
    pictures = rng.integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    images = as_images(torch.from_numpy(pictures), torch.tensor([False, True]))
    assert float(images[0, 1, 2, 3]) == pytest.approx((pictures[0, 2, 3, 1] - 127.5) / 127.5)
    assert float(images[1, 1, 2, 3]) == pytest.approx((pictures[1, 2, 0, 1] - 127.5) / 127.5)
    np.testing.assert_array_equal(as_pictures(images)[0], pictures[0])
    np.testing.assert_array_equal(as_pictures(images)[1], pictures[1, :, ::-1])
    assert as_pictures(torch.full((1, 3, 1, 1), 7.0)).max() == 255


def test_no_change_where_nothing_is_asked_for() -> None:
    images = torch.rand(2, 3, 8, 8)
    assert augment(images, ()) is images
    assert copy.deepcopy(PRESETS["modern"]) == PRESETS["modern"]
