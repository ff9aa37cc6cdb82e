"""The order of the tests themselves: their folders mirror the rooms, what they share is no test module, coverage sees all."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
HOUSE = TESTS.parent / "src" / "voxface"
STAND_INS = TESTS / "stand_ins"
FUZZ = TESTS / "fuzz"


def modules(file: Path) -> list[str]:
    """Every module a file imports, inside functions too; `from package import name` counts as `package.name` as well."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def test_no_module_imports_a_test_module() -> None:
    tests = {".".join(file.relative_to(TESTS.parent).with_suffix("").parts) for file in TESTS.rglob("test_*.py")}
    for file in sorted(TESTS.rglob("*.py")):
        found = tests.intersection(modules(file))
        assert not found, (
            f"{file.relative_to(TESTS)} imports {', '.join(sorted(found))}; move what is shared to stand_ins/"
        )


def test_folders_of_tests_mirror_rooms_that_exist() -> None:
    for folder in sorted({file.parent for file in TESTS.rglob("*.py")} - {TESTS, STAND_INS, FUZZ, FUZZ / "kinds"}):
        place = folder.relative_to(TESTS)
        assert (HOUSE / place / "__init__.py").is_file(), f"tests/{place} has no room src/voxface/{place}"
        assert (folder / "__init__.py").is_file(), (
            f"tests/{place} is no package: equal file names in two folders collide"
        )


def test_every_test_module_is_collected_and_stand_ins_hold_none() -> None:
    for file in sorted(TESTS.rglob("*.py")):
        tree = ast.parse(file.read_text())
        tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        assert bool(tests) == file.name.startswith("test_"), f"{file.relative_to(TESTS)}: {len(tests)} tests"


def test_coverage_counts_every_file(tmp_path: Path) -> None:
    pytest.importorskip("coverage", reason="coverage comes with voxface[dev]")
    environment = {**os.environ, "COVERAGE_FILE": str(tmp_path / "data")}
    for words in (
        ["run", "-m", "voxface", "--help"],
        ["combine", "--quiet"],
        ["json", "--quiet", "-o", str(tmp_path / "report.json")],
    ):
        command = [sys.executable, "-m", "coverage", *words]
        subprocess.run(command, cwd=TESTS.parent, env=environment, check=True, stdout=subprocess.DEVNULL)
    counted = json.loads((tmp_path / "report.json").read_text())["files"]
    assert {TESTS.parent / name for name in counted} == set(HOUSE.rglob("*.py"))
