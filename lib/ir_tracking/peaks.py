"""Local maxima of a filtered frame: where a target may be."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.settings import FilterSettings


def peaks(response: Tensor, *, number: int, radius_px: int = 3) -> Tensor:
    """The `number` highest local maxima (K, 3) of a response (H, W): centre x, y as pixel number + 0.5, and height.

    A maximum is the highest within radius_px in both directions and above the lowest value of the frame; there may be
    fewer than `number` of them, also none. The highest comes first. A plateau counts at its first pixel.
    """
    size = 2 * radius_px + 1
    plane = response.float()[None, None]
    highest, where = F.max_pool2d(plane, size, stride=1, padding=radius_px, return_indices=True)
    own = torch.arange(plane.numel(), device=plane.device).view_as(plane)
    is_peak = (where == own) & (plane == highest) & (plane > plane.amin())
    heights = torch.where(is_peak, plane, float("-inf")).flatten()
    best, idx = heights.topk(min(number, heights.numel()))
    idx, best = idx[best.isfinite()], best[best.isfinite()]
    rows, columns = idx // response.shape[-1], idx % response.shape[-1]
    return torch.stack([columns + 0.5, rows + 0.5, best], dim=1)


def detect(frame: Tensor, *, number: int, settings: FilterSettings | None = None, side_px: float = 3.0) -> Tensor:
    """Boxes (K, 4) around the highest responses of the filter in a frame (1, H, W) or (H, W), highest first.

    The box is `side_px` wide and high, its centre at the centre of mass of the 5x5 pixels around the maximum.
    """
    filtered = suppress_background(frame.reshape(frame.shape[-2:]), settings=settings).filtered.float()
    found = peaks(filtered, number=number)
    centres = torch.stack([_centre_of_mass(filtered, x, y) for x, y in found[:, :2].tolist()] or [found.new_zeros(2)])
    boxes = torch.cat([centres - side_px / 2, torch.full_like(centres, side_px)], dim=1)
    return boxes[: len(found)]


def _centre_of_mass(plane: Tensor, x: float, y: float, *, reach: int = 2) -> Tensor:
    column, row = int(x), int(y)
    left, top = max(column - reach, 0), max(row - reach, 0)
    part = plane[top : row + reach + 1, left : column + reach + 1]
    part = part - part.amin()
    total = part.sum()
    if float(total) <= 0:
        return plane.new_tensor([x, y])
    columns, rows = (torch.arange(size, device=part.device) + 0.5 for size in (part.shape[1], part.shape[0]))
    return torch.stack([(part.sum(0) * columns).sum() / total + left, (part.sum(1) * rows).sum() / total + top])
