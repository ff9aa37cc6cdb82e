"""Source distribution and wheel, in dist/: the wheel is built of the source distribution, so that this is whole too.

python -m release.build [--out dist]
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
HOOK: Final = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"


def build(out: Path) -> list[Path]:
    """Builds both; returns their paths. Nothing is fetched: setuptools is taken from this environment.

    Raises:
        subprocess.CalledProcessError: a build failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    archive = _run("build_sdist", ROOT, out)
    with tempfile.TemporaryDirectory() as place:
        with tarfile.open(archive) as inside:
            inside.extractall(place, filter="data")
        (source,) = Path(place).iterdir()
        return [archive, _run("build_wheel", source, out)]


def _run(hook: str, source: Path, out: Path) -> Path:
    before = set(out.iterdir())
    # A wheel holds the times of its files; with one for all the same tree gives the same wheel.
    environment = {"SOURCE_DATE_EPOCH": "1577836800", **os.environ}
    command = [sys.executable, "-c", HOOK, hook, str(out.resolve())]
    subprocess.run(command, cwd=source, env=environment, stdout=subprocess.DEVNULL, check=True)
    (made,) = set(out.iterdir()) - before
    return made


def main() -> None:
    """Builds, and says what."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0], allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for both (dist)")
    for path in build(parser.parse_args().out):
        print(path)


if __name__ == "__main__":
    main()
