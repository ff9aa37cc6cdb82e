"""Heads that age: the part of a morphable model's file, old files without it, and damaged ones."""

import io
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.stand_ins.small_head import small_head
from voxface.runtime.errors import BundleError
from voxface.runtime.face.ageing import Ageing
from voxface.runtime.face.morphable_model import MorphableModel


@pytest.fixture(scope="module")
def old() -> MorphableModel:
    return small_head()


@pytest.fixture(scope="module")
def model(old: MorphableModel) -> MorphableModel:
    moves = np.random.default_rng(0).normal(size=(2, *old.mean.shape)).astype(np.float32)
    return replace(old, ageing=Ageing(moves, 31.5))


def test_decades_pass_from_the_mean_age(model: MorphableModel) -> None:
    ageing = model.ageing
    assert ageing is not None
    np.testing.assert_allclose(ageing.decades(51.5, 0.25), [0.5, 1.5])
    np.testing.assert_allclose(ageing.decades(31.5, 1.0), 0)
    np.testing.assert_allclose(ageing.decades(500.0, 0.0), ageing.decades(80.0, 0.0))
    np.testing.assert_allclose(ageing.decades(1.0, 1.0), ageing.decades(20.0, 1.0))


def test_measurements_are_those_of_the_aged_mesh(model: MorphableModel, old: MorphableModel) -> None:
    assert model.ageing is not None
    coefficients = np.linspace(-1, 1, model.modes).astype(np.float32)
    decades = model.ageing.decades(60.0, 0.3)
    vertices = model.vertices(coefficients, decades)
    expected = old.vertices(coefficients) + np.tensordot(decades, model.ageing.per_decade, axes=1)
    np.testing.assert_allclose(vertices, expected, atol=1e-4)
    assert model.measurements_of(coefficients, decades) == pytest.approx(model.measure(vertices), abs=1e-3)
    assert model.measurements_of(coefficients) == old.measurements_of(coefficients)
    np.testing.assert_array_equal(model.vertices(coefficients), old.vertices(coefficients))
    step = np.eye(model.modes, dtype=np.float32)[0] * 1e-2
    slope = (
        model.measure(model.vertices(coefficients + step, decades))["face_length"]
        - model.measure(vertices)["face_length"]
    ) / 1e-2
    assert model.measurement_slopes(coefficients, decades)[0, 0] == pytest.approx(slope, abs=0.05)


def test_ageing_is_stored_and_old_files_are_as_before(model: MorphableModel, old: MorphableModel) -> None:
    again = MorphableModel.from_bytes(model.to_bytes())
    assert again.ageing is not None
    assert model.ageing is not None
    assert again.ageing.mean_age == 31.5
    np.testing.assert_allclose(again.ageing.per_decade, model.ageing.per_decade, atol=2e-3)
    assert MorphableModel.from_bytes(old.to_bytes()).ageing is None
    with zipfile.ZipFile(io.BytesIO(old.to_bytes())) as archive:
        assert "ageing.npy" not in archive.namelist()
        assert b"mean_age" not in archive.read("metadata.npy")


def damaged(model: MorphableModel, ageing: Any, metadata: tuple[bytes, bytes] = (b"", b"")) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(model.to_bytes())) as archive, zipfile.ZipFile(out, "w") as made:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "ageing.npy" and ageing is not None:
                entry = io.BytesIO()
                np.save(entry, ageing)
                data = entry.getvalue()
            if name == "metadata.npy" and metadata[0]:
                assert len(metadata[0]) == len(metadata[1])
                assert metadata[0] in data
                data = data.replace(*metadata)
            made.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("ageing", "reason"),
    [
        (np.full((2, 1682, 3), np.nan, np.float32), "holds NaN or infinity"),
        (np.full((2, 1682, 3), 101.0, np.float32), "beyond ±100 mm in ten years"),
        (np.full((2, 1682, 3), 1e300), "holds NaN or infinity"),
        (np.zeros((2, 9, 3), np.float32), r"ageing has shape \[2, 9, 3\], not \[2, 1682, 3\]"),
        (np.zeros((1682, 3), np.float32), "ageing has shape"),
        (np.zeros((2, 0, 3), np.float32), "ageing has shape"),
        (np.zeros((2, 1682, 3), "S3"), "no real numbers"),
    ],
)
def test_damaged_displacements_are_refused(model: MorphableModel, ageing: Any, reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        MorphableModel.from_bytes(damaged(model, ageing))


@pytest.mark.parametrize("age", [b"9e99", b"-1.5", b"null", b" NaN"])
def test_a_damaged_mean_age_is_refused(model: MorphableModel, age: bytes) -> None:
    with pytest.raises(BundleError, match="not a morphable model"):
        MorphableModel.from_bytes(damaged(model, None, (b"31.5", age)))
    with pytest.raises(BundleError, match="mean_age"):
        MorphableModel.from_bytes(damaged(model, None, (b"mean_age", b"mean_axe")))
