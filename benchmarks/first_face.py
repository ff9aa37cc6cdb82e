"""Process start to the first face of an 8 s clip: `voxface run`, and the same networks in eager PyTorch.

    python -m benchmarks.first_face

Both read the same FLAC, compute the same features and write a PNG; the PyTorch side reads weights of the same sizes from a
safetensors file. They take turns with a third process, which only imports the packages that voxface uses and so shows the least
possible time. Each start is a new process with a warm file cache and compiled modules, as in an installation.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.full_size import default_generator, networks
from benchmarks.interleave import Neighbours, percentiles, take_turns_by_stage
from benchmarks.options import no_options
from benchmarks.record import record

CLIP = Path(__file__).parent.parent / "examples" / "sample_female.flac"
ROUNDS = 12

EAGER = """
import json, sys
import numpy as np, torch
from pathlib import Path
from safetensors.torch import load_file
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.features.front_end import FrontEnd
from voxface.runtime.face.png import png
from voxface.training.models import FaceGenerator, VoiceEncoder
clip, weights, out, architecture = sys.argv[1:5]
encoder, face = VoiceEncoder().eval(), FaceGenerator(**json.loads(architecture)).eval()
state = load_file(weights)
encoder.load_state_dict({k[8:]: v for k, v in state.items() if k.startswith('encoder.')})
face.load_state_dict({k[5:]: v for k, v in state.items() if k.startswith('face.')})
front_end = FrontEnd()
for block in read_blocks(Path(clip)):
    front_end.feed(block)
with torch.no_grad():
    image = face(encoder(torch.from_numpy(network_input(front_end.finish().log_mel)))[0])[0]
pixels = ((image.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()
Path(out).write_bytes(png(pixels))
"""


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    from safetensors.torch import save_file

    face = default_generator()
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        nets = networks(face)
        weights = {f"{name}.{k}": v for name in ("encoder", "face") for k, v in nets[name].state_dict().items()}
        save_file(weights, room / "weights.safetensors")
        words = {
            "voxface": [sys.executable, "-m", "voxface", "run", str(CLIP), "--out", str(room / "out"), "--force"],
            "imports": [sys.executable, "-c", "import numpy, onnxruntime, soundfile, _webrtcvad"],
            "eager": [
                sys.executable, "-c", EAGER, str(CLIP), str(room / "weights.safetensors"), str(room / "face.png"),
                json.dumps(face),
            ],
        }  # fmt: skip
        # As in an installed package, modules are compiled once and for all; the first round does that.
        given = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS")}
        given["PYTHONPYCACHEPREFIX"] = str(room / "compiled")
        sides = {name: partial(_start, command, given) for name, command in words.items()}
        with Neighbours() as neighbours:
            times = take_turns_by_stage(sides, ROUNDS, 2)
    ratios = times["eager"]["total"] / times["voxface"]["total"]
    seconds = {name: {key: stages[key] / 1000 for key in ("total", "processor")} for name, stages in times.items()}
    record(
        "first_face",
        "python -m benchmarks.first_face",
        {
            "clip_s": 8.0,
            "rounds": ROUNDS,
            **neighbours.to_json(),
            "voxface_s": percentiles(seconds["voxface"]["total"]),
            "imports_alone_s": percentiles(seconds["imports"]["total"]),
            "pytorch_eager_s": percentiles(seconds["eager"]["total"]),
            "processor_p50_s": {
                name: round(float(np.median(stages["processor"])), 3) for name, stages in seconds.items()
            },
            "ratio": {"p50": float(np.median(ratios)), "p5": float(np.quantile(ratios, 0.05))},
        },
        ("numpy", "onnxruntime", "torch"),
    )


def _start(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    took, after = time.perf_counter() - began, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return {"total": 1000 * took, "processor": 1000 * processor}


if __name__ == "__main__":
    main()
