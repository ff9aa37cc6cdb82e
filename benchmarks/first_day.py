"""A stranger's first day: from a fresh clone to a face, a live face, a program, an INT8 bundle and own data, by the pages.

    python -m benchmarks.first_day [--only NAME]

Every path begins with a clone of its own and an empty virtual environment, and takes the commands that the pages show, in their
order: `COMMANDS`, each with the page it stands on. They run as a user without rights and without a home; after what installs,
without a network (in a network namespace of their own, so this program is run by root on Linux). Times are those of this
machine with the packages' index at hand; what a network would add depends on the network. Reading is not timed: pages are
counted.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.options import parser
from benchmarks.record import record

ROOT: Final = Path(__file__).parent.parent
NOBODY: Final = 65_534
PROGRAM: Final = "README.md"
INSTALL: Final = ("tutorial/index.md", "python3 -m venv .venv && . .venv/bin/activate")
# What pip finds its index by, which is the machine's own business.
OF_PIP: Final = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "SSL_CERT_FILE",
)


@dataclass(frozen=True)
class Command:
    """A line to type.

    Attributes:
        page: where it stands, below docs/, or README.md.
        line: as it stands there.
        stands_for: what is typed instead, where the line cannot be: a file of the example for `clip.flac`.
    """

    page: str
    line: str
    stands_for: str = ""

    @property
    def typed(self) -> str:
        """What is typed."""
        return self.stands_for or self.line

    @property
    def installs(self) -> bool:
        """Whether it may use the network."""
        return "pip install" in self.line or self.line == "make demo"


def pip(page: str, extras: str) -> Command:
    """The command that installs voxface with these extras."""
    return Command(page, f'pip install -c constraints.txt ".[{extras}]"')


def first_program() -> str:
    """The first program of the README, on one of its samples."""
    text = (ROOT / PROGRAM).read_text()
    return text.split("```python\n")[1].split("```")[0].replace("clip.flac", "examples/sample_female.flac")


VENV: Final = Command(*INSTALL)
PATHS: Final[dict[str, tuple[Command, ...]]] = {
    "a face of a sample": (Command(PROGRAM, "make demo"),),
    "a live face, from a file as a microphone": (
        VENV,
        pip("tutorial/index.md", "cpu"),
        Command("tutorial/live.md", "voxface live --source examples/sample_male.flac --json-lines > events.jsonl"),
    ),
    "a program of one's own": (
        VENV,
        pip("tutorial/index.md", "cpu"),
        Command(PROGRAM, "face.estimate_file", "python -c \"$(cat program.py)\""),
    ),
    "an INT8 bundle, compared": (
        VENV,
        pip("tutorial/engine.md", "cpu,calibrate"),
        Command("tutorial/engine.md", "voxface calibrate default --audio examples --precision int8 --out small.voxface"),
        Command("tutorial/engine.md", "voxface compare default --against small.voxface --audio examples"),
    ),
    "own recordings and photographs, quickly": (
        VENV,
        pip("tutorial/own-bundle.md", "cpu,train"),
        Command("tutorial/own-bundle.md", "python examples/own_voice/own_voice.py data --quick"),
    ),
}  # fmt: skip
MADE: Final = {  # what is there at the end of each path
    "a face of a sample": "demo/sample_female/face.png",
    "a live face, from a file as a microphone": "events.jsonl",
    "a program of one's own": "face/mesh.glb",
    "an INT8 bundle, compared": "small.voxface",
    "own recordings and photographs, quickly": "data",
}


def walk(name: str, room: Path) -> dict[str, Any]:
    """Takes one path in a clone below `room`.

    Raises:
        RuntimeError: a command failed, or what it is to make is not there.
    """
    clone = room / "voxface"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    (clone / "program.py").write_text(first_program())
    subprocess.run(["chown", "--recursive", f"{NOBODY}:{NOBODY}", room], check=True)
    seconds = {"installing": 0.0, "running": 0.0}
    commands = PATHS[name]
    for command in commands:
        began = time.perf_counter()
        type_in(command, clone)
        seconds["installing" if command.installs or command == VENV else "running"] += time.perf_counter() - began
    if not (clone / MADE[name]).exists():
        raise RuntimeError(f"{name}: {MADE[name]} was not made")
    return {
        "commands": 1 + len(commands),  # and the clone
        "pages": len({command.page for command in commands}),
        "seconds": {kind: round(value, 1) for kind, value in seconds.items()},
    }


def type_in(command: Command, clone: Path) -> None:
    """Runs one command in a clone, as nobody.

    Raises:
        RuntimeError: it failed; with all that it said.
    """
    activate = "" if command == VENV or command.line == "make demo" else ". .venv/bin/activate; "
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    words += ["bash", "-euc", activate + command.typed]
    if not command.installs:
        words = ["unshare", "--net", *words]
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(clone.parent), "LANG": "C.UTF-8"}
    environment |= {key: os.environ[key] for key in OF_PIP if key in os.environ}
    done = subprocess.run(words, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{command.typed}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )


def main() -> None:
    """Takes all paths and records them."""
    options = parser(__doc__)
    options.add_argument("--only", choices=sorted(PATHS), help="one path, to try it; records nothing")
    only = options.parse_args().only
    found: dict[str, Any] = {}
    for name in [only] if only else PATHS:
        with tempfile.TemporaryDirectory() as folder:
            room = Path(folder)
            room.chmod(0o755)
            found[name] = walk(name, room)
        print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
    if not only:
        record("first_day", "python -m benchmarks.first_day", {"paths": found})


if __name__ == "__main__":
    if os.geteuid() or not shutil.which("unshare"):
        sys.exit("the first day is tried as another user and without a network: run this as root, on Linux")
    main()
