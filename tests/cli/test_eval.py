"""`voxface eval` from the command line: what it takes, what it refuses, and its results compared and on a page."""

import json
import subprocess
import sys
from pathlib import Path

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
