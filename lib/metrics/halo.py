"""Halo: how a result's brightness departs from the wanted one with the distance from an object's border."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.metrics.measure import Measure
from lib.metrics.planes import GREY_LEVELS, check_pictures, luma, precise

HALO = Measure(
    "halo",
    "grey levels",
    "lower",
    0.0,
    "mean over distances in the near half outside the mask of |luma deviation - its mean in the far half|",
)


@dataclass(frozen=True)
class HaloProfile:
    """Mean signed luma deviation at each distance from the mask border.

    distance_px: (N,) whole pixels, 1, 2, ... outside and 0, -1, ... inside the mask, rising; chessboard distance.
    deviation: (N,) grey levels; above 0 where the result is brighter than wanted.
    """

    distance_px: Tensor
    deviation: Tensor

    @property
    def strength(self) -> float:
        """Halo outside the object, grey levels: mean |deviation(near) - mean deviation(far)|, near = inner half.

        An offset of the whole picture is a colour shift and not a halo, therefore the far half is subtracted.
        """
        outside = self.deviation[self.distance_px > 0]
        if outside.numel() < 2:
            raise ShapeError("the profile must reach at least 2 pixels outside the mask; take a smaller mask")
        half = outside.numel() // 2
        return float((outside[:half] - outside[half:].mean()).abs().mean())


def halo_profile(result: Tensor, wanted: Tensor, mask: Tensor, *, max_distance_px: int = 24) -> HaloProfile:
    """Mean luma deviation of a result from the wanted picture, by signed distance from the mask border.

    result: (3, H, W) or (T, 3, H, W), 0..1.
    wanted: the same, or one picture for all frames; W N + (1 - W) D, or the truth where it is known.
    mask: bool (H, W) or (T, H, W), true on the objects.
    max_distance_px: pixels farther away, on either side, are left out.
    A perfect result is 0 everywhere, and so is the pixel blend where W N + (1 - W) D itself is the wanted picture.
    Averaging lifts or lowers the whole profile, a halo decays with the distance.
    Raises ShapeError when shapes differ or the mask has no border.
    """
    check_pictures(mask, result=result, wanted=wanted)
    if max_distance_px < 2:
        raise SpecError(f"max_distance_px must be at least 2: got {max_distance_px}")
    deviation = GREY_LEVELS * luma(precise(result) - precise(wanted))
    distance = signed_distance(mask, max_distance_px=max_distance_px).expand_as(deviation)
    if mask.all():
        raise ShapeError("mask must have a border: got one that covers everything")
    inside_range = (distance <= max_distance_px) & (distance > -max_distance_px)
    bins = (distance[inside_range] + max_distance_px - 1).long()
    count = torch.bincount(bins, minlength=2 * max_distance_px).to(deviation.dtype)
    total = torch.zeros_like(count).index_add_(0, bins, deviation[inside_range])
    filled = count > 0
    all_distances = torch.arange(1 - max_distance_px, max_distance_px + 1, device=result.device)
    return HaloProfile(all_distances[filled], total[filled] / count[filled])


def signed_distance(mask: Tensor, *, max_distance_px: int) -> Tensor:
    """Chessboard distance from the mask border, whole pixels, (..., H, W) like the mask.

    1 on the first pixel outside, 0 on the last one inside, falling inwards; beyond max_distance_px it stays one above
    (outside) or at -max_distance_px (inside). Pixels beyond the picture are neither inside nor outside.
    """
    grown = mask.reshape(-1, 1, *mask.shape[-2:]).float()
    shrunk = 1 - grown
    distance = grown.new_full(grown.shape, max_distance_px + 1) - grown * (2 * max_distance_px + 1)
    for step in range(1, max_distance_px + 1):
        wider, narrower = F.max_pool2d(grown, 3, 1, 1), F.max_pool2d(shrunk, 3, 1, 1)
        distance = torch.where(wider > grown, step, torch.where(narrower > shrunk, 1 - step, distance))
        grown, shrunk = wider, narrower
    return distance.reshape(mask.shape)
