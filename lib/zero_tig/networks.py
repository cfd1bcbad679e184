"""The three networks: LD-Net removes noise, IE-Net estimates illumination, RD-Net cleans reflectance and illumination.

Layer tables of sec. III-A and of the published code: every convolution has a bias, stride 1 and zero padding to the
same size. Key names are those of the published Zero-IG and Zero-TIG checkpoints.
"""

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from lib.zero_tig.convolution import Conv3x3
from lib.zero_tig.residual import add_normalised

LEAK = 0.2
DENOISER_CHANNELS = 48
ILLUMINATION_CHANNELS = 64
NUM_BLOCKS = 3
INITIAL_STD = 0.02


class NoiseNet(nn.Module):
    """LD-Net (3 channels in and out) and RD-Net (6 or 12 in, 6 out): three layers that estimate what to subtract.

    forward: (B, in, H, W) to (B, out, H, W), unbounded.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = Conv3x3(in_channels, DENOISER_CHANNELS)
        self.conv2 = Conv3x3(DENOISER_CHANNELS, DENOISER_CHANNELS)
        self.conv3 = nn.Conv2d(DENOISER_CHANNELS, out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = F.leaky_relu(self.conv1(image), LEAK)
        features = F.leaky_relu(self.conv2(features), LEAK)
        estimate: Tensor = self.conv3(features)
        return estimate


class IlluminationNet(nn.Module):
    """IE-Net: one residual block, applied three times, between an input and an output layer.

    The block is one convolution and one batch norm. Choice: each of the three uses has running statistics of its own;
    the published code has one for all, which fits none of them (shared_statistics=True).
    forward: (B, in, H, W), in = 3 or 9, to illumination (B, 3, H, W) within 0..1.
    """

    def __init__(self, in_channels: int, *, shared_statistics: bool = False) -> None:
        super().__init__()
        channels = ILLUMINATION_CHANNELS
        self.shared_statistics = shared_statistics
        self.in_conv = nn.Sequential(Conv3x3(in_channels, channels), nn.ReLU())
        # the bias stays although a norm follows: the published weights have it; the ReLU is in add_normalised
        self.conv = nn.ModuleList([Conv3x3(channels, channels), nn.BatchNorm2d(channels)])
        self.uses = nn.ModuleList([nn.BatchNorm2d(channels, affine=False) for _ in range(NUM_BLOCKS)])
        self.out_conv = nn.Sequential(Conv3x3(channels, 3), nn.Sigmoid())
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.in_conv(image)
        convolution, norm = self.conv[0], cast(nn.BatchNorm2d, self.conv[1])
        for use in self.uses:
            statistics = norm if self.shared_statistics else cast(nn.BatchNorm2d, use)
            features = add_normalised(features, convolution(features), norm, statistics)
        illumination: Tensor = self.out_conv(features)
        return illumination


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, 0.0, INITIAL_STD)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
        nn.init.normal_(layer.weight, 1.0, INITIAL_STD)
