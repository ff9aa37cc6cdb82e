"""The pages name what exists: every path, every module and attribute, and every link leads somewhere."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.page_code import PAGES, name_of

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "src" / "voxface"
ROOMS = tuple(sorted(p.name for p in HOUSE.iterdir() if (p / "__init__.py").is_file()))
FOLDERS = ("src", "docs", "tests", "benchmarks", "examples", "release", *ROOMS)

CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(rf"(?:(?:{'|'.join(FOLDERS)})/[\w./-]*|[\w/-]+\.py)(?=$|[\s,;:)])")
DOTTED = re.compile(r"\b(?:voxface|benchmarks|release)(?:\.\w+)+")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.M)


def text_of(page: Path) -> str:
    """The page without generated tables: those show what a command printed on the day they were measured."""
    return re.sub(r"<!-- numbers:(.+?) -->.*?<!-- /numbers -->", "", page.read_text(), flags=re.S)


def code_in(text: str) -> list[str]:
    """Code spans, and the lines of fenced blocks."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)
    return CODE.findall(re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)) + "".join(fenced).splitlines()


@cache
def is_there(path: str) -> bool:
    """Whether a path exists below the repository or the package; a file's bare name: anywhere in them."""
    if "/" in path:
        return any((base / path).exists() for base in (ROOT, HOUSE))
    return any(
        found
        for folder in ("src", "tests", "benchmarks", "docs", "examples", "release")
        for found in (ROOT / folder).rglob(path)
    )


@cache
def names_in(file: Path) -> frozenset[str]:
    """Names a module defines or imports, and `Class.member` for what its classes define. Nothing is executed."""
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        names |= set(defined(node))
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{member}" for child in node.body for member in defined(child)}
    return frozenset(names)


def defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, ast.If):
        return [name for child in node.body for name in defined(child)]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name in one."""
    parts = dotted.split(".")
    base = HOUSE.parent if parts[0] == "voxface" else ROOT
    for length in range(len(parts), 0, -1):
        place = base.joinpath(*parts[:length])
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if file.is_file():
            rest = ".".join(parts[length:])
            return not rest or rest in names_in(file)
    return False


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in HEADING.findall(page.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_exists(page: Path) -> None:
    found = {match for code in code_in(text_of(page)) for match in PATH.findall(code)}
    missing = [path for path in sorted(found) if not is_there(path)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_dotted_name_exists(page: Path) -> None:
    found = {name for code in code_in(text_of(page)) for name in DOTTED.findall(code)}
    files = (".voxface", ".json", ".npz", ".fish")  # `voxface.npz` is a file's name
    missing = [name for name in sorted(found) if not name.endswith(files) and not exists(name)]
    assert not missing


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target), link


def test_the_checks_see_what_is_wrong() -> None:
    assert exists("voxface.runtime.live.session.LiveSession.feed")
    assert exists("voxface.runtime.live")
    assert not exists("voxface.runtime.nonsense")
    assert not exists("voxface.runtime.live.session.nonsense")
    code = (
        "see `runtime/live/nonsense.py` and `python -m benchmarks.nonsense`\n```\npython docs/nothing.py --out a\n```\n"
    )
    assert [match for part in code_in(code) for match in PATH.findall(part)] == [
        "runtime/live/nonsense.py",
        "docs/nothing.py",
    ]
    assert [match for part in code_in(code) for match in DOTTED.findall(part)] == ["benchmarks.nonsense"]


def test_the_diagram_of_the_rooms_shows_every_import() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    arrows = {(a, b) for a, b in re.findall(r"^ +(\w+) --> (\w+)$", text, re.M)}
    assert {room for arrow in arrows for room in arrow} == set(ROOMS)
    reached = set(arrows)
    while more := {(a, d) for a, b in reached for c, d in reached if b == c} - reached:
        reached |= more
    assert not {a for a, b in reached if a == b}, "a circle"
    for room in ROOMS:
        for file in (HOUSE / room).rglob("*.py"):
            for other in re.findall(r"^ *(?:from|import) voxface\.(\w+)", file.read_text(), re.M):
                assert other == room or (room, other) in reached, f"{file.relative_to(HOUSE)} imports {other}"


@pytest.mark.parametrize("room", ["runtime", "training"])
def test_pages_name_every_sub_room(room: str) -> None:
    folders = {p.name for p in (HOUSE / room).iterdir() if (p / "__init__.py").is_file()}
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert set(re.findall(rf"^\| `{room}/(\w+)/` \|", page, re.M)) == folders
    row = re.search(rf"^\| `{room}/` \|.*$", (ROOT / "README.md").read_text(), re.M)
    assert row
    assert set(re.findall(r"`(\w+)`", row[0])) == folders
