"""Writes the generated parts of README and docs from the results: every table between two `numbers:` comments, every plot.

python -m benchmarks.render_tables [--check]
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.options import parser
from benchmarks.plots import PLOTS
from benchmarks.tables import (
    ages,
    engines,
    evaluation,
    faces,
    first_day,
    front,
    gpu,
    live,
    marks,
    own_data,
    pareto,
    performance,
    precision,
    voices,
)
from voxface.runtime.files.atomic import write_bytes

ROOT = Path(__file__).parent.parent
PAGES = (
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in (
            "faces",
            "animation",
            "provenance",
            "fitting",
            "face-models",
            "training",
            "own-data",
            "serve",
            "uncertainty",
            "age",
            "worlds",
            "precision",
            "live",
            "devices",
            "no-face",
            "speaker-change",
            "profiling",
            "performance",
            "results",
            "results-synthetic",
            "numbers",
            "tutorial/index",
        )
    ),
)


TABLES: dict[str, Callable[[], str]] = {
    name: table
    for room in (
        front,
        first_day,
        gpu,
        voices,
        ages,
        faces,
        marks,
        evaluation,
        own_data,
        precision,
        pareto,
        live,
        performance,
        engines,
    )
    for name, table in room.TABLES.items()
}


def fill(text: str) -> str:
    """The page, every block between `<!-- numbers:NAME -->` and `<!-- /numbers -->` replaced by table NAME."""
    return re.sub(
        r"(<!-- numbers:([\w-]+) -->\n).*?(<!-- /numbers -->)",
        lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}",
        text,
        flags=re.DOTALL,
    )


def written() -> dict[Path, str]:
    """File -> its text as the results have it: every page and every plot."""
    return {
        **{page: fill(page.read_text()) for page in PAGES},
        **{ROOT / "docs" / name: plot() for name, plot in PLOTS.items()},
    }


def stale() -> list[Path]:
    """Pages and plots that differ from the results."""
    return [path for path, text in written().items() if not path.exists() or path.read_text() != text]


def main() -> int:
    """Writes pages and plots; with --check only prints which are stale."""
    options = parser(__doc__)
    options.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page or plot is stale")
    check = options.parse_args().check
    texts = written()
    for path in stale():
        print(path.relative_to(ROOT))
        if check:
            return 1
        write_bytes(path, texts[path].encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
