"""Suite `joint-gain`: which bundle was trained jointly is read from it, and gains are those of the errors."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("matplotlib", reason="matplotlib comes with voxface[eval]")

from tests.stand_ins.quick_judge import quick_judge
from tests.stand_ins.small_bundle import small_bundle
from tests.stand_ins.small_pairs import small_pairs
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import UsageError
from voxface.training.data.pairs import Pairs
from voxface.training.engine.trained_networks import save_networks
from voxface.training.evaluation.geometry.are_table import geometry_errors
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.result import Table
from voxface.training.evaluation.subject import BundleSubject
from voxface.training.evaluation.suites import joint_gain
from voxface.training.evaluation.suites.joint_gain import run
from voxface.training.models.experts.own import ImageToFace

pytestmark = pytest.mark.train


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_gain, "picture_judge", quick_judge)


def named(bundle: Bundle, pairs: Pairs, name: str, kind: str | None) -> BundleSubject:
    made = None if kind is None else {"mesh": {"kind": kind, "coefficients": 2}}
    manifest = dataclasses.replace(bundle.manifest, name=name, architecture=made)
    return BundleSubject(dataclasses.replace(bundle, manifest=manifest), pairs)


def row(table: Table, method: str) -> dict[str, float]:
    return {name: number.value for name, number in next(r for r in table.rows if r.method == method).values.items()}


def test_gains_are_those_of_the_errors(tmp_path: Path) -> None:
    pairs = small_pairs(16)
    bundle = small_bundle(tmp_path / "bundle")
    truth = pairs.coefficients[pairs.utterance_person]
    off = np.random.default_rng(0).normal(0, 2, truth.shape).astype(np.float32)
    with named(bundle, pairs, "apart", "shrunk") as apart, named(bundle, pairs, "together", "joint") as joint:
        # The joint one is the second, and is half as far from the truth.
        apart.coefficients = lambda utterances: (truth + off)[utterances]  # type: ignore[method-assign]
        joint.coefficients = lambda utterances: (truth + off / np.float32(2))[utterances].astype(np.float32)  # type: ignore[method-assign]
        found = run(Inputs(tmp_path, apart, pairs, beside=(joint,), quick=True))
        utterances = np.concatenate([pairs.clean_utterances[int(i)][:2] for i in pairs.split("test")])
        errors = [geometry_errors(pairs, subject.coefficients(utterances), utterances) for subject in (joint, apart)]
    assert found.statements[0] == "Trained jointly: together; apart: apart."
    assert found.facts["joint"] == ["together"]
    assert found.facts["gains_over"] == "apart"
    gain = row(found.tables[0], "together")
    mine, other = (one.summary for one in errors)
    for short, name in (
        ("ER", "are_ear"),
        ("FR", "are_forehead"),
        ("MR", "are_midline"),
        ("CR", "are_cheek"),
        ("mean", "are"),
    ):
        assert gain[short] == pytest.approx(1 - mine[name] / other[name], abs=1e-3)
    assert gain["mesh, RMS"] == pytest.approx(0.5, abs=1e-3)
    best = max(("ER", "FR", "MR", "CR"), key=gain.__getitem__)
    assert f"The ratio that gains most is {best} (" in found.statements[1]
    assert f"which {'holds' if best == 'ER' else 'does not hold'} here" in found.statements[1]
    published = row(found.tables[0], "CMP, unsupervised, over Base-2; from Wu et al. 2022, Table 1")
    assert published["mean"] == pytest.approx(0.169, abs=5e-4)  # as Table 1 rounds it
    assert max(("ER", "FR", "MR", "CR"), key=published.__getitem__) == "ER"
    assert any("--expert" in line for line in found.missing)
    assert {table.name for table in found.tables} == {
        "gain",
        "ratios",
        "distance-picture-judge",
        "likeness-picture-judge",
    }
    # Both make the same pictures, so neither's are more like the speaker.
    assert "rank +0.0 points" in found.statements[2]
    assert found.figures["joint-gain.png"].startswith(b"\x89PNG")


def test_the_cascade_reads_the_pictures_that_were_trained_apart(tmp_path: Path) -> None:
    pairs = small_pairs(16)
    bundle = small_bundle(tmp_path / "bundle")
    expert = ImageToFace(2, size=40)
    save_networks(tmp_path / "expert", {"expert": expert}, {"expert": {"coefficients": 2, "size": 40}}, {}, pairs)
    with named(bundle, pairs, "together", "joint") as joint, named(bundle, pairs, "apart", "shrunk") as apart:
        inputs = Inputs(tmp_path, joint, pairs, beside=(apart,), experts=(tmp_path / "expert",), quick=True)
        found = run(inputs)
    assert found.facts["gains_over"] == "cascade: pictures of apart, read by expert"
    assert "gain over the cascade" in row(found.tables[1], "together")


def test_a_bundle_beside_itself_gains_nothing(tmp_path: Path) -> None:
    pairs = small_pairs(32)
    bundle = small_bundle(tmp_path / "bundle")
    with BundleSubject(bundle, pairs) as one, BundleSubject(bundle, pairs) as same:
        found = run(Inputs(tmp_path, one, pairs, beside=(same,), quick=True))
    ours = found.facts["joint"][0]
    assert ours != found.facts["apart"][0]
    assert set(row(found.tables[0], ours).values()) == {0}
    for name in ("distance-picture-judge", "likeness-picture-judge"):
        first, second = next(table for table in found.tables if table.name == name).rows[:2]
        assert first.values == second.values
    assert "rank +0.0 points" in found.statements[-1]


def test_bundles_that_do_not_say_are_compared_as_they_are_given(tmp_path: Path) -> None:
    pairs = small_pairs(16)
    bundle = small_bundle(tmp_path / "bundle")
    with named(bundle, pairs, "one", None) as one, named(bundle, pairs, "other", None) as other:
        found = run(Inputs(tmp_path, one, pairs, beside=(other,), quick=True))
    assert "do not say which" in found.statements[0]
    assert "one is compared with other as if it were" in found.statements[0]
    assert row(found.tables[0], "one")["mean"] == pytest.approx(0)


def test_without_a_bundle_beside_it_says_what_to_give(tmp_path: Path) -> None:
    pairs = small_pairs(8)
    with (
        BundleSubject(small_bundle(tmp_path / "bundle"), pairs) as subject,
        pytest.raises(UsageError, match="--beside: joint training is compared"),
    ):
        run(Inputs(tmp_path, subject, pairs))
