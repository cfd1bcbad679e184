"""Contrast of boxes in whole runs of frames at once, by the same pixels as lib.metrics.infrared."""

import math

import torch
from torch import Tensor

from lib.metrics.infrared import RING_PX


def covered(boxes: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """First pixel and the one after the last (T, N) whose middle lies in a box, along x (0) or y (1)."""
    low, side = boxes[..., axis].double(), boxes[..., axis + 2].double()
    return (low - 0.5).ceil().long(), (low + side - 0.5).ceil().long()


def ring_deviation(frames: Tensor, boxes: Tensor, defects: Tensor) -> Tensor:
    """Deviation (T, N) of the ring around each box (T, N, 4) in frames (T, H, W), without the defects (T, H, W)."""
    count, height, width = frames.shape
    top, bottom = covered(boxes, 1)
    left, right = covered(boxes, 0)
    reach = 2 * RING_PX + math.ceil(float(boxes[..., 2:].max())) + 1
    steps = torch.arange(reach, device=frames.device)
    rows, columns = (first[..., None] - RING_PX + steps for first in (top, left))
    in_box = _between(rows, top, bottom)[..., :, None] & _between(columns, left, right)[..., None, :]
    near_rows = _between(rows, top - RING_PX, bottom + RING_PX) & (rows >= 0) & (rows < height)
    near_columns = _between(columns, left - RING_PX, right + RING_PX) & (columns >= 0) & (columns < width)
    index = rows.clamp(0, height - 1)[..., :, None] * width + columns.clamp(0, width - 1)[..., None, :]

    def around(planes: Tensor) -> Tensor:
        return planes.reshape(count, -1).gather(1, index.reshape(count, -1)).view(index.shape)

    counts = near_rows[..., :, None] & near_columns[..., None, :] & ~in_box & ~around(defects)
    ring, values = counts.to(frames.dtype), around(frames)
    number = ring.sum((-2, -1)).clamp_min(1)
    mean = (values * ring).sum((-2, -1)) / number
    return (((values - mean[..., None, None]).square() * ring).sum((-2, -1)) / number).sqrt()


def box_means(upright: Tensor, level: Tensor, boxes: Tensor) -> Tensor:
    """Mean over its box (T, N) of a target's response, at least 1e-3.

    upright: (T, N, H), its part across the scan. level: (T, N, k_y, W), its part along the scan in each staggered
    column, which serves every k_y-th row.
    """
    across = level.shape[2]
    rows, columns = (torch.arange(part.shape[-1], device=boxes.device) for part in (upright, level))
    in_rows = _between(rows, *covered(boxes, 1)).to(upright.dtype)
    in_columns = _between(columns, *covered(boxes, 0)).to(level.dtype)
    down = torch.stack([(upright * in_rows)[..., column::across].sum(-1) for column in range(across)], dim=-1)
    total = (down * (level * in_columns[..., None, :]).sum(-1)).sum(-1)
    return (total / (in_rows.sum(-1) * in_columns.sum(-1)).clamp_min(1)).clamp_min(1e-3)


def _between(numbers: Tensor, first: Tensor, stop: Tensor) -> Tensor:
    return (numbers >= first[..., None]) & (numbers < stop[..., None])
