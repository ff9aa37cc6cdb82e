"""A microphone, heard as it speaks: a line for every face and for whatever else happens.

    pip install ".[mic]"
    python examples/02_microphone.py [--seconds 10]
    python examples/02_microphone.py --source clip.flac    # without a microphone: a file at its own pace

Sound is captured on a thread of its own, which waits for nobody; the loop that asks for events estimates.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import voxface

BLOCK_S = 0.02


def played(voice_to_face: voxface.VoiceToFace, path: Path) -> Iterator[voxface.Event]:
    """The events of a file, each block of which is heard when its sound is due."""
    import soundfile

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise voxface.InputError(f"{path}: cannot be read ({error})") from error
    with voice_to_face.stream(sample_rate=rate) as stream:
        for start in range(0, len(samples), int(rate * BLOCK_S)):
            time.sleep(BLOCK_S)
            yield from stream.feed(samples[start : start + int(rate * BLOCK_S)])
        yield from stream.finish()


def tell(event: voxface.Event) -> None:
    """Prints an event."""
    if isinstance(event, voxface.FaceEstimated):
        sex = event.estimate.attributes.sex
        print(f"{event.position / 16_000:6.2f} s  face: female {sex['female']:.0%}, male {sex['male']:.0%}", flush=True)
    else:
        print(f"         {event}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, help="how long to listen")
    parser.add_argument("--source", type=Path, help="a sound file instead of the microphone")
    options = parser.parse_args()
    try:
        with voxface.VoiceToFace(threads=1) as voice_to_face:
            if options.source:
                events = played(voice_to_face, options.source)
            else:
                events = voice_to_face.microphone(seconds=options.seconds)
            for event in events:
                tell(event)
    except KeyboardInterrupt:
        pass
    except voxface.VoxfaceError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
