"""Matching and verification at the paper's size (Wen 2019, §4.2): how long they take, and how much memory.

    python -m benchmarks.matching_trials

Embeddings are drawn: 21,850 recordings and 20,455 pictures of 189 people, 64 numbers each. Matching draws 2,353,560 trials, by
sex and not, and decides each for one method by cosine and for one by a network that chooses (SVHF); verification compares all
pairs of 22,000 recordings. Each measurement is a process of its own. Memory is the largest that the process has for itself
(`RssAnon`), looks 20 ms apart, less what it had before it began; the three numbers of trials show whether it grows.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import record

RECORDINGS: Final = 21_850
PICTURES: Final = 20_455
PEOPLE: Final = 189
WIDTH: Final = 64
TRIALS: Final = (250_000, 1_000_000, 2_353_560)
CLIPS: Final = 22_000
LOOK_S: Final = 0.02
Float32 = NDArray[np.float32]


def embeddings(count: int, seed: int) -> tuple[Float32, NDArray[np.int64]]:
    """Embeddings of unit length, and whose they are: each person has a direction of its own."""
    from voxface.training.evaluation.matching.association import unit

    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(PEOPLE, WIDTH))
    person = np.sort(rng.integers(PEOPLE, size=count))
    return unit(0.5 * centres[person] + rng.normal(size=(count, WIDTH))), person


def matching(trials: int) -> Callable[[], dict[str, Any]]:
    """Voice to face, 1 of 2, among anybody and among people of the same sex, by cosine."""
    from voxface.training.evaluation.matching.drawn_trials import drawing
    from voxface.training.evaluation.matching.matching_trials import by_cosine, tally_trials

    (probes, voice), (faces, face) = embeddings(RECORDINGS, 1), embeddings(PICTURES, 2)

    def measure() -> dict[str, Any]:
        found = {}
        for name, group in (("unstratified", None), ("by_sex", {i: i % 2 for i in range(PEOPLE)})):
            began = time.perf_counter()
            drawn = drawing(voice.tolist(), face.tolist(), group=group)
            tally = tally_trials(drawn, trials, {"cosine": by_cosine(probes, faces)}, voice, PEOPLE)["cosine"]
            found[f"{name}_s"] = round(time.perf_counter() - began, 2)
            found[f"{name}_right"] = round(tally.value or 0, 4)
        return found

    return measure


def choosing(trials: int) -> Callable[[], dict[str, Any]]:
    """The same trials, unstratified, decided by a network that chooses."""
    from voxface.training.evaluation.baselines.features import Features
    from voxface.training.evaluation.baselines.svhf import Svhf, SvhfConfig
    from voxface.training.evaluation.matching.drawn_trials import drawing
    from voxface.training.evaluation.matching.matching_trials import tally_trials

    (probes, voice), (faces, face) = embeddings(RECORDINGS, 1), embeddings(PICTURES, 2)
    network = Svhf.train(Features(probes, voice, faces, face), SvhfConfig(steps=20))

    def measure() -> dict[str, Any]:
        began = time.perf_counter()
        drawn = drawing(voice.tolist(), face.tolist())
        tally_trials(drawn, trials, {"svhf": network.choosing(probes, faces)}, voice, PEOPLE)
        return {"unstratified_s": round(time.perf_counter() - began, 2)}

    return measure


def verification(clips: int) -> Callable[[], dict[str, Any]]:
    """EER and AUC of all pairs of recordings."""
    from voxface.training.evaluation.measures.verification import rates

    rows, person = embeddings(clips, 1)

    def measure() -> dict[str, Any]:
        began = time.perf_counter()
        found = rates(rows, person, person, np.arange(clips))
        return {"seconds": round(time.perf_counter() - began, 2), **{k: round(v, 4) for k, v in found.items()}}

    return measure


CHILDREN: Final = {"matching": matching, "choosing": choosing, "verification": verification}


def child(name: str, size: int) -> None:
    """Measures in this process, and prints a JSON line."""
    measure = CHILDREN[name](size)
    before, most, ended = _anonymous(), [0], threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_S):
            most[0] = max(most[0], _anonymous())

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    found = measure()
    ended.set()
    watch.join()
    print(json.dumps({**found, "mb": round(max(0, most[0] - before) / 1e6), "process_mb": round(most[0] / 1e6)}))


def _anonymous() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1])
    return 0


def measured(name: str, size: int) -> dict[str, Any]:
    """What a process of its own measures, on two cores.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", "benchmarks.matching_trials", "--child", name, str(size)]
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}, {size}: {found}", file=sys.stderr)
    return found


def main() -> None:
    """Runs the benchmark and records it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None, allow_abbrev=False)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], int(options.child[1]))
        return
    if not Path("/proc/self/status").exists():
        print("benchmarks.matching_trials: reads /proc, which this system does not have", file=sys.stderr)
        sys.exit(5)
    found = {
        "matching": {str(trials): measured("matching", trials) for trials in TRIALS},
        "choosing": {str(TRIALS[-1]): measured("choosing", TRIALS[-1])},
        "verification": {str(CLIPS): measured("verification", CLIPS)},
    }
    record("matching_trials", "python -m benchmarks.matching_trials", found, ("numpy", "torch"))


if __name__ == "__main__":
    main()
