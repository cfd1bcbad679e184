"""Sub-pixel shift of the day picture onto the night one. Not in the paper: real cameras move by about a pixel.

The maps that are compared are gradient lengths of the logarithm of the luma, which lamps and exposure change least;
phase correlation gives a start and the enhanced correlation coefficient (Evangelidis and Psarakis, TPAMI 2008) refines.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lib.checks import check_image, check_same_grid
from lib.context_fusion.gradients import luma
from lib.errors import LabError

# keeps the logarithm of black finite: 5 grey levels
LOG_FLOOR = 0.02
# gradient of the logarithm above which an edge counts fully: a few lamps must not decide
EDGE_CEILING = 0.5
SMOOTHING_PX = 5
MIN_SIDE = 16
# real day and night pairs reach 0.5 to 0.9, unrelated pictures stay near 0
MIN_CORRELATION = 0.2


@dataclass(frozen=True)
class Registration:
    """day: the shifted day picture (3, H, W); (dx, dy): pixels it moved; correlation: -1..1 of the edge maps."""

    day: Tensor
    dx: float
    dy: float
    correlation: float


def register_day(day: Tensor, night: Tensor) -> Registration:
    """Day picture moved onto the grid of the night picture; what comes in from outside repeats the border.

    day, night: (3, H, W), 0..1, at least 16 pixels a side.
    Raises ShapeError for other shapes, LabError when no shift can be found (a blank or entirely different picture).
    """
    check_image("day", day)
    check_image("night", night)
    check_same_grid("day", day, "night", night)
    if min(day.shape[-2:]) < MIN_SIDE:
        raise LabError(f"pictures to register must be at least {MIN_SIDE} pixels a side: got {tuple(day.shape[-2:])}")
    day_edges, night_edges = _edge_map(day), _edge_map(night)
    height, width = day_edges.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(day_edges, night_edges, window)
    start = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    everywhere = np.full(day_edges.shape, 255, np.uint8)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-6)
    try:
        correlation, shift = cv2.findTransformECC(
            day_edges, night_edges, start, cv2.MOTION_TRANSLATION, stop, everywhere, SMOOTHING_PX
        )
    except cv2.error as error:
        raise LabError("day and night cannot be registered: their edges have nothing in common") from error
    if correlation < MIN_CORRELATION:
        raise LabError(
            f"day and night cannot be registered: their edges correlate by {correlation:.2f}, "
            f"expected at least {MIN_CORRELATION}; check that they show the same view"
        )
    dx, dy = float(shift[0, 2]), float(shift[1, 2])
    return Registration(translate(day, dx, dy), dx, dy, float(correlation))


def translate(image: Tensor, dx: float, dy: float) -> Tensor:
    """Image (3, H, W) whose content moved by (dx, dy) pixels, bicubic, border repeated, clipped to 0..1."""
    height, width = image.shape[-2:]
    x = torch.arange(width, dtype=image.dtype, device=image.device) - dx
    y = torch.arange(height, dtype=image.dtype, device=image.device) - dy
    grid = torch.stack(
        [
            ((x + 0.5) * 2 / width - 1).expand(height, width),
            ((y + 0.5) * 2 / height - 1)[:, None].expand(height, width),
        ],
        dim=-1,
    )
    moved = F.grid_sample(image[None], grid[None], mode="bicubic", padding_mode="border", align_corners=False)
    return moved[0].clamp(0, 1)


def _edge_map(image: Tensor) -> NDArray[np.float32]:
    logarithm = torch.log(luma(image) + LOG_FLOOR).float().cpu().numpy()
    gx, gy = cv2.Sobel(logarithm, cv2.CV_32F, 1, 0), cv2.Sobel(logarithm, cv2.CV_32F, 0, 1)
    return np.minimum(np.hypot(gx, gy) / 4, EDGE_CEILING)
