"""`voxface provenance`: what files say of how they came about."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxface.cli.arguments import add_json
from voxface.cli.output import Progress, complain, error_json, print_json
from voxface.cli.terminal_line import printable

if TYPE_CHECKING:
    from voxface.runtime.provenance.finding import Findings
    from voxface.runtime.provenance.found_mark import FoundMark


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the operands and options of this verb."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="PNG, GIF, GLB, OBJ, PLY, JSON or HTML files"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Tells the marks of every readable file and reports every other one; returns the exit code of the first failure. A file
    without a mark is no failure."""
    from voxface.runtime.errors import VoxfaceError
    from voxface.runtime.provenance.finding import find_marks

    found: list[Findings] = []
    errors: list[dict[str, Any]] = []
    progress = Progress(len(options.files), "files")
    for file in options.files:
        try:
            found.append(find_marks(file))
        except VoxfaceError as error:
            errors.append(error_json(str(error), error.exit_code, file))
            complain(str(error))
        progress.step(file.name)
    progress.close()
    if options.json:
        print_json({"files": [each.to_json() for each in found], "errors": errors})
    else:
        for each in found:
            print("\n".join(map(printable, _lines(each))))  # others wrote what files say
    return int(errors[0]["exit_code"]) if errors else 0


def _lines(findings: "Findings") -> list[str]:
    verdict = "says that it is synthetic" if findings.synthetic else "says nothing of being synthetic"
    return [f"{findings.file}: {findings.format}, {verdict}", *(_line(mark) for mark in findings.marks)]


def _line(mark: "FoundMark") -> str:
    """A mark in one line: its place, and all that it says."""
    signature = mark.signature or {}
    signer = f" by {signature['by']}" if signature.get("by") else ""
    why = f" ({signature['why']})" if signature.get("why") else ""
    said = (
        ("", mark.notice),
        ("source type ", (mark.digital_source_type or "").rpartition("/")[2]),
        ("made by ", mark.software),
        ("bundle ", mark.bundle),
        ("SHA-256 ", mark.bundle_sha256),
        ("signature ", f"{signature['state']}{signer}{why}" if signature else None),
        ("", f"{mark.count} times" if mark.count > 1 else None),
    )
    return f"  {mark.where}: {'; '.join(f'{name}{value}' for name, value in said if value)}"
