"""Errors in task units, worked out by hand."""

import math

import numpy as np
import pytest

from tests.stand_ins.sphere import sphere
from voxface.calibration.task_error import TOLERANCES, GraphOutputs, TaskError, Tolerances, as_json, summary, worst
from voxface.runtime.errors import UsageError

RIGHT = GraphOutputs(np.array([1, 0], np.float32), np.zeros((3, 4, 4), np.float32), np.zeros(2, np.float32))


def test_equal_answers() -> None:
    error = TaskError.between(RIGHT, RIGHT, sphere())
    assert error == TaskError(1.0, 0.0, 150.0, 0.0, 0.0, 0.0)
    assert error.share(TOLERANCES["fp16"]) < 1e-4


def test_known_differences() -> None:
    answer = GraphOutputs(
        np.array([0.6, 0.8], np.float32), np.full((3, 4, 4), 0.02, np.float32), np.array([0, 0.5], np.float32)
    )
    error = TaskError.between(answer, RIGHT, sphere())
    assert error.cosine == pytest.approx(0.6)
    assert error.psnr_db == pytest.approx(40, abs=1e-4)  # 0.02 of a range of 2
    assert error.image_mae == pytest.approx(2.55)
    assert error.vertex_max_mm == pytest.approx(1)  # the second mode moves the poles by 2 mm
    assert 0 < error.vertex_rms_mm < 1
    assert error.share(Tolerances(0.5, 30, 4)) == pytest.approx(0.8)
    assert error.share(Tolerances(0.1, 20, 0.5)) == pytest.approx(2)
    assert error.share(Tolerances(0.1, 46.0206, 100)) == pytest.approx(2)


def test_an_embedding_is_to_have_unit_length() -> None:
    """Its cosine does not say so, but who multiplies two embeddings relies on it."""
    longer = GraphOutputs(np.array([1.0002, 0], np.float32), RIGHT.image, RIGHT.coefficients)
    error = TaskError.between(longer, RIGHT, sphere())
    assert error.cosine == pytest.approx(1)
    assert error.share(TOLERANCES["int8"]) == pytest.approx(2, rel=0.01)
    nothing = GraphOutputs(np.zeros(2, np.float32), RIGHT.image, RIGHT.coefficients)
    assert TaskError.between(nothing, RIGHT, sphere()).share(TOLERANCES["int8"]) == math.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_overflow_is_infinitely_bad_and_still_json(bad: float) -> None:
    broken = [
        GraphOutputs(np.array([bad, 0], np.float32), RIGHT.image, RIGHT.coefficients),
        GraphOutputs(RIGHT.embedding, RIGHT.image, np.array([bad, 0], np.float32)),
        GraphOutputs(RIGHT.embedding, np.full((3, 4, 4), np.nan, np.float32), RIGHT.coefficients),
    ]
    for answer in broken:
        error = TaskError.between(answer, RIGHT, sphere())
        assert error.share(TOLERANCES["int8"]) == math.inf
        both = worst([TaskError.between(RIGHT, RIGHT, sphere()), error])
        assert both.share(TOLERANCES["int8"]) == math.inf, "one bad clip is enough, wherever it stands"
        assert None in as_json(error).values()
        assert summary([error])["clips"] == 1


@pytest.mark.parametrize(
    "wrong", [(0, 40, 1), (1, 40, 1), (0.9, -3, 1), (0.9, 500, 1), (0.9, 40, 0), (0.9, 40, math.inf)]
)
def test_tolerances_that_cannot_be(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="cannot be asked for"):
        Tolerances(*wrong)
