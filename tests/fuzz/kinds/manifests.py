"""Bundles whose hashes are right and whose manifest holds odd values: in any field, of any type and size, in odd JSON."""

import copy
import hashlib
import json
import random
import zipfile
from pathlib import Path
from typing import Any, Final

from tests.conftest import ROOT, SAMPLES
from tests.fuzz.commands import Commands, Outcome

FULL = 1200
QUICK = 25
NEEDS: tuple[str, ...] = ()
SMALL: Final = ROOT / "tests" / "stored" / "small.voxface"
TIMES: Final = 2.0  # a command may take so many times the memory that it takes for the bundle before it is changed
SLACK_MB: Final = 30.0  # measuring: caches that one command touches and another does not
_DEEP: Final = "[" * 900 + "]" * 900
# Values as JSON, some of which Python writes and no standard allows.
ODD: Final = (
    *(
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1",
        "1.5",
        "-0.0",
        "1e-400",
        "1e400",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e30",
    ),
    *(
        "4194304",
        "1000000007",
        "1099511627776",
        "4611686018427387904",
        "9223372036854775808",
        "9" * 400,
        "-" + "9" * 30,
    ),
    *(
        '""',
        '"x"',
        '"\\ud800"',
        '"\\u0000"',
        '"\\u001b]0;evil\\u0007\\u001b[31mred"',
        '"../../etc/passwd"',
        '"/dev/zero"',
    ),
    *(
        '"mesh.onnx"',
        '"bundle.json"',
        '"B"',
        '"' + "long" * 5000 + '"',
        "[]",
        "{}",
        "[[]]",
        '{"a": 1}',
        '["x"]',
        "[NaN]",
    ),
    *('{"a": Infinity}', '{"": {"": {"": null}}}', _DEEP, "[" + ",".join(["[]"] * 3000) + "]"),
)


def read(path: Path) -> dict[str, bytes]:
    """The files of a zipped bundle."""
    with zipfile.ZipFile(path) as z:
        return {name: z.read(name) for name in z.namelist()}


def seal(manifest: dict[str, Any]) -> bytes:
    """A manifest as its author would write it, with its digest."""
    bare = {key: value for key, value in manifest.items() if key != "sha256"}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"))
    return json.dumps({**bare, "sha256": hashlib.sha256(text.encode()).hexdigest()}).encode()


def write(path: Path, files: dict[str, bytes]) -> None:
    """A zipped bundle."""
    with zipfile.ZipFile(path, "w") as z:
        for name, data in files.items():
            z.writestr(name, data)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a document, containers among them."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [inner for key, each in value.items() for inner in places(each, (*path, key))]
    elif isinstance(value, list):
        found += [inner for index, each in enumerate(value) for inner in places(each, (*path, index))]
    return found


def put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    """Sets the value at a path."""
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


def allowances(commands: Commands, bundle: Path, clip: Path, folder: Path) -> dict[str, float]:
    """The most megabytes that each command may take, measured with an honest bundle."""
    lines = command_lines(bundle, clip, folder)
    return {name: TIMES * commands.run(*words).peak_mb + SLACK_MB for name, words in lines.items()}


def command_lines(bundle: Path, clip: Path, folder: Path) -> dict[str, list[object]]:
    """The commands that a hostile bundle meets."""
    return {
        "verify": ["bundle", "verify", bundle],
        "info": ["bundle", "info", bundle, "--json"],
        "card": ["bundle", "info", bundle, "--card"],
        "run": ["run", clip, "--bundle", bundle, "--out", folder / "out", "--force", "--json"],
    }


def judge(name: str, outcome: Outcome, allowed: dict[str, float]) -> list[str]:
    """What is wrong with how a command ended on a hostile bundle."""
    return outcome.problems(
        most_mb=allowed[name],
        json_document=name in ("info", "run") and outcome.exit_code == 0,
        codes=(0, 6) if name != "card" else (0, 3, 6),
    )


def fuzz(count: int, seed: int, folder: Path) -> list[str]:
    """Changes one to three values of the small bundle's manifest in each case."""
    clip = SAMPLES[0]
    files = read(SMALL)
    manifest = json.loads(files["bundle.json"])
    everywhere = places(manifest)
    found: list[str] = []
    bundle = folder / "hostile.voxface"
    with Commands(folder) as commands:
        allowed = allowances(commands, SMALL, clip, folder)
        for number in range(count):
            rng = random.Random(f"{seed} {number}")
            changed = copy.deepcopy(manifest)
            told = []
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                path, value = rng.choice(everywhere), rng.choice(ODD)
                try:
                    put(changed, path, json.loads(value))
                except (KeyError, IndexError, TypeError, ValueError, RecursionError):
                    continue  # an earlier change took the place away
                told.append(f"{'.'.join(map(str, path))} = {value[:40]}")
            try:
                sealed = seal(changed)
            except RecursionError:
                continue
            write(bundle, {**files, "bundle.json": sealed})
            lines = command_lines(bundle, clip, folder)
            for name in (
                ("verify", "info", "card", "run") if number % 4 == 0 else ("info", rng.choice(("verify", "run")))
            ):
                outcome = commands.run(*lines[name], seconds=60.0)
                for problem in judge(name, outcome, allowed):
                    found.append(f"case {number}, {name}, {'; '.join(told)}: {problem}")
    return found
