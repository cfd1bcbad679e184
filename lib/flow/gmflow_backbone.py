"""Features of GMFlow: a residual network with instance normalisation, and its finer scale for the refined form."""

import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 128
STAGE_CHANNELS = (64, 96, 128)


class Backbone(nn.Module):
    """Features (B, 128, h, w) of a picture at 1/8 of its size, or at 1/8 and 1/4 with `num_scales` 2.

    Source: fodvid sec. 5. 7 x 7 convolution of stride 2, three stages of two residual blocks, 1 x 1 convolution. The
    refined form's last stage keeps 1/4, and one more 3 x 3 convolution reads it at stride 2 and at stride 1 with the
    same weights.
    """

    def __init__(self, num_scales: int) -> None:
        super().__init__()
        stem, middle, last = STAGE_CHANNELS
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.norm1 = nn.InstanceNorm2d(stem)
        self.layer1 = _stage(stem, stem, stride=1)
        self.layer2 = _stage(stem, middle, stride=2)
        self.layer3 = _stage(middle, last, stride=2 if num_scales == 1 else 1)
        self.conv2 = nn.Conv2d(last, CHANNELS, 1)
        self.trident_conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False) if num_scales == 2 else None

    def forward(self, image: Tensor) -> list[Tensor]:
        """Scales of the features, coarse to fine."""
        features = F.relu(self.norm1(self.conv1(image)), inplace=True)
        features = self.conv2(self.layer3(self.layer2(self.layer1(features))))
        if self.trident_conv is None:
            return [features]
        coarse = F.conv2d(features, self.trident_conv.weight, stride=2, padding=1)
        return [coarse, self.trident_conv(features)]


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity, or beside a 1 x 1 convolution where the shape changes."""

    def __init__(self, ins: int, outs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(ins, outs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.InstanceNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, padding=1, bias=False)
        self.norm2 = nn.InstanceNorm2d(outs)
        changes = stride != 1 or ins != outs
        # its bias stays although a norm follows: the published weights have it
        self.downsample = (
            nn.Sequential(nn.Conv2d(ins, outs, 1, stride=stride), nn.InstanceNorm2d(outs)) if changes else nn.Identity()
        )

    def forward(self, features: Tensor) -> Tensor:
        change = F.relu(self.norm1(self.conv1(features)), inplace=True)
        change = F.relu(self.norm2(self.conv2(change)), inplace=True)
        return F.relu(self.downsample(features) + change, inplace=True)


def _stage(ins: int, outs: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(ins, outs, stride=stride), ResidualBlock(outs, outs, stride=1))
