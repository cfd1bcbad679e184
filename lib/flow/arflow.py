"""PWC-Lite, the two-frame network of ARFlow (Liu et al. 2020), with the authors' parameter names.

Source: fodvid sec. 5. Features of both pictures at six scales; from 1/64 to 1/4 the flow so far warps the second
features, a local correlation compares them, and one estimator and one context network, shared by all levels,
correct the flow. 2.24 M parameters; all convolutions 3 x 3 with LeakyReLU 0.1 unless said otherwise.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.flow.correlation import local_correlation
from lib.flow.sampling import check_padded, double, sample_at_flow

PYRAMID_CHANNELS = (3, 16, 32, 64, 96, 128, 192)
NUM_LEVELS = 5  # 1/64 to 1/4
RADIUS = 4
SLOPE = 0.1
REDUCED = 32  # channels of the first picture's features beside the correlation
CONTEXT_CHANNELS = (128, 128, 128, 96, 64, 32)
CONTEXT_DILATIONS = (1, 2, 4, 8, 16, 1)


@dataclass(frozen=True)
class Level:
    """One level's correlation (B, 81, h, w) before its LeakyReLU, and the flow (B, 2, h, w) in the level's pixels."""

    correlation: Tensor
    flow: Tensor


class PWCLite(nn.Module):
    """Flow from picture a to picture b, on a's grid.

    forward: a, b (B, 3, H, W), RGB 0..1, H and W multiples of 64; returns (B, 2, H, W) in pixels, x then y.
    The flow is kept in float32 under autocast. Raises ShapeError for pictures of another form.
    """

    multiple = 64

    def __init__(self) -> None:
        super().__init__()
        self.feature_pyramid_extractor = FeaturePyramid()
        self.flow_estimators = FlowEstimatorReduced()
        self.context_networks = ContextNetwork()
        used = PYRAMID_CHANNELS[: -NUM_LEVELS - 1 : -1]
        self.conv_1x1 = nn.ModuleList(_conv(channels, REDUCED, kernel_size=1) for channels in used)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        check_padded(a, b, multiple=self.multiple)
        return _to_picture(self.levels(a, b)[-1].flow)

    def levels(self, a: Tensor, b: Tensor) -> list[Level]:
        """All levels, coarse (1/64) to fine (1/4)."""
        first, second = self.features(a, b)
        levels = [self.refine(0, first[0], second[0], None)]
        for level_idx in range(1, NUM_LEVELS):
            levels.append(self.refine(level_idx, first[level_idx], second[level_idx], double(levels[-1].flow)))
        return levels

    def features(self, a: Tensor, b: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Features of both pictures, each coarse (192 channels at 1/64) to fine (32 at 1/4)."""
        pyramid = self.feature_pyramid_extractor(torch.cat((a, b)))[: -NUM_LEVELS - 1 : -1]
        halves = [scale.chunk(2) for scale in pyramid]
        return [half[0] for half in halves], [half[1] for half in halves]

    def refine(self, level_idx: int, first: Tensor, second: Tensor, flow: Tensor | None) -> Level:
        """Flow of one level, from both pictures' features and the doubled flow of the level before (None at first)."""
        if flow is None:
            flow = torch.zeros_like(first[:, :2], dtype=torch.promote_types(first.dtype, torch.float32))
        else:
            second = sample_at_flow(second, flow, padding="border")
        correlation = local_correlation(first, second, radius=RADIUS) / first.shape[1]
        reduced = self.conv_1x1[level_idx](first)
        features, step = self.flow_estimators(torch.cat((F.leaky_relu(correlation, SLOPE), reduced, flow), dim=1))
        flow = flow + step
        return Level(correlation, flow + self.context_networks(torch.cat((features, flow), dim=1)))


def flow_pyramid(levels: list[Level]) -> list[Tensor]:
    """Flows of all levels, finest first, each at four times its level's size and in pixels of that size."""
    return [_to_picture(level.flow) for level in reversed(levels)]


class FeaturePyramid(nn.Module):
    """Features at 1/2, 1/4 ... 1/64 of the size: a convolution of stride 2 and one more, six times."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Sequential(_conv(a, b, stride=2), _conv(b, b)) for a, b in pairwise(PYRAMID_CHANNELS)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        scales = [image]
        for convs in self.convs:
            scales.append(convs(scales[-1]))
        return scales[1:]


class FlowEstimatorReduced(nn.Module):
    """The "reduced dense" estimator: each layer sees the two before it; gives its features (32) and a flow step (2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _conv((2 * RADIUS + 1) ** 2 + REDUCED + 2, 128)
        self.conv2 = _conv(128, 128)
        self.conv3 = _conv(128 + 128, 96)
        self.conv4 = _conv(128 + 96, 64)
        self.conv5 = _conv(96 + 64, 32)
        self.predict_flow = nn.Sequential(nn.Conv2d(64 + 32, 2, 3, padding=1))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        c1 = self.conv1(features)
        c2 = self.conv2(c1)
        c3 = self.conv3(torch.cat((c1, c2), dim=1))
        c4 = self.conv4(torch.cat((c2, c3), dim=1))
        c5 = self.conv5(torch.cat((c3, c4), dim=1))
        return c5, self.predict_flow(torch.cat((c4, c5), dim=1))


class ContextNetwork(nn.Module):
    """A correction of the flow from a wide neighbourhood, by dilated convolutions."""

    def __init__(self) -> None:
        super().__init__()
        ins = (32 + 2, *CONTEXT_CHANNELS)
        layers = zip(ins, CONTEXT_CHANNELS, CONTEXT_DILATIONS, strict=False)
        convs = [_conv(a, b, dilation=dilation) for a, b, dilation in layers]
        self.convs = nn.Sequential(*convs, nn.Sequential(nn.Conv2d(CONTEXT_CHANNELS[-1], 2, 3, padding=1)))

    def forward(self, features: Tensor) -> Tensor:
        return self.convs(features)


def _conv(ins: int, outs: int, *, kernel_size: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel_size - 1) // 2
    return nn.Sequential(
        nn.Conv2d(ins, outs, kernel_size, stride, padding, dilation), nn.LeakyReLU(SLOPE, inplace=True)
    )


def _to_picture(flow: Tensor) -> Tensor:
    """Four times the size, in pixels of that size."""
    return F.interpolate(4 * flow, scale_factor=4, mode="bilinear", align_corners=True)
