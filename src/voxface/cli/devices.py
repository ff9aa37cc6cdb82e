"""`voxface devices`: microphones, and with --try which of them work and how loud they are."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from voxface.cli.arguments import add_json
from voxface.cli.output import print_json
from voxface.cli.terminal_line import draws_over, printable

if TYPE_CHECKING:
    from voxface.runtime.live.device import Backend, Device

WIDTH = 30
QUIETEST_DB = -60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("--try", dest="listen", action="store_true", help="open each and show how loud it is")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to listen to each (%(default)g)")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Lists input devices; returns 5 if there are none, or if none of them opens."""
    from voxface.runtime.errors import ProviderError, UsageError
    from voxface.runtime.live.portaudio import PortAudio

    if not 0 < options.seconds <= 60:
        raise UsageError(f"--seconds {options.seconds:g}: more than 0, 60 at most")
    backend = PortAudio()
    hosts = backend.hosts()
    found: list[dict[str, Any]] = []
    for device in backend.devices():
        row: dict[str, Any] = {
            "index": device.index,
            "name": device.name,
            "host": device.host,
            "channels": device.channels,
            "rate": device.rate,
            "default": device.default,
        }
        if options.listen:
            row["heard"] = listen(backend, device, options.seconds, show=draws_over(sys.stderr) and not options.json)
        found.append(row)
    if options.json:
        print_json({"devices": found, "hosts": hosts})
    else:
        for row in found:
            print(_line(row))
        if found and len(hosts) > 1:
            print(f'by {", ".join(hosts)}; of devices with one name, --device "NAME, HOST" or the number chooses')
    if not found:
        raise ProviderError("no microphone found; plug one in, or on a server use `voxface live --source FILE`")
    return 0 if not options.listen or any(row["heard"]["opens"] for row in found) else ProviderError.exit_code


def listen(backend: "Backend", device: "Device", seconds: float, *, show: bool = False) -> dict[str, Any]:
    """Opens a device as `voxface live` does and listens: whether it opens, at which rate, how loud it is, what is wrong."""
    import time

    import numpy as np

    from voxface.runtime.audio.levels import LevelMeter
    from voxface.runtime.audio.resample import to_int16
    from voxface.runtime.live.device import DeviceError
    from voxface.runtime.live.device_opening import open_device, rates_to_try

    whole, recent = LevelMeter(), LevelMeter()
    bad = 0

    def hear(samples: Any, age: float, overflow: bool) -> None:
        nonlocal bad
        good = np.isfinite(samples).all(1)
        bad += int((~good).sum())
        heard = to_int16(samples[good].mean(1, dtype=np.float32))
        whole.feed(heard)
        recent.feed(heard)

    try:
        handle, rate = open_device(backend, device, rates_to_try(device), lambda _: hear)
    except DeviceError as error:
        return {"opens": False, "why": str(error)}
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.05)
        if show:
            print(
                f"\r{printable(device.name)[:32]:<32} {meter(recent.read().rms_db)}",
                end="",
                file=sys.stderr,
                flush=True,
            )
    handle.close()
    if show:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    level = whole.read()
    return {
        "opens": True,
        "rate": rate,
        "samples": level.samples,
        "rms_db": level.rms_db,
        "peak_db": level.peak_db,
        "bad_samples": bad,
        "problem": problem(level.samples, level.zeros, level.clipped),
    }


def problem(samples: int, zeros: float, clipped: float) -> str | None:
    """The problem of a device, and the cure."""
    if not samples:
        return "it delivers nothing; is another program using it?"
    if zeros == 1:
        return "all samples are zero; is it muted, or the terminal not allowed to use the microphone?"
    return "it clips; turn its level down" if clipped > 0.05 else None


def meter(db: float) -> str:
    """A bar for a level in decibels below full scale."""
    filled = max(0, min(WIDTH, round(WIDTH * (1 - db / QUIETEST_DB))))
    return "█" * filled + "·" * (WIDTH - filled) + f" {db:6.1f} dB"


def _line(row: dict[str, Any]) -> str:
    mark = "*" if row["default"] else " "
    channels = "1 channel" if row["channels"] == 1 else f"{row['channels']} channels"
    text = f"{mark} {row['index']:>3}  {row['name']}  ({row['host']}, {channels}, {row['rate']} Hz)"
    heard = row.get("heard")
    if heard is None:
        return text
    if not heard["opens"]:
        return f"{text}\n       does not open: {heard['why']}"
    what = f"{meter(heard['rms_db'])}, opened at {heard['rate']} Hz"
    return f"{text}\n       {what}" + (f"  {heard['problem']}" if heard["problem"] else "")
