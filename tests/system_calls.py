"""What a program asks of the system: the files it opens for writing and the connections it makes, as strace saw them."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxface.runtime.telemetry import VARIABLE

# By these ONNX Runtime's telemetry knows a CI and keeps quiet.
CI_VARIABLES = (
    "CI",
    "GITHUB_ACTIONS",
    "TF_BUILD",
    "JENKINS_URL",
    "TRAVIS",
    "CIRCLECI",
    "GITLAB_CI",
    "BUILD_ID",
    "TEAMCITY_VERSION",
)
TRACED = (
    "socket,connect,bind,listen,sendto,sendmsg,sendmmsg,"
    "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat"
)
# Not files: streams, shared memory, what the system tells of this process.
NO_FILES = re.compile(r"/dev/(null|tty|shm/.*|urandom|random|dri/.*)|/proc/.*|/sys/.*|pipe:.*")
WRITTEN = re.compile(
    r'(?:open(?:at)?\((?:AT_FDCWD, )?"([^"]*)", [^)\n]*O_(?:WRONLY|RDWR|CREAT)[^)\n]*\)'
    r'|creat\("([^"\n]*)"[^)\n]*\)'
    r'|mkdir(?:at)?\((?:AT_FDCWD, )?"([^"\n]*)"[^)\n]*\)'
    r'|(?:rename|link|symlink)(?:at2?)?\((?:AT_FDCWD, )?"[^"]*", (?:AT_FDCWD, )?"([^"\n]*)"[^)\n]*\))\s*=\s*\d+'
)
CALL = re.compile(r"(?:socket|connect|bind|sendto|sendmsg|sendmmsg)\([^\n]*(?:AF_INET6?|AF_PACKET|AF_NETLINK)[^\n]*")
BOUND = re.compile(r"bind\((\d+), ")
LISTENS = re.compile(r"listen\((\d+), ")
LOOPBACK = re.compile(r'inet_addr\("127\.[\d.]+"\)|inet_pton\(AF_INET6, "(?:::1|::ffff:127\.[\d.]+)"')


@dataclass(frozen=True)
class Watched:
    """A program that has ended.

    Attributes:
        done: its exit code and what it printed.
        calls: the system calls of it and its children, one a line.
        folder: where it ran: `out` in it was its working directory, `home` its home, `tmp` its temporary folder.
    """

    done: "subprocess.CompletedProcess[str]"
    calls: str
    folder: Path

    def strange_files(self) -> list[str]:
        """Files and folders it wrote, or tried to with success, elsewhere than in `out` and `tmp`."""
        found = ["".join(match) for match in WRITTEN.findall(self.calls)]
        places = ((self.folder / "out").resolve(), (self.folder / "tmp").resolve())
        return [
            path
            for path in found
            if not NO_FILES.fullmatch(path)
            and not any((self.folder / "out" / path).resolve().is_relative_to(place) for place in places)
        ]

    def network(self) -> list[str]:
        """Every call that has to do with a network."""
        return [match[0] for match in CALL.finditer(self.calls)]

    def network_beyond_this_machine(self) -> list[str]:
        """Connections to, and datagrams for, other addresses than this machine's own."""
        asks = [call for call in self.network() if not call.startswith(("socket", "bind"))]
        return [call for call in asks if not LOOPBACK.search(call) and "AF_NETLINK" not in call]

    def ports_open_to_others(self) -> list[str]:
        """Addresses at which it listened that are not this machine's own."""
        bound: dict[str, str] = {}
        found = []
        for line in self.calls.splitlines():
            if match := BOUND.match(line):
                bound[match[1]] = line
            elif match := LISTENS.match(line):
                address = bound.get(match[1], "")
                if "AF_INET" in address and not LOOPBACK.search(address):
                    found.append(address)
        return found

    def home(self) -> list[Path]:
        """What lies in its home."""
        return list((self.folder / "home").rglob("*"))


def environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The present one with another home, without what hides telemetry, and without the folder that torch has chosen here."""
    kept = {name: value for name, value in os.environ.items() if name not in (*CI_VARIABLES, VARIABLE)}
    kept = {name: value for name, value in kept.items() if not name.startswith(("XDG_", "TORCHINDUCTOR_"))}
    return {**kept, "HOME": str(home), "TMPDIR": str(home.parent / "tmp"), "PYTHONDONTWRITEBYTECODE": "1", **more}


def watch(folder: Path, words: Sequence[str | Path], program: str = sys.executable, **more: str) -> Watched:
    """Runs a program under strace, with an empty home.

    Args:
        folder: for its working directory, home and temporary folder, which are made.
        words: its arguments.
        more: variables of its environment.
    """
    for name in ("home", "tmp", "out"):
        (folder / name).mkdir(exist_ok=True)
    log = folder / "strace.txt"
    # By --seccomp-bpf a program is held at the calls of interest alone; without it, at every call.
    done = subprocess.run(
        ["strace", "-ff", "-qq", "--seccomp-bpf", "-e", f"trace={TRACED}", "-o", log, program, *words],
        env=environment(folder / "home", more), cwd=folder / "out", capture_output=True, text=True, check=False,
    )  # fmt: skip
    # A file of each thread, so that no call is interrupted by another's.
    calls = "".join(file.read_text(errors="replace") for file in sorted(folder.glob(f"{log.name}.*")))
    return Watched(done, calls, folder)
