"""An update as the papers' published programs compute it: from the whole clip each time.

Log-mel frame by frame in numpy, tiling to 1000 frames, encoder, generator, and a mesh decoder beside them. It follows
what the published programs do; the functions that run the networks are handed in.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.features.log_mel import Float32, mel_filters
from voxface.runtime.features.normalisation import network_input

Network = Callable[[Float32], Float32]


def log_mel_by_frame(samples: NDArray[np.int16], config: FrontEndConfig | None = None) -> Float32:
    """Log-mel frames as `voxface.runtime.features.log_mel.log_mel` gives them, to rounding, computed one by one."""
    config = config or FrontEndConfig()
    hamming, filters = np.hamming(config.window), mel_filters(config)
    count = len(samples) // config.hop + 1
    frames = np.zeros((count, config.mels), np.float32)
    before = 0.0
    for i in range(count):
        frame = samples[i * config.hop : i * config.hop + config.window].astype(np.float64)
        frame = np.resize(frame, config.window)
        shifted = np.append(before, frame[:-1])
        before = frame[-1]
        spectrum = np.fft.rfft((frame - config.preemphasis * shifted) * hamming, config.fft)
        power = spectrum.real**2 + spectrum.imag**2
        frames[i] = np.log(np.maximum(power @ filters, config.floor))
    return frames


@dataclass(frozen=True)
class PapersPipeline:
    """Three networks, float32 with a batch of one in and out: log-mel to embedding, embedding to image and coefficients."""

    encoder: Network
    face: Network
    mesh: Network

    def update(self, samples: NDArray[np.int16]) -> dict[str, float]:
        """One update from speech int16 [n]; returns milliseconds by stage."""
        marks = [time.perf_counter_ns()]
        features = network_input(log_mel_by_frame(samples))
        marks.append(time.perf_counter_ns())
        embedding = self.encoder(features)
        marks.append(time.perf_counter_ns())
        self.face(embedding)
        marks.append(time.perf_counter_ns())
        self.mesh(embedding)
        marks.append(time.perf_counter_ns())
        stages = dict(zip(("features", "encoder", "face", "mesh"), (np.diff(marks) / 1e6).tolist(), strict=True))
        return {**stages, "total": (marks[-1] - marks[0]) / 1e6}
