"""Results of `voxface eval`, collected for docs/results.md.

    voxface eval SUITE … --out RESULTS          # as often as there are suites
    python -m benchmarks.evaluation WORLD RESULTS

WORLD names the part of the result: "paired" (real voices, drawn faces), "synthetic" (both made), or "lists"; what other worlds
and suites have is kept. Numbers of single people are not stored. Every result has the command that it is of.
"""

from pathlib import Path
from typing import Any

from benchmarks.options import parser
from benchmarks.record import RESULTS, load, record
from voxface.training.evaluation.run import read_results

LEFT_OUT = ("per_person", "figures", "versions")


def main() -> None:
    """Adds a folder of results to benchmarks/results/evaluation.json."""
    line = parser(__doc__)
    line.add_argument("world", choices=("paired", "synthetic", "lists"))
    line.add_argument("results", type=Path, help="folder of results of `voxface eval`")
    asked = line.parse_args()
    measured: dict[str, Any] = load("evaluation")["measured"] if (RESULTS / "evaluation.json").exists() else {}
    for name, document in read_results(asked.results).items():
        measured.setdefault(asked.world, {})[name] = {k: v for k, v in document.items() if k not in LEFT_OUT}
    command = f"voxface eval …; python -m benchmarks.evaluation {asked.world} RESULTS"
    record("evaluation", command, measured, ("numpy", "torch", "onnxruntime"))


if __name__ == "__main__":
    main()
