"""The speaker encoder of the package `resemblyzer`, as a teacher (Wan et al. 2018, GE2E; weights under Apache-2.0).

Only the file of weights of the package is used, read as data: its own code needs older versions of other packages, and
webrtcvad under a name that clashes with ours. It hears a power spectrogram of 40 mel bands in pieces of 1.6 s, and gives each
piece a vector of 256 numbers, none of them negative, of unit length.
"""

import importlib.util
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from voxface.runtime.errors import InputError, ProviderError
from voxface.training.foreign.state_dicts import read_state_dict

Float32 = NDArray[np.float32]
WEIGHTS: Final = "pretrained.pt"
MELS: Final = 40
HOP: Final = 160  # samples
WINDOW: Final = 400  # samples
PIECE: Final = 160  # frames
SIZE: Final = 256
LOUDNESS_DB: Final = -30.0  # below full scale: quieter sound is raised to this
_BATCH: Final = 64  # pieces


class Resemblyzer(nn.Module):
    """Three layers of LSTM, and a linear layer with ReLU on the last one's final state."""

    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, SIZE, 3, batch_first=True)
        self.linear = nn.Linear(SIZE, SIZE)
        self.register_buffer("filters", torch.from_numpy(slaney_filters()))

    @property
    def name(self) -> str:
        """What it is, with its licence."""
        return "Resemblyzer's speaker encoder (Apache-2.0)"

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        return SIZE

    @property
    def piece(self) -> int:
        """Samples of a piece."""
        return PIECE * HOP

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Vectors [B, 256] of mel power spectrograms [B, T, 40]."""
        _, (state, _) = self.lstm(spectrogram)
        return F.normalize(F.relu(self.linear(state[-1])), dim=1)

    @torch.no_grad()
    def vectors(self, samples: NDArray[np.int16], every: int) -> Float32:
        """Vectors float32 [P, 256] of the pieces that begin every `every` frames of 10 ms; sound that is too short is repeated.

        Args:
            samples: speech int16 [n] at 16 kHz, n ≥ 1.
        """
        wave = np.resize(samples, max(len(samples), self.piece)).astype(np.float32) / 32768
        decibels = 10 * np.log10(float(np.mean(np.square(wave, dtype=np.float64))) + 1e-12)
        wave *= np.float32(10 ** (max(0.0, LOUDNESS_DB - decibels) / 20))
        spectrum = torch.stft(
            torch.from_numpy(wave),
            WINDOW,
            HOP,
            window=torch.hann_window(WINDOW),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        mel = (self.filters @ spectrum.abs().square()).T  # [T, 40]
        pieces = mel[: PIECE + (len(mel) - PIECE) // every * every].unfold(0, PIECE, every).transpose(1, 2)
        return torch.cat([self(batch.contiguous()) for batch in torch.split(pieces, _BATCH)]).numpy()


def load_resemblyzer(path: Path | None = None) -> Resemblyzer:
    """The teacher from a file of weights; without a path, from the installed package.

    Raises:
        ProviderError: the package is not installed.
        InputError: the file holds something else.
    """
    if path is None:
        spec = importlib.util.find_spec("resemblyzer")
        folder = None if spec is None or spec.origin is None else Path(spec.origin).parent
        if folder is None or not (folder / WEIGHTS).is_file():
            raise ProviderError(
                "the teacher's package is not installed: pip install --no-deps resemblyzer==0.1.4 (only its weights are "
                "used), or name a file: --teacher pretrained.pt"
            )
        path = folder / WEIGHTS
    network = Resemblyzer()
    wanted = {name for name in network.state_dict() if name != "filters"}
    state = read_state_dict(path, "speaker encoder of resemblyzer", lambda found: wanted <= set(found))
    try:
        network.load_state_dict({name: state[name] for name in wanted}, strict=False)
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{path}: not the speaker encoder of resemblyzer ({' '.join(str(error).split())})") from error
    return network.eval()


def slaney_filters() -> Float32:
    """Mel filters float32 [40, 201]: Slaney's scale, 0 to 8,000 Hz, each of unit area in Hz (as librosa's default)."""
    hz = np.linspace(0, 8_000, WINDOW // 2 + 1)
    edges = _hz(np.linspace(0, _mel(8_000.0), MELS + 2))
    rising = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    filters: NDArray[Any] = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters.astype(np.float32)


def _mel(hz: float) -> float:
    """Slaney's mel of a frequency above 1,000 Hz: linear below, logarithmic above."""
    return 15 + math.log(hz / 1_000) / (math.log(6.4) / 27)


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1_000 * np.exp((mel - 15) * (math.log(6.4) / 27)))
