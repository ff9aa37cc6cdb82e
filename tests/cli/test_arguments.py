"""Options that several verbs share are declared in one place, and declaring them loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import voxface.cli

CLI = Path(voxface.cli.__file__).parent
SHARED = {
    "--json",
    "--out",
    "--bundle",
    "bundle",
    "--provider",
    "--threads",
    "--audio",
    "--clips",
    "--seed",
    "--force",
    "--channel",
    "--min-confidence",
    "--any-age",
}


def declared(file: Path) -> list[str]:
    """First argument of every call of `add_argument` in a file."""
    return [
        call.args[0].value
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "add_argument"
        and call.args
        and isinstance(call.args[0], ast.Constant)
    ]


def test_shared_options_are_declared_once() -> None:
    assert sorted(declared(CLI / "arguments.py")) == sorted(SHARED)
    for file in CLI.rglob("*.py"):
        if file.name != "arguments.py":
            assert not SHARED & set(declared(file)), file.relative_to(CLI)


def test_the_options_of_no_verb_load_numpy_or_onnxruntime() -> None:
    code = """
import sys
from voxface.cli import VERBS, build_parser
for verb in VERBS:
    build_parser(verb)
    heavy = {"numpy", "onnxruntime", "torch", "onnx", "soundfile"} & set(sys.modules)
    assert not heavy, (verb, heavy)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
