"""How many live streams one core sustains at ten updates a second, with the default bundle: FP32 and INT8, in several ways.

    python -m benchmarks.streams [--quick]

The streams share engines and one thread, which works on them by `voxface.runtime.live.stream_pool.StreamPool`: one by one, or
up to eight that are due together, with the runs of their encoders put together. For each way the processor
time that 0.1 s of sound costs is measured while eight streams with full windows are due; the ways take turns. It predicts a
number of streams. Then as many streams, and fewer and more, get their sound at fixed, evenly spaced times. A stream is timed
from the moment it was due, not from its turn, so lateness adds up. Streams are kept up with if in the last quarter none is
later than the 0.1 s until its next sound. INT8 means every layer that can be INT8. What was measured on other kinds of
processors stays in the result.
"""

import os
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.full_window import HOP
from benchmarks.interleave import Neighbours, percentiles, take_turns_by_stage
from benchmarks.options import parser
from benchmarks.record import RESULTS, load, record
from benchmarks.update import int8_bundle
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.live import ONE_PICTURE, LiveConfig, Mode
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.engines.packing import PACKED
from voxface.runtime.live.events import FaceEstimated
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.stream_pool import MOST, StreamPool
from voxface.runtime.processor import instruction_sets, processor_name
from voxface.runtime.voice_to_face import VoiceToFace

NAME: Final = "streams"
CLIP: Final = Path(__file__).parent.parent / "examples" / "sample_female.flac"
LIBRARIES: Final = ("numpy", "onnxruntime")
HOP_S: Final = HOP / SAMPLE_RATE
PRECISIONS: Final = ("fp32", "int8")
ROUNDS: Final = 25
LOADS: Final = (0.6, 0.8, 0.9, 1.0, 1.1)  # of the streams that the cost predicts
SECONDS: Final = 2.5  # of each load
QUICK: Final = (2, (0.5,), 0.5)  # rounds, loads and seconds of a try


class Way(NamedTuple):
    """What streams are asked for, and how they are worked on."""

    mode: Mode
    most: int = MOST  # streams in a turn
    pictures: bool = True  # whether the generator makes further pictures than the first
    window_s: int = 8


WAYS: Final = {
    "exact, one by one": Way("exact", most=1),
    "exact, packed": Way("exact"),
    "incremental, one by one": Way("incremental", most=1),
    "incremental, packed": Way("incremental"),
    "incremental, packed, no pictures": Way("incremental", pictures=False),
    "incremental, packed, no pictures, window of 10 s": Way("incremental", pictures=False, window_s=10),
}


