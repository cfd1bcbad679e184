"""From a mixed gradient field to a picture: padding, Poisson solve and colour fit (Algorithm 1, steps 4 and 5)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from lib.context_fusion.gradients import mixed_divergence
from lib.context_fusion.settings import ImageSettings, Padding, VideoSettings
from lib.solvers.poisson import solve_poisson


@dataclass(frozen=True)
class Fusion:
    """A fused picture or clip, with what it was made from.

    image: (3, H, W) or (T, 3, H, W), 0..1. importance: W or W', (H, W) or (T, H, W), 0..1.
    target: W N + (1 - W) D, to which the colours were fitted, shaped like the image.
    """

    image: Tensor
    importance: Tensor
    target: Tensor


def reconstruct(night: Tensor, day: Tensor, weight: Tensor, settings: ImageSettings | VideoSettings) -> Tensor:
    """Picture (3, H, W) whose gradient is closest to W grad N + (1 - W) grad D; its constant is arbitrary."""
    planes, crop = pad_to_power_of_two([night, day, weight[None]], settings.padding)
    div = mixed_divergence(planes[0], planes[1], planes[2][0])
    solution = solve_poisson(div, method=settings.solver, cycles=settings.multigrid_cycles, overwrite=True)
    return solution[..., crop[0], crop[1]]


def pad_to_power_of_two(pictures: list[Tensor], padding: Padding) -> tuple[list[Tensor], tuple[slice, slice]]:
    """Pictures (C, H, W) centred on a square of the next power of two, and the rows and columns to crop back to.

    `black` surrounds them with 0 before gradients are taken, so that the step to black is part of the field;
    `replicate` repeats the border, which adds no gradient; `none` returns them as they are. Source: sec. 2.2.
    """
    height, width = pictures[0].shape[-2:]
    if padding == "none":
        return pictures, (slice(0, height), slice(0, width))
    side = 1 << (max(height, width) - 1).bit_length()
    top, left = (side - height) // 2, (side - width) // 2
    margins = (left, side - width - left, top, side - height - top)
    mode = "constant" if padding == "black" else "replicate"
    padded = [F.pad(picture[None], margins, mode=mode)[0] for picture in pictures]
    return padded, (slice(top, top + height), slice(left, left + width))
