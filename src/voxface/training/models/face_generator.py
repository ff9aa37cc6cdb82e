"""Face generator F_g (Wen 2019, §3.2 and Table 2)."""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

Kernel = Literal["k4", "k3"]


class FaceGenerator(nn.Module):
    """Embedding [B, E] -> image [B, 3, 64, 64], about in [-1, 1]: without tanh, and clamped where it is shown.

    A 4×4 transposed convolution to 4×4 pixels, a transposed convolution of stride 2 per further width, and a 1×1 one to RGB;
    ReLU between them, bias everywhere, no batch normalisation. With the default widths and k4 it has 12.19 M parameters.

    Args:
        embedding: E, numbers of an embedding.
        channels: output channels of all layers but the last.
        kernel: of the layers of stride 2: "k4" (4×4, padding 1) as in the published code and weights, or "k3" (3×3) as in the
            paper's table.
    """

    def __init__(
        self,
        embedding: int = 64,
        channels: tuple[int, ...] = (1024, 512, 256, 128, 64),
        kernel: Kernel = "k4",
    ) -> None:
        super().__init__()
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
        """Returns the image float32 [B, 3, H, H], not yet clamped."""
        image: Tensor = self.model(embedding[:, :, None, None])
        return image
