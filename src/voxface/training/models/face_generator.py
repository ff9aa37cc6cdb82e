"""Face generator F_g (Wen 2019, §3.2 and Table 2)."""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

Kernel = Literal["k4", "k3"]
Style = Literal["wen", "dcgan"]


def picture_size(channels: tuple[int, ...]) -> int:
    """Height and width, px, of an image of these channels with a 1×1 layer at the end: 4, doubled for each but the first."""
    return 4 << (len(channels) - 1)


class FaceGenerator(nn.Module):
    """Embedding [B, E] -> image [B, 3, S, S], about in [-1, 1]: without tanh, and clamped where it is shown.

    A 4×4 transposed convolution to 4×4 pixels, a transposed convolution of stride 2 per further width, and a 1×1 one to RGB;
    ReLU between them, bias everywhere, no batch normalisation. With the default widths and k4 it is the published network,
    which has 12.19 M parameters and makes 64×64 pixels. "dcgan" adds what Radford et al. 2016, §3, have besides: batch
    normalisation behind all layers but the last, and a tanh.

    For twice as many pixels the last layer is of stride 2 as well: each of the four pixels that it makes of one is another sum
    over the same maps. One more layer with a width of its own would take five times the arithmetic.

    Args:
        embedding: E, numbers of an embedding.
        channels: output channels of all layers but the last.
        kernel: of the layers of stride 2: "k4" (4×4, padding 1) as in the published code and weights, or "k3" (3×3) as in the
            paper's table.
        size: S, px: `picture_size(channels)`, which None stands for, or twice that.
        style: "wen" or "dcgan".

    Raises:
        ValueError: another size.
    """

    def __init__(
        self,
        embedding: int = 64,
        channels: tuple[int, ...] = (1024, 512, 256, 128, 64),
        kernel: Kernel = "k4",
        size: int | None = None,
        style: Style = "wen",
    ) -> None:
        super().__init__()
        check_size(channels, size)
        layers: list[nn.Module] = []
        for layer in (
            nn.ConvTranspose2d(embedding, channels[0], 4, 1, 0),
            *(_doubling(wide, narrow, kernel) for wide, narrow in pairwise(channels)),
        ):
            normalised = [nn.BatchNorm2d(layer.out_channels)] if style == "dcgan" else []
            layers += [layer, *normalised, nn.ReLU(inplace=True)]
        doubles = size == 2 * picture_size(channels)
        layers.append(_doubling(channels[-1], 3, kernel) if doubles else nn.ConvTranspose2d(channels[-1], 3, 1, 1, 0))
        if style == "dcgan":
            layers.append(nn.Tanh())
        self.model = nn.Sequential(*layers)

    def forward(self, embedding: Tensor) -> Tensor:
        """Returns the image float32 [B, 3, S, S], not yet clamped."""
        image: Tensor = self.model(embedding[:, :, None, None])
        return image


def check_size(channels: tuple[int, ...], size: int | None) -> None:
    """Raises ValueError for a size that a `FaceGenerator` of these channels cannot have."""
    known = picture_size(channels)
    if size not in (None, known, 2 * known):
        raise ValueError(f"size {size}: {len(channels)} channels make pictures of {known} or {2 * known} px")


def _doubling(wide: int, narrow: int, kernel: Kernel) -> nn.ConvTranspose2d:
    if kernel == "k4":
        return nn.ConvTranspose2d(wide, narrow, 4, 2, 1)
    return nn.ConvTranspose2d(wide, narrow, 3, 2, 1, output_padding=1)
