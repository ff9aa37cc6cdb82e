"""What `voxface eval` writes, that a leak fails it, and how often test people were looked at."""

import dataclasses
import datetime
import json
from pathlib import Path

import numpy as np
import pytest

from tests.stand_ins.small_pairs import small_pairs
from voxface.runtime.errors import InputError, UsageError
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation import run as running
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.leaks import check_apart, check_leaks
from voxface.training.evaluation.result import Column, Measured, PerPerson, Row, SuiteResult, Table
from voxface.training.evaluation.run import read_results, run_suites
from voxface.training.evaluation.subject import BundleSubject
from voxface.training.evaluation.test_use import Use, read_uses, record_use

NOON = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.UTC)


def people_of(inputs: Inputs) -> SuiteResult:
    count = Measured(len(inputs.pairs.split(inputs.split)))
    table = Table("people", "People", (Column("people"),), (Row("these", "ours", {"people": count}),))
    return SuiteResult("speaker", (table,), {"speaker-people.png": b"PNG"}, {"m": PerPerson("lower", {"a": 1.0})})


def refuses(_: Inputs) -> SuiteResult:
    raise UsageError("needs more")


@pytest.fixture
def suites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "suite", {"speaker": people_of, "identity": refuses}.__getitem__)


@pytest.mark.usefixtures("suites")
def test_what_a_suite_finds_is_written_and_test_use_counted(tmp_path: Path) -> None:
    pairs = small_pairs()
    with BundleSubject(None) as bundle:
        inputs = Inputs(tmp_path / "out", bundle, pairs)
        for use in (1, 2):
            written, failed = run_suites(("speaker", "identity"), inputs, "voxface eval all", now=lambda: NOON)
            assert written[0]["test_use"] == use
            assert [(name, str(error)) for name, error in failed] == [("identity", "needs more")]
        validation = dataclasses.replace(inputs, split="validation")
        assert run_suites(("speaker",), validation, "voxface eval speaker", now=lambda: NOON)[0][0]["test_use"] == 0
        with pytest.raises(UsageError, match="needs more"):
            run_suites(("identity",), inputs, "")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "speaker-people.png", "speaker.json", "speaker.md", "test_use.jsonl",
    ]  # fmt: skip
    document = read_results(tmp_path / "out")["speaker"]
    assert document["data"] == {"kind": "synthetic", "sha256": pairs.digest, "people": 8}
    assert document["versions"].keys() >= {"voxface", "python", "numpy", "torch"}
    assert (tmp_path / "out" / "speaker-people.png").read_bytes() == b"PNG"
    told = (tmp_path / "out" / "speaker.md").read_text()
    assert "voxface eval speaker" in told
    assert str(tmp_path) not in told + json.dumps(document)


@pytest.mark.usefixtures("suites")
def test_markdown_says_that_test_people_were_looked_at_again(tmp_path: Path) -> None:
    with BundleSubject(None) as bundle:
        inputs = Inputs(tmp_path, bundle, small_pairs())
        run_suites(("speaker",), inputs, "voxface eval speaker")
        assert "only the first is a test" not in (tmp_path / "speaker.md").read_text()
        run_suites(("speaker",), inputs, "voxface eval speaker")
        assert "evaluation 2 on these test people" in (tmp_path / "speaker.md").read_text()


def leaking(pairs: Pairs, what: str) -> Pairs:
    """Pairs whose first test person has a recording, or picture, of the first training person."""
    train, test = int(pairs.split("train")[0]), int(pairs.split("test")[0])
    frames, pictures = np.array(pairs.frames[:]), np.array(pairs.pictures[:])
    if what == "recording":
        here, there = int(pairs.utterances[train][0]), int(pairs.utterances[test][0])
        begin, length = int(pairs.offsets[there]), int(pairs.offsets[here + 1] - pairs.offsets[here])
        frames[begin : begin + length] = frames[int(pairs.offsets[here]) : int(pairs.offsets[here + 1])]
    else:
        pictures[pairs.pictures_of[test][0]] = pictures[pairs.pictures_of[train][0]]
    return dataclasses.replace(pairs, kind="own", frames=frames, pictures=pictures)


@pytest.mark.parametrize("what", ["recording", "picture"])
@pytest.mark.usefixtures("suites")
def test_a_leak_fails_the_evaluation(what: str, tmp_path: Path) -> None:
    pairs = small_pairs()
    check_leaks(dataclasses.replace(pairs, kind="own"))
    pairs = leaking(pairs, what)
    with (
        BundleSubject(None) as bundle,
        pytest.raises(InputError, match=rf"one {what} is of people in different splits: p0 \(train\), p6 \(test\)"),
    ):
        run_suites(("speaker",), Inputs(tmp_path, bundle, pairs), "")
    assert not list(tmp_path.iterdir())


def test_a_speaker_in_two_splits_is_no_data() -> None:
    pairs = small_pairs()
    people = list(pairs.people)
    people[-1] = dataclasses.replace(people[-1], speaker=people[0].speaker)
    with pytest.raises(InputError, match="splits of speakers"):
        dataclasses.replace(pairs, people=tuple(people))


def test_people_learnt_from_and_evaluated_are_named() -> None:
    check_apart(["a"], ["b"], "lists")
    with pytest.raises(InputError, match=r"lists: a, b, c and 1 more are both learnt from and evaluated"):
        check_apart("abcd", "dcba", "lists")


def test_a_damaged_record_of_test_use_is_not_replaced(tmp_path: Path) -> None:
    use = Use("speaker", "a", "b", "now")
    assert record_use(tmp_path, use) == 1
    assert record_use(tmp_path, dataclasses.replace(use, suite="images")) == 1
    assert record_use(tmp_path, use) == 2
    assert len(read_uses(tmp_path)) == 3
    (tmp_path / "test_use.jsonl").write_text('{"suite": 1}\nnonsense\n')
    with pytest.raises(InputError, match="it is not replaced"):
        record_use(tmp_path, use)
    assert (tmp_path / "test_use.jsonl").read_text() == '{"suite": 1}\nnonsense\n'


@pytest.mark.parametrize(
    ("name", "text"), [("speaker.json", "{"), ("speaker.json", "[]"), ("speaker.json", '{"format": 1}')]
)
def test_damaged_results_are_refused(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"speaker\.json|not a result"):
        read_results(tmp_path)


def test_no_results_are_no_results(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder of results"):
        read_results(tmp_path / "none")
    with pytest.raises(InputError, match="holds no result"):
        read_results(tmp_path)
