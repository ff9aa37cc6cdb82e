"""The strip of `live.md`: python docs/make_live_pictures.py (needs the extra "viewer").

The window of `voxface live`, drawn off screen while a female voice speaks and then a male one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from voxface.cli.live.window import Window
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.face.png import png
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.live.block import Block
from voxface.runtime.live.clock import SystemClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.voice_to_face import VoiceToFace

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
MOMENTS_S = (0.6, 1.6, 7.5, 9.4, 15.5)
BLOCK = SAMPLE_RATE // 50


def main() -> None:
    """Writes `live.png`: the window at five moments, a third as large."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    sound = np.concatenate(
        [block for sex in ("female", "male") for block in read_blocks(EXAMPLES / f"sample_{sex}.flac")]
    )
    frames, wanted = [], list(MOMENTS_S)
    clock = SystemClock()
    with VoiceToFace(threads=1) as voice_to_face:
        session = voice_to_face.live_session()
        pipeline = Pipeline(session, clock)
        window = Window(pipeline, voice_to_face.morphable, visible=False, frames_a_second=0)
        pipeline.sink_workers.append(SinkWorker(window, clock, "here", lambda _: None))
        for at in range(0, len(sound), BLOCK):
            now = clock.now_ns()
            pipeline.feed(Block(sound[at : at + BLOCK, None], SAMPLE_RATE, now, now, first=at))
            if wanted and (at + BLOCK) / SAMPLE_RATE >= wanted[0]:
                wanted.pop(0)
                image = window.picture().reshape(240, 3, 320, 3, 3).mean((1, 3))
                frames.append(np.rint(image / 4).astype(np.uint8).clip(0, 63) * 4)  # 64 levels: half the file
        window.close()
    write_bytes(DOCS / "live.png", png(np.concatenate(frames, axis=1), voice_to_face.bundle.mark))
    changes = pipeline.counters.to_json()["speaker_changes"]
    print(f"wrote {len(frames)} pictures; changes of speaker noticed: {changes}", file=sys.stderr)


if __name__ == "__main__":
    main()
