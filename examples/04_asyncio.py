"""A stream within asyncio: estimates run on a thread of their own, and the event loop goes on serving others.

    python examples/04_asyncio.py

A source that delivers faster than faces can be made is held up; nothing is dropped, and memory does not grow.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import soundfile

import voxface


async def websocket() -> AsyncIterator[np.ndarray]:
    """Blocks float32 [n] as they come over a network; here a sample, twice as fast as it was spoken."""
    samples, rate = soundfile.read(Path(__file__).parent / "sample_male.flac", dtype="float32")
    for block in np.split(samples, range(rate // 50, len(samples), rate // 50)):
        await asyncio.sleep(len(block) / rate / 2)
        yield block


async def serve_others(served: list[int]) -> None:
    """What else the loop has to do, a hundred times a second."""
    while True:
        served[0] += 1
        await asyncio.sleep(0.01)


async def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    served = [0]
    others = asyncio.create_task(serve_others(served))
    with voxface.VoiceToFace(threads=1) as voice_to_face:
        async with voice_to_face.stream_async(voxface.LiveConfig(mode="incremental")) as stream:
            async for event in stream.events(websocket()):
                if isinstance(event, voxface.VoiceStarted | voxface.VoiceEnded):
                    print(event)
            face = stream.face
    others.cancel()
    assert face is not None
    print(f"the last face is of {face.estimate.voiced_seconds:.1f} s of speech")
    print(f"meanwhile others were served {served[0]} times")


if __name__ == "__main__":
    asyncio.run(main())
