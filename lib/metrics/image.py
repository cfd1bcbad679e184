"""PSNR and SSIM of a result against a reference picture; for the 8-bit forms of Table I see eight_bit.py.

Written here, although torchmetrics has both: its SSIM pads the borders and so departs from the published form (by
0.005 on the reference pictures), neither takes a mask, and importing it costs seconds.
"""

import math

import torch
from torch import Tensor

from lib.errors import ShapeError
from lib.metrics.measure import Measure
from lib.metrics.planes import check_pictures, precise, select

SSIM_TAPS = 11  # Wang et al. 2004: 11-tap Gaussian, sigma 1.5, K1 = 0.01, K2 = 0.03
SSIM_SIGMA = 1.5
STRIP_VALUES = 1 << 18
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2

PSNR = Measure("PSNR", "dB", "higher", float("inf"), "data range 0..1, mean squared error over all pixels and channels")
SSIM = Measure(
    "SSIM", "1", "higher", 1.0, "Wang 2004: Gaussian 11 taps sigma 1.5, population covariance, valid area, RGB mean"
)


def psnr(result: Tensor, reference: Tensor, *, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB; infinite when the pictures are equal.

    result, reference: (3, H, W) or (T, 3, H, W), 0..1. mask: bool (H, W) or (T, H, W), pixels that count.
    Protocol: 10 log10(1 / MSE), one MSE over all pixels, channels and frames.
    Raises ShapeError when shapes differ or the mask is empty.
    """
    check_pictures(mask, result=result, reference=reference)
    squared_error = (precise(result) - precise(reference)).square()
    return float(-10 * select(squared_error, mask).mean().log10())


def ssim(result: Tensor, reference: Tensor, *, mask: Tensor | None = None) -> float:
    """Structural similarity, 1 when the pictures are equal.

    result, reference: (3, H, W) or (T, 3, H, W), 0..1, at least 11 pixels a side.
    mask: bool (H, W) or (T, H, W): the mean of the SSIM map over windows whose centre lies inside.
    Protocol: Wang et al. 2004 without down-sampling; mean over channels, frames and the area that whole windows cover.
    Raises ShapeError when shapes differ, the picture is smaller than the window or no window centre is in the mask.
    """
    check_pictures(mask, result=result, reference=reference)
    if min(result.shape[-2:]) < SSIM_TAPS:
        raise ShapeError(f"SSIM needs at least {SSIM_TAPS} pixels a side: got {tuple(result.shape[-2:])}")
    similarity = _ssim_map(precise(result), precise(reference))
    if mask is None:
        return float(similarity.mean())
    margin = SSIM_TAPS // 2
    centres = mask[..., margin:-margin, margin:-margin]
    if not centres.any():
        raise ShapeError(f"mask must reach {margin} pixels inside the picture: no whole SSIM window is centred in it")
    return float(select(similarity, centres).mean())


def _ssim_map(result: Tensor, reference: Tensor) -> Tensor:
    """SSIM of each whole window: (..., 3, H, W) to (..., 3, H-10, W-10)."""
    reference = reference.expand_as(result)
    # strips of rows that fit the processor's cache
    num_rows = result.shape[-2] - SSIM_TAPS + 1
    height = max(1, STRIP_VALUES * result.shape[-2] // result.numel())
    strips = []
    for top in range(0, num_rows, height):
        rows = slice(top, min(top + height, num_rows) + SSIM_TAPS - 1)
        strips.append(_ssim_strip(result[..., rows, :], reference[..., rows, :]))
    return torch.cat(strips, dim=-2)


def _ssim_strip(result: Tensor, reference: Tensor) -> Tensor:
    mean_a, mean_b = _window_mean(result), _window_mean(reference)
    both, energy = mean_a * mean_b, mean_a.square() + mean_b.square()
    covariance = _window_mean(result * reference) - both
    variances = _window_mean(result.square() + reference.square()) - energy
    return (2 * both + SSIM_C1) / (energy + SSIM_C1) * (2 * covariance + SSIM_C2) / (variances + SSIM_C2)


def _window_mean(planes: Tensor) -> Tensor:
    """Gaussian mean over each whole 11x11 window of (..., H, W)."""
    taps = [math.exp(-((tap - SSIM_TAPS // 2) ** 2) / (2 * SSIM_SIGMA**2)) for tap in range(SSIM_TAPS)]
    weights = [tap / sum(taps) for tap in taps]
    for axis in (-2, -1):
        # added up by hand: torch has no fast convolution of one channel in float64
        size = planes.shape[axis] - SSIM_TAPS + 1
        mean = weights[0] * planes.narrow(axis, 0, size)
        for start, weight in enumerate(weights[1:], start=1):
            mean = mean.add_(planes.narrow(axis, start, size), alpha=weight)
        planes = mean
    return planes
