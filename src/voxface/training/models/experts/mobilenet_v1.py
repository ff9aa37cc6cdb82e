"""MobileNet (Howard 2017, Table 1), trunk of 3DDFA-V2, with that project's state-dict names."""

from collections import OrderedDict

from torch import Tensor, nn

# Name, channels in and out at width 1, stride.
BLOCKS = (
    ("dw2_1", 32, 64, 1),
    ("dw2_2", 64, 128, 2),
    ("dw3_1", 128, 128, 1),
    ("dw3_2", 128, 256, 2),
    ("dw4_1", 256, 256, 1),
    ("dw4_2", 256, 512, 2),
    ("dw5_1", 512, 512, 1),
    ("dw5_2", 512, 512, 1),
    ("dw5_3", 512, 512, 1),
    ("dw5_4", 512, 512, 1),
    ("dw5_5", 512, 512, 1),
    ("dw5_6", 512, 1024, 2),
    ("dw6", 1024, 1024, 1),
)
# At 120×120 pixels, the second block with 8×8 positions, which corresponds to the middle feature of MobileNetV2.
MIDDLE = "dw5_1"


class MobileNetV1(nn.Module):
    """Picture [B, 3, 120, 120] -> (outputs [B, K], pooled [B, 1024·w], middle [B, 512·w, 8, 8]) at width w."""

    def __init__(self, outputs: int, width: float = 1.0) -> None:
        super().__init__()
        first = int(32 * width)
        self.conv1 = nn.Conv2d(3, first, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU(inplace=True)
        for name, channels, out, stride in BLOCKS:
            self.add_module(name, _separable(int(channels * width), int(out * width), stride))
        self.fc = nn.Linear(int(1024 * width), outputs)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns (outputs, pooled, middle)."""
        x: Tensor = self.relu(self.bn1(self.conv1(picture)))
        middle = x
        for name, *_ in BLOCKS:
            x = self.get_submodule(name)(x)
            if name == MIDDLE:
                middle = x
        pooled = x.mean((2, 3))
        return self.fc(pooled), pooled, middle


def _separable(channels: int, out: int, stride: int) -> nn.Sequential:
    """Depthwise-separable convolution: depthwise 3×3, then pointwise 1×1."""
    return nn.Sequential(
        OrderedDict(
            conv_dw=nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
            bn_dw=nn.BatchNorm2d(channels),
            relu_dw=nn.ReLU(inplace=True),
            conv_sep=nn.Conv2d(channels, out, 1, bias=False),
            bn_sep=nn.BatchNorm2d(out),
            relu_sep=nn.ReLU(inplace=True),
        )
    )
