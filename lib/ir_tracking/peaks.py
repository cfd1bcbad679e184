"""Local maxima of a filtered frame: where a target may be."""

import math

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

    The box is `side_px` wide and high, its centre at the maximum's centre of mass.
    """
    filtered = suppress_background(frame.reshape(frame.shape[-2:]), settings=settings).filtered.float()
    found = peaks(filtered, number=number)
    centres = centre_of_mass(filtered, found[:, :2])
    boxes = torch.cat([centres - side_px / 2, torch.full_like(centres, side_px)], dim=1)
    return boxes


def centre_of_mass(plane: Tensor, centres: Tensor, *, sigma_px: float = 1.0, rounds: int = 2) -> Tensor:
    """Centres (N, 2) of what is bright in a plane (H, W) near given centres, to fractions of a pixel.

    The mean of the pixels' places, weighed by brightness over the lowest of the patch and by a Gaussian of sigma_px
    around the centre before; repeated, the step doubled, because the window halves it. Where nothing is bright the
    centre stays.
    """
    reach = math.ceil(3 * sigma_px)
    height, width = plane.shape
    steps = torch.arange(-reach, reach + 1, device=plane.device)
    columns, rows = (centres[:, axis, None].floor().to(plane.device).long() + steps for axis in (0, 1))
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    patches = plane[rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]].double()
    patches = (patches - patches.amin(dim=(1, 2), keepdim=True)) * inside
    found = centres.to(plane.device, torch.float64)
    for _ in range(rounds):
        right, down = (places + 0.5 - found[:, axis, None] for axis, places in ((0, columns), (1, rows)))
        window = torch.exp(-(down.square()[:, :, None] + right.square()[:, None, :]) / (2 * sigma_px**2))
        weights = patches * window
        total = weights.sum(dim=(1, 2))
        shift = torch.stack([(weights * right[:, None, :]).sum((1, 2)), (weights * down[:, :, None]).sum((1, 2))], 1)
        found = found + 2 * torch.where(total[:, None] > 0, shift / total[:, None].clamp(min=1e-12), 0)
    return found.to(centres)
