"""`voxface eval` from the command line: what it takes, what it refuses, and its results compared and on a page."""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command_line import run
from tests.stand_ins.small_pairs import small_pairs
from tests.stand_ins.small_results import write_results
from voxface.cli.eval import SUITES

SMALL = Path(__file__).parent.parent / "stored" / "small.voxface"
pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    folder = tmp_path_factory.mktemp("eval") / "pairs"
    small_pairs().save(folder)
    return folder


def test_help_names_the_suites_and_loads_nothing() -> None:
    code = """
import sys
from voxface.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 0
assert not {"numpy", "torch", "matplotlib", "voxface.training"} & set(sys.modules)
"""
    for words in (["eval", "--help"], ["eval", "geometry", "--help"]):
        shown = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert len(words) == 3 or all(name in shown.stdout for name in SUITES)


def test_the_suites_of_the_help_are_those_that_there_are() -> None:
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    from voxface.training.evaluation import suites

    assert tuple(SUITES) == suites.SUITES
    for name in SUITES:
        assert callable(suites.suite(name))
    folder = Path(suites.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", *(name.replace("-", "_") for name in SUITES)}


@pytest.mark.slow
def test_a_suite_writes_once_and_again_only_with_force(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with voxface[eval]")
    words = ["eval", "geometry", "--data", data, "--bundle", SMALL, "--quick", "--out", tmp_path / "out", "--json"]
    assert run(*words) == 0
    (found,) = json.loads(capsys.readouterr().out)["results"]
    assert found["suite"] == "geometry"
    assert found["quick"]
    assert found["test_use"] == 1
    assert found["command"] == "voxface eval geometry --bundle small.voxface --data pairs --quick"
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert {"geometry.json", "geometry.md", "test_use.jsonl"} <= before.keys()
    assert run(*words) == 2
    assert "has results of geometry already; --force replaces them" in capsys.readouterr().err
    assert before == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert run(*words, "--force") == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["test_use"] == 2


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ([], 2, "--data: this suite needs a folder of pairs"),
        (["--data", "nowhere"], 3, "nowhere"),
        (["--predictions", "faces"], 2, "--predictions: --data says whose they are"),
        (["--predictions", "faces", "--bundle", SMALL], 2, "--predictions, --bundle: give one of them"),
        (["--method", "SF2F"], 2, "--method: names the method of --predictions"),
        (["--bundle", "nothing.voxface"], 6, "nothing.voxface"),
        (["--embedder", "nothing.onnx"], 3, "--embedder: nothing.onnx: no such file or folder"),
        (["--expert", "nothing", "--whitening", "nothing"], 3, "--expert: nothing: no such file or folder"),
        (["--whitening", SMALL], 2, "--whitening: is of a published expert"),
        (["--seed", "-1"], 2, "--seed: -1 is not from 0 to"),
        (["--seed", str(1 << 70)], 2, "is not from 0 to"),
    ],
)
def test_what_cannot_be_evaluated_is_named(
    more: list[str | Path], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    assert run("eval", "geometry", *more, "--out", tmp_path / "out", "--json") == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert said in json.loads(captured.out)["errors"][0]["message"]
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_results_are_compared_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write_results(tmp_path / "a", 0.2), write_results(tmp_path / "b")
    assert run("eval", "compare", a, b, "--json") == 0
    (one,) = json.loads(capsys.readouterr().out)["differences"]
    assert one["difference"] == pytest.approx(0.2)
    assert one["significant"]
    assert run("eval", "compare", a, b) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("A")
    page = tmp_path / "page.html"
    assert run("eval", "report", a, b, "--out", page) == 0
    assert page.read_text().count("Whose face?") == 2
    assert run("eval", "report", a, "--out", page) == 2
    assert run("eval", "report", a, "--out", page, "--force", "--json") == 0
    capsys.readouterr()
    assert run("eval", "compare", a, tmp_path) == 3
    assert "holds no result" in capsys.readouterr().err


def test_results_are_kept_apart_from_what_is_evaluated(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    np.save(faces / "p6.npy", np.zeros((8, 8, 3), np.uint8))
    there = sorted(data.iterdir())
    predicted = ["--predictions", faces]
    for more, out, said in (
        ([], data, "is that of --data"),
        (predicted, faces, "is that of --predictions"),
        (predicted, faces / "results", "lies in that of --predictions"),
        ([], faces / "p6.npy", "is a file; give a folder"),
    ):
        assert run("eval", "images", "--data", data, *more, "--out", out) == 2
        assert said in capsys.readouterr().err
    assert sorted(data.iterdir()) == there
    assert [path.name for path in faces.iterdir()] == ["p6.npy"]


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((0, 0, 3), np.uint8), "is no picture"),
        (np.full(2, 3e38, np.float32), "its coefficients make no face of sphere"),
        (None, "is a link to"),
    ],
)
def test_predictions_that_cannot_be(
    picture: np.ndarray[Any, Any] | None,
    said: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    faces = tmp_path / "faces"
    (faces / "p6").mkdir(parents=True)
    for i in range(8):
        np.save(faces / f"p{i}.npy", np.zeros(2, np.float32) if picture is None else picture)
    if picture is None:  # the file of the whole person must not stand in for a link to nothing
        (faces / "p6" / "0.npy").symlink_to("gone.npy")
    words = ["eval", "geometry", "--quick", "--data", data, "--predictions", faces, "--out", tmp_path / "out", "--json"]
    assert run(*words) == 3
    captured = capsys.readouterr()
    assert said in json.loads(captured.out)["errors"][0]["message"]
    assert captured.err.count("error:") == 1
    assert not list(tmp_path.glob("out/*"))


def test_a_damaged_record_of_test_use_is_told_before_the_work(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxface.training.evaluation import run as evaluation

    def never(name: str) -> Any:
        raise AssertionError(f"{name} was run")

    monkeypatch.setattr(evaluation, "suite", never)
    (tmp_path / "test_use.jsonl").write_text("[]\n")
    assert run("eval", "geometry", "--data", data, "--bundle", SMALL, "--out", tmp_path) == 3
    assert "no record of evaluations" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["test_use.jsonl"]


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a JSON document, as the keys that lead to it."""
    if here:
        yield here
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*here, key))


def put(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


@pytest.mark.parametrize(
    "wrong",
    [None, -1.5, "../x", [[]], {"a": {}}, float("nan"), float("inf"), 10**400],
    ids=lambda wrong: str(wrong)[:9],
)
def test_no_value_of_the_wrong_type_in_a_result_is_a_traceback(
    wrong: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write_results(tmp_path / "a", 0.2), write_results(tmp_path / "b")
    file = a / "identity.json"
    whole = json.loads(file.read_text())
    whole |= {"figures": ["x.png"], "statements": ["one"], "missing": ["two"]}
    whole["tables"][0]["rows"][0]["values"]["top 1"] |= {"interval": [0.1, 0.2], "sd": 0.1, "people": 8, "trials": 9}
    (a / "x.png").write_bytes(b"")
    refused = 0
    for place in places(whole):
        file.write_text(json.dumps(put(whole, place, wrong)))
        for words in (["compare", a, b], ["report", a, "--out", tmp_path / "page.html", "--force"]):
            code = run("eval", *words)
            said = capsys.readouterr().err
            assert code in (0, 3), place
            assert code == 0 or said.count("\n") == 1, said
            refused += code == 3
            assert code == 0 or str(file) in said or "nothing to compare" in said
    assert refused > 20


def test_files_are_written_to_files_and_surveys_of_two_methods(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_results(tmp_path / "a")
    for words in (["report", results], ["recordings", "--data", data]):
        assert run("eval", *words, "--out", tmp_path, "--force") == 2
        assert "is a folder; give a file" in capsys.readouterr().err
        assert run("eval", *words, "--out", results / "identity.json" / "page", "--force") == 3
        assert "cannot be written" in capsys.readouterr().err
    one = ["preference", "--ours", tmp_path, "--theirs", tmp_path, "--references", results]
    for more, said in (
        ([], "are one folder"),
        (["--seed", "-1"], "--seed: -1"),
        (["--answers", "x.json"], "not with --answers"),
    ):
        assert run("eval", *one, *more, "--out", tmp_path / "survey") == 2
        assert said in capsys.readouterr().err
    assert run("eval", "preference", "--answers", "x.json", "--questions", 3, "--out", tmp_path) == 2
    assert "--questions: not with --answers" in capsys.readouterr().err
