"""The tag of a release, after what has to hold: a clean tree, one version everywhere, its entry in CHANGELOG.md.

python -m release.tag [--dry-run]

Makes an annotated tag, whose message is the entry, and pushes nothing.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from voxface.runtime.version import __version__

ROOT: Final = Path(__file__).parent.parent


def entry_of(changelog: str, version: str) -> str | None:
    """The text below the heading `## VERSION – YYYY-MM-DD`; None: there is none, or its date is none."""
    found = re.search(rf"^## {re.escape(version)} – \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    return found[1].strip() if found else None


def complaints(root: Path, version: str) -> list[str]:
    """What has to be mended before the version can be tagged."""
    changelog = (root / "CHANGELOG.md").read_text()
    found = []
    if _git(root, "status", "--porcelain"):
        found.append("the tree is not clean: commit, or remove what is not to be part of the release")
    if _git(root, "tag", "--list", f"v{version}"):
        found.append(f"v{version} is tagged already: raise the version in src/voxface/runtime/version.py")
    if entry_of(changelog, version) is None:
        found.append(f"CHANGELOG.md has no heading '## {version} – YYYY-MM-DD'")
    unreleased = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    if unreleased and unreleased[1].strip():
        found.append("CHANGELOG.md has entries under 'Unreleased': move them to the version")
    return found


def _git(root: Path, *words: str, said: str | None = None) -> str:
    done = subprocess.run(["git", *words], cwd=root, input=said, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def main(root: Path = ROOT, version: str = __version__) -> None:
    """Tags, or says what is in the way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0], allow_abbrev=False)
    parser.add_argument("--dry-run", action="store_true", help="only say what is in the way")
    dry = parser.parse_args().dry_run
    if found := complaints(root, version):
        sys.exit("\n".join(f"v{version}: {complaint}" for complaint in found))
    if dry:
        print(f"v{version} can be tagged")
        return
    message = f"voxface-runtime {version}\n\n{entry_of((root / 'CHANGELOG.md').read_text(), version)}\n"
    # Verbatim: headings of the entry begin with '#', which git would take for remarks.
    _git(root, "tag", "--annotate", f"v{version}", "--cleanup=verbatim", "--file=-", said=message)
    print(f"tagged v{version}; publish it with: git push origin v{version}")


if __name__ == "__main__":
    main()
