"""The pages, and the code in them: fenced blocks, and what a remark above one says of how it is tested."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
# The change log is none of them: it names what older versions had.
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

FENCED = re.compile(
    r"(?:^ *<!-- (?P<remark>(?:not run|run in): .+?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^ *```$",
    re.M | re.S,
)


def name_of(page: Path) -> str:
    """The path of a page in the repository."""
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: "bash", "python", or "" where none is named.
        code: what is in it.
        not_run: why it is not run anywhere; None: it is run.
        run_in: the test that runs it; None: the tests of pages do.
    """

    language: str
    code: str
    not_run: str | None
    run_in: str | None


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in their order."""
    found = []
    for match in FENCED.finditer(page.read_text()):
        kind, _, said = (match["remark"] or "").partition(": ")
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.M)
        found.append(
            Block(match["language"], code, said if kind == "not run" else None, said if kind == "run in" else None)
        )
    return found


def commands_in(code: str) -> list[str]:
    """The commands of `voxface` in the code of a shell, one a line, without remarks and without what becomes of output."""
    joined = re.sub(r"\\\n\s*", "", code)
    return [
        re.split(r"\s+(?:#|>|\||&&|<)", match[1])[0].strip()
        for match in re.finditer(r"^(?:[A-Z_]+=\S+ |.*\| )?(voxface .+)$", joined, re.M)
    ]
