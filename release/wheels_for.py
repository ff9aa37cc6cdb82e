"""Whether every package that the runtime needs has a wheel for another machine, such as a board with an Arm processor.

    python -m release.wheels_for [--machine aarch64] [--python 3.12] [--extra cpu …]

pip resolves the runtime's dependencies for that machine, in the versions that constraints.txt pins, and installs nothing. Our
own wheel is of pure Python. That all resolve says nothing of whether they run: this needs the machine, or an emulator.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
# Minor versions of glibc that a wheel may want: up to that of Debian 10 and Ubuntu 20.04. pip matches each exactly.
GLIBC: Final = (17, *range(24, 29))


class NotResolvedError(Exception):
    """A package has no wheel for the machine."""


class NoIndexError(Exception):
    """pip reaches no index, so nothing is known."""


def resolve(machine: str, python: str, extras: tuple[str, ...] = ("cpu",)) -> dict[str, str]:
    """Name of every package that the runtime needs with these extras -> file name of its wheel.

    Raises:
        NotResolvedError: pip found no set of wheels.
        NoIndexError: it finds none for this machine either.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC] + [f"manylinux2014_{machine}"]
    found = _asked(wanted, python, platforms)
    if isinstance(found, dict):
        return found
    if isinstance(_asked(wanted[:1], platform.python_version(), []), dict):
        raise NotResolvedError(f"no wheels for {machine} and Python {python}: {found}")
    raise NoIndexError(f"pip reaches no index: {found}")


def _asked(wanted: list[str], python: str, platforms: list[str]) -> dict[str, str] | str:
    """What pip would install, or the last line of its error."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        where = [word for name in platforms for word in ("--platform", name)]
        command = [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-cache-dir"),
            *("--disable-pip-version-check", "--only-binary=:all:", "--target", folder, "--report", str(report)),
            *("--constraint", str(ROOT / "constraints.txt"), "--python-version", python, *where, *wanted),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return (errors or done.stderr.splitlines() or ["pip said nothing"])[-1]
        entries = json.loads(report.read_text())["install"]
        return {each["metadata"]["name"]: each["download_info"]["url"].rsplit("/", 1)[-1] for each in entries}


def main(arguments: list[str] | None = None) -> int:
    """Prints the wheels; returns 1 if there are none for the machine, 2 if no index answers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0], allow_abbrev=False)
    parser.add_argument("--machine", default="aarch64", help="as `uname -m` says it (%(default)s)")
    parser.add_argument("--python", default="3.12", help="version (%(default)s)")
    parser.add_argument("--extra", action="append", help="extra of voxface (cpu)")
    options = parser.parse_args(arguments)
    try:
        found = resolve(options.machine, options.python, tuple(options.extra or ("cpu",)))
    except NotResolvedError as error:
        print(f"release.wheels_for: error: {error}", file=sys.stderr)
        return 1
    except NoIndexError as error:
        print(f"release.wheels_for: error: {error}", file=sys.stderr)
        return 2
    print("\n".join(f"{name:<20} {wheel}" for name, wheel in sorted(found.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
