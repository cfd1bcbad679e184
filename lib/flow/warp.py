"""Backward warping by a flow field, and flow on another grid; (0, 0) is the centre of the first pixel."""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_form, check_planes
from lib.errors import ShapeError, SpecError

Padding = Literal["border", "zeros"]
PADDINGS = ("border", "zeros")


def warp(image: Tensor, flow: Tensor, *, padding: Padding = "border") -> Tensor:
    """Image seen from the flow's own grid: result(x) = image(x + flow(x)), bilinear.

    image: (B, C, H, W) float, any range and any number of channels; its dtype is kept.
    flow: (B, 2, H, W) float, pixels, x then y, from the result's grid to `image`.
    padding: what lies outside: `border` repeats the outermost pixels, `zeros` fades to 0 within a pixel.
    Returns (B, C, H, W). Zero flow gives back the image bit for bit, whole-pixel flow shifts it exactly.
    Differentiable in both arguments; without gradients, float32 on the CPU takes a compiled path.
    Source: Zero-TIG sec. III-B; Choice: positions are pixel centres and no corner convention enters, since the
    published code moves a picture by about a pixel even at zero flow.
    Raises ShapeError when grids, batches or devices differ or the flow is not finite, SpecError for another padding.
    """
    _check(image, flow, padding)
    needs_gradient = torch.is_grad_enabled() and (image.requires_grad or flow.requires_grad)
    compiles = image.device.type == "cpu" and image.dtype == flow.dtype == torch.float32 and min(image.shape[-2:]) > 1
    if compiles and not needs_gradient:
        return _warp_compiled(image, flow, padding)
    check_planes("flow", flow.detach())
    return _warp_tensor(image, flow, padding)


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """The same motion on a grid of `size` (height, width): bilinear, values scaled with each axis.

    flow: (B, 2, H, W), pixels, x then y. Pixel centres stay where they are in the picture (half-pixel convention).
    Returns (B, 2, height, width) in the pixels of the new grid. Raises ShapeError for another form or an empty size.
    """
    _check_flow(flow)
    height, width = size
    if height < 1 or width < 1:
        raise ShapeError(f"size must be (height, width) of at least one pixel: got {tuple(size)}")
    if (height, width) == flow.shape[-2:]:
        return flow
    resized = F.interpolate(flow, size=(height, width), mode="bilinear", align_corners=False)
    return resized * flow.new_tensor([width / flow.shape[-1], height / flow.shape[-2]]).view(1, 2, 1, 1)


def _check(image: Tensor, flow: Tensor, padding: str) -> None:
    if padding not in PADDINGS:
        raise SpecError(f"padding must be one of {', '.join(PADDINGS)}: got {padding!r}")
    check_form("image", image, 4)
    _check_flow(flow)
    if image.shape[-2:] != flow.shape[-2:] or len(image) != len(flow):
        raise ShapeError(
            f"flow and image must share a grid and a batch: got {tuple(flow.shape)} and {tuple(image.shape)}; "
            "resize the flow with resize_flow first"
        )
    if image.device != flow.device:
        raise ShapeError(f"flow and image must share a device: got {flow.device} and {image.device}")


def _check_flow(flow: Tensor) -> None:
    check_form("flow", flow, 4)
    if flow.shape[1] != 2:
        raise ShapeError(f"flow must have the channels x and y, (B, 2, H, W): got shape {tuple(flow.shape)}")


def _warp_compiled(image: Tensor, flow: Tensor, padding: Padding) -> Tensor:
    from lib.flow import kernels

    image, flow = image.detach().contiguous(), flow.detach().contiguous()
    # numpy asks for huge pages; torch's memory costs as much time in page faults as the warp takes
    result = np.empty(image.shape, np.float32)
    if kernels.warp(image.numpy(), flow.numpy(), padding == "zeros", result):
        check_planes("flow", flow)
    return torch.from_numpy(result)


def _warp_tensor(image: Tensor, flow: Tensor, padding: Padding) -> Tensor:
    """Four gathers; the gradient reaches the image through the values and the flow through the weights."""
    height, width = image.shape[-2:]
    # 16 bits cannot tell the columns of a wide picture apart
    flow = flow.to(torch.promote_types(flow.dtype, torch.float32))
    columns, across = _taps(flow[:, 0], torch.arange(width, device=flow.device), width, padding)
    rows, down = _taps(flow[:, 1], torch.arange(height, device=flow.device)[:, None], height, padding)
    planes = image.flatten(2)
    samples = []
    for line, on_line in zip(rows, down, strict=True):
        for column, on_column in zip(columns, across, strict=True):
            position = (line * width + column).flatten(1)[:, None].expand(-1, planes.shape[1], -1)
            samples.append((on_line * on_column).flatten(1)[:, None] * planes.gather(2, position))
    # in the order of the compiled form
    result = samples[0] + samples[1] + samples[2] + samples[3]
    return result.view(image.shape).to(image.dtype)


def _taps(displacement: Tensor, position: Tensor, length: int, padding: Padding) -> tuple[list[Tensor], list[Tensor]]:
    """Indices of the two pixels around position + displacement on one axis, moved inside, and their weights."""
    whole = displacement.detach().floor()
    part = displacement - whole  # split before adding the position, which would round small displacements
    first = whole.clamp(-length - 1, length).long() + position
    taps, weights = [first, first + 1], [1 - part, part]
    inside = [tap.clamp(0, length - 1) for tap in taps]
    if padding == "zeros":
        weights = [
            torch.where(tap == kept, weight, weight.new_zeros(()))
            for tap, kept, weight in zip(taps, inside, weights, strict=True)
        ]
    return inside, weights
