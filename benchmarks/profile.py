"""The output of `voxface profile` for the default bundle, verbatim, for docs/profiling.md.

    python -m benchmarks.profile

It also measures the time of an update outside of engine runs and in them: with the default bundle and at full size, in both
modes. In mode incremental engines run less, because most images are reused.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.full_size import networks, write_bundle
from benchmarks.options import no_options
from benchmarks.record import record
from voxface.runtime.config.live import MODES

SECONDS = 30


def main() -> None:
    """Runs the command and records what it printed and what it saved."""
    no_options(__doc__)
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full"
        write_bundle(full, networks())
        words = ["profile", "--seconds", str(SECONDS)]
        printed, report = _profile(words, folder)
        outside = {
            name: {mode: _outside(_profile([*words, *options, "--mode", mode], folder)[1]) for mode in MODES}
            for name, options in (("default_bundle", []), ("full_size", ["--bundle", str(full)]))
        }
    record(
        "profile",
        "python -m benchmarks.profile",
        {
            "load_average_1min": load,
            "ran": " ".join(["voxface", *words]),
            "printed": printed.splitlines(),
            "report": report,
            "outside_of_engines": outside,
        },
    )


def _profile(words: list[str], folder: str) -> tuple[str, dict[str, Any]]:
    """Output and saved profile of the command."""
    saved = Path(folder) / "profile.json"
    done = subprocess.run(
        [sys.executable, "-m", "voxface", *words, "--save", saved, "--force"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, json.loads(saved.read_text())


def _outside(report: dict[str, Any]) -> dict[str, float]:
    return {"p50_ms": report["outside_ms"], "of_engine_runs": report["overhead"]}


if __name__ == "__main__":
    main()
