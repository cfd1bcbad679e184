"""Flow as colours: hue is the direction, saturation the length (the colour wheel of Baker et al., IJCV 2011)."""

import math

import torch
from torch import Tensor

from lib.checks import check_planes
from lib.errors import ShapeError, SpecError

# colours between red, yellow, green, cyan, blue, magenta and red again: Middlebury's colorcode
STEPS = (15, 6, 4, 11, 13, 6)
CORNERS = ((1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0))
BEYOND = 0.75  # brightness of vectors longer than the maximum
EPSILON_PX = 1e-5


def flow_to_rgb(flow: Tensor, *, max_magnitude: float | None = None) -> Tensor:
    """Picture (B, 3, H, W), RGB, 0..1 in steps of a grey level, of a flow field.

    flow: (B, 2, H, W), pixels, x then y. max_magnitude: length (px) with full saturation; that of each field's
    longest vector if None. White is no motion, red is to the right, yellow down; longer vectors are darker.
    Source: the wheel with colours counted from 0, as RAFT draws it.
    Raises ShapeError for another form or values that are not finite, SpecError for a maximum that is not above 0.
    """
    check_planes("flow", flow, ndim=4)
    if flow.shape[1] != 2:
        raise ShapeError(f"flow must have the channels x and y, (B, 2, H, W): got shape {tuple(flow.shape)}")
    if max_magnitude is not None and not 0 < max_magnitude < math.inf:
        raise SpecError(f"max_magnitude must be above 0 pixels: got {max_magnitude}")
    # the angle of a vector decides on which side of a grey level its colour falls
    exact = flow.double()
    longest = exact.norm(dim=1).amax(dim=(1, 2)) if max_magnitude is None else exact.new_tensor([max_magnitude])
    exact = exact / (longest.view(-1, 1, 1, 1) + EPSILON_PX)
    length = exact.norm(dim=1)[..., None]
    position = (torch.atan2(-exact[:, 1], -exact[:, 0]) / math.pi + 1) / 2 * (sum(STEPS) - 1)
    wheel = colour_wheel().to(exact)
    before = position.floor().long()
    part = (position - before)[..., None]
    hue = (1 - part) * wheel[before] + part * wheel[(before + 1) % len(wheel)]
    colour = torch.where(length <= 1, 1 - length * (1 - hue), hue * BEYOND)
    return ((255 * colour).floor() / 255).permute(0, 3, 1, 2).to(flow.dtype).contiguous()


def colour_wheel() -> Tensor:
    """The 55 colours, (55, 3) float64, RGB 0..1, in whole grey levels."""
    segments = []
    for steps, start, end in zip(STEPS, CORNERS, CORNERS[1:], strict=False):
        part = torch.arange(steps, dtype=torch.float64)[:, None] / steps
        first, last = torch.tensor(start, dtype=torch.float64), torch.tensor(end, dtype=torch.float64)
        rising = (255 * part).floor() / 255
        segments.append(torch.where(last > first, rising, torch.where(last < first, 1 - rising, first)))
    return torch.cat(segments)
