"""What day and night are usually joined with: the methods the paper compares with, and OpenCV's seamless cloning."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lib.checks import check_image, check_planes, check_same_grid
from lib.context_fusion.gradients import luma
from lib.errors import ShapeError, SpecError
from lib.solvers.poisson import divergence, gradient, solve_poisson

CloneMode = Literal["mixed", "normal", "monochrome"]
OPENCV_CLONE_FLAG: dict[str, int] = {"normal": 1, "mixed": 2, "monochrome": 3}
OPENCV_MIN_SIDE_PX = 3  # thinner regions have no inner pixel to solve for, and OpenCV fails on them


def average(night: Tensor, day: Tensor) -> Tensor:
    """Mean of both pictures, (3, H, W) or (T, 3, H, W): ghosts of both, half the contrast. Sec. 1 of the paper."""
    _check_pair(night, day)
    return (night + day) / 2


def maximum(night: Tensor, day: Tensor) -> Tensor:
    """The brighter value per pixel and channel, (3, H, W) or (T, 3, H, W); dark movers vanish in a bright day."""
    _check_pair(night, day)
    return torch.maximum(night, day)


def importance_blend(night: Tensor, day: Tensor, importance: Tensor) -> Tensor:
    """Pixel blend W N + (1 - W) D: the paper's weights without its gradients, so that seams and halos stay.

    night: (3, H, W) or (T, 3, H, W), 0..1. day: the same, or one picture for all frames.
    importance: W, (H, W) or (T, H, W), 0..1, 1 takes the night.
    """
    _check_pair(night, day)
    check_planes("importance", importance)
    check_same_grid("importance", importance, "night", night)
    if not 0 <= float(importance.min()) <= float(importance.max()) <= 1:
        raise ShapeError("importance must lie within 0..1: clip or normalise it first")
    weight = importance.to(night.dtype).unsqueeze(-3)
    return weight * night + (1 - weight) * day


def gradient_maximum(night: Tensor, day: Tensor) -> Tensor:
    """Poisson image editing with mixed gradients: per pixel the larger gradient, then the Poisson solve.

    night: (3, H, W) or (T, 3, H, W), 0..1. day: the same, or one picture for all frames. Returns 0..1 like night.
    Choice: magnitudes are those of the luma, so that the channels switch together; a tie goes to the night.
    Choice: there is no border of known pixels in a whole picture, so the free constant of each channel is the one that
    fits the day best (its mean), and the gain stays 1; the paper's colour fit is not part of this method.
    """
    _check_pair(night, day)
    night_x, night_y = gradient(night)
    day_x, day_y = gradient(day)
    from_night = luma(night_x) ** 2 + luma(night_y) ** 2 >= luma(day_x) ** 2 + luma(day_y) ** 2
    from_night = from_night.unsqueeze(-3)
    field = divergence(torch.where(from_night, night_x, day_x), torch.where(from_night, night_y, day_y))
    return (solve_poisson(field) + day.mean((-2, -1), keepdim=True)).clamp(0, 1)


def seamless_clone(night: Tensor, day: Tensor, mask: Tensor, *, mode: CloneMode = "mixed") -> Tensor:
    """The night's masked region cloned into the day by OpenCV's seamlessClone, in 8 bits and on the CPU.

    night, day: (3, H, W), 0..1. mask: bool (H, W), true where the night is taken; OpenCV erodes it by 3 pixels.
    mode: `mixed` takes the gradient whose |gx - gy| is larger, `normal` the night's, `monochrome` its luma's.
    Returns (3, H, W), 0..1 in 8-bit steps. A mask that is empty or thinner than 3 pixels leaves the day as it is.
    """
    import cv2

    check_image("night", night)
    _check_pair(night, day)
    if mode not in OPENCV_CLONE_FLAG:
        raise SpecError(f"mode must be one of {', '.join(OPENCV_CLONE_FLAG)}: got {mode!r}")
    if mask.dtype != torch.bool or mask.shape != night.shape[-2:]:
        raise ShapeError(f"mask must be a bool (H, W) of the pictures: got {mask.dtype} {tuple(mask.shape)}")
    target = _to_bgr8(day)
    # OpenCV 5 writes into the mask that it is given, and drops its outermost pixels before it takes the bounding box:
    # dropped here as well, lest the box's centre and with it the clone be off by a pixel
    region = np.zeros(tuple(mask.shape), np.uint8)
    region[1:-1, 1:-1] = mask[1:-1, 1:-1].cpu().numpy() * np.uint8(255)
    x, y, width, height = cv2.boundingRect(region)
    if min(width, height) >= OPENCV_MIN_SIDE_PX:
        centre = (x + width // 2, y + height // 2)
        target = cv2.seamlessClone(_to_bgr8(night), target, region, centre, OPENCV_CLONE_FLAG[mode])
    rgb = np.ascontiguousarray(target[..., ::-1].transpose(2, 0, 1))
    return torch.from_numpy(rgb).to(night.device, night.dtype) / 255


def _check_pair(night: Tensor, day: Tensor) -> None:
    """Passes a night picture or video, and a day of the same shape or one picture for all frames."""
    check_image("night", night, ndim=4 if night.ndim == 4 else 3)
    check_image("day", day, ndim=4 if day.ndim == 4 and night.ndim == 4 else 3)
    check_same_grid("night", night, "day", day)
    if day.ndim == 4 and len(day) != len(night):
        raise ShapeError(f"day must be one picture or have a frame for each night frame: got {len(day)}, {len(night)}")


def _to_bgr8(image: Tensor) -> np.ndarray:
    """OpenCV's picture: (H, W, 3), uint8, blue first."""
    levels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy()[..., ::-1])
