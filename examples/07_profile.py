"""How long an update of a live stream takes here, and where the time goes.

    python examples/07_profile.py [--mode incremental]

`voxface profile` measures more, at the pace of a microphone, and says what to do about it (docs/profiling.md).
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

import voxface


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=("exact", "incremental"), default="exact")
    options = parser.parse_args()
    samples, rate = soundfile.read(Path(__file__).parent / "sample_male.flac", dtype="int16")
    stages: dict[str, list[float]] = defaultdict(list)
    with voxface.VoiceToFace(threads=1) as voice_to_face:
        voice_to_face.warm_up()
        with voice_to_face.stream(voxface.LiveConfig(mode=options.mode), sample_rate=rate) as stream:
            for event in stream.events(np.array_split(samples, len(samples) // (rate // 50))):
                if isinstance(event, voxface.FaceEstimated):
                    for stage, ns in event.estimate.stages_ns.items():
                        stages[stage].append(ns / 1e6)
    for stage, milliseconds in stages.items():
        half, most = np.percentile(milliseconds, [50, 95])
        print(f"{stage:<12} median {half:6.2f} ms, 95th percentile {most:6.2f} ms")
    print(f"{len(stages['encoder'])} updates of {sum(map(np.median, stages.values())):.1f} ms")


if __name__ == "__main__":
    main()
