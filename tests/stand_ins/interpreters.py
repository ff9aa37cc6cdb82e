"""Python interpreters of this machine, and the wheels that are at hand for them."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

PLACE = "VOXFACE_WHEELS"
"""Variable with a folder of wheels, filled as docs/releasing.md says."""
# Asked of an interpreter with the pip of this one, which runs under each that is promised.
TAGS = (
    "import json; from pip._vendor.packaging.tags import sys_tags; print(json.dumps([str(tag) for tag in sys_tags()]))"
)


@cache
def interpreter(minor: int) -> str | None:
    """A Python 3 of this minor version that runs: this one, one on the path, or one beside this one, as pyenv has them."""
    if minor == sys.version_info.minor:
        return sys.executable
    beside = sorted(Path(sys.base_prefix).parent.glob(f"*3.{minor}.*/bin/python3"))
    for place in [shutil.which(f"python3.{minor}"), *beside]:
        if place is not None:
            words = [place, "-c", "import sys, venv; print(sys.version_info.minor)"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip() == str(minor):  # a shim of pyenv is there and does not run
                return str(place)
    return None


def folder_of_wheels() -> Path | None:
    """The folder that `VOXFACE_WHEELS` names."""
    return Path(os.environ[PLACE]) if os.environ.get(PLACE) else None


def lacking(python: str, folder: Path, lock: Path) -> list[str]:
    """The packages of a lock that have no wheel for an interpreter in a folder, as "name version"."""
    import pip

    environment = {**os.environ, "PYTHONPATH": str(Path(pip.__file__).parent.parent)}
    told = subprocess.run([python, "-c", TAGS], env=environment, capture_output=True, text=True, check=True).stdout
    tags = set(json.loads(told))
    there = set()
    for wheel in folder.glob("*.whl"):
        name, version, *_, pythons, abis, systems = wheel.stem.split("-")
        words = [f"{p}-{a}-{s}" for p in pythons.split(".") for a in abis.split(".") for s in systems.split(".")]
        if tags.intersection(words):
            there.add((name.lower().replace("_", "-"), version))
    wanted = re.findall(r"^([\w.-]+)==([\w.]+)", lock.read_text(), re.M)
    return [f"{name} {version}" for name, version in wanted if (name.replace("_", "-"), version) not in there]
