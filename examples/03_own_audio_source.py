"""Sound of one's own, here from a game or a call at 48 kHz in stereo: blocks of samples in, events out.

    python examples/03_own_audio_source.py

A block may have any length and need not be a whole number of anything: the events are the same.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

import voxface

RATE = 48_000


def call() -> Iterator[np.ndarray]:
    """Blocks int16 [n, 2] of 10 ms, as a program has them; here made of a sample."""
    sound, rate = soundfile.read(Path(__file__).parent / "sample_female.flac", dtype="float32")
    sound = soxr.resample(sound, rate, RATE)
    stereo = np.rint(np.stack([sound, sound], 1) * 30_000).astype(np.int16)
    yield from np.split(stereo, range(RATE // 100, len(stereo), RATE // 100))


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    config = voxface.LiveConfig(mode="incremental", hop=16_000 // 5)  # five estimates a second of speech
    with voxface.VoiceToFace(threads=1) as voice_to_face, voice_to_face.stream(config, sample_rate=RATE) as stream:
        faces = 0
        for block in call():
            for event in stream.feed(block):
                match event:
                    case voxface.FaceEstimated(estimate=estimate):
                        faces += 1  # estimate.image and estimate.vertices are what a game would draw
                        if faces == 1:
                            print(f"first face after {estimate.voiced_seconds:.2f} s of speech")
                    case voxface.NoFace(reason=reason):
                        print(f"no face: {reason}")
                    case voxface.SpeakerChanged(speaker=speaker):
                        print(f"speaker {speaker} now")
        stream.finish()  # the last speech gets its face
        assert stream.face is not None
        print(f"{faces} faces; the last one's confidence is {stream.face.estimate.confidence:.2f}")


if __name__ == "__main__":
    main()
