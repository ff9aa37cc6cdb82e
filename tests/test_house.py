"""The arrows between rooms, what the runtime may import, and how quickly help answers."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "src" / "voxface"
MAY_IMPORT = {
    "runtime": {"runtime"},
    "calibration": {"calibration", "runtime"},
    "training": {"training", "runtime"},
    "export": {"export", "training", "calibration", "runtime"},
}
HEAVY = ("torch", "onnx", "open3d", "matplotlib", "trimesh", "anny")


def imports(file: Path) -> list[str]:
    """Every module a file imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.append(node.module or "")
    return found


@pytest.mark.parametrize("room", list(MAY_IMPORT))
def test_arrows_go_one_way(room: str) -> None:
    files = list((HOUSE / room).rglob("*.py"))
    assert files
    for file in files:
        for module in imports(file):
            parts = module.split(".")
            if parts[0] == "voxface" and len(parts) > 1:
                assert parts[1] in MAY_IMPORT[room], f"{file.relative_to(ROOT)} imports {module}"


def test_the_runtime_names_nothing_heavy_even_inside_functions() -> None:
    for file in (HOUSE / "runtime").rglob("*.py"):
        assert not [m for m in imports(file) if m.split(".")[0] in HEAVY], file


def test_every_module_of_the_runtime_loads_without_torch_onnx_or_open3d() -> None:
    modules = [
        "voxface." + str(file.relative_to(HOUSE).with_suffix("")).replace("/", ".").removesuffix(".__init__")
        for file in sorted((HOUSE / "runtime").rglob("*.py"))
    ]
    code = f"""
import importlib, sys
for name in {modules}:
    importlib.import_module(name)
import voxface
voxface.VoiceToFace
bad = [m for m in {HEAVY} if m in sys.modules]
assert not bad, bad
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_loads_nothing() -> None:
    code = """
import sys
from voxface.cli import main
try:
    main(["run", "--help"])
except SystemExit as end:
    assert end.code == 0
assert "numpy" not in sys.modules and "onnxruntime" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_one_door_a_room() -> None:
    for room in MAY_IMPORT:
        assert (HOUSE / room).is_dir()
        assert not (HOUSE / room).is_symlink()  # a clone without symbolic links must have every module
        assert (ROOT / room).is_symlink()
        assert (ROOT / room).readlink() == Path("src") / "voxface" / room


def test_public_names_are_there() -> None:
    import voxface

    for name in voxface.__all__:
        assert getattr(voxface, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = voxface.nonsense
