"""What the flow networks share: the form of their input, reading planes at pixel positions, doubling a flow."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_form
from lib.errors import ShapeError


def check_padded(a: Tensor, b: Tensor, *, multiple: int) -> None:
    """Passes two RGB pictures (B, 3, H, W) of one shape, both sides whole multiples of `multiple`."""
    check_form("a", a, 4)
    sides = a.shape[-2:]
    if a.shape != b.shape or a.shape[1] != 3 or any(side % multiple for side in sides):
        raise ShapeError(
            f"a and b must both be (B, 3, H, W) with sides that are multiples of {multiple}: "
            f"got {tuple(a.shape)} and {tuple(b.shape)}; load_flow pads any size"
        )


def pixel_grid(planes: Tensor) -> Tensor:
    """Position (1, 2, H, W) of every pixel of planes (..., H, W), x then y, (0, 0) the first one's centre."""
    height, width = planes.shape[-2:]
    dtype = torch.promote_types(planes.dtype, torch.float32)  # 16 bits do not count a wide picture's columns
    x = torch.arange(width, device=planes.device, dtype=dtype)
    y = torch.arange(height, device=planes.device, dtype=dtype)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[None]


def sample_at_flow(planes: Tensor, flow: Tensor, *, padding: Literal["border", "zeros"]) -> Tensor:
    """Bilinear value of planes (B, C, H, W) at x + flow(x), flow (B, 2, H, W) in pixels, in the planes' dtype.

    Differentiable in both. Coordinates are float32 or wider whatever the planes are.
    """
    position = pixel_grid(planes) + flow
    size = position.new_tensor(planes.shape[:-3:-1]).view(1, 2, 1, 1)
    # normalised to pixel edges, which has no singular case at one pixel
    normalised = ((2 * position + 1) / size - 1).permute(0, 2, 3, 1)
    wide = planes.to(normalised.dtype)
    return F.grid_sample(wide, normalised, padding_mode=padding, align_corners=False).to(planes.dtype)


def double(flow: Tensor) -> Tensor:
    """Flow (B, 2, H, W) on a grid of twice the size: values times two, bilinear, corners on corners."""
    return F.interpolate(2 * flow, scale_factor=2, mode="bilinear", align_corners=True)
