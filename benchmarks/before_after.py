"""This version beside an earlier one, on this machine and in turns: speed by what both say of themselves, and the results.

    python -m benchmarks.before_after COMMIT [--quick]

The earlier version is a clone of this repository at COMMIT; both run in this environment, with the same bundles: the default
one, that in INT8, and one of the papers' full size. The commit must be able to read them, so it is one since the bundle was
last trained. `voxface profile` gives the time of an update and of its engines, `voxface run` the time to the first face. What
both hear in the same clips is compared as well: events, embeddings and vertices, in both modes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.full_size import networks, write_bundle
from benchmarks.interleave import Neighbours
from benchmarks.options import parser
from benchmarks.pareto import SPEECH
from benchmarks.record import record
from voxface.runtime.config.live import MODES

ROOT: Final = Path(__file__).parent.parent
SAMPLES: Final = sorted((ROOT / "examples").glob("sample_*.flac"))
ROUNDS: Final = 3
STARTS: Final = 9
SECONDS: Final = 4
CLIPS: Final = 6

# Run in each version: what a live session says of clips, as arrays.
HEARD: Final = """
import sys
import numpy as np
import soundfile
import voxface
from voxface.runtime.config.live import LiveConfig
out, mode, *clips = sys.argv[1:]
found = {}
for k, clip in enumerate(clips):
    sound, rate = soundfile.read(clip, dtype="int16", always_2d=True)
    blocks = (sound[at : at + 480, 0] for at in range(0, len(sound), 480))
    with voxface.VoiceToFace(threads=1) as face, face.stream(LiveConfig(mode=mode), sample_rate=rate) as stream:
        events = list(stream.events(blocks))
    faces = [event.estimate for event in events if isinstance(event, voxface.FaceEstimated)]
    found[f"{k}.events"] = np.array([type(event).__name__ for event in events])
    found[f"{k}.embeddings"] = np.array([face.embedding for face in faces])
    found[f"{k}.vertices"] = np.array([face.vertices for face in faces])
np.savez(out, **found)
"""


class Version:
    """A tree of the sources, run by this Python."""

    def __init__(self, tree: Path) -> None:
        self._environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}

    def run(self, *words: str) -> str:
        """Standard output of Python with these words.

        Raises:
            RuntimeError: it failed.
        """
        done = subprocess.run(
            [sys.executable, *words], env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)[:200]}: {done.stderr[-2000:]}")
        return done.stdout

    def profile(self, bundle: Path | None, mode: str, seconds: int) -> dict[str, float]:
        """Milliseconds of an update, and of that what no engine took: medians."""
        words = ["-m", "voxface", "profile", "--json", "--threads", "1", "--mode", mode, "--seconds", str(seconds)]
        found = json.loads(self.run(*words, *([] if bundle is None else ["--bundle", str(bundle)])))
        update = found["service_ms"]["p50"]
        # An engine that runs at some updates only, as the generator of an incremental session, counts as often as it runs.
        each = {name: found["engine_runs"][name] / found["updates"] for name in found["engines_ms"]}
        engines = sum(times["p50"] * min(1.0, round(each[name])) for name, times in found["engines_ms"].items())
        return {"update": update, "outside": update - engines}

    def first_face(self, out: Path) -> float:
        """Seconds from the start of the process to the files of the first face."""
        began = time.perf_counter()
        self.run("-m", "voxface", "run", str(SAMPLES[0]), "--out", str(out), "--force")
        return time.perf_counter() - began

    def heard(self, out: Path, mode: str, clips: list[Path]) -> dict[str, Any]:
        """What sessions say of clips."""
        self.run("-c", HEARD, str(out), mode, *map(str, clips))
        with np.load(out) as found:
            return dict(found)


def compared(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """In how many clips two versions' events are the same, and how far their results of these are apart at most."""
    cosine, millimetres, same = 1.0, 0.0, 0
    for k in range(len(one) // 3):
        if not np.array_equal(one[f"{k}.events"], other[f"{k}.events"]):
            continue
        same += 1
        a, b = (side[f"{k}.embeddings"].astype(np.float64) for side in (one, other))
        cosine = min(cosine, float((np.sum(a * b, 1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min()))
        apart = np.linalg.norm(one[f"{k}.vertices"] - other[f"{k}.vertices"], axis=-1)
        millimetres = max(millimetres, float(apart.max()))
    return {"same_events": same, "1-cosine": max(0.0, 1 - cosine), "vertex_max_mm": millimetres}


def main() -> None:
    """Runs the benchmark and records it."""
    options = parser(__doc__)
    options.add_argument("before", metavar="COMMIT", help="the earlier version")
    options.add_argument("--quick", action="store_true", help="fewer rounds, to see that it runs; records nothing")
    asked = options.parse_args()
    rounds, starts, seconds = (1, 2, 1) if asked.quick else (ROUNDS, STARTS, SECONDS)
    with Neighbours() as neighbours, tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, room / "before"], check=True)
        subprocess.run(["git", "-C", room / "before", "checkout", "--quiet", asked.before], check=True)
        versions = {"before": Version(room / "before"), "after": Version(ROOT)}
        small, full = room / "int8.voxface", room / "full"
        speech = SPEECH if SPEECH.is_dir() else ROOT / "examples"
        words = [
            "calibrate",
            "default",
            "--audio",
            str(speech),
            "--precision",
            "int8",
            "--clips",
            "24",
            "--out",
            str(small),
        ]
        versions["after"].run("-m", "voxface", *words)
        write_bundle(full, networks())
        bundles = {"default FP32": None, "default INT8": small, "full size FP32": full}
        times: dict[str, dict[str, list[Any]]] = {}
        for turn in range(rounds):
            for name, bundle in bundles.items():
                for mode in MODES:
                    row = times.setdefault(f"{name}, {mode}", {side: [] for side in versions})
                    for side in sorted(versions, reverse=bool(turn % 2)):
                        row[side].append(versions[side].profile(bundle, mode, seconds))
        first: dict[str, list[float]] = {side: [] for side in versions}
        for turn in range(starts):
            for side in sorted(versions, reverse=bool(turn % 2)):
                first[side].append(versions[side].first_face(room / side))
        clips = [*SAMPLES, *sorted(SPEECH.rglob("*.flac"))[: 1 if asked.quick else CLIPS]]
        heard = {
            mode: compared(*(version.heard(room / f"{side}.npz", mode, clips) for side, version in versions.items()))
            for mode in MODES
        }
    measured = {
        "before": asked.before,
        "updates_ms": {
            name: {
                side: {
                    what: round(float(np.median([each[what] for each in found])), 3) for what in ("update", "outside")
                }
                for side, found in row.items()
            }
            for name, row in times.items()
        },
        "first_face_s": {side: round(float(np.median(found[1:])), 3) for side, found in first.items()},
        "clips": len(clips),
        "heard": heard,
        **neighbours.to_json(),
    }
    if asked.quick:
        print(json.dumps(measured, indent=1))
        return
    record("before_after", f"python -m benchmarks.before_after {asked.before}", measured)


if __name__ == "__main__":
    main()
