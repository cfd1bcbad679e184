"""Sub-pixel shift of the day picture onto the night one. Not in the paper: real cameras move by about a pixel.

The maps that are compared are gradient lengths of the logarithm of the luma, which lamps and exposure change least;
phase correlation gives a start and the enhanced correlation coefficient (Evangelidis and Psarakis, TPAMI 2008) refines.
"""

from dataclasses import dataclass

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
ROUNDS = 2
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
    import cv2

    check_image("day", day)
    check_image("night", night)
    check_same_grid("day", day, "night", night)
    if min(day.shape[-2:]) < MIN_SIDE:
        raise LabError(f"pictures to register must be at least {MIN_SIDE} pixels a side: got {tuple(day.shape[-2:])}")
    night_edges = _edge_map(night)
    window = cv2.createHanningWindow(night_edges.shape[::-1], cv2.CV_32F)
    # OpenCV 5 multiplies the window into its arguments: it gets copies
    (dx, dy), _ = cv2.phaseCorrelate(_edge_map(day), night_edges.copy(), window)
    for _ in range(ROUNDS):
        # the estimate falls short in proportion to the shift, so that a second one on the moved picture mends it
        step_x, step_y, correlation = _refine(_edge_map(translate(day, dx, dy)), night_edges)
        dx, dy = dx + step_x, dy + step_y
    if correlation < MIN_CORRELATION:
        raise LabError(
            f"day and night cannot be registered: their edges correlate by {correlation:.2f}, "
            f"expected at least {MIN_CORRELATION}; check that they show the same view"
        )
    return Registration(translate(day, dx, dy), dx, dy, correlation)


def _refine(day_edges: NDArray[np.float32], night_edges: NDArray[np.float32]) -> tuple[float, float, float]:
    """Remaining shift (dx, dy) in pixels and the correlation that it reaches."""
    import cv2

    everywhere = np.full(day_edges.shape, 255, np.uint8)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-6)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        correlation, shift = cv2.findTransformECC(
            day_edges, night_edges, start, cv2.MOTION_TRANSLATION, stop, everywhere, SMOOTHING_PX
        )
    except cv2.error as error:
        raise LabError("day and night cannot be registered: their edges have nothing in common") from error
    return float(shift[0, 2]), float(shift[1, 2]), float(correlation)


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
    import cv2

    logarithm = torch.log(luma(image) + LOG_FLOOR).float().cpu().numpy()
    gx, gy = cv2.Sobel(logarithm, cv2.CV_32F, 1, 0), cv2.Sobel(logarithm, cv2.CV_32F, 0, 1)
    return np.minimum(np.hypot(gx, gy) / 4, EDGE_CEILING)
