"""The house as it stands: which room may import which, sub-rooms included; no circles; how little the front door loads.

Everything is read from the real tree, so a new room must be given its place here before it can be imported.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "src" / "voxface"
LINKED = ("runtime", "calibration", "export", "training")  # also reachable by these names at the root

# Room -> the rooms it may import. Each is also free to import itself.
ROOMS: Mapping[str, frozenset[str]] = {
    name: frozenset(may.split())
    for name, may in {
        "runtime": "",
        "cluster": "runtime",
        "onnx_graph": "runtime",
        "calibration": "onnx_graph runtime",
        "training": "cluster runtime",
        "export": "training calibration onnx_graph runtime",
        "importers": "export training onnx_graph runtime",
        "serve": "cluster runtime",
        "cli": "serve cluster importers export training calibration onnx_graph runtime",
    }.items()
}

# Sub-room -> the sub-rooms of the same room it may import, from the ground up: a room imports only rooms above it in its list.
# Modules that lie directly in a room stand under their own name.
SUB_ROOMS: Mapping[str, Mapping[str, frozenset[str]]] = {
    room: {name: frozenset(may.split()) for name, may in subs.items()}
    for room, subs in {
        "runtime": {
            "errors": "",
            "telemetry": "",
            "install_advice": "",
            "version": "",
            "processor": "",
            "background": "",
            "config": "errors",
            "files": "errors",
            "timing": "files",
            "provenance": "errors install_advice version files",
            "face": "errors files processor background provenance",
            "viewer": "",
            "report_page": "config face provenance viewer",
            "bundle": "errors files background config face provenance",
            "engines": "errors telemetry install_advice files processor timing config bundle",
            "audio": "errors config engines",
            "features": "errors timing config audio",
            "inference": "errors files processor background timing config face bundle engines audio features "
                         "provenance report_page",
            "live": "errors install_advice files timing config face bundle engines audio features inference "
                    "provenance",
            "voice_to_face": "errors timing config face bundle engines audio features inference live",
            "profile": "errors version files processor timing config face "
                       "bundle engines audio features inference live voice_to_face",
        },
        "cluster": {"own_session": "", "signals": "", "ray_session": "own_session signals"},
        "onnx_graph": {"node_runner": "", "graph": "node_runner", "fp16_emulation": "graph node_runner",
                       "passes": "graph node_runner fp16_emulation"},
        "serve": {
            "access": "",
            "health_check": "",
            "logs": "",
            "page": "",
            "load_report": "",
            "load_generator": "",
            "metrics": "",
            "clip": "protocol",
            "first_costs": "state",
            "state": "",
            "protocol": "state",
            "batching_engine": "state",
            "served_stream": "state protocol",
            "lane": "state served_stream",
            "clip_desk": "clip",
            "upload": "state clip",
            "ray": "state protocol metrics clip clip_desk first_costs served_stream lane session_host",
            "openapi": "upload",
            "http_errors": "clip clip_desk upload",
            "guard": "access metrics http_errors",
            "http_protocol": "state metrics",
            "session_host": "state protocol metrics served_stream",
            "local_host": "state protocol metrics served_stream lane session_host",
            "live_service": "state protocol metrics session_host",
            "http_routes": "state protocol metrics clip clip_desk upload openapi http_errors page session_host live_service",
            "stream_route": "state protocol access metrics live_service",
            "app": "state protocol access metrics clip clip_desk first_costs batching_engine session_host local_host guard "
                   "http_errors page live_service http_routes stream_route",
            "server": "state metrics page http_protocol app",
        },
        "training": {
            "faces": "",
            "foreign": "",
            "models": "foreign",
            "losses": "",
            "data": "faces models",
            "engine": "foreign faces models data",
            "voices": "foreign data",
            "evaluation": "foreign faces models data engine losses voices",
            "world": "faces data",
            "own_data": "foreign faces models data",
            "trainers": "faces models losses data engine evaluation world voices",
        },
    }.items()
}  # fmt: skip
FROM_VOXFACE = re.compile(r"^ *from (voxface[\w.]*) import (?:\(([^)#]*)\)|([\w, ]+))", re.MULTILINE)
HEAVY = ("torch", "onnx", "open3d", "matplotlib", "trimesh", "anny")


@cache
def imports(file: Path) -> tuple[str, ...]:
    """Every module a file imports, inside functions too; `from package import module` counts as the module."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            module = node.module or ""
            found += [f"{module}.{a.name}" if is_module(f"{module}.{a.name}") else module for a in node.names]
    return tuple(found)


def is_module(name: str) -> bool:
    """Whether a dotted name is a module or package of this tree."""
    place = ROOT / "src" / Path(*name.split("."))
    return name.startswith("voxface.") and (place.with_suffix(".py").is_file() or (place / "__init__.py").is_file())


def files_of(room: str) -> list[Path]:
    files = sorted((HOUSE / room).rglob("*.py"))
    assert files, room
    return files


