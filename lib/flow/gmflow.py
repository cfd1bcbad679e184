"""GMFlow (Xu et al. 2022), basic and refined, with the authors' parameter names.

Source: fodvid sec. 5. Features, a transformer between the pictures, matching by softmax, propagation by
self-similarity, convex up-sampling. Basic: once at 1/8, 4.7 M parameters. Refined: at 1/8, then locally at 1/4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.flow.gmflow_backbone import CHANNELS, Backbone
from lib.flow.gmflow_transformer import FeatureTransformer
from lib.flow.gmflow_windows import add_window_position
from lib.flow.matching import FlowPropagation, match_globally, match_locally, upsample_convex
from lib.flow.sampling import check_padded, double, sample_at_flow

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ScaleSettings:
    """How one scale works; a radius of None means the whole picture."""

    splits: int
    match_radius: int | None
    propagation_radius: int | None


BASIC = (ScaleSettings(splits=2, match_radius=None, propagation_radius=None),)
REFINED = (*BASIC, ScaleSettings(splits=8, match_radius=4, propagation_radius=1))


@dataclass(frozen=True)
class Scale:
    """What one scale computes; features are (B, 128, h, w), flows (B, 2, h, w) in the scale's pixels."""

    positioned: Tensor  # features of the first picture with their position, as the transformer gets them
    first: Tensor  # features of both pictures after the transformer
    second: Tensor
    matched: Tensor  # flow before propagation
    flow: Tensor  # and after it


class GMFlow(nn.Module):
    """Flow from picture a to picture b, on a's grid.

    forward: a, b (B, 3, H, W), RGB 0..1, H and W multiples of 16, or of 32 if refined; returns (B, 2, H, W) in
    pixels, x then y. Under autocast the features are half precision; matching and flow stay float32.
    Raises ShapeError for pictures of another form.
    """

    def __init__(self, refine: bool = False) -> None:
        super().__init__()
        self.scale_settings = REFINED if refine else BASIC
        self.factor = 4 if refine else 8
        self.multiple = 32 if refine else 16
        self.backbone = Backbone(len(self.scale_settings))
        self.transformer = FeatureTransformer(CHANNELS)
        self.feature_flow_attn = FlowPropagation(CHANNELS)
        self.upsampler = nn.Sequential(
            nn.Conv2d(2 + CHANNELS, 256, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(256, 9 * self.factor**2, 1)
        )

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        check_padded(a, b, multiple=self.multiple)
        finest = self.scales(a, b)[-1]
        with torch.autocast(a.device.type, enabled=False):
            logits = self.upsampler(torch.cat((finest.flow, finest.first), dim=1))
            return upsample_convex(finest.flow, logits, factor=self.factor)

    def scales(self, a: Tensor, b: Tensor) -> list[Scale]:
        """The work at each scale, coarse to fine."""
        first, second = self.features(a, b)
        scales = [self.refine(0, first[0], second[0], None)]
        for scale_idx in range(1, len(self.scale_settings)):
            scales.append(self.refine(scale_idx, first[scale_idx], second[scale_idx], double(scales[-1].flow)))
        return scales

    def features(self, a: Tensor, b: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Features of both pictures, each coarse to fine."""
        mean, std = (a.new_tensor(numbers).view(3, 1, 1) for numbers in (IMAGENET_MEAN, IMAGENET_STD))
        halves = [scale.chunk(2) for scale in self.backbone((torch.cat((a, b)) - mean) / std)]
        return [half[0] for half in halves], [half[1] for half in halves]

    def refine(self, scale_idx: int, first: Tensor, second: Tensor, flow: Tensor | None) -> Scale:
        """Flow of one scale, from both pictures' features and the doubled flow of the scale before (None at first)."""
        settings = self.scale_settings[scale_idx]
        if flow is not None:
            second = sample_at_flow(second, flow, padding="zeros")
        tokens = [
            add_window_position(features.permute(0, 2, 3, 1), splits=settings.splits) for features in (first, second)
        ]
        enhanced = self.transformer(*tokens, splits=settings.splits)
        positioned, first, second = (planes.permute(0, 3, 1, 2) for planes in (tokens[0], *enhanced))
        wide = torch.promote_types(first.dtype, torch.float32)
        with torch.autocast(first.device.type, enabled=False):
            first, second = first.to(wide), second.to(wide)
            matched = _match(first, second, settings.match_radius)
            matched = matched if flow is None else flow + matched
            spread = self.feature_flow_attn(first, matched, radius=settings.propagation_radius)
        return Scale(positioned, first, second, matched, spread)


def _match(first: Tensor, second: Tensor, radius: int | None) -> Tensor:
    return match_globally(first, second) if radius is None else match_locally(first, second, radius=radius)
