"""`python -m tests.fuzz [KIND …] [--count N] [--seed S]`: the fuzzers at full length."""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.kinds import NAMES, kind


def main() -> int:
    """Exit code 1 where there is a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(NAMES)}; all of them if none is given")
    parser.add_argument("--count", type=int, help="number of cases, in place of each kind's own")
    parser.add_argument("--seed", type=int, help="seed of the inputs; a random one if none is given")
    options = parser.parse_args()
    for name in options.kinds:
        if name not in NAMES:
            parser.error(f"{name}: no such kind, there are {', '.join(NAMES)}")
    seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
    findings = 0
    for name in options.kinds or NAMES:
        count = options.count or kind(name).FULL
        print(f"{name}: {count} cases, seed {seed}", flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = kind(name).fuzz(count, seed, Path(folder))
        for line in found:
            print(f"  {line}")
        print(f"  {len(found)} findings, {time.monotonic() - began:.0f} s", flush=True)
        findings += len(found)
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
