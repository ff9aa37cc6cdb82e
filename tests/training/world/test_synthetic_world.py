"""People whose voices and faces are both made."""

import json
import operator
from dataclasses import replace

import numpy as np
import pytest

from tests.stand_ins.small_worlds import HEAD, ONE, POPULATION, TINY, synthetic
from voxface.runtime.errors import ProviderError, UsageError
from voxface.training.data.pairs import Pairs
from voxface.training.data.parallel_map import Processes, parallel_map
from voxface.training.world.paired import PairedConfig
from voxface.training.world.pictures import PersonRenderer, PictureConfig
from voxface.training.world.synthetic import SyntheticConfig
from voxface.training.world.voice_face_distribution import SYNTHETIC_NORMS, VoiceFaceDistribution, strong_coupling


@pytest.fixture(scope="module")
def made() -> Pairs:
    pytest.importorskip("open3d")
    return synthetic()


def equal(one: Pairs, other: Pairs, people: int) -> None:
    """The first people of both are the same."""
    assert one.people[:people] == other.people[:people]
    np.testing.assert_array_equal(one.coefficients[:people], other.coefficients[:people])
    np.testing.assert_array_equal(one.expected[:people], other.expected[:people])
    np.testing.assert_array_equal(one.cues[:people], other.cues[:people])
    for i in range(people):
        for a, b in zip(one.utterances[i], other.utterances[i], strict=True):
            np.testing.assert_array_equal(one.utterance(int(a)), other.utterance(int(b)))
        np.testing.assert_array_equal(one.pictures[one.pictures_of[i]], other.pictures[other.pictures_of[i]])


def test_synthetic_world(made: Pairs) -> None:
    assert made.kind == "synthetic"
    assert [person.sex for person in made.people] == ["F", "M", "F", "M"]
    assert [person.split for person in made.people] == ["train", "train", "test", "test"]
    assert "no real person" in made.about["about"]
    json.dumps(made.about, allow_nan=False)
    assert made.provenance(made.split("train")) == f"2 speakers: synthetic voices and faces of {HEAD.name}"
    assert made.pictures.shape == (8, 16, 16, 3)
    assert len({picture.tobytes() for picture in made.pictures[:]}) == 8
    assert made.utterance_clean.tolist() == [True, False] * 8
    assert made.utterance_recording.tolist() == [k // 2 for k in range(16)]
    assert len({made.utterance(u).tobytes() for u in range(16)}) == 16
    distribution = VoiceFaceDistribution.from_population(HEAD, POPULATION, strong_coupling(0.9), SYNTHETIC_NORMS)
    for i, person in enumerate(made.people):
        f0, tract = map(float, made.cues[i])
        np.testing.assert_allclose(made.expected[i], distribution.expected(person.sex, f0, tract), atol=1e-5)
        assert (made.coefficients[i] != made.expected[i]).all()


def test_person_i_is_the_same_whatever_the_count(made: Pairs) -> None:
    equal(synthetic(replace(TINY, people=5)), made, 4)
    fewer = synthetic(replace(TINY, people=2, utterances=1, pictures=ONE, variants=0))
    np.testing.assert_array_equal(fewer.coefficients, made.coefficients[:2])
    np.testing.assert_array_equal(fewer.utterance(1), made.utterance(4))
    np.testing.assert_array_equal(fewer.pictures[1], made.pictures[2])


def test_another_seed_makes_other_people(made: Pairs) -> None:
    other = synthetic(replace(TINY, people=2, seed=1))
    assert (other.coefficients != made.coefficients[:2]).all()
    assert not np.array_equal(other.utterance(0), made.utterance(0))


def test_pictures_of_another_size_show_the_same_in_the_same_light() -> None:
    """Colours, light and background come from the seed, and neither from the size nor from the face."""
    pytest.importorskip("open3d")
    faces = [POPULATION.mean[sex] for sex in (0, 1)]
    small, large = (PersonRenderer.from_model(HEAD, PictureConfig(each=2, size=size)) for size in (64, 128))
    shown = [[renderer.render(face, (7, 1)) for face in faces] for renderer in (small, large)]
    assert [pictures[0].shape for pictures in shown] == [(2, 64, 64, 3), (2, 128, 128, 3)]
    for one, other in zip(*shown, strict=True):
        halved = other.reshape(2, 64, 2, 64, 2, 3).mean((2, 4))
        assert np.abs(halved - one).mean() < 3
    for pictures in shown:
        woman, man = pictures
        assert (woman != man).any()
        np.testing.assert_array_equal(woman[:, :4, :4], man[:, :4, :4])  # beside the head
        assert (woman[0, 0, 0] != woman[1, 0, 0]).any()


@pytest.mark.slow
def test_processes_make_the_same_people(made: Pairs) -> None:
    equal(synthetic(engine=Processes(2)), made, 4)


def test_results_of_processes_come_in_order() -> None:
    assert list(parallel_map(operator.sub, 10, range(7), workers=2)) == [10, 9, 8, 7, 6, 5, 4]
    with pytest.raises(ZeroDivisionError):
        list(parallel_map(operator.floordiv, 1, [1, 0], workers=2))


def test_a_process_that_dies_is_named() -> None:
    import os

    with pytest.raises(ProviderError, match="--workers 1"):
        list(parallel_map(_die, os.getpid(), [1, 2], workers=2))


def _die(_: int, code: int) -> None:
    import os

    os._exit(code)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"people": 1}, "at least 2"),
        ({"utterances": 0}, "0 utterances"),
        ({"seconds": float("nan")}, "1 to 60"),
        ({"coupling": 1.1}, "0 to 1"),
        ({"variants": -1}, "not negative"),
        ({"seed": -1}, "not negative"),
    ],
)
def test_worlds_that_cannot_be(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SyntheticConfig(**{"people": 4, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"speeds": ()}, {"speeds": (1.0, 1.0)}, {"speeds": (0.1,)}, {"variants": -1}, {"seed": -1}]
)
def test_paired_worlds_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        PairedConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        PictureConfig(each=0)


def test_a_model_without_open3d_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "open3d", None)
    with pytest.raises(ProviderError, match="Open3D"):
        synthetic()
