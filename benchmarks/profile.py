"""What `voxface profile` says of the default bundle here, word for word; it stands in docs/profiling.md.

python -m benchmarks.profile
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.record import record

SECONDS = 30


def main() -> None:
    """Runs the command and records what it printed and what it saved."""
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "profile.json"
        words = ["profile", "--seconds", str(SECONDS)]
        done = subprocess.run(
            [sys.executable, "-m", "voxface", *words, "--save", saved], capture_output=True, text=True, check=True
        )
        report = json.loads(saved.read_text())
    record(
        "profile",
        "python -m benchmarks.profile",
        {
            "load_average_1min": load,
            "ran": " ".join(["voxface", *words]),
            "printed": done.stdout.splitlines(),
            "report": report,
        },
    )


if __name__ == "__main__":
    main()
