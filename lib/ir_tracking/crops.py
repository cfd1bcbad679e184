"""Square windows around a target, cut from a frame and resized to the network's crops.

A box is x, y, w, h in pixels with its corner at (x, y); pixel i covers i..i+1 of it, so its centre is x + w / 2.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.ir_tracking.network_settings import Inputs, NetworkSettings, Scaling

QUANTILE = 0.999  # of a frame's filtered values: white. Choice: the paper doesn't say how it scales them
WHITE = 255.0  # SiamRPN's networks take 0..255
MIN_DEVIATION = 1e-6


@dataclass(frozen=True)
class Window:
    """Square part of a frame: centre and side in pixels, the centre as x + w / 2 of a box."""

    centre_x: float
    centre_y: float
    side: float


def context_side(width: float, height: float, *, floor_px: float = 0.0) -> float:
    """Side of the template's window for a target of that size, s_z = sqrt((w + p)(h + p)), p = (w + h) / 2.

    floor_px: least side. Choice: at 3 pixels s_z is 6, and the window would show nothing but the target.
    Source: SiamFC, SiamRPN.
    """
    margin = (width + height) / 2
    return max(math.sqrt((width + margin) * (height + margin)), floor_px)


def search_side(template_side: float, settings: NetworkSettings, *, search_px: int | None = None) -> float:
    """Side of the search window at the same magnification as the template's."""
    return template_side * (search_px or settings.search_px) / settings.template_px


def rounded_crop(planes: Tensor, window: Window, out_px: int, *, fill: Tensor | None = None) -> Tensor:
    """Crop (C, out_px, out_px) of planes (C, H, W) as the published code cuts it.

    The side is rounded half to even, and the window lies half a pixel (even sides) or one (odd sides) up and left of
    its centre, before the corner is rounded to whole pixels.
    fill: (C,), what lies outside; None: the planes' means truncated to whole numbers. Bilinear.
    """
    side = max(round(window.side), 1)
    # the published code's centre counts from the middle of pixel 0
    left, top = (math.floor(centre - 0.5 - (side + 1) / 2 + 0.5) for centre in (window.centre_x, window.centre_y))
    if fill is None:
        fill = planes.mean(dim=(1, 2)).trunc()
    crop = fill.to(planes).view(-1, 1, 1).expand(-1, side, side).clone()
    height, width = planes.shape[-2:]
    rows, columns = (
        slice(max(start, 0), max(min(start + side, end), 0)) for start, end in ((top, height), (left, width))
    )
    part = planes[:, rows, columns]
    if part.numel():
        y, x = rows.start - top, columns.start - left
        crop[:, y : y + part.shape[1], x : x + part.shape[2]] = part
    if side == out_px:
        return crop
    return F.interpolate(crop[None], size=(out_px, out_px), mode="bilinear", align_corners=False)[0]


def subpixel_crops(planes: Tensor, windows: Tensor, out_px: int) -> Tensor:
    """Crops (N, C, out_px, out_px), bilinear, each exactly where its window is; means of the planes outside.

    planes: (C, H, W), or (N, C, H, W) with one frame for each window. windows: (N, 3), centre x, y and side.
    Choice: half a pixel is a sixth of a target of 3 pixels, so that windows aren't rounded.
    """
    height, width = planes.shape[-2:]
    windows = windows.to(device=planes.device, dtype=planes.dtype)
    steps = (torch.arange(out_px, device=planes.device, dtype=planes.dtype) + 0.5) / out_px - 0.5
    # in units of pixels from the middle of pixel 0
    x = windows[:, :1] + windows[:, 2:] * steps - 0.5
    y = windows[:, 1:2] + windows[:, 2:] * steps - 0.5
    means = planes.mean(dim=(-2, -1))
    rows = _between(planes, y, height, axis=-2)
    crops = _between(rows, x, width, axis=-1)
    inside = ((y >= -0.5) & (y <= height - 0.5))[:, None, :, None] & ((x >= -0.5) & (x <= width - 0.5))[:, None, None]
    return torch.where(inside, crops, means.reshape(-1, planes.shape[-3], 1, 1))


def _between(planes: Tensor, places: Tensor, size: int, *, axis: int) -> Tensor:
    """Linear interpolation of (C, H, W) or (N, C, H, W) at places (N, out) along one axis; edges are held."""
    num, out = places.shape
    places = places.clamp(0, size - 1)
    first = places.floor().clamp(max=max(size - 2, 0))
    weight = places - first
    low = first.long()
    high = (low + 1).clamp(max=size - 1)
    if planes.ndim == 3 and num == 1:
        picked = [planes.index_select(axis, idx[0])[None] for idx in (low, high)]
    else:
        batch = planes.expand(num, *planes.shape[-3:])
        shape = (num, 1, out, 1) if axis == -2 else (num, 1, 1, out)
        other = (-1, batch.shape[1], -1, batch.shape[3]) if axis == -2 else (-1, batch.shape[1], batch.shape[2], -1)
        picked = [batch.gather(axis, idx.view(shape).expand(other)) for idx in (low, high)]
    return torch.lerp(picked[0], picked[1], weight.view((num, 1, out, 1) if axis == -2 else (num, 1, 1, out)))


def crops_of(planes: Tensor, windows: Tensor, out_px: int, settings: NetworkSettings) -> Tensor:
    """Network inputs (N, 3, out_px, out_px) cut from planes of `input_planes` as the settings say.

    planes: (3, H, W), or (N, 3, H, W), one for each window (N, 3).
    """
    if settings.subpixel:
        crops = subpixel_crops(planes, windows, out_px)
    else:
        frames = planes if planes.ndim == 4 else planes.expand(len(windows), *planes.shape)
        crops = torch.stack(
            [
                rounded_crop(frame, Window(*window), out_px)
                for frame, window in zip(frames, windows.tolist(), strict=True)
            ]
        )
    return standardised(crops) if settings.scaling == "crop" else crops


def standardised(crops: Tensor) -> Tensor:
    """Each plane of each crop with mean 0 and deviation 1: gain and level of the sensor don't matter."""
    mean = crops.mean(dim=(-2, -1), keepdim=True)
    centred = crops - mean
    deviation = centred.square().mean(dim=(-2, -1), keepdim=True).sqrt()
    return centred / deviation.clamp(min=MIN_DEVIATION)


def input_planes(
    frame: Tensor, suppressed: Tensor, filtered: Tensor, *, inputs: Inputs = "all", scaling: Scaling = "crop"
) -> Tensor:
    """What crops are cut from, (3, H, W), of a frame (1, H, W) and its filter's results of the same shape.

    inputs: "all" frame, suppressed background (eq. 3) and rectangular opening (eq. 4); "filtered" the last, three
    times; "frame" the first, three times. scaling: "frame" brings each to 0..255 by its 99.9 % quantile.
    """
    chosen = {"all": (frame, suppressed, filtered), "filtered": (filtered,) * 3, "frame": (frame,) * 3}[inputs]
    planes = torch.cat(chosen)
    return planes if scaling == "crop" else _by_quantile(planes)


def _by_quantile(planes: Tensor) -> Tensor:
    flat = planes.flatten(1)
    rank = min(int(QUANTILE * flat.shape[1]) + 1, flat.shape[1])
    low = flat.amin(dim=1)
    white = flat.kthvalue(rank, dim=1).values
    span = torch.where(white > low, white - low, (flat.amax(dim=1) - low).clamp(min=MIN_DEVIATION))
    return ((planes - low.view(-1, 1, 1)) / span.view(-1, 1, 1)).clamp(0, 1) * WHITE
