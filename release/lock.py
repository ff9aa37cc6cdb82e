"""Locks: every package that `make demo`, the Docker image and `make test` install, with the hashes of its files.

python -m release.lock [--check]

Versions are those of `constraints.txt`, then those installed here, so that what is locked was tested; a package that only
another Python or system needs gets its newest version. One lock serves Python 3.11 to 3.13 on every system: markers say what is
for which. Hashes are those of every file of a version, so whichever of them pip chooses is one that was published.

torch is in no lock: its build for CPUs has the same version as the build for CUDA but other bytes, and which of them an index
gives depends on the index. Its version is pinned in `constraints.txt`; what its CPU build needs is locked.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path
from shutil import which
from typing import Final

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "requirements"
LOCKS: Final = {
    "demo": ("cpu",),
    "serve": ("cpu", "serve"),
    "test": (
        *("cpu", "mic", "serve", "serve-ray", "train", "eval", "ray", "openvino", "tensorrt-rtx", "c2pa"),
        *("docs", "notebooks", "dev"),
    ),
}
# What the metadata of torch's build for CPUs asks for.
NEEDED_BY_TORCH: Final = ("filelock", "fsspec", "jinja2", "networkx", "sympy", "typing-extensions")
# Installed for one file in it; what it asks for is not.
ALONE: Final = ("silero-vad",)
HEAD: Final = """\
# Every package for `{what}` on Python 3.11 to 3.13, with the hashes of its files; made by `python -m release.lock`.
"""


def lock(name: str) -> str:
    """The text of a lock.

    Raises:
        subprocess.CalledProcessError: no versions fit together, or an index cannot be reached.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["build-system"]["requires"], *(NEEDED_BY_TORCH if name == "test" else ())]
    python = "3.11.5" if name == "test" else "3.11"  # the least that an extension of the site's Markdown runs on
    extras = [word for extra in LOCKS[name] for word in ("--extra", extra)]
    text = _compiled(asked, python, "pyproject.toml", *extras)
    if name == "test":
        text += _compiled(ALONE, python, "--no-deps")
    _check_portable(text)
    return HEAD.format(what={"demo": "make demo", "serve": "the Docker image", "test": "make test"}[name]) + text


def _compiled(asked: tuple[str, ...] | list[str], python: str, *words: str) -> str:
    with tempfile.TemporaryDirectory() as place:
        pins, without = Path(place) / "pins.txt", Path(place) / "without.txt"
        pins.write_text("\n".join(installed()))
        without.write_text("torch; sys_platform == 'never'\n")
        command = [
            _uv(), "pip", "compile", "--quiet", "--universal", "--python-version", python, "--generate-hashes",
            "--no-header", "--annotation-style", "line", "--no-cache", "--no-python-downloads",
            "--constraints", "constraints.txt", "--constraints", str(pins), "--overrides", str(without),
            "--no-emit-package", "torch", *words, "-",
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, input="\n".join(asked), stdout=subprocess.PIPE, text=True, check=True, env=_environment()
        )
    # Who asked for it is of interest, in which file that stands is not.
    kept = done.stdout.partition("\n# The following packages were excluded")[0]
    text = re.sub(r"-c \S+(, )?|-r - \(?.*?\)?(, )?", "", kept)
    return re.sub(r"^ +# via *(.*?),? *\n", lambda m: f"    # via {m[1]}\n" if m[1] else "", text, flags=re.M)


def installed() -> list[str]:
    """Pins of what is installed here and `constraints.txt` does not pin."""
    pinned = {_name(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    own = {"torch", "voxface", "voxface-runtime", "pip"}
    found = {_name(each.name): each.version for each in metadata.distributions() if each.metadata["Name"]}
    return [f"{name}=={version}" for name, version in sorted(found.items()) if name not in pinned | own]


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _uv() -> str:
    found = which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        sys.exit("locking needs uv: make lock installs it")
    return found


def _environment() -> dict[str, str]:
    """Without settings of uv for this machine, which would find their way into the lock."""
    return {name: value for name, value in os.environ.items() if not name.startswith("UV_")}


def _check_portable(text: str) -> None:
    """AssertionError for a lock that names a host or a folder of the machine that made it."""
    assert not re.search(r"https?:|file:|--index|--find-links|\+cpu| @ ", text), "a lock names no place"


def main() -> None:
    """Writes the locks, or compares them."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0], allow_abbrev=False)
    options.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a lock would be another")
    check = options.parse_args().check
    stale = []
    for name in LOCKS:
        path, text = FOLDER / f"{name}.lock", lock(name)
        if not path.exists() or path.read_text() != text:
            stale.append(path)
            if not check:
                path.write_text(text)
        packages = len(re.findall(r"^[\w.-]+==", text, re.M))
        print(f"{path.relative_to(ROOT)}: {packages} packages, {text.count('--hash')} hashes")
    if check and stale:
        sys.exit(f"stale: {', '.join(path.name for path in stale)}; run: python -m release.lock")


if __name__ == "__main__":
    main()
