"""Process start to the first face of an 8 s clip: `voxface run`, and the same networks in eager PyTorch.

    python -m benchmarks.first_face

Both read the same FLAC, compute the same features and write one PNG; the PyTorch side takes weights of the same sizes
from a safetensors file. The two take turns; each start is a fresh process with a warm file cache.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.record import record
from voxface.runtime.bundle import Bundle

CLIP = Path(__file__).parent.parent / "examples" / "sample_female.flac"
ROUNDS = 15

EAGER = """
import sys
import numpy as np, torch
from pathlib import Path
from safetensors.torch import load_file
from voxface.runtime.audio import read_blocks
from voxface.runtime.features import network_input
from voxface.runtime.front_end import FrontEnd
from voxface.runtime.png import png
from voxface.training.models import FaceGenerator, VoiceEncoder
clip, weights, out, channels = sys.argv[1:5]
encoder, face = VoiceEncoder().eval(), FaceGenerator(channels=tuple(map(int, channels.split(',')))).eval()
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
    from safetensors.torch import save_file

    from voxface.training.models import FaceGenerator, VoiceEncoder

    channels = Bundle.open().manifest["architecture"]["face"]["channels"]
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        networks = {"encoder": VoiceEncoder(), "face": FaceGenerator(channels=tuple(channels))}
        weights = {f"{name}.{k}": v for name, net in networks.items() for k, v in net.state_dict().items()}
        save_file(weights, room / "weights.safetensors")
        words = {
            "voxface": [sys.executable, "-m", "voxface", "run", str(CLIP), "--out", str(room / "out")],
            "eager": [
                sys.executable, "-c", EAGER, str(CLIP), str(room / "weights.safetensors"), str(room / "face.png"),
                ",".join(map(str, channels)),
            ],
        }  # fmt: skip
        seconds: dict[str, list[float]] = {name: [] for name in words}
        for round_ in range(ROUNDS + 1):
            for name, command in words.items():
                began = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                if round_:  # the first one fills the file cache
                    seconds[name].append(time.perf_counter() - began)
    ratios = [eager / ours for eager, ours in zip(seconds["eager"], seconds["voxface"], strict=True)]
    record(
        "first_face",
        "python -m benchmarks.first_face",
        {
            "clip_s": 8.0,
            "rounds": ROUNDS,
            "voxface_s": {"p50": statistics.median(seconds["voxface"]), "max": max(seconds["voxface"])},
            "pytorch_eager_s": {"p50": statistics.median(seconds["eager"]), "max": max(seconds["eager"])},
            "ratio": {"p50": statistics.median(ratios), "p5": float(np.quantile(ratios, 0.05))},
        },
        ("numpy", "onnxruntime", "torch"),
    )


if __name__ == "__main__":
    main()
