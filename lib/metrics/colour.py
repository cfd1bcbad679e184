"""Colour difference as the eye weighs it: CIELab, and the shift of a result's colours from the wanted ones."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.metrics.measure import Measure
from lib.metrics.planes import check_pictures, precise

BLOCK_PX = 8  # large enough to average noise and fine structure away, small enough to keep regions apart

COLOUR_SHIFT = Measure(
    "colour shift", "Delta E", "lower", 0.0, f"CIE 1976 Delta E (sRGB, D65) between means of {BLOCK_PX} px blocks, mean"
)

SRGB_TO_XYZ = (  # IEC 61966-2-1, D65
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
D65_WHITE = (0.95047, 1.0, 1.08883)
LAB_KNEE = 6 / 29


def rgb_to_lab(picture: Tensor) -> Tensor:
    """CIELab (L 0..100, a, b) of display-referred sRGB, both (..., 3, H, W); values outside 0..1 clip."""
    stored = picture.clamp(0, 1)
    linear = torch.where(stored > 0.04045, ((stored + 0.055) / 1.055) ** 2.4, stored / 12.92)
    matrix = linear.new_tensor(SRGB_TO_XYZ) / linear.new_tensor(D65_WHITE).unsqueeze(1)
    xyz = torch.einsum("ij,...jhw->...ihw", matrix, linear)
    # the branch not taken must stay finite, cbrt by power is steep at 0
    curved = torch.where(xyz > LAB_KNEE**3, xyz.clamp_min(LAB_KNEE**3) ** (1 / 3), xyz / (3 * LAB_KNEE**2) + 4 / 29)
    x, y, z = curved.unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-3)


def colour_shift(result: Tensor, wanted: Tensor, *, mask: Tensor | None = None) -> float:
    """Mean CIE 1976 colour difference between the local mean colours of a result and of the wanted picture, Delta E.

    result: (3, H, W) or (T, 3, H, W); values outside 0..1 count as clipped.
    wanted: the same, or one picture for all frames; the fit's target W N + (1 - W) D, or the truth where it is known.
    mask: bool (H, W) or (T, H, W), pixels that count.
    0 is perfect, about 2.3 is just noticeable, and tens mean other colours. Block means let the measure see colours
    and not noise, seams or structure. Against W N + (1 - W) D the pixel blend is perfect by definition, not by merit.
    Raises ShapeError when shapes differ or the mask is empty.
    """
    check_pictures(mask, result=result, wanted=wanted)
    weight = precise(torch.ones_like(result[..., :1, :, :]))
    if mask is not None:
        weight = weight * mask.unsqueeze(-3)
    covered = _block_mean(weight)
    difference = _block_colours(result, weight) - _block_colours(wanted, weight)
    distance = difference.square().sum(-3, keepdim=True).sqrt()
    return float((distance * covered).sum() / covered.sum())


def _block_colours(picture: Tensor, weight: Tensor) -> Tensor:
    """CIELab of the weighted mean colour of each block; a block without weight is black."""
    shown = precise(picture).clamp(0, 1)
    return rgb_to_lab(_block_mean(shown * weight) / _block_mean(weight).clamp_min(torch.finfo(weight.dtype).tiny))


def _block_mean(planes: Tensor) -> Tensor:
    """Mean of each block of BLOCK_PX pixels a side; blocks that the border cuts average what they hold."""
    stack = planes.reshape(-1, *planes.shape[-3:])
    means = F.avg_pool2d(stack, BLOCK_PX, ceil_mode=True, count_include_pad=False)
    return means.reshape(*planes.shape[:-2], *means.shape[-2:])
