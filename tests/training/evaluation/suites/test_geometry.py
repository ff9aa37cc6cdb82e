"""Suite `geometry`: truth has no error, labels dealt out anew are chance, and numbers say whether the paper's order holds."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("matplotlib", reason="matplotlib comes with voxface[eval]")

import torch
from torch import nn

from tests.stand_ins.head_pairs import head_pairs
from tests.stand_ins.small_bundle import small_bundle
from tests.stand_ins.small_pairs import small_pairs
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.png import png
from voxface.training.data.pairs import Pairs
from voxface.training.engine.trained_networks import save_networks
from voxface.training.evaluation.geometry.geometry_methods import read_by
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.predictions import Predictions
from voxface.training.evaluation.result import SuiteResult, Table
from voxface.training.evaluation.subject import BundleSubject
from voxface.training.evaluation.suites.geometry import run
from voxface.training.models.experts.own import ImageToFace

pytestmark = pytest.mark.train


def table(found: SuiteResult, name: str) -> Table:
    return next(one for one in found.tables if one.name == name)


def value(found: SuiteResult, of: str, method: str, column: str) -> float:
    row = next(row for row in table(found, of).rows if row.method == method)
    return row.values[column].value


def written(folder: Path, pairs: Pairs, order: list[int]) -> Predictions:
    """The true face of person order[k] in place of that of the k-th test person."""
    folder.mkdir()
    for i, other in zip(pairs.split("test"), order, strict=True):
        np.save(folder / f"{pairs.people[int(i)].name}.npy", pairs.coefficients[other])
    return Predictions.read(folder, pairs, "theirs")


def test_the_truth_has_no_error(tmp_path: Path) -> None:
    pairs = head_pairs(32, expression=1)
    test = [int(i) for i in pairs.split("test")]
    found = run(Inputs(tmp_path, given_pairs=pairs, predictions=written(tmp_path / "in", pairs, test)))
    for name in ("ratios", "points", "regions", "measurements", "measurements-women", "measurements-men", "within-sex"):
        row = table(found, name).rows[0]
        assert row.method == "theirs"
        for column, number in row.values.items():
            wanted = 1 if column.startswith("gain") else 0
            assert number.value == pytest.approx(wanted, abs=2e-4), (name, column)
    for number in table(found, "within-sex-correlation").rows[0].values.values():
        assert number.value == pytest.approx(1, abs=1e-4)
    trivial = next(row for row in table(found, "ratios").rows if row.method == "mean face")
    assert trivial.kind == "trivial"
    assert trivial.values["mean"].value > 0.005
    published = {row.method: row for row in table(found, "ratios").rows if row.kind == "published"}
    assert published["CMP, supervised; Wu et al. 2022, Table 1"].values["ER"].value == 0.0152
    assert len(published) == 4
    assert found.per_person["are"].values.keys() == {pairs.people[i].speaker for i in test}
    assert found.figures["geometry-ratios.png"].startswith(b"\x89PNG")
    assert found.figures["geometry-within-sex.png"].startswith(b"\x89PNG")
    assert any("--expert" in line or "makes no pictures" in line for line in found.missing)
    assert any("--beside" in line for line in found.missing)  # nobody hears the sex
    assert "cannot be said" in found.statements[0]
    assert "closer in 3 of 3" in found.statements[1]
    # What stands in the JSON is what was found.
    assert SuiteResult.from_json(found.to_json()).to_json() == {**found.to_json(), "figures": []}


def test_faces_dealt_out_anew_are_chance(tmp_path: Path) -> None:
    pairs = head_pairs(64)
    test = pairs.split("test")
    dealt = []
    for sex in (0, 1):  # everybody has the face of somebody else of the sex
        own = [int(i) for i in test if pairs.sexes[i] == sex]
        dealt += list(zip(own, own[1:] + own[:1], strict=True))
    order = dict(dealt)
    predictions = written(tmp_path / "in", pairs, [order[int(i)] for i in test])
    found = run(Inputs(tmp_path, given_pairs=pairs, predictions=predictions))
    chances = [number.value for number in table(found, "within-sex-chance").rows[0].values.values()]
    assert min(chances) > 0.05 / len(chances)
    # Two draws of one distribution are farther apart than one from its mean.
    assert value(found, "within-sex", "theirs", "mean") > value(
        found, "within-sex", "mean face of the true sex", "mean"
    )
    assert "predictions follow the truth in 0 of 3" in found.statements[1]


def test_a_bundle_with_the_cascade_beside_it(tmp_path: Path) -> None:
    pairs = small_pairs(16)
    bundle = small_bundle(tmp_path / "bundle")
    # The expert reads this face in every picture.
    expert = ImageToFace(2, size=40)
    expert.begin_at(np.array([1, -2], np.float32), np.zeros(12, np.float32))
    save_networks(tmp_path / "expert", {"expert": expert}, {"expert": {"coefficients": 2, "size": 40}}, {}, pairs)
    with BundleSubject(bundle, pairs) as subject:
        found = run(Inputs(tmp_path, subject, pairs, experts=(tmp_path / "expert",)))
        methods = [row.method for row in table(found, "points").rows]
        assert methods == [
            "small",
            "cascade: pictures of small, read by expert",
            "mean face",
            "mean face of the sex heard",
            "linear map of the voice embedding",
            "linear map of pitch, tract length and sex",
            "mean face of the true sex",
            "mean face of all with such a voice",
        ]
        # What the world lets a voice tell is the truth here.
        assert value(found, "points", methods[-1], "mesh, RMS") == pytest.approx(0, abs=1e-4)
        utterances = np.concatenate([pairs.clean_utterances[int(i)] for i in pairs.split("test")])
        truth = pairs.morphable.vertices(pairs.coefficients[pairs.utterance_person[utterances]])
        expected = np.sqrt(
            np.square(pairs.morphable.vertices(np.array([1, -2], np.float32)) - truth).sum(2).mean(1)
        ).mean()
        assert value(found, "points", methods[1], "mesh, RMS") == pytest.approx(expected, rel=1e-4)
        own = np.sqrt(np.square(subject.vertices(utterances) - truth).sum(2).mean(1)).mean()
        assert value(found, "points", "small", "mesh, RMS") == pytest.approx(own, rel=1e-4)
        gain = table(found, "ratios").rows[0].values["gain over the cascade"].value
        ratio = value(found, "ratios", "small", "mean") / value(found, "ratios", methods[1], "mean")
        assert gain == pytest.approx(1 - ratio, rel=1e-6)


@pytest.mark.parametrize("holds", [True, False])
def test_the_papers_order_is_said_to_hold_or_not(tmp_path: Path, holds: bool) -> None:
    pairs = small_pairs(16)
    bundle = small_bundle(tmp_path / "bundle")

    def learnt(kind: str) -> BundleSubject:
        made = dataclasses.replace(bundle.manifest, name=kind, architecture={"mesh": {"kind": kind, "coefficients": 2}})
        return BundleSubject(dataclasses.replace(bundle, manifest=made), pairs)

    expert = ImageToFace(2, size=40)
    far = np.array([60, 60] if holds else [0, 0], np.float32)
    expert.begin_at(far, np.zeros(12, np.float32))
    save_networks(tmp_path / "expert", {"expert": expert}, {"expert": {"coefficients": 2, "size": 40}}, {}, pairs)
    with learnt("plain") as supervised, learnt("joint") as unsupervised:
        better = np.zeros((len(pairs.utterance_person), 2), np.float32) + pairs.coefficients[pairs.utterance_person]

        def nearly(subject: BundleSubject, off: float) -> None:
            subject.coefficients = lambda utterances: better[utterances] + np.float32(off)  # type: ignore[method-assign]

        nearly(supervised, 1.0)
        nearly(unsupervised, 2.0)
        inputs = Inputs(tmp_path, supervised, pairs, beside=(unsupervised,), experts=(tmp_path / "expert",))
        found = run(inputs)
    said = found.statements[0]
    assert f"supervised < unsupervised < cascade, {'holds' if holds else 'does not hold'} (" in said
    numbers = [value(found, "ratios", name, "mean") for name in ("plain", "joint")]
    assert f"supervised {numbers[0]:.4f}, unsupervised {numbers[1]:.4f}" in said


def test_two_bundles_of_one_name_are_told_apart(tmp_path: Path) -> None:
    pairs = small_pairs(16)
    bundle = small_bundle(tmp_path / "bundle")
    with BundleSubject(bundle, pairs) as one, BundleSubject(bundle, pairs) as other:
        same = run(Inputs(tmp_path, one, pairs, beside=(other,), quick=True))
        names = [f"small ({one.digest[:8]}) [{k}]" for k in (1, 2)]
        assert [row.method for row in table(same, "ratios").rows[:2]] == names
        other.digest = "feedbeefcafe"
        found = run(Inputs(tmp_path, one, pairs, beside=(other,), quick=True))
    assert [row.method for row in table(found, "ratios").rows[:2]] == [f"small ({one.digest[:8]})", "small (feedbeef)"]


def test_what_cannot_be_evaluated(tmp_path: Path) -> None:
    pairs = small_pairs(8)
    with pytest.raises(UsageError, match="--data"):
        run(Inputs(tmp_path))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "p6.png").write_bytes(png(np.zeros((64, 64, 3), np.uint8)))
    pictures = Predictions.read(tmp_path / "in", pairs, None)
    with pytest.raises(UsageError, match="in makes no meshes"):
        run(Inputs(tmp_path, given_pairs=pairs, predictions=pictures))
    unknown = dataclasses.replace(pairs, coefficients=np.full_like(pairs.coefficients, np.nan))
    with pytest.raises(InputError, match="no test people with recordings and a known face"):
        run(Inputs(tmp_path, given_pairs=unknown, predictions=pictures))
    with BundleSubject(None, pairs) as other, pytest.raises(UsageError, match="give a bundle trained on such faces"):
        run(Inputs(tmp_path, other, pairs))


def test_an_expert_of_other_faces_is_refused(tmp_path: Path) -> None:
    pairs = small_pairs(8)

    class Other(nn.Module):
        def forward(self, images: "torch.Tensor") -> object:
            return type("Read", (), {"coefficients": torch.zeros(len(images), 7)})()

    with BundleSubject(small_bundle(tmp_path / "bundle"), pairs) as subject:
        u = np.array([0], np.int32)
        with pytest.raises(InputError, match="reads 7 coefficients; sphere, the data's model, has 2"):
            read_by(Other(), subject, u, pairs, "other")
