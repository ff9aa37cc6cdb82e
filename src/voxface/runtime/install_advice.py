"""How to install what is missing: the way in which this copy of voxface was installed.

The name voxface belongs to another project on PyPI, so the distribution has a name of its own, and `pip install voxface` would
fetch a stranger. pip notes where a distribution came from (PEP 610, `direct_url.json`); the advice repeats that source, with
the extras that are missing.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # imported where advice is given, since a first face waits for every import
    from importlib import metadata

NAME: Final = "voxface-runtime"
PACKAGE: Final = Path(__file__).parent.parent


def how_to_install(*extras: str) -> str:
    """A command that adds extras to this copy of voxface, or installs it again without any; in words where none is known."""
    source = _source()
    if source is None:
        if not extras:
            return "install voxface again the way it was installed"
        one = len(extras) == 1
        return f"install the extra{'' if one else 's'} {' and '.join(extras)} of voxface the way voxface was installed"
    wanted = f"[{','.join(extras)}]" if extras else ""
    place, url, editable, tool = source
    what = f"{NAME}{wanted} @ {url}" if place is None else f"{place}{wanted}"
    constraints = None if place is None else place / "constraints.txt"
    pinned = f" -c {_quoted(str(constraints))}" if constraints is not None and constraints.is_file() else ""
    return f"{tool} install{pinned}{' -e' if editable else ''} {_quoted(what)}"


def _source() -> "tuple[Path | None, str, bool, str] | None":
    """Folder (None: only a URL says where), URL, whether it is editable, and what installed it; None: not known."""
    for found in _installed():
        noted = _note_of(found)
        if noted is None:  # from an index, or a note that a build leaves beside the sources
            continue
        path = _path(noted["url"])
        place = path if "dir_info" in noted else None
        editable = bool(noted.get("dir_info", {}).get("editable"))
        if not (_holds_this_copy(place) if editable and place is not None else _is_this_copy(found)):
            continue
        if path is not None and not path.exists():
            return None
        tool = "uv pip" if (found.read_text("INSTALLER") or "").strip() == "uv" else "pip"
        return place, _requirement_url(noted), editable, tool
    checkout = PACKAGE.parent.parent  # run from a checkout that was not installed
    if (checkout / "pyproject.toml").is_file() and PACKAGE.parent.name == "src":
        return checkout, "", True, "pip"
    return None


def _installed() -> "list[metadata.Distribution]":
    """Every installed distribution of this name, in the order of the search path."""
    from importlib import metadata

    return list(metadata.distributions(name=NAME))


def _note_of(found: "metadata.Distribution") -> dict[str, Any] | None:
    """`direct_url.json` of a distribution; None where there is none, or none that can be used."""
    try:
        noted = json.loads(found.read_text("direct_url.json") or "null")
    except ValueError:
        return None
    if not isinstance(noted, dict) or not isinstance(noted.get("url"), str):
        return None
    kinds = [noted[kind] for kind in ("dir_info", "archive_info", "vcs_info") if kind in noted]
    return noted if kinds and all(isinstance(kind, dict) for kind in kinds) else None


def _is_this_copy(found: "metadata.Distribution") -> bool:
    """Whether the distribution's files are those that run."""
    return Path(str(found.locate_file(PACKAGE.name))).resolve() == PACKAGE.resolve()


def _holds_this_copy(folder: Path) -> bool:
    return PACKAGE.resolve().is_relative_to(folder.resolve())


def _requirement_url(noted: dict[str, Any]) -> str:
    """The URL as a requirement takes it (PEP 508), of a folder, an archive or a repository."""
    url = str(noted["url"])
    vcs = noted.get("vcs_info", {})
    if vcs:
        revision = vcs.get("requested_revision")
        url = f"{vcs.get('vcs', 'git')}+{url}{f'@{revision}' if revision else ''}"
    return f"{url}#subdirectory={noted['subdirectory']}" if noted.get("subdirectory") else url


def _path(url: str) -> Path | None:
    """The file or folder that a URL names; None: it is elsewhere."""
    from urllib.parse import unquote, urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    if sys.platform == "win32":
        from urllib.request import url2pathname

        return Path(url2pathname(parts.path))
    return Path(unquote(parts.path))


def _quoted(text: str) -> str:
    """Text as one word of the shell; Windows knows double quotes only."""
    import shlex

    return f'"{text}"' if sys.platform == "win32" else shlex.quote(text)
