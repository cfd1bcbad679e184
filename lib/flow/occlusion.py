"""Pixels that one picture shows and the other hides, from the flow in both directions."""

import torch
from torch import Tensor

from lib.checks import check_form, check_planes, check_same_grid
from lib.errors import ShapeError
from lib.flow.warp import warp

RELATIVE = 0.01
ABSOLUTE_PX2 = 0.5


@torch.no_grad()
def occlusion(
    flow_ab: Tensor, flow_ba: Tensor, *, relative: float = RELATIVE, absolute_px2: float = ABSOLUTE_PX2
) -> Tensor:
    """Mask bool (B, H, W) on a's grid: True where a's pixel is not seen in b.

    flow_ab, flow_ba: (B, 2, H, W), pixels, x then y. A pixel is occluded where going there and back misses it:
    |f + b|^2 > relative (|f|^2 + |b|^2) + absolute_px2, with f = flow_ab and b = flow_ba at the pixel's place in b.
    Source: fodvid sec. 5 (ARFlow, after UnFlow: 0.01 and 0.5 px^2).
    Choice: outside the picture b counts as 0, as in ARFlow's code, so that pixels that leave by more than a pixel or
    so are occluded. Raises ShapeError when the two differ in shape, dtype or device or are not finite.
    """
    check_form("flow_ab", flow_ab, 4)
    check_planes("flow_ba", flow_ba, ndim=4)
    check_same_grid("flow_ab", flow_ab, "flow_ba", flow_ba)
    if flow_ab.shape != flow_ba.shape:
        raise ShapeError(f"both flows must have one shape: got {tuple(flow_ab.shape)} and {tuple(flow_ba.shape)}")
    back = warp(flow_ba, flow_ab, padding="zeros")
    missed = (flow_ab + back).square().sum(dim=1)
    length = flow_ab.square().sum(dim=1) + back.square().sum(dim=1)
    return missed > relative * length + absolute_px2
