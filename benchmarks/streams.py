"""How many live streams one core sustains at ten updates a second, with the default bundle.

    python -m benchmarks.streams

The number is predicted from the processor time that 0.1 s of sound costs a session with a full window, and then measured: k
sessions on one core and one thread, each due every 0.1 s at fixed, evenly spaced times. A session is timed from the moment it
was due, not from its turn, so lateness adds up. Sessions share one set of engines, or have their own.
"""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.full_window import HOP, FullWindow
from benchmarks.interleave import Neighbours, percentiles, take_turns
from benchmarks.options import no_options
from benchmarks.record import record
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.live import MODES, Mode
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.voice_to_face import VoiceToFace

CLIP: Final = Path(__file__).parent.parent / "examples" / "sample_female.flac"
HOP_S: Final = HOP / SAMPLE_RATE
ROUNDS: Final = 60
LOADS: Final = (0.5, 0.75, 0.9, 1.0)  # of the streams that the cost of one predicts
SECONDS: Final = 3.0  # of each load


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sound = np.concatenate(list(read_blocks(CLIP)))
    measured: dict[str, Any] = {}
    with Neighbours() as neighbours:
        for mode in MODES:
            measured[mode] = {ways: _sustained(sound, mode, ways == "shared_engines") for ways in _WAYS}
    record(
        "streams",
        "python -m benchmarks.streams",
        {"updates_per_s": 1 / HOP_S, "rounds": ROUNDS, **neighbours.to_json(), "modes": measured},
        ("numpy", "onnxruntime"),
    )


_WAYS: Final = ("shared_engines", "own_engines")


def _sustained(sound: NDArray[np.int16], mode: Mode, shared: bool) -> dict[str, Any]:
    with ExitStack() as opened:
        engines = [opened.enter_context(VoiceToFace(threads=1))]
        sessions = [FullWindow(engines[0], sound, mode, image_reuse_distance=None)]
        busy = time.process_time()
        cost = take_turns({"hop": sessions[0].hop}, ROUNDS, warm_up=0)["hop"]
        share = (time.process_time() - busy) / ROUNDS / HOP_S
        runs = []
        for count in sorted({max(1, int(load / share)) for load in LOADS}):
            while len(sessions) < count:
                if not shared:
                    engines.append(opened.enter_context(VoiceToFace(threads=1)))
                sessions.append(FullWindow(engines[-1], sound, mode, image_reuse_distance=None))
            late = _run(sessions[:count])
            # A stream that always has its face before the next sound comes is kept up with.
            runs.append({"streams": count, "ms_from_due": percentiles(late), "kept_up": bool(late[-1] < 1000 * HOP_S)})
    return {
        "ms_per_0.1_s": percentiles(cost),
        "share_of_a_core": round(share, 4),
        "predicted": round(1 / share, 1),
        "sustained": max((run["streams"] for run in runs if run["kept_up"]), default=0),
        "runs": runs,
    }


def _run(sessions: list[FullWindow]) -> NDArray[np.float64]:
    """Milliseconds from when each hop was due to when it was done, in order."""
    late = []
    began = time.perf_counter() + 0.01
    for turn in range(int(SECONDS / HOP_S)):
        for place, session in enumerate(sessions):
            due = began + (turn + place / len(sessions)) * HOP_S
            time.sleep(max(0.0, due - time.perf_counter()))
            session.hop()
            late.append(1000 * (time.perf_counter() - due))
    return np.array(late)


if __name__ == "__main__":
    main()
