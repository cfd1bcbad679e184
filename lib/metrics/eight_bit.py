"""PSNR and SSIM on 8-bit pictures, the protocol of Table I of Zero-TIG, with and without histogram matching.

Written here, although torchmetrics has a PSNR: its SSIM lacks the sample covariance and the border of scikit-image's
default, and importing it costs seconds. Source: Zero-TIG fact sheet 9.
"""

import torch
from torch import Tensor

from lib.errors import ShapeError
from lib.metrics.measure import Measure
from lib.metrics.planes import GREY_LEVELS, check_pictures, eight_bit

WINDOW = 7  # scikit-image's default: 7x7 uniform, sample covariance, K1 = 0.01, K2 = 0.03
WINDOW_PIXELS = WINDOW**2
C1 = (0.01 * GREY_LEVELS) ** 2
C2 = (0.03 * GREY_LEVELS) ** 2

MATCHED = "joint RGB histogram matched to the reference first, "
PSNR_8BIT = Measure(
    "PSNR", "dB", "higher", float("inf"), "8-bit result, MSE over all channels, mean over all test frames"
)
PSNR_8BIT_HM = Measure("PSNR HM", "dB", "higher", float("inf"), MATCHED + PSNR_8BIT.protocol)
SSIM_8BIT = Measure(
    "SSIM", "1", "higher", 1.0, "8-bit result, 7x7 uniform window, channel mean, mean over all test frames"
)
SSIM_8BIT_HM = Measure("SSIM HM", "1", "higher", 1.0, MATCHED + SSIM_8BIT.protocol)


@torch.no_grad()
def psnr_8bit(result: Tensor, reference: Tensor) -> float:
    """Peak signal-to-noise ratio of the pictures as 8-bit files hold them, dB; infinite when these are equal.

    result, reference: (3, H, W) or (T, 3, H, W), clipped to 0..1 and rounded to 256 levels; for "PSNR HM" give
        match_histogram(result, reference).
    Protocol: 20 log10(255 / sqrt(MSE)), one MSE over the pixels and channels of a frame, mean over frames.
    Raises ShapeError when shapes differ or a number is not finite.
    """
    check_pictures(result=result, reference=reference)
    frames = result.reshape(-1, *result.shape[-3:])
    wanted = reference.expand_as(result).reshape(frames.shape)
    errors = [
        (eight_bit(a) - eight_bit(b)).square_().mean(dtype=_sum_type(a)) for a, b in zip(frames, wanted, strict=True)
    ]
    return float((10 * (GREY_LEVELS**2 / torch.stack(errors)).log10()).mean())


@torch.no_grad()
def ssim_8bit(result: Tensor, reference: Tensor) -> float:
    """Structural similarity of the pictures as 8-bit files hold them, scikit-image's default; 1 when these are equal.

    result, reference: as in `psnr_8bit`, at least 7 pixels a side.
    Protocol: uniform 7x7 windows that lie whole in the picture, sample covariance (divisor 48), data range 255, mean
    over windows and channels, then over frames.
    Raises ShapeError when shapes differ, the picture is smaller than the window or a number is not finite.
    """
    check_pictures(result=result, reference=reference)
    if min(result.shape[-2:]) < WINDOW:
        raise ShapeError(f"SSIM needs at least {WINDOW} pixels a side: got {tuple(result.shape[-2:])}")
    planes = result.reshape(-1, *result.shape[-2:])
    wanted = reference.expand_as(result).reshape(planes.shape)
    return float(torch.stack([_ssim_plane(a, b) for a, b in zip(planes, wanted, strict=True)]).mean())


def _ssim_plane(result: Tensor, reference: Tensor) -> Tensor:
    """Mean SSIM of one channel (H, W), a scalar.

    Sums over a window of 8-bit values stay below 2^24, and what is made of them below 2^31: float32 and int32 hold
    them exactly, so that variances lose nothing.
    """
    a, b = eight_bit(result), eight_bit(reference)
    sum_a, sum_b, squares, products = (_window_sum(it).int() for it in (a, b, a * a + b * b, a * b))
    both, energy = sum_a * sum_b, sum_a * sum_a + sum_b * sum_b
    covariance = (WINDOW_PIXELS * products - both) / (WINDOW_PIXELS * (WINDOW_PIXELS - 1))
    variances = (WINDOW_PIXELS * squares - energy) / (WINDOW_PIXELS * (WINDOW_PIXELS - 1))
    brightness = (2 * both / WINDOW_PIXELS**2 + C1) / (energy / WINDOW_PIXELS**2 + C1)
    return (brightness * (2 * covariance + C2) / (variances + C2)).mean(dtype=_sum_type(result))


def _window_sum(plane: Tensor) -> Tensor:
    """Sum over each whole 7x7 window of (H, W)."""
    for axis in (0, 1):
        size = plane.shape[axis] - WINDOW + 1
        pairs = plane.narrow(axis, 0, size + 5) + plane.narrow(axis, 1, size + 5)
        plane = sum((pairs.narrow(axis, start, size) for start in (0, 2, 4)), plane.narrow(axis, 6, size))
    return plane


def _sum_type(picture: Tensor) -> torch.dtype:
    """float64, so that long sums keep their digits; MPS has none."""
    return torch.float32 if picture.device.type == "mps" else torch.float64
