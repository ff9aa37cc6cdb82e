"""Memory of every training while the data grow to the papers' size: 150,000 utterances and 140,000 photographs (Wen 2019, §4).

    python -m benchmarks.paper_scale [--quick] [--folder ROOM]

Voices and pictures are generated, and short: 0.4 s and 64×64 pixels. They count, not what they hold. Each training runs for a
few steps, with validation and the numbers at its end, and says how long these steps waited for their batches. Memory is what
the process has for itself (`RssAnon`), the largest of looks 50 ms apart; of the mapped files it says nothing, which the
system keeps or drops as it likes. Networks are narrow, since their memory does not depend on the data. Every person has the
same share of utterances and pictures; there are 1,225, as in the paper, or fewer where data are few.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.record import record
from voxface.runtime.bundle.bundle import Bundle
from voxface.training.data.pairs import Person, Split, rows_of
from voxface.training.data.pairs_folder import PairsWriter

UTTERANCES: Final = (1_000, 10_000, 50_000, 150_000)
PICTURES_EACH: Final = 140 / 150
PEOPLE: Final = 1_225
FRAMES: Final = 40
LOOK_S: Final = 0.05
STEPS: Final = 12
WAITED: Final = re.compile(rb"steps waited for data ([0-9.]+) %")
SMALL_GAN: Final = ("--set", "channels=32,32,16,16,8", "--set", "critic=8,8,16,16,32")


def write_pairs(folder: Path, utterances: int) -> None:
    """Pairs of this many utterances, and as many pictures for each as the paper has."""
    rng = np.random.default_rng(0)
    model = Bundle.open().morphable
    count = min(PEOPLE, max(20, utterances // 40))
    splits: list[Split] = ["validation" if k % 11 == 5 else "test" if k % 7 == 3 else "train" for k in range(count)]
    people = tuple(Person(f"p{k}", f"p{k}", "FM"[k % 2], splits[k]) for k in range(count))  # type: ignore[arg-type]
    faces = rng.normal(size=(count, model.modes)).astype(np.float32)
    noise = rng.normal(size=(4 * FRAMES, 64)).astype(np.float16)
    picture = rng.integers(0, 256, (1, 64, 64, 3), np.uint8)
    with PairsWriter(folder) as writer:
        for u in range(utterances):
            begin = int(rng.integers(3 * FRAMES))
            writer.add_utterance(u % count, u, noise[begin : begin + FRAMES] + np.float16(u % count % 7), clean=True)
        for k in range(round(PICTURES_EACH * utterances)):
            writer.add_pictures(k % count, picture + np.uint8(k % 251))
        writer.finish(
            kind="own",
            about={"name": "generated"},
            people=rows_of(people),
            coefficients=faces,
            expected=faces,
            cues=np.full((count, 2), np.nan, np.float32),
            morphable=model,
        )


def trainings(room: Path, pairs: Path) -> dict[str, list[str]]:
    """Commands by name, in the order in which each needs what the one before made."""
    encoder, expert = room / "encoder", room / "expert"
    return {
        "voice-encoder wen2019": ["--data", str(pairs), "--preset", "wen2019", "--batch", "32", "--out", str(encoder)],
        "face-gan wen2019": [
            *("--data", str(pairs), "--encoder", str(encoder), "--preset", "wen2019", "--batch", "16"),
            *(*SMALL_GAN, "--set", "judge.steps=10", "--out", str(room / "gan")),
        ],
        "face-gan modern": [
            *("--data", str(pairs), "--encoder", str(encoder), "--preset", "modern", "--batch", "16"),
            *(*SMALL_GAN, "--set", "judge.steps=10", "--set", "bank=1", "--out", str(room / "modern")),
        ],
        "mesh wu2022": [
            *("--data", str(pairs), "--encoder", str(encoder), "--preset", "wu2022", "--out", str(room / "mesh")),
        ],
        "mesh default": [
            *("--data", str(pairs), "--encoder", str(encoder), "--set", "bank=1", "--out", str(room / "default")),
        ],
        "expert small": ["--data", str(pairs), "--preset", "small", "--out", str(expert)],
        "joint wu2022": [
            *("--data", str(pairs), "--encoder", str(encoder), "--expert", str(expert), "--preset", "wu2022"),
            *("--batch", "4", *SMALL_GAN, "--set", "student_size=48", "--set", "student_trunk=plain"),
            *("--out", str(room / "joint")),
        ],
    }


def measure(name: str, arguments: list[str]) -> dict[str, float]:
    """Largest anonymous memory in MB, seconds, and percent of waiting for data of one training.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", "voxface", "train", name.split(maxsplit=1)[0], *arguments, "--steps", str(STEPS)]
    most, began = 0, time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, "OMP_NUM_THREADS": "1"})
        while process.poll() is None:
            most = max(most, _anonymous(process.pid))
            time.sleep(LOOK_S)
        said.seek(0)
        text = said.read()
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}: {text.decode(errors='replace')[-2000:]}")
    found = {"mb": float(round(most / 1e6)), "seconds": round(time.perf_counter() - began, 1)}
    if waited := WAITED.search(text):  # the expert draws its batches beforehand
        found["waiting_percent"] = float(waited[1])
    return found


def _anonymous(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return 1024 * int(line.split()[1])
    except OSError:  # it has just ended
        pass
    return 0


def main() -> None:
    """Runs the benchmark and records it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="1,000 and 3,000 utterances, nothing is recorded")
    parser.add_argument("--folder", type=Path, help="where to put 4 GB for the time being")
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for utterances in (1_000, 3_000) if options.quick else UTTERANCES:
        with tempfile.TemporaryDirectory(dir=options.folder) as room:
            write_pairs(Path(room) / "pairs", utterances)
            for name, arguments in trainings(Path(room), Path(room) / "pairs").items():
                found.setdefault(name, {})[str(utterances)] = measured = measure(name, arguments)
                print(f"{utterances} utterances, {name}: {measured}", file=sys.stderr)
    if not options.quick:
        record("paper_scale", "python -m benchmarks.paper_scale", {"trainings": found}, ("numpy", "torch"))


if __name__ == "__main__":
    main()
