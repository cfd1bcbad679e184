"""Flow as patch features: its picture in colours (sec. 2.1), and the descriptor that stands in without DINO."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_planes
from lib.errors import ShapeError
from lib.flow import flow_to_rgb, resize_flow


def flow_picture(flow: Tensor, size: tuple[int, int], *, still_px: float = 0.0) -> Tensor:
    """The flow (1, 2, h, w) in the colours of the Middlebury wheel, (1, 3, H, W), RGB, 0..1; white does not move.

    Full saturation is the field's longest vector (authors' code), or `still_px` where that is shorter.
    """
    grown = resize_flow(flow, size)
    longest = float(grown.norm(dim=1).amax())
    return flow_to_rgb(grown, max_magnitude=max(longest, still_px) or None)


def motion_descriptor(flow: Tensor, grid: tuple[int, int], *, still_px: float = 0.0) -> Tensor:
    """Three numbers a patch, (rows * columns, 3), of length 1: the flow (1, 2, H, W) wrapped onto a sphere.

    A patch that rests is the pole (1, 0, 0); one with the field's longest vector (`still_px` at least) lies on the
    equator, in the vector's direction; so the cosine of two patches falls with the difference of their motion, as the
    cosine of DINO's features of the flow picture does. Choice: stands in where DINO's weights cannot be had.
    """
    check_planes("flow", flow, ndim=4)
    if flow.shape[:2] != (1, 2):
        raise ShapeError(f"flow must be one field, (1, 2, H, W): got {tuple(flow.shape)}")
    vectors = F.interpolate(flow, size=grid, mode="area")[0].flatten(1).T
    length = vectors.norm(dim=1, keepdim=True)
    tiny = torch.finfo(flow.dtype).tiny
    angle = length / max(float(length.max()), still_px, tiny) * (math.pi / 2)
    return torch.cat([angle.cos(), angle.sin() * vectors / length.clamp_min(tiny)], dim=1)
