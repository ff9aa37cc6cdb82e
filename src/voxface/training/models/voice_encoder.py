"""Voice encoder, F_e (Wen 2019, §3.1 and Table 2; Wu 2022 uses the same), and a deeper one of the same interface."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voxface.runtime.config.front_end import NORMALISATIONS


class VoiceEncoder(nn.Module):
    """Log-mel [B, mels, T] -> unit-length embedding [B, E] and the frame embeddings whose mean it is.

    Five 1-D convolutions, kernel 3, stride 2: receptive field 63 frames, one frame embedding every 32 frames. The first four
    have batch normalisation and ReLU but no bias; the last one, as in the published code and unlike Table 2, has a bias and
    neither of these.
    With the default widths it has 2.67 M parameters.

    With `blocks`, the fifth convolution is like the four before it, and `blocks` residual blocks without context and a linear
    layer follow. Its receptive field is the same, and most of its parameters are where there is one column for 32 frames.
    """

    def __init__(
        self,
        mels: int = 64,
        channels: tuple[int, ...] = (256, 384, 576, 864),
        embedding: int = 64,
        blocks: int = 0,
        normalisation: str = "bands",
    ) -> None:
        """An untrained network.

        Args:
            mels: mel bands of the input.
            channels: widths of the convolutions that have batch normalisation: four, or five with `blocks`.
            embedding: E.
            blocks: number of residual blocks; 0 is Wen's network.
            normalisation: how its input is normalised, see `voxface.runtime.features.normalisation`.

        Raises:
            ValueError: there is no such normalisation.
        """
        super().__init__()
        if normalisation not in NORMALISATIONS:
            raise ValueError(f"a normalisation {normalisation!r}; there are {' and '.join(NORMALISATIONS)}")
        self.normalisation, self.blocks = normalisation, blocks
        layers: list[nn.Module] = []
        for narrow, wide in pairwise((mels, *channels)):
            layers += [nn.Conv1d(narrow, wide, 3, 2, 1, bias=False), nn.BatchNorm1d(wide), nn.ReLU(inplace=True)]
        layers += [_Residual(channels[-1]) for _ in range(blocks)]
        layers.append(
            nn.Conv1d(channels[-1], embedding, 1, bias=True) if blocks else nn.Conv1d(channels[-1], embedding, 3, 2, 1)
        )
        self.model = nn.Sequential(*layers)

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (embedding [B, E] of unit length, frame embeddings [B, E, ceil(T / 32)])."""
        frame_embeddings: Tensor = self.model(log_mel)
        # mean, not avg_pool1d(x, x.size(2)): the exporter would bake the example's length into that.
        return F.normalize(frame_embeddings.mean(2), dim=1), frame_embeddings


class _Residual(nn.Module):
    """x + f(x), f two convolutions of kernel 1; every normalisation directly behind a convolution, so that it folds into it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.BatchNorm1d(width)
        nn.init.zeros_(last.weight)  # begins as the identity
        self.inner = nn.Sequential(
            nn.Conv1d(width, width, 1, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Conv1d(width, width, 1, bias=False),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, T] -> [B, width, T]."""
        return F.relu(x + self.inner(x))


def perturb(embedding: Tensor, scale: float = 0.05) -> Tensor:
    """Embedding [B, E] with noise N(0, scale²) added to every number, at unit length again (Wen 2019, in training only)."""
    return F.normalize(embedding + scale * torch.randn_like(embedding), dim=1)
