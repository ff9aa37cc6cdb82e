"""Memory of every training and of `data prepare` while data grow to the papers' 150,000 utterances and 140,000 photographs.

    python -m benchmarks.paper_scale [--quick] [--folder ROOM]

Voices and pictures are generated, and short: 0.4 s and 64×64 pixels. They count, not what they hold. `data prepare` reads
them as arrays of frames and aligned pictures in folders of people; every training has the same numbers of them as shards,
runs for a few steps (that of the mesh, whose steps take milliseconds, for more), with validation and the numbers at its end,
and says how long these steps waited for their batches. Memory is what the processes of a command have for themselves
(`RssAnon`), the largest of looks 50 ms apart; of the mapped files it says nothing, which the system keeps or drops as it
likes. Networks are narrow, since their memory does not depend on the data; so the steps are short, and wait for more than
their share. Every person has the same share of utterances and pictures; there are 1,225, as in the paper, or fewer where data
are few.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.record import record
from voxface.runtime.bundle.bundle import Bundle
from voxface.training.data.pairs import Person, Split, rows_of
from voxface.training.data.pairs_folder import PairsWriter
from voxface.training.faces.population import FacePopulation

UTTERANCES: Final = (1_000, 150_000)
PICTURES_EACH: Final = 140 / 150
PEOPLE: Final = 1_225
FRAMES: Final = 40
LOOK_S: Final = 0.05
STEPS: Final = {"": 8, "mesh default": 100}  # of all but those named
WAITED: Final = re.compile(rb"steps waited for data ([0-9.]+) %")
SMALL_GAN: Final = ("--set", "channels=32,32,16,16,8", "--set", "critic=8,8,16,16,32")
SMALL_EXPERT: Final = ("--set", "renders.pictures=200", "--set", "held=20")


def write_pairs(folder: Path, utterances: int) -> None:
    """Pairs of this many utterances, and as many pictures for each as the paper has."""
    rng = np.random.default_rng(0)
    bundle = Bundle.open()
    model = bundle.morphable
    count = _people(utterances)
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
            population=FacePopulation.load(bundle.path / "population.npz"),
        )


def write_folders(folder: Path, utterances: int) -> list[str]:
    """Folders of as many people with arrays of frames and aligned pictures; returns the words that prepare them."""
    rng = np.random.default_rng(0)
    count = _people(utterances)
    noise = rng.normal(size=(utterances + FRAMES, 64)).astype(np.float16)
    picture = rng.integers(0, 256, (64, 64, 3), np.uint8)
    for k in range(count):
        for kind in ("voices", "photos"):
            (folder / kind / f"p{k}").mkdir(parents=True)
    for u in range(utterances):
        np.save(folder / "voices" / f"p{u % count}" / f"{u}.npy", noise[u : u + FRAMES].astype(np.float32))
    for k in range(round(PICTURES_EACH * utterances)):
        picture[0, :2] = np.frombuffer(np.array([k, 0], "<u4").tobytes()[:6], np.uint8).reshape(
            2, 3
        )  # no two are the same
        Image.fromarray(picture).save(folder / "photos" / f"p{k % count}" / f"{k}.png", compress_level=0)
    table = "\n".join(["id,sex", *(f"p{k},{'FM'[k % 2]}" for k in range(count))])
    (folder / "people.csv").write_text(table + "\n")
    return [
        *("--voices", str(folder / "voices"), "--photos", str(folder / "photos"), "--detector", "aligned"),
        *("--people", str(folder / "people.csv"), "--out", str(folder / "pairs")),
    ]


def trainings(room: Path, pairs: Path) -> dict[str, list[str]]:
    """Commands by name, in the order in which each needs what the one before made."""
    encoder, expert = room / "encoder", room / "expert"
    return {
        "voice-encoder wen2019": ["--data", str(pairs), "--preset", "wen2019", "--batch", "8", "--out", str(encoder)],
        "face-gan wen2019": [
            *("--data", str(pairs), "--encoder", str(encoder), "--preset", "wen2019", "--batch", "8"),
            *(*SMALL_GAN, "--set", "judge.steps=10", "--out", str(room / "gan")),
        ],
        "face-gan modern": [
            *("--data", str(pairs), "--encoder", str(encoder), "--preset", "modern", "--batch", "8"),
            *(*SMALL_GAN, "--set", "judge.steps=10", "--set", "bank=1", "--out", str(room / "modern")),
        ],
        "mesh wu2022": [
            *("--data", str(pairs), "--encoder", str(encoder), "--preset", "wu2022", "--batch", "8"),
            *("--out", str(room / "mesh")),
        ],
        "mesh default": [
            *("--data", str(pairs), "--encoder", str(encoder), "--set", "bank=1", "--out", str(room / "default")),
        ],
        "expert small": ["--data", str(pairs), "--preset", "small", *SMALL_EXPERT, "--out", str(expert)],
        "joint wu2022": [
            *("--data", str(pairs), "--encoder", str(encoder), "--expert", str(expert), "--preset", "wu2022"),
            *("--batch", "4", *SMALL_GAN, "--set", "student_size=48", "--set", "student_trunk=plain"),
            *("--out", str(room / "joint")),
        ],
    }


def measure(words: list[str]) -> dict[str, float]:
    """Largest anonymous memory in MB, seconds, and of a training the percent of waiting for data, of one command.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", "voxface", *words]
    most, began = 0, time.perf_counter()
    with tempfile.TemporaryFile() as said:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)
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


def _anonymous(session: int) -> int:
    """Bytes of all processes of a session."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) != session:
                continue
            for line in (process / "status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    total += 1024 * int(line.split()[1])
        except OSError:  # it has just ended
            pass
    return total


def _people(utterances: int) -> int:
    return min(PEOPLE, max(20, utterances // 40))


def main() -> None:
    """Runs the benchmark and records it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="1,000 and 3,000 utterances, nothing is recorded")
    parser.add_argument("--folder", type=Path, help="where to put 4 GB for the time being")
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}

    def measured(name: str, utterances: int, words: list[str]) -> None:
        found.setdefault(name, {})[str(utterances)] = row = measure(words)
        print(f"{utterances} utterances, {name}: {row}", file=sys.stderr, flush=True)
        if not options.quick:  # after each command, since the large ones take long
            document = {"commands": found, "steps": STEPS[""]}
            record("paper_scale", "python -m benchmarks.paper_scale", document, ("numpy", "torch"))

    for utterances in (1_000, 3_000) if options.quick else UTTERANCES:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            room = Path(folder)
            measured("data prepare", utterances, ["data", "prepare", *write_folders(room / "own", utterances)])
            shutil.rmtree(room / "own")
            write_pairs(room / "pairs", utterances)
            for name, words in trainings(room, room / "pairs").items():
                training, steps = name.partition(" ")[0], STEPS.get(name, STEPS[""])
                measured(f"train {name}", utterances, ["train", training, *words, "--steps", str(steps)])


if __name__ == "__main__":
    main()
