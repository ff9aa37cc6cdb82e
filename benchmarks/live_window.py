"""Frames a second of the live window, off screen, while sound runs at its own pace: the default bundle at 640×480.

    python -m benchmarks.live_window

Everything of `voxface live` runs: capture, inference and window, each on its thread, for 16 s of speech. The result also has
what was dropped, and the time from the converter (ADC) to the estimate. The mesh moves in every frame. Afterwards the same
sound is processed without a window.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.options import no_options
from benchmarks.record import record
from voxface.cli.live.window import HEIGHT, WIDTH, Window
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.live import MODES, LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.live.clock import SystemClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.runner import run_threaded
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.live.sources import FileSource
from voxface.runtime.live.stop import Stop
from voxface.runtime.voice_to_face import VoiceToFace

EXAMPLES: Final = Path(__file__).parent.parent / "examples"


class Restless(Window):
    """A window whose mesh always moves, so that every frame is drawn anew."""

    def draw(self) -> bool:
        """Draws a frame, a hundredth of a millimetre further."""
        self._at = self._at + np.float32(0.02 if self.frames % 2 else -0.02)
        return super().draw()


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    import soundfile

    load = os.getloadavg()[0]
    clock = SystemClock()
    with VoiceToFace(threads=1) as voice_to_face, tempfile.TemporaryDirectory() as folder:
        voice_to_face.warm_up()
        sound = [np.concatenate(list(read_blocks(EXAMPLES / f"sample_{sex}.flac"))) for sex in ("female", "male")]
        path = Path(folder) / "talk.wav"
        soundfile.write(path, np.concatenate(sound), SAMPLE_RATE)
        pipeline = Pipeline(voice_to_face.live_session(), clock)
        window = Restless(pipeline, voice_to_face.morphable, visible=False, frames_a_second=0)
        pipeline.sink_workers.append(SinkWorker(window, clock, "main", pipeline.stage_histograms.stages["sink"].add))
        began, busy = time.perf_counter(), time.process_time()
        run_threaded(FileSource(path, clock), pipeline, clock, Stop(), [window])
        took, spent = time.perf_counter() - began, time.process_time() - busy
        alone = {}
        for mode in MODES:
            plain = Pipeline(voice_to_face.live_session(LiveConfig(mode=mode, image_reuse_distance=0.0)), clock)
            run_threaded(FileSource(path, clock), plain, clock, Stop(), [])
            alone[mode] = plain.stage_histograms.milliseconds()
    record(
        "live_window",
        "python -m benchmarks.live_window",
        {
            "size": [WIDTH, HEIGHT],
            "seconds": took,
            "frames_per_s": window.frames / took,
            "cores_used": spent / took,
            "load_average_before": load,
            "latency_ms": pipeline.stage_histograms.milliseconds(),
            "latency_ms_with_nothing_drawn": alone,
            "counters": pipeline.counters.to_json(),
        },
        ("numpy", "onnxruntime", "open3d-cpu"),
    )


if __name__ == "__main__":
    main()
