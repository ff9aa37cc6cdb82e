"""How a result is written: what was measured, with the command, the commit, the machine and the versions."""

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.processor import usable_cores
from voxface.runtime.version import __version__

RESULTS = Path(__file__).parent / "results"


def record(
    name: str, command: str, measured: dict[str, Any], packages: tuple[str, ...] = ("numpy", "onnxruntime")
) -> None:
    """Writes `results/NAME.json`."""
    text = json.dumps(document_of(name, command, measured, packages), indent=1)
    write_bytes(RESULTS / f"{name}.json", text.encode() + b"\n")
    print(json.dumps(measured, indent=1))
    print(f"wrote {RESULTS / name}.json", file=sys.stderr)


def document_of(name: str, command: str, measured: dict[str, Any], packages: tuple[str, ...]) -> dict[str, Any]:
    """The document of a result; of whole paths in the command only the names, since folders are of this machine."""
    return {
        "what": name,
        "command": " ".join(Path(word).name if word.startswith("/") else word for word in command.split(" ")),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "machine": {"cpu": _cpu(), "cores": usable_cores(), "system": platform.system()},
        "versions": {
            "python": platform.python_version(),
            "voxface": __version__,
            **{package: metadata.version(package) for package in packages},
        },
        "measured": measured,
    }


def load(name: str) -> dict[str, Any]:
    """The document of `results/NAME.json`."""
    document: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return document


def _commit() -> str:
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:  # a machine that has no git
        return "unknown"
    return done.stdout.strip() or "unknown"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
