"""MobileNetV2 (Sandler 2018, Table 2), trunk of the networks that read a face from a picture (Wu 2022, §3.3)."""

from torch import Tensor, nn

# Per stage: expansion factor, output channels, number of blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
FIRST, POOLED = 32, 1280
# Wu's published code takes the middle feature here: after the stem and the first eight blocks.
MIDDLE = 9


class MobileNetV2(nn.Module):
    """Picture [B, 3, H, W] -> (pooled feature [B, 1280], middle feature [B, 64, H/16, W/16]).

    At the published 120×120 pixels the middle feature is 64×8×8. State-dict names are torchvision's (`features.0.0.weight`,
    `features.1.conv.0.0.weight`, …), which SynergyNet and Wu's checkpoints share, without the classifier. 2.22 M parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, FIRST, 3, stride=2)]
        channels = FIRST
        for widen, out, blocks, stride in STAGES:
            for block in range(blocks):
                layers.append(_Block(channels, out, stride if block == 0 else 1, widen))
                channels = out
        layers.append(_convolution(channels, POOLED, 1))
        self.features = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (pooled [B, 1280], middle [B, 64, H/16, W/16], rounded up)."""
        middle: Tensor = self.features[:MIDDLE](picture)
        pooled: Tensor = self.features[MIDDLE:](middle).mean((2, 3))
        return pooled, middle


class _Block(nn.Module):
    """Inverted residual block: 1×1 expansion, depthwise 3×3, linear 1×1 projection; plus the input where shapes agree."""

    def __init__(self, channels: int, out: int, stride: int, widen: int) -> None:
        super().__init__()
        wide = channels * widen
        layers: list[nn.Module] = [] if widen == 1 else [_convolution(channels, wide, 1)]
        layers += [
            _convolution(wide, wide, 3, stride=stride, groups=wide),
            nn.Conv2d(wide, out, 1, bias=False),
            nn.BatchNorm2d(out),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.conv(x)
        return x + changed if self.residual else changed


def _convolution(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU6(inplace=True),
    )
