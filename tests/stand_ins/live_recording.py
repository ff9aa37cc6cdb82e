"""A recording with everything that can be in one, made on the virtual clock, and its replay."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.stand_ins.live_session import Blocks, Notebook, PlainEstimator, cut, noise, voice
from voxface.runtime.live.clock import VirtualClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.recording import Recording
from voxface.runtime.live.replay import Comparison, run_replay
from voxface.runtime.live.runner import run_threaded
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.live.sinks.recorder import Recorder
from voxface.runtime.live.stop import Stop

ABOUT: dict[str, Any] = {"config": {}, "start": 0}
TALK = np.concatenate([voice(), noise(1, 8), voice(1)])


def record(folder: Path, estimator: PlainEstimator | None = None, queue_s: float = 10.0) -> Pipeline:
    """Two streams, NaN, an engine that stalls for longer than the queue: everything a recording must bring back."""
    clock = VirtualClock()
    estimator = estimator or PlainEstimator()
    estimator._clock = clock
    sound = (TALK / 32768).astype(np.float32)
    sound[70_000:70_100] = np.nan
    blocks = cut(sound, source="desk") + cut(voice(), stream=1, began_ns=25 * 10**9, source="desk")
    pipeline = Pipeline(LiveSession(estimator), clock)
    pipeline.sink_workers.append(SinkWorker(Recorder(folder, ABOUT), clock, "thread", lambda _: None))
    run_threaded(Blocks(blocks, clock), pipeline, clock, Stop(), [], queue_s=queue_s)
    return pipeline


def again(folder: Path, into: Path | None = None) -> tuple[Comparison, Notebook]:
    recording = Recording(folder)
    session = LiveSession(PlainEstimator(), recording.config, start=recording.start, skips=recording.skips)
    pipeline = Pipeline(session, VirtualClock())
    comparison, notebook = Comparison(recording), Notebook()
    sinks = [comparison, notebook, *([Recorder(into, ABOUT)] if into else [])]
    pipeline.sink_workers += [SinkWorker(sink, VirtualClock(), "here", lambda _: None) for sink in sinks]
    run_replay(recording, pipeline, Stop(), [])
    return comparison, notebook
