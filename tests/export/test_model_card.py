"""What a model card says: everything the manifest knows, and trivial answers beside what was measured."""

from typing import Any

import pytest

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.sphere import sphere
from voxface.export.model_card import model_card
from voxface.runtime.bundle.manifest import Manifest

pytestmark = pytest.mark.train


def described(**manifest: Any) -> Manifest:
    needed = {"front_end": {}, "vad": {}, "graphs": {}, "morphable_model": {"file": "morphable.npz"}}
    return Manifest.from_json({**needed, **manifest})


def card(**manifest: Any) -> list[str]:
    about = described(name="mine", version="3", **manifest)
    return model_card(about, sphere(), ["It was made in a test."]).splitlines()


def table(metrics: dict[str, Any]) -> list[list[str]]:
    """Cells of the metrics' table."""
    lines = [line for line in card(metrics=metrics) if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_sections() -> None:
    lines = card(
        description="A test.",
        trained_on=["40 voices", "30 faces"],
        licence="CC0-1.0",
        training={"encoder": {"steps": 3}},
        precision={"storage": "float16", "largest_difference_from_pytorch": {"image": 1e-6}},
        tools={"voxface": "0.1"},
    )
    assert lines[0] == "# mine 3"
    assert [line for line in lines if line.startswith("## ")] == [
        "## Data, licence and attribution",
        "## Metrics",
        "## Limits",
        "## How it was made",
    ]
    for line in ("* 40 voices", "* 30 faces", "Licence: CC0-1.0.", "None were measured.", '{"steps": 3}'):
        assert line in lines
    limits = lines[lines.index("## Limits") + 2 :]
    assert limits[0] == "* It was made in a test."
    assert "does not tell colours of skin" in limits[1]
    assert any("must not be used so" in line for line in limits)


def test_a_manifest_that_knows_nothing() -> None:
    lines = model_card(described(name="x"), sphere()).splitlines()
    assert lines[0] == "# x"
    assert "* Not recorded." in lines
    assert "Licence: not given." in lines


def test_trivial_answers_by_the_same_name_stand_beside() -> None:
    assert table({"mesh": {"test": {"are": 0.0241, "are_ear": 0.04, "people": 40, "trivial": {"are": 0.031}}}}) == [
        ["", "this bundle", "trivial answer"],
        ["mesh: test: are", "0.0241", "0.031"],
        ["mesh: test: are ear", "0.04", ""],
        ["mesh: test: people", "40", ""],
    ]


def test_trivial_answers_of_several_kinds() -> None:
    metrics = {
        "are": 0.02,
        "sex_agreement_by_speaker": 0.96,
        "sex_agreement_by_clip": 0.9,
        "trivial": {"mean_face": {"are": 0.03}, "are_mean_face_per_sex": 0.025, "sex_agreement_chance": 0.5},
    }
    assert table(metrics) == [
        ["", "this bundle", "mean face", "mean face per sex", "chance"],
        ["are", "0.02", "0.03", "0.025", ""],
        ["sex agreement by speaker", "0.96", "", "", "0.5"],
        ["sex agreement by clip", "0.9", "", "", "0.5"],
    ]


def test_a_trivial_answer_that_belongs_to_nothing_has_a_line_of_its_own() -> None:
    assert table({"encoder": {"accuracy": 0.9, "trivial": {"chance": 0.02}}})[1:] == [
        ["encoder: accuracy", "0.9", ""],
        ["encoder: chance", "", "0.02"],
    ]


def test_intervals_are_shown_and_long_lists_are_not() -> None:
    assert table({"auc": [0.9, 0.95], "correlations": [0.1] * 50, "note": "on clean speech", "none": None})[1:] == [
        ["auc", "0.9 to 0.95"],
        ["note", "on clean speech"],
    ]
