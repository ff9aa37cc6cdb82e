"""A client of `voxface serve`: sends a sound file at its own pace, prints what comes back, and comes back itself when cut off.

    voxface serve                                   # in another terminal
    python examples/serve/client.py http://127.0.0.1:8765 examples/sample_female.flac

It needs nothing of voxface: websockets, soundfile and numpy. A token is taken from the variable VOXFACE_TOKEN.
"""

import argparse
import asyncio
import json
import os
import time
from typing import Any

import numpy as np
import soundfile
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

BLOCK_S = 0.1


class Client:
    """Sends samples and prints events, over as many connections as it takes."""

    def __init__(self, url: str, samples: np.ndarray, rate: int, pace: str) -> None:
        self.url = url.replace("http", "ws", 1).rstrip("/") + "/v1/stream"
        self.samples, self.rate, self.pace = samples, rate, pace
        self.sent = 0  # frames
        self.session: str | None = None
        self.received = 0  # number of the last event
        self.done = False

    async def run(self) -> None:
        """Until the server has said goodbye."""
        token = os.environ.get("VOXFACE_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        while not self.done:
            try:
                async with connect(self.url, additional_headers=headers, proxy=None, max_size=None) as socket:
                    await self.talk(socket)
            except (ConnectionClosed, InvalidHandshake, OSError) as error:
                if self.session is None:
                    raise SystemExit(f"no session: {error}") from None
                print(f"cut off ({error}); coming back")
                await asyncio.sleep(0.5)

    async def talk(self, socket: Any) -> None:
        """One connection."""
        hello = {
            "type": "hello",
            "version": 1,
            "rate": self.rate,
            "format": "f32le",
            "channels": self.samples.shape[1],
            "wants": ["measurements"],
            "updates_per_second": 2,
            "pace": self.pace,
        }
        if self.session is not None:
            hello["resume"] = {"session": self.session, "received": self.received, "frames": self.sent}
        await socket.send(json.dumps(hello))
        welcome = json.loads(await socket.recv())
        if welcome["event"] == "refused":
            if self.session is None:
                raise SystemExit(f"refused: {welcome['message']}; try again in {welcome['retry_s']:g} s")
            await asyncio.sleep(welcome["retry_s"])  # others came meanwhile; the session waits a while
            return
        if welcome["resumed"]:
            self.sent = welcome["frames"]  # what the server has not got is sent again
        self.session = welcome["session"]
        sending = asyncio.create_task(self.send(socket))
        try:
            async for message in socket:
                self.hear(json.loads(message))
        finally:
            sending.cancel()

    async def send(self, socket: Any) -> None:
        """Sends what is left, each block when its last sample would have been spoken."""
        began, first = time.monotonic(), self.sent
        block = round(self.rate * BLOCK_S)
        while self.sent < len(self.samples):
            part = self.samples[self.sent : self.sent + block]
            if self.pace == "live":
                due = began + (self.sent + len(part) - first) / self.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await socket.send(part.astype("<f4").tobytes())
            self.sent += len(part)
        await socket.send('{"type": "finish"}')

    def hear(self, event: dict[str, Any]) -> None:
        """Prints an event."""
        self.received = event.get("number", self.received)
        if event["event"] == "face":
            width = event["measurements_mm"]["face_width"]
            print(
                f"face after {event['voiced_s']:.1f} s of speech: {width:.1f} mm wide, confidence {event['confidence']:.2f}"
            )
        elif event["event"] == "goodbye":
            self.done = True
            print(f"goodbye ({event['reason']}) after {event['faces']} faces")
        else:
            print(json.dumps(event))


def main() -> None:
    """Reads the file and sends it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("url", help="the server")
    options.add_argument("audio", help="a sound file")
    options.add_argument(
        "--pace", choices=("live", "wait"), default="live", help="as spoken, or as fast as the server can"
    )
    given = options.parse_args()
    samples, rate = soundfile.read(given.audio, dtype="float32", always_2d=True)
    asyncio.run(Client(given.url, samples, rate, given.pace).run())


if __name__ == "__main__":
    main()
