"""Wheels for a machine without a network, carried in parts of a limited size, such as the libraries for `benchmarks.gpu`.

    pip download -d wheels --only-binary=:all: --platform manylinux_2_28_x86_64 --python-version 3.12 NAME …
    python -m benchmarks.carry_wheels split wheels parts --mib 48      # here: folders parts/1, parts/2, …
    python benchmarks/carry_wheels.py keep parts/1 held                # there, once for each folder as it comes
    python benchmarks/carry_wheels.py install held site                # there: then PYTHONPATH=site

A wheel larger than a part is cut; every piece and every wheel has its SHA-256. `install` says which parts are missing. It needs
nothing but Python and pip, asks no index, and can be run as a file.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

MOST_MIB = 1 << 20
INDEX = "wheels.json"  # in every part: all wheels, and the pieces of each


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0], allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    cut = verbs.add_parser("split", help="makes folders of at most so many MiB of a folder of wheels")
    cut.add_argument("wheels", type=Path)
    cut.add_argument("parts", type=Path)
    cut.add_argument("--mib", type=float, default=48, help="MiB of a part at most (%(default)g)")
    take = verbs.add_parser("keep", help="copies a part beside those that have come before")
    take.add_argument("part", type=Path)
    take.add_argument("held", type=Path)
    put = verbs.add_parser("install", help="joins the pieces, checks them and installs the wheels into a folder")
    put.add_argument("held", type=Path)
    put.add_argument("site", type=Path)
    options = parser.parse_args(arguments)
    if options.verb == "split" and not 0 < options.mib <= MOST_MIB:
        parser.error(f"--mib {options.mib:g}: more than 0, at most {MOST_MIB}")
    try:
        if options.verb == "split":
            print(f"{split(options.wheels, options.parts, int(options.mib * 2**20))} parts in {options.parts}")
        elif options.verb == "keep":
            print(f"{keep(options.part, options.held)} pieces are missing")
        else:
            install(options.held, options.site)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"carry_wheels: error: {error}", file=sys.stderr)
        return 3
    return 0


def split(wheels: Path, parts: Path, limit: int) -> int:
    """Writes the wheels of a folder into folders `parts`/1, /2, … of at most `limit` bytes each; returns their number.

    Raises:
        ValueError: there are no wheels, or `limit` is too small for the list of them.
        FileExistsError: `parts` is there already.
    """
    files = sorted(wheels.glob("*.whl"))
    if not files:
        raise ValueError(f"{wheels} has no wheels")
    # The list is in every part; its size is known only once it is made, so room for it is kept.
    room = limit - 4096 - 512 * (len(files) + sum(file.stat().st_size for file in files) // max(1, limit // 2))
    if room < 1024:
        raise ValueError(f"parts of {limit / 2**20:g} MiB have no room for {len(files)} wheels; make them larger")
    parts.mkdir(parents=True)
    index: dict[str, Any] = {}
    number, used = 1, 0
    for file in files:
        whole, pieces, left = hashlib.sha256(), [], file.stat().st_size
        with file.open("rb") as stream:
            while left:
                if used >= room:
                    number, used = number + 1, 0
                data = stream.read(min(left, room - used))
                if not data:
                    raise ValueError(f"{file} became shorter while it was read")
                name = f"{file.name}.{len(pieces) + 1:03}"
                (parts / str(number)).mkdir(exist_ok=True)
                (parts / str(number) / name).write_bytes(data)
                whole.update(data)
                pieces.append({"file": name, "part": number, "sha256": hashlib.sha256(data).hexdigest()})
                left, used = left - len(data), used + len(data)
        index[file.name] = {"sha256": whole.hexdigest(), "pieces": pieces}
    text = json.dumps(index, indent=1)
    for part in range(1, number + 1):
        (parts / str(part) / INDEX).write_text(text)
    return number


def keep(part: Path, held: Path) -> int:
    """Copies a part into `held`, checked; returns how many pieces are missing there still.

    Raises:
        ValueError: a piece is damaged, or the part is of other wheels than those held.
    """
    text = (part / INDEX).read_text()
    held.mkdir(parents=True, exist_ok=True)
    there = held / INDEX
    if there.exists() and there.read_text() != text:
        raise ValueError(f"{held} holds parts of other wheels; empty it first")
    for piece in _pieces(_index(part, text)):
        source = part / piece["file"]
        if source.exists():
            _check(source, piece["sha256"])
            shutil.copyfile(source, held / piece["file"])
    there.write_text(text)
    return len(_missing(held))


def install(held: Path, site: Path) -> None:
    """Joins the pieces and installs the wheels into the folder `site`, without an index and without looking at dependencies.

    Raises:
        ValueError: parts are missing, or a wheel is damaged.
        subprocess.CalledProcessError: pip failed.
    """
    missing = _missing(held)
    if missing:
        parts = sorted({int(piece["part"]) for piece in missing})
        raise ValueError(f"{held}: parts {', '.join(map(str, parts))} have not come")
    joined = held / "joined"
    joined.mkdir(exist_ok=True)
    wheels = []
    for name, wheel in _index(held, (held / INDEX).read_text()).items():
        path = joined / name
        with path.open("wb") as stream:
            for piece in wheel["pieces"]:
                stream.write((held / piece["file"]).read_bytes())
        _check(path, wheel["sha256"])
        wheels.append(str(path))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir",
         "--disable-pip-version-check", "--upgrade", "--target", str(site), *wheels],
        check=True,
    )  # fmt: skip


def _index(folder: Path, text: str) -> dict[str, Any]:
    """The list of wheels and pieces; every name in it is that of a file in the folder itself.

    Raises:
        ValueError: it is damaged, or of another form.
    """
    try:
        index: dict[str, Any] = json.loads(text)
        names = [*index, *(piece["file"] for piece in _pieces(index))]
        told = all(isinstance(piece["sha256"], str) and int(piece["part"]) > 0 for piece in _pieces(index))
        told = told and all(isinstance(wheel["sha256"], str) for wheel in index.values())
        good = told and all(Path(name).name == name and name not in ("", INDEX) for name in names)
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise ValueError(f"{folder / INDEX} is damaged, or no list of wheels; carry it again")
    return index


def _pieces(index: dict[str, Any]) -> list[dict[str, Any]]:
    return [piece for wheel in index.values() for piece in wheel["pieces"]]


def _missing(held: Path) -> list[dict[str, Any]]:
    return [piece for piece in _pieces(_index(held, (held / INDEX).read_text())) if not (held / piece["file"]).exists()]


def _check(path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while data := stream.read(1 << 20):
            digest.update(data)
    if digest.hexdigest() != sha256:
        raise ValueError(f"{path} is damaged: its SHA-256 is not the one it was sent with; carry it again")


if __name__ == "__main__":
    sys.exit(main())
