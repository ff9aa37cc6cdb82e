"""The viewer of meshes in a browser: our own JavaScript for WebGL, and how pages that show faces look.

The page of `voxface serve` loads the files below `viewer/` one by one; the report of `voxface run`, which is one file, has them
in it.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "viewer"
LOOK: Final = "look.css"
SCRIPTS: Final = ("normals.js", "heat.js", "mesh-view.js")  # each may import those before it

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./[\w-]+\.js";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=const|function|class)", re.MULTILINE)


def look() -> str:
    """The style sheet of such pages."""
    return (FOLDER / LOOK).read_text(encoding="utf-8")


def one_script(others: Iterable[Path] = ()) -> str:
    """The modules of the viewer, and others that use them, as one script, in which they share their names.

    Args:
        others: modules in the order in which they need each other.
    """
    texts = [path.read_text(encoding="utf-8") for path in (*(FOLDER / name for name in SCRIPTS), *others)]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)
