"""A microphone, heard as it speaks: a line for every face and for whatever else happens.

    pip install ".[mic]"
    python examples/02_microphone.py [--seconds 10]
    python examples/02_microphone.py --source clip.flac    # without a microphone: a file at its own pace

PortAudio calls back on a thread of its own, which must not wait: it hands its blocks over, and the main thread estimates.
"""

import argparse
import queue
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import voxface

BLOCK_S = 0.02
Blocks = queue.Queue["np.ndarray[Any, Any] | None"]


@contextmanager
def microphone(blocks: Blocks) -> Iterator[int]:
    """Puts the default microphone's blocks, float32 [n, 1], into a queue; gives its rate."""
    try:
        import sounddevice

        device = sounddevice.query_devices(kind="input")
        rate = int(device["default_samplerate"])

        def called(samples: "np.ndarray[Any, Any]", frames: int, times: Any, status: Any) -> None:
            blocks.put(samples.copy())  # PortAudio writes into the same memory again

        stream = sounddevice.InputStream(rate, round(rate * BLOCK_S), channels=1, dtype="float32", callback=called)
    except (ImportError, OSError) as error:  # OSError: PortAudio itself is missing
        raise voxface.ProviderError(f"no microphone support ({error}); pip install '.[mic]'") from error
    except (sounddevice.PortAudioError, ValueError) as error:
        raise voxface.ProviderError(f"no microphone that opens ({error}); try --source FILE") from error
    with stream:
        yield rate


@contextmanager
def file(path: Path, blocks: Blocks) -> Iterator[int]:
    """Puts a file's blocks into a queue, each when its sound is due; gives the file's rate."""
    import threading

    import soundfile

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise voxface.InputError(f"{path}: cannot be read ({error})") from error

    def play() -> None:
        for block in np.split(samples, range(int(rate * BLOCK_S), len(samples), int(rate * BLOCK_S))):
            time.sleep(len(block) / rate)
            blocks.put(block)
        blocks.put(None)

    threading.Thread(target=play, daemon=True).start()
    yield rate


def tell(event: voxface.Event) -> None:
    """Prints an event."""
    if isinstance(event, voxface.FaceEstimated):
        sex = event.estimate.attributes.sex
        print(f"{event.position / 16_000:6.2f} s  face: female {sex['female']:.0%}, male {sex['male']:.0%}", flush=True)
    else:
        print(f"         {event}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long to listen")
    parser.add_argument("--source", type=Path, help="a sound file instead of the microphone")
    options = parser.parse_args()
    blocks: Blocks = queue.Queue()
    opened: Callable[[], Any] = (
        (lambda: file(options.source, blocks)) if options.source else (lambda: microphone(blocks))
    )
    try:
        with voxface.VoiceToFace(threads=1) as voice_to_face:
            voice_to_face.warm_up()  # before the device is opened: sound does not wait
            with opened() as rate, voice_to_face.stream(sample_rate=rate) as stream:
                ends = time.monotonic() + options.seconds
                while time.monotonic() < ends and (block := blocks.get()) is not None:
                    # Where estimates cannot keep up, some are left out: better a late face than an ever later one.
                    behind = blocks.qsize() * BLOCK_S > stream.config.hop / 16_000
                    for event in stream.feed(block, behind=behind):
                        tell(event)
                for event in stream.finish():
                    tell(event)
    except KeyboardInterrupt:
        pass
    except voxface.VoxfaceError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
