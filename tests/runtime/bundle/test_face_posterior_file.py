"""The file of the face posterior: to the bit, mapped to other faces, damaged and hostile."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.face_posterior import default_weights, with_posterior
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR, read_face_posterior, write_face_posterior
from voxface.runtime.bundle.manifest import FacePosteriorEntry
from voxface.runtime.config.face_posterior import LARGEST, MOST_ROWS, FacePosteriorWeights
from voxface.runtime.errors import BundleError

NAMES = ("unexplained", "population", "errors", "error_sex", "error_speaker")


def archive(**changes: Any) -> bytes:
    """The default weights as an archive, some arrays changed or, with None, left out."""
    arrays = {name: getattr(default_weights(), name) for name in NAMES} | changes
    buffer = io.BytesIO()
    np.savez(buffer, **{name: array for name, array in arrays.items() if array is not None})
    return buffer.getvalue()


def edited(name: str, value: float) -> np.ndarray:
    array = getattr(default_weights(), name).copy()
    array.reshape(-1)[3] = value
    return array


def signalling(name: str) -> np.ndarray:
    """In double precision with a signalling NaN, about which numpy warns when it is made narrower."""
    array = getattr(default_weights(), name).astype(np.float64)
    array.view(np.uint64).reshape(-1)[3] = 0x7FF0_0000_0000_0001
    return array


def announced(shape: tuple[int, ...]) -> bytes:
    """An archive whose first array says it is of this shape and has no numbers."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        z.writestr("unexplained.npy", header.getvalue())
    return buffer.getvalue()


DAMAGED: list[tuple[Callable[[], bytes], str]] = [
    (lambda: archive(unexplained=edited("unexplained", np.nan)), "unexplained holds NaN or infinity"),
    (lambda: archive(population=edited("population", np.inf)), "population holds NaN or infinity"),
    (lambda: archive(errors=signalling("errors")), "errors holds NaN or infinity"),
    (lambda: archive(errors=np.full((8, 40), 1e300)), "errors holds NaN or infinity"),
    (lambda: archive(errors=edited("errors", 2 * LARGEST)), "errors holds NaN or infinity, or numbers beyond"),
    (lambda: archive(unexplained=np.zeros((2, 3), np.float32)), r"unexplained has shape \[2, 3\]"),
    (lambda: archive(unexplained=np.zeros((3, 4, 40), np.float32)), r"unexplained has shape \[3, 4, 40\]"),
    (lambda: archive(unexplained=np.zeros((2, 0, 40), np.float32)), r"unexplained has shape \[2, 0, 40\]"),
    (lambda: archive(unexplained=np.zeros((2, MOST_ROWS + 1, 40), np.float16)), "unexplained has shape"),
    (lambda: archive(population=np.zeros((2, 40, 39), np.float32)), r"population has shape \[2, 40, 39\]"),
    (lambda: archive(errors=np.zeros((8, 39), np.float32)), r"errors has shape \[8, 39\]"),
    (lambda: archive(errors=np.zeros((70_000, 40), np.float16)), "errors has shape"),
    (lambda: archive(error_sex=np.full(8, 2)), "error_sex holds other numbers than 0 and 1"),
    (lambda: archive(error_sex=np.full(8, 256)), "error_sex holds other numbers than 0 and 1"),
    (lambda: archive(error_sex=np.zeros(7, np.uint8)), "error_sex is not 8 whole numbers"),
    (lambda: archive(error_speaker=np.full(8, 8)), "error_speaker is not 8 whole numbers from 0 to 7"),
    (lambda: archive(error_speaker=np.full(8, -1)), "error_speaker is not 8 whole numbers from 0 to 7"),
    (lambda: archive(error_speaker=np.full(8, 1 << 40)), "error_speaker"),
    (lambda: archive(error_speaker=np.zeros(8)), "error_speaker holds float64"),
    (lambda: archive(unexplained=np.array(["a"])), "unexplained holds <U1"),
    (lambda: archive(errors=None), "not a face posterior"),
    (lambda: archive(errors=np.array([object()])), "not a face posterior"),
    (lambda: announced((2, 10**9, 40)), "not a face posterior"),
    (lambda: b"no archive", "no zip archive"),
    (lambda: archive()[:3000], "not a face posterior"),
    (lambda: b"", "not a face posterior"),
]