def main() -> None:
    """Runs the benchmark; records it, unless it is only tried."""
    options = parser(__doc__)
    options.add_argument("--quick", action="store_true", help="a few rounds, and nothing is recorded")
    quick = options.parse_args().quick
    rounds, loads, seconds = QUICK if quick else (ROUNDS, LOADS, SECONDS)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sound = sound_of_clip()
    with Neighbours() as neighbours, ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        default = Bundle.open()
        bundles = {"fp32": default, "int8": int8_bundle(folder / "int8", default, sound)}
        voices = {name: opened.enter_context(VoiceToFace(bundle, threads=1)) for name, bundle in bundles.items()}
        crowds: dict[tuple[str, Way], Crowd] = {}  # ways that differ in the size of a turn share streams
        sides: dict[str, Side] = {}
        for name, way in WAYS.items():
            for precision in PRECISIONS:
                kind = precision, way._replace(most=0)
                crowd = crowds.setdefault(kind, Crowd(voices[precision], sound, way))
                sides[f"{precision}, {name}"] = Side(crowd, way.most)
        cost = take_turns_by_stage({name: partial(side.turn, MOST) for name, side in sides.items()}, rounds, warm_up=1)
        rows: dict[str, dict[str, Any]] = {}
        for name, times in cost.items():
            rows[name] = {
                "ms_per_0.1_s": percentiles(times["wall_ms"]),
                "processor_ms_per_0.1_s": percentiles(times["processor_ms"]),
                "predicted": round(1000 * HOP_S / float(np.mean(times["processor_ms"])), 1),
                "runs": [],
            }
        for share in loads:
            for name, side in sides.items():
                rows[name]["runs"].append(side.run(max(1, round(share * rows[name]["predicted"])), seconds))
    for row in rows.values():
        row["sustained"] = max((run["streams"] for run in row["runs"] if run["kept_up"]), default=0)
    machine = {
        "cpu": processor_name(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "updates_per_s": 1 / HOP_S,
        "rounds": rounds,
        "seconds": seconds,
        **neighbours.to_json(),
        "ways": rows,
    }
    if quick:
        for name, row in rows.items():
            print(
                f"{name:<64} {row['processor_ms_per_0.1_s']['p50']:7.2f} ms  {row['predicted']:7.1f} streams  {row['runs'][0]}"
            )
        return
    others = load(NAME)["measured"]["machines"] if (RESULTS / f"{NAME}.json").exists() else {}
    kind = ", ".join(instruction_sets()) or "unknown"
    record(NAME, "python -m benchmarks.streams", {"machines": {**others, kind: machine}}, LIBRARIES)


def sound_of_clip() -> NDArray[np.int16]:
    """The sound that all streams hear, int16 [n] at 16 kHz."""
    return np.concatenate(list(read_blocks(CLIP)))


@dataclass
class _Voice:
    """A stream's session and its sound, which begins anew when it is over."""

    session: LiveSession
    sound: NDArray[np.int16]
    at: int

    def next(self) -> NDArray[np.int16]:
        """The next 0.1 s."""
        piece = np.take(self.sound, np.arange(self.at, self.at + HOP), mode="wrap")
        self.at = (self.at + HOP) % len(self.sound)
        return piece


@dataclass
class Crowd:
    """Streams of one kind, with full windows; there are as many as were needed so far."""

    voice_to_face: VoiceToFace
    sound: NDArray[np.int16]
    way: Way
    voices: list[_Voice] = field(default_factory=list)

    def need(self, count: int) -> list[_Voice]:
        """At least so many streams; each begins elsewhere in the sound."""
        # Networks that hear one sound without end may hear a change of speaker where it begins anew; the watch is off for all.
        config = LiveConfig(
            hop=HOP,
            window=self.way.window_s * SAMPLE_RATE,
            mode=self.way.mode,
            image_reuse_distance=None if self.way.pictures else ONE_PICTURE,
            detect_speaker_change=False,
        )
        while len(self.voices) < count:
            voice = _Voice(
                self.voice_to_face.live_session(config), self.sound, 7919 * len(self.voices) % len(self.sound)
            )
            for _ in range(2 * self.way.window_s * SAMPLE_RATE // HOP):
                voice.session.feed(voice.next(), behind=True)  # most estimates are left out while the window fills
            self.voices.append(voice)
        return self.voices[:count]


class Side(NamedTuple):
    """Streams that are worked on in one way."""

    crowd: Crowd
    most: int  # streams in a turn
    packed: frozenset[str] = PACKED

    def turn(self, count: int) -> dict[str, float]:
        """Works on 0.1 s of so many streams that are due together; milliseconds of each."""
        pool: StreamPool[int] = StreamPool(time.perf_counter_ns, most=self.most, packed=self.packed)
        for key, voice in enumerate(self.crowd.need(count)):
            pool.open(key, voice.session)
            pool.push(key, voice.next(), 0)
        wall, busy = time.perf_counter_ns(), time.process_time_ns()
        while pool.turn():
            pass
        return {
            "wall_ms": (time.perf_counter_ns() - wall) / 1e6 / count,
            "processor_ms": (time.process_time_ns() - busy) / 1e6 / count,
        }

    def run(self, count: int, seconds: float) -> dict[str, Any]:
        """Lateness of so many streams whose sound comes at evenly spaced times."""
        voices = self.crowd.need(count)
        packs: Counter[tuple[str, int]] = Counter()

        def counted(graph: str, size: int) -> None:
            packs[graph, size] += 1

        pool: StreamPool[int] = StreamPool(time.perf_counter_ns, most=self.most, packed=self.packed, counted=counted)
        for key, voice in enumerate(voices):
            pool.open(key, voice.session)
        hop_ns = round(1e9 * HOP_S)
        began = time.perf_counter_ns() + 10_000_000
        dues = [
            began + hop * hop_ns + hop_ns * key // count for hop in range(int(seconds / HOP_S)) for key in range(count)
        ]
        late: list[float] = []
        faces = coming = 0
        while len(late) < len(dues):
            now = time.perf_counter_ns()
            while coming < len(dues) and dues[coming] <= now:
                key = coming % count
                pool.push(key, voices[key].next(), dues[coming])
                coming += 1
            heard = pool.turn()
            if not heard:
                time.sleep(max(0, dues[coming] - time.perf_counter_ns()) / 1e9)
            for each in heard:
                if each.error is not None:
                    raise each.error
                late.append(each.late_ns / 1e6)
                faces += sum(isinstance(event, FaceEstimated) for event in each.events)
        encoded = [(size, runs) for (graph, size), runs in packs.items() if graph == "encoder"]
        return {
            "streams": count,
            "ms_from_due": percentiles(np.array(late)),
            "kept_up": max(late[-len(late) // 4 :]) < 1000 * HOP_S,
            "updates_per_sound": round(faces / len(late), 3),
            "encoder_runs_together": round(
                sum(size * runs for size, runs in encoded) / sum(runs for _, runs in encoded), 2
            ),
        }


if __name__ == "__main__":
    main()