def test_every_room_has_its_place_in_this_test() -> None:
    assert {p.name for p in HOUSE.iterdir() if (p / "__init__.py").is_file()} == set(ROOMS)
    for room, subs in SUB_ROOMS.items():
        there = {p.stem for p in (HOUSE / room).iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
        assert there - {"__init__"} == set(subs), room


@pytest.mark.parametrize("room", list(ROOMS))
def test_arrows_between_rooms_go_one_way(room: str) -> None:
    for file in files_of(room):
        for module in imports(file):
            parts = module.split(".")
            if parts[0] == "voxface" and len(parts) > 1:
                assert parts[1] in ROOMS[room] | {room}, f"{file.relative_to(HOUSE)} imports {module}"


@pytest.mark.parametrize("room", list(SUB_ROOMS))
def test_arrows_between_sub_rooms_go_one_way(room: str) -> None:
    for file in files_of(room):
        sub = file.relative_to(HOUSE / room).with_suffix("").parts[0]
        for module in imports(file):
            parts = module.split(".")
            if parts[:2] == ["voxface", room] and len(parts) > 2 and sub != "__init__":
                allowed = SUB_ROOMS[room][sub] | {sub}
                assert parts[2] in allowed, f"{file.relative_to(HOUSE)} imports {module}"


@pytest.mark.parametrize("rooms", [ROOMS, *SUB_ROOMS.values()], ids=["rooms", *SUB_ROOMS])
def test_what_is_allowed_has_no_circle(rooms: Mapping[str, frozenset[str]]) -> None:
    left = dict(rooms)
    while left:
        ground = [name for name, may in left.items() if not may & left.keys() - {name}]
        assert ground, f"a circle among {', '.join(left)}"
        for name in ground:
            del left[name]


def test_no_two_modules_import_each_other() -> None:
    modules = {module_name(file): file for file in sorted(HOUSE.rglob("*.py"))}
    left = {name: {m for m in imports(file) if m in modules and m != name} for name, file in modules.items()}
    # A package that only hands names on is no circle with what it hands on.
    left = {name: found for name, found in left.items() if modules[name].name != "__init__.py"}
    while left:
        ground = [name for name, found in left.items() if not found & left.keys()]
        assert ground, f"a circle among {', '.join(sorted(left))}"
        for name in ground:
            del left[name]


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(HOUSE.parent).with_suffix("").parts).removesuffix(".__init__")


def names_of(module: str) -> frozenset[str]:
    """Every name that a module of this tree has at its top level; modules of a package included."""
    place = ROOT / "src" / Path(*module.split("."))
    package = (place / "__init__.py").is_file()  # a folder of data may lie beside a module of its name
    file = place / "__init__.py" if package else place.with_suffix(".py")
    return top_level_names(file) | ({p.stem for p in place.iterdir()} if package else frozenset())


@cache
def top_level_names(file: Path) -> frozenset[str]:
    found: set[str] = set()
    left: list[ast.AST] = [ast.parse(file.read_text())]
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue  # what is within is no name of the module
        left += ast.iter_child_nodes(node)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return frozenset(found)


@pytest.mark.parametrize("folder", ["src", "benchmarks", "examples"])
def test_every_name_imported_from_voxface_is_there(folder: str) -> None:
    """Also where no test runs the import: most benchmarks need data or a GPU."""
    import voxface

    found = 0
    for file in sorted((ROOT / folder).rglob("*.py")):
        # The text, not the syntax tree: some benchmarks hand a program to another process as a string.
        for module, several, one in FROM_VOXFACE.findall(file.read_text()):
            there = names_of(module) | (set(voxface.__all__) if module == "voxface" else set())
            missing = {name.split(" as ")[0].strip() for name in (several or one).split(",")} - there - {""}
            assert not missing, f"{file.relative_to(ROOT)} imports {missing} from {module}"
            found += 1
    assert found


def test_the_runtime_names_nothing_heavy_even_inside_functions() -> None:
    for file in files_of("runtime"):
        assert not [m for m in imports(file) if m.split(".")[0] in HEAVY], file


def test_every_module_of_the_runtime_loads_without_torch_onnx_or_open3d() -> None:
    modules = [module_name(file) for file in files_of("runtime")]
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


def test_a_start_loads_nothing_that_it_does_not_need() -> None:
    """What writes and decodes waits until it is asked for, and numpy.ma, which `np.unique` loads, is needed by nothing."""
    code = """
import sys
from voxface.cli import main
assert main(["bundle", "verify"]) == 0
import voxface
voxface.VoiceToFace().close()
late = ["numpy.ma", "tempfile", "voxface.runtime.audio.decode", "voxface.runtime.bundle.writer", "voxface.runtime.face.obj"]
assert not [name for name in late if name in sys.modules], sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


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


def test_rooms_are_folders_and_links_at_the_root_lead_to_them() -> None:
    for room in ROOMS:
        assert (HOUSE / room).is_dir()
        assert not (HOUSE / room).is_symlink()  # a clone without symbolic links must have every module
    for room in LINKED:
        link = ROOT / room
        where = link.readlink() if link.is_symlink() else Path(link.read_text())  # a clone without links has text files
        assert where == Path("src") / "voxface" / room


def test_no_module_imports_the_front_door() -> None:
    """It would be a circle: the front door imports them."""
    for room in set(ROOMS) - {"cli"}:
        for file in files_of(room):
            assert "voxface" not in imports(file), file


def test_the_version_is_stated_in_one_place() -> None:
    import tomllib

    import voxface

    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in document["project"]
    assert document["project"]["dynamic"] == ["version"]
    module, _, name = document["tool"]["setuptools"]["dynamic"]["version"]["attr"].rpartition(".")
    assert (module, name) == ("voxface.runtime.version", "__version__")
    assert re.fullmatch(r"\d+\.\d+\.\d+", voxface.__version__)


def test_public_names_are_there() -> None:
    import voxface

    for name in voxface.__all__:
        assert getattr(voxface, name) is not None
    assert dir(voxface) == sorted(voxface.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = voxface.nonsense
