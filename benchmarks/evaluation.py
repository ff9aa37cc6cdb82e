"""The suites of `voxface eval` on a bundle and a folder of pairs, for docs/results.md.

    python -m benchmarks.evaluation WORLD [SUITE …] [--figures FOLDER] -- [OPTIONS OF voxface eval]

WORLD names the part of the result: "paired" (real voices, drawn faces), "synthetic" (both made), or "lists"; what other worlds
and suites have is kept. Numbers of single people are not stored.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.options import parser
from benchmarks.record import RESULTS, load, record
from voxface.cli import main as voxface
from voxface.training.evaluation.run import read_results
from voxface.training.evaluation.suites import SUITES


def _stored() -> dict[str, Any]:
    return load("evaluation")["measured"] if (RESULTS / "evaluation.json").exists() else {}


def main() -> None:
    """Runs the suites and adds what they find to benchmarks/results/evaluation.json."""
    line = parser(__doc__)
    line.add_argument("world", choices=("paired", "synthetic", "lists"))
    line.add_argument("suites", nargs="*", metavar="SUITE", help="(all)")
    line.add_argument("--figures", type=Path, help="folder for the figures")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    asked, options = line.parse_args(words[:cut]), words[cut + 1 :]
    measured = _stored()
    with tempfile.TemporaryDirectory() as room:
        out = asked.figures or Path(room)
        for suite in asked.suites or SUITES:
            voxface(["eval", suite, "--out", str(out), *options])
        for name, document in read_results(out).items():
            kept = {key: value for key, value in document.items() if key not in ("per_person", "figures", "versions")}
            measured.setdefault(asked.world, {})[name] = kept
    record(
        "evaluation",
        "python -m benchmarks.evaluation",
        json.loads(json.dumps(measured)),
        ("numpy", "torch", "onnxruntime"),
    )


if __name__ == "__main__":
    main()
