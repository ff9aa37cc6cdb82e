"""Face generator F_g (Wen 2019, §3.2 and Table 2)."""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

Kernel = Literal["k4", "k3"]


def picture_size(channels: tuple[int, ...]) -> int:
    """Height and width, px, of the image that layers of these widths make: 4, doubled by each layer after the first."""
    return 4 << (len(channels) - 1)


def channels_for(size: int, channels: tuple[int, ...]) -> tuple[int, ...]:
    """These widths, and those of the layers that are missing for images of this size, px: each half as wide as the one before.

    Raises:
        ValueError: no number of further layers makes an image of this size.
    """
    wanted = channels
    while picture_size(wanted) < size:
        wanted = (*wanted, max(1, wanted[-1] // 2))
    if picture_size(wanted) != size:
        raise ValueError(
            f"size {size}: the {len(channels)} channels make pictures of {picture_size(channels)} px, further layers those of "
            "twice, 4, 8 … times that"
        )
    return wanted


class FaceGenerator(nn.Module):
    """Embedding [B, E] -> image [B, 3, S, S], about in [-1, 1]: without tanh, and clamped where it is shown.

    A 4×4 transposed convolution to 4×4 pixels, a transposed convolution of stride 2 per further width, and a 1×1 one to RGB;
    ReLU between them, bias everywhere, no batch normalisation. With the default widths and k4 it is the published network,
    which has 12.19 M parameters and makes 64×64 pixels.

    Args:
        embedding: E, numbers of an embedding.
        channels: output channels of all layers but the last.
        kernel: of the layers of stride 2: "k4" (4×4, padding 1) as in the published code and weights, or "k3" (3×3) as in the
            paper's table.
        size: S, px; 128 adds one layer to the published network, see `channels_for`. None: what these channels make.

    Raises:
        ValueError: see `channels_for`.
    """

    def __init__(
        self,
        embedding: int = 64,
        channels: tuple[int, ...] = (1024, 512, 256, 128, 64),
        kernel: Kernel = "k4",
        size: int | None = None,
    ) -> None:
        super().__init__()
        if size is not None:
            channels = channels_for(size, channels)
        layers: list[nn.Module] = [nn.ConvTranspose2d(embedding, channels[0], 4, 1, 0), nn.ReLU(inplace=True)]
        for wide, narrow in pairwise(channels):
            double = (
                nn.ConvTranspose2d(wide, narrow, 4, 2, 1)
                if kernel == "k4"
                else nn.ConvTranspose2d(wide, narrow, 3, 2, 1, output_padding=1)
            )
            layers += [double, nn.ReLU(inplace=True)]
        layers.append(nn.ConvTranspose2d(channels[-1], 3, 1, 1, 0))
        self.model = nn.Sequential(*layers)

    def forward(self, embedding: Tensor) -> Tensor:
        """Returns the image float32 [B, 3, S, S], not yet clamped."""
        image: Tensor = self.model(embedding[:, :, None, None])
        return image
