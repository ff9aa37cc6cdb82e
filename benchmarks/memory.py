"""Memory and processor time of whole processes: `voxface run`, `voxface live` on a file at its own pace, and PyTorch beside.

    python -m benchmarks.memory

PyTorch runs networks of the default bundle's sizes as the papers' programs do (`papers_pipeline`), ten times a second.
Resident memory is what the system reports for the process: the largest value and the one at the end. Processor time is that of
the second half, when loading is over and the window is full. One voice speaks without a pause; in "two voices" the voice
changes every eight seconds, so that the window is never full for long.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.interleave import Neighbours
from benchmarks.options import no_options
from benchmarks.record import record
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.live import MODES
from voxface.runtime.config.sample_rate import SAMPLE_RATE

EXAMPLES: Final = Path(__file__).parent.parent / "examples"
SECONDS: Final = 20
LOOK_S: Final = 0.05

TORCH: Final = """
import sys, time
import torch
from benchmarks.full_size import default_generator, networks
from benchmarks.update import pytorch
from voxface.runtime.audio.decode import read_blocks
from pathlib import Path
import numpy as np
sound = np.concatenate(list(read_blocks(Path(sys.argv[1]))))[:128000]
pipeline = pytorch(networks(default_generator()), 1)
began = time.perf_counter()
for update in range(int(10 * float(sys.argv[2]))):
    time.sleep(max(0.0, began + update / 10 - time.perf_counter()))
    pipeline.update(sound)
"""


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    import soundfile

    from voxface.runtime.bundle.bundle import DEFAULT

    if not Path("/proc/self/statm").exists():
        print("benchmarks.memory: reads /proc, which this system does not have", file=sys.stderr)
        sys.exit(5)
    with tempfile.TemporaryDirectory() as folder, Neighbours() as neighbours:
        voices = [np.concatenate(list(read_blocks(path))) for path in sorted(EXAMPLES.glob("*.flac"))]
        talk, talks = Path(folder) / "talk.wav", Path(folder) / "talks.wav"
        for path, sound in ((talk, voices[0]), (talks, np.concatenate(voices))):
            soundfile.write(path, np.resize(sound, SECONDS * SAMPLE_RATE), SAMPLE_RATE)
        voxface = [sys.executable, "-m", "voxface"]
        commands = {"run": [*voxface, "run", str(EXAMPLES / "sample_female.flac"), "--out", f"{folder}/out"]}
        for name, path, mode in (
            *((f"live_{mode}", talk, mode) for mode in MODES),
            ("live_incremental_two_voices", talks, "incremental"),
        ):
            commands[name] = [
                *voxface, "live", "--source", str(path), "--realtime", "--show", "none", "--json", "--mode", mode,
            ]  # fmt: skip
        small = Path(folder) / "int8.voxface"
        calibrate = [
            *voxface,
            "calibrate",
            str(DEFAULT),
            "--audio",
            str(EXAMPLES),
            "--precision",
            "int8",
            "--out",
            str(small),
        ]
        subprocess.run(calibrate, check=True, capture_output=True)
        commands["live_incremental_int8"] = [*commands["live_incremental"], "--bundle", str(small)]
        commands["pytorch_eager"] = [sys.executable, "-c", TORCH, str(talk), str(SECONDS)]
        measured = {name: _measure_process(command) for name, command in commands.items()}
    record(
        "memory",
        "python -m benchmarks.memory",
        {"seconds": SECONDS, **neighbours.to_json(), **measured},
        ("numpy", "onnxruntime", "torch"),
    )


def _measure_process(command: list[str]) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        looks: list[tuple[float, int, float]] = []  # seconds, resident bytes, processor seconds
        while process.poll() is None:
            looks.append((time.perf_counter(), *_look(process.pid)))
            time.sleep(LOOK_S)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command[:5])}: {process.stderr.read().decode() if process.stderr else ''}")
    looks = [look for look in looks if look[1]]
    middle = looks[len(looks) // 2]
    last = looks[-1]
    return {
        "most_mb": round(max(look[1] for look in looks) / 1e6, 1),
        "last_mb": round(last[1] / 1e6, 1),
        "share_of_a_core": round((last[2] - middle[2]) / (last[0] - middle[0]), 4) if last[0] > middle[0] else None,
        "seconds": round(last[0] - looks[0][0], 2),
    }


def _look(pid: int) -> tuple[int, float]:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError):  # it has just ended
        return 0, 0.0
    return pages * os.sysconf("SC_PAGE_SIZE"), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
