"""Writes the numbers of README and docs from the results: every table between two `numbers:` comments.

python -m benchmarks.numbers [--check]
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.record import load
from voxface.runtime.atomic import write_bytes

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md",)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def sex() -> str:
    """What a voice tells: sex of the face against sex of the speaker."""
    measured = load("librispeech")["measured"]
    lines = [
        "| on speakers never trained on | agrees with the speaker's sex | 95 % interval | always the commoner sex |",
        "|---|---|---|---|",
    ]
    for key, name in (("sex_of_mesh_held_out", "mesh"), ("sex_of_picture_held_out", "picture")):
        row = measured[key]
        low, high = row["speakers_95"]
        lines.append(
            f"| {name} | {row['right_speakers']} of {row['all_speakers']} speakers ({_percent(row['recordings'])} of "
            f"recordings) | {_percent(low)} – {_percent(high)} | {_percent(row['always_the_commoner_sex'])} |"
        )
    return "\n".join(lines)


def measures() -> str:
    """Mean measurements of the faces of held-out women and men."""
    measured = load("librispeech")["measured"]["measurements_held_out"]
    lines = ["| mean over held-out speakers, mm | women | men |", "|---|---|---|"]
    for name, row in measured.items():
        lines.append(f"| {name.replace('_', ' ')} | {row['women_mm']:.1f} | {row['men_mm']:.1f} |")
    return "\n".join(lines)


def first_face() -> str:
    """Cold start."""
    document = load("first_face")
    row, machine = document["measured"], document["machine"]
    return (
        f"Process start to all files of the first face of an 8 s clip: {row['voxface_s']['p50']:.2f} s "
        f"(median of {row['rounds']}; {machine['cores']} cores of {machine['cpu']}). The same networks in eager PyTorch, "
        f"which write the picture only: {row['pytorch_eager_s']['p50']:.2f} s in the same run, "
        f"{row['ratio']['p50']:.1f} times as long."
    )


TABLES: dict[str, Callable[[], str]] = {"sex": sex, "measures": measures, "first-face": first_face}


def fill(text: str) -> str:
    """The page with every block between `<!-- numbers:NAME -->` and `<!-- /numbers -->` written anew."""
    return re.sub(
        r"(<!-- numbers:([\w-]+) -->\n).*?(<!-- /numbers -->)",
        lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}",
        text,
        flags=re.DOTALL,
    )


def stale() -> list[Path]:
    """Pages whose numbers are not those of the results."""
    return [page for page in PAGES if fill(page.read_text()) != page.read_text()]


def main() -> int:
    """Writes the pages, or with --check only says which are stale."""
    for page in stale():
        print(page.relative_to(ROOT))
        if "--check" in sys.argv:
            return 1
        write_bytes(page, fill(page.read_text()).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
