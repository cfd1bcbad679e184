"""A bright block on darker ground that moves to the right, with features and flow that know the truth."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.features import PatchFeatures
from lib.fodvid.discover import Discoverer
from lib.fodvid.settings import Settings

HEIGHT, WIDTH, PATCH = 64, 96, 8
SPEED = 8  # pixels a frame, to the right: one patch


def truth(idx: int, *, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Mask (H, W) of the block in a frame; it lies on whole patches."""
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[24:48, 16 + SPEED * idx : 40 + SPEED * idx] = True
    return mask


def frame(idx: int, *, contrast: float = 0.4) -> Tensor:
    """Frame (3, H, W): the block is brighter than the ground by `contrast`, and warmer."""
    generator = torch.Generator().manual_seed(1)
    ground = 0.3 + 0.02 * torch.rand(3, HEIGHT, WIDTH, generator=generator)
    tone = torch.tensor([1.0, 0.8, 0.4]).view(3, 1, 1)
    return ground + contrast * tone * truth(idx)


def video(num_frames: int, *, contrast: float = 0.4) -> Iterator[Tensor]:
    return (frame(idx, contrast=contrast) for idx in range(num_frames))


def colours(image: Tensor) -> PatchFeatures:
    """Mean colour of each patch around the picture's, (B, N, 3)."""
    pooled = F.avg_pool2d(image, PATCH, ceil_mode=True)
    flat = pooled.flatten(2).transpose(1, 2)
    return PatchFeatures(flat - flat.mean(1, keepdim=True), (pooled.shape[-2], pooled.shape[-1]))


class TrueFlow:
    """Flow (1, 2, h, w) of the block between two frames of `video`; counts its calls.

    It finds the block in both pictures, scaled or not; the ground rests.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        places = [_left(image) for image in (a, b)]
        self.calls.append((places[0], places[1]))
        flow = torch.zeros(1, 2, *a.shape[-2:])
        flow[:, 0][_bright(a)[None]] = float(places[1] - places[0])
        return flow


def still(a: Tensor, b: Tensor) -> Tensor:
    """Flow of a picture at rest."""
    return a.new_zeros(1, 2, *a.shape[-2:])


def discoverer(estimator: Any = None, **changes: Any) -> Discoverer:
    """With mean colours for features and the true flow, as its descriptor, in settings that suit both."""
    settings = Settings(alpha=0.5, tau=0.6, motion_features="descriptor", still_px=0.5).but(**changes)
    return Discoverer(settings, extractor=colours, estimator=estimator or TrueFlow())  # type: ignore[arg-type]


def _bright(image: Tensor) -> Tensor:
    red = image[0, 0]
    return red > (red.min() + red.max()) / 2


def _left(image: Tensor) -> int:
    return int(_bright(image).any(0).nonzero()[0])