@pytest.mark.filterwarnings("error")  # numpy says nothing beside our one line
@pytest.mark.parametrize(("data", "reason"), DAMAGED)
def test_damage_is_named(data: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        read_face_posterior(data())


def test_a_damaged_part_is_exit_code_6(
    default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "damaged.voxface"
    with_posterior(default_bundle, archive(unexplained=edited("unexplained", np.nan))).write(path)
    draw = ("run", SAMPLES[0], "--bundle", path, "--out", tmp_path / "out", "--samples", 1)
    for words in (("bundle", "verify", path), draw):
        assert run(*words) == 6
        assert f"{path}: {FACE_POSTERIOR}: not a face posterior: unexplained holds NaN" in capsys.readouterr().err
    assert not (tmp_path / "out" / SAMPLES[0].stem).exists()
    assert run("doctor", "--bundle", path, "--json") == 5
    assert "unexplained holds NaN" in json.loads(capsys.readouterr().out)["bundle"]["why"]


def test_of_other_faces_it_is_exit_code_6(
    default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fewer = default_weights().mapped(np.eye(40)[:39])
    path = with_posterior(default_bundle, write_face_posterior(fewer)).write(tmp_path / "fewer").path
    draw = ("run", SAMPLES[0], "--bundle", path, "--out", tmp_path / "out", "--samples", 1)
    for words in (("bundle", "verify", path), draw):
        assert run(*words) == 6
        assert "of 39 identity coefficients, the morphable model has 40" in capsys.readouterr().err


def test_a_file_that_is_not_listed(default_bundle: Bundle, tmp_path: Path) -> None:
    entry = FacePosteriorEntry(file="none.npz")
    with pytest.raises(BundleError, match="it lists no file for face_posterior"):
        default_bundle.replacing(face_posterior=entry).write(tmp_path / "none.voxface")


def test_it_survives_its_file(default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = default_weights()
    data = write_face_posterior(weights)
    assert data == write_face_posterior(weights)
    once = read_face_posterior(data)
    assert write_face_posterior(once) == data
    for name in NAMES:
        np.testing.assert_allclose(getattr(once, name), getattr(weights, name), rtol=1e-3, atol=1e-7)
    bundle = with_posterior(default_bundle).write(tmp_path / "with.voxface")
    assert "face_posterior" not in bundle.missing_parts
    assert bundle.face_posterior is not None
    assert bundle.face_posterior.data == data
    assert run("bundle", "verify", bundle.path) == 0
    assert run("bundle", "info", bundle.path) == 0
    assert "  uncertainty  " in capsys.readouterr().out


def test_mapped_it_is_the_covariance_of_the_mapped_coefficients() -> None:
    weights = default_weights()
    matrix = np.random.default_rng(0).normal(size=(7, weights.modes)).astype(np.float32)
    mapped = weights.mapped(matrix)
    assert mapped.modes == 7
    for sex in (0, 1):
        before, after = (each.unexplained[sex].astype(np.float64) for each in (weights, mapped))
        np.testing.assert_allclose(after.T @ after, matrix @ (before.T @ before) @ matrix.T, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="beyond"):
        weights.mapped(1e6 * matrix)


def test_no_errors_is_a_posterior_too() -> None:
    exact = replace(
        default_weights(),
        errors=np.zeros((0, 40), np.float32),
        error_sex=np.zeros(0, np.uint8),
        error_speaker=np.zeros(0, np.int64),
    )
    assert isinstance(read_face_posterior(write_face_posterior(exact)), FacePosteriorWeights)
