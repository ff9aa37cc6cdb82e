"""The notebooks: stored without outputs, and each runs from its first cell to its last."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def name_of(path: Path) -> str:
    return path.stem


def test_each_is_on_the_page() -> None:
    page = (ROOT / "docs" / "how-to" / "notebooks.md").read_text()
    assert len(NOTEBOOKS) == 4
    assert all(f"`{path.name}`" in page for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_it_is_stored_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert notebook["nbformat"] == 4
    for cell in notebook["cells"]:
        assert not cell.get("outputs"), "run: jupyter nbconvert --clear-output --inplace, or make it anew"
        assert cell.get("execution_count") is None
        assert not cell["metadata"]
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}, "nothing of the machine that it was written on"


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Matplotlib keeps its list of fonts, which takes it seconds to make."""
    return tmp_path_factory.mktemp("fonts")


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_it_runs(path: Path, fonts: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(fonts)}
    out = tmp_path / "out.ipynb"
    done = subprocess.run(
        [sys.executable, FOLDER / "run.py", path, "--out", out],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cells = [cell for cell in json.loads(out.read_text())["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    warnings = "".join("".join(output["text"]) for output in outputs if output.get("name") == "stderr")
    assert re.sub(r"Matplotlib is building the font cache.*\n", "", warnings) == ""
    assert list(home.iterdir()) == [], "nothing is left in the home"


def test_a_notebook_is_not_replaced_by_its_outputs(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text("{}")
    done = subprocess.run(
        [sys.executable, FOLDER / "run.py", path, "--out", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert path.read_text() == "{}"
