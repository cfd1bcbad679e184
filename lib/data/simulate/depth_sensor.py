"""A structured-light depth camera: exact depth to what it measures, with noise, steps, shadows and holes."""

import torch
import torch.nn.functional as F
from torch import Tensor

BASELINE_M = 0.075  # between projector and camera of the Kinect
STEP = 2.85e-3  # 1 / metres between two measured disparities: Khoshelham and Elberink 2012
NOISE_FLOOR, NOISE_GROWTH, NOISE_START = 0.0012, 0.0019, 0.4  # metres: axial noise of Nguyen, Izadi, Lovell 2012
REACH_M = (0.5, 9.5)
MAX_SHADOW_PX = 24


def measure_depth(
    depth: Tensor, invisible: Tensor, *, focal: float, normal_noise: Tensor, noise: float, missing: bool
) -> Tensor:
    """Measured depth (B, 1, H, W), metres, 0 where there is none.

    depth: (B, 1, H, W), exact. invisible: bool (B, 1, H, W), surfaces that send nothing back, e.g. glass.
    focal: pixels. normal_noise: (B, 1, H, W), independent, of variance 1. noise: factor on it; missing: False keeps
    every pixel. The noise grows with the square of the depth, 1 / depth is rounded to the sensor's steps. Holes: beyond
    its reach, on what is invisible, on shadows of the projector beside what is near, and on steep jumps.
    Choice: the noise is smoothed over 3x3 pixels, since the sensor compares windows, and scaled back.
    """
    spread = NOISE_FLOOR + NOISE_GROWTH * (depth - NOISE_START).square()
    smooth = F.avg_pool2d(F.pad(normal_noise, (1, 1, 1, 1), mode="replicate"), 3, stride=1) * 3
    noisy = (depth + noise * spread * smooth).clamp_min(0.1)
    measured = noisy
    if noise > 0:
        measured = 1 / ((1 / noisy / STEP).round().clamp_min(1) * STEP)
    if not missing:
        return measured
    near, far = REACH_M
    holes = invisible | _shadowed(depth, focal) | _jumps(depth) | (depth < near) | (depth > far)
    return measured.masked_fill(holes, 0.0)


def _shadowed(depth: Tensor, focal: float) -> Tensor:
    """True where the projector's light is hidden by something nearer, to the right of the pixel."""
    shift = focal * BASELINE_M / depth
    hidden = torch.zeros_like(depth, dtype=torch.bool)
    furthest = min(int((shift.amax() - shift.amin()).ceil()), MAX_SHADOW_PX, depth.shape[-1] - 1)
    for step in range(1, furthest + 1):
        hidden[..., :-step] |= shift[..., step:] - shift[..., :-step] >= step
    return hidden


def _jumps(depth: Tensor) -> Tensor:
    """True where the neighbours above and below differ by more than a tenth, on every other such row."""
    up = F.pad(depth, (0, 0, 1, 1), mode="replicate")
    difference = (up[:, :, 2:] - up[:, :, :-2]).abs() > 0.1 * depth
    return difference & (depth > 0) & (torch.arange(depth.shape[-2], device=depth.device)[:, None] % 2 == 0)
