"""3x3 convolution with zero padding, as all three networks use it."""

from torch import nn


class Conv3x3(nn.Conv2d):
    """`nn.Conv2d` of 3x3 taps that keeps the size: (B, in, H, W) to (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
