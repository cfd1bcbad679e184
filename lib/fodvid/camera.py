"""The camera's own motion as a homography, and what moves besides. Not in the paper."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.checks import check_planes
from lib.errors import ShapeError
from lib.flow import resize_flow

SAMPLE_STEP_PX = 8
# how far from the homography a background vector may end, of a picture 432 pixels wide
INLIER_PX = 1.0
INLIER_WIDTH_PX = 432
MAX_ITERATIONS = 2000
MIN_SAMPLES = 8
# a homography that moves some pixel this much farther than the flow does any is no camera's: on seven DAVIS sequences
# the factor is 1.2 at most, on flow without order it goes up to 100 000
MAX_STRETCH = 2.0


@dataclass(frozen=True)
class CameraMotion:
    """residual: (1, 2, H, W), the flow without the camera's part; homography: (3, 3) float64, from the frame to the
    next; inliers: share of the samples that follow it, 0..1."""

    residual: Tensor
    homography: NDArray[np.float64]
    inliers: float


def remove_camera(flow: Tensor) -> CameraMotion:
    """Flow (1, 2, H, W), pixels, split into the homography that most of it follows and the residual.

    The homography is fitted by RANSAC to one vector in 8x8 pixels: right for a camera that turns or zooms, or for a
    flat background, and only near for one that passes things at several depths. Fewer samples than a fit needs, no
    agreement, as across a cut between shots, or a homography that sends pixels far out, leave the median vector as the
    camera's, with inliers 0. Raises ShapeError for another form.
    """
    import cv2

    check_planes("flow", flow, ndim=4)
    if flow.shape[:2] != (1, 2):
        raise ShapeError(f"flow must be one field, (1, 2, H, W): got {tuple(flow.shape)}")
    height, width = flow.shape[-2:]
    field = flow[0].detach().double().cpu().numpy()
    rows = np.arange(min(SAMPLE_STEP_PX, height) // 2, height, SAMPLE_STEP_PX)
    columns = np.arange(min(SAMPLE_STEP_PX, width) // 2, width, SAMPLE_STEP_PX)
    x, y = (axis.ravel() for axis in np.meshgrid(columns, rows))
    start = np.stack([x, y], axis=1).astype(np.float64)
    moved = field[:, y, x].T
    fitted: Any = None
    inliers: Any = None
    if len(start) >= MIN_SAMPLES:
        threshold = INLIER_PX * max(width / INLIER_WIDTH_PX, 1)
        fitted, inliers = cv2.findHomography(start, start + moved, cv2.RANSAC, threshold, maxIters=MAX_ITERATIONS)
    camera = None if fitted is None else _flow_of(fitted, height, width)
    # also where it is not finite
    if camera is None or not np.abs(camera).max() <= MAX_STRETCH * np.abs(field).max() + INLIER_PX:
        fitted = np.eye(3)
        fitted[:2, 2] = np.median(moved, axis=0)
        camera, inliers = _flow_of(fitted, height, width), np.zeros(1)
    return CameraMotion(flow - torch.from_numpy(camera).to(flow), fitted, float(np.mean(inliers)))


def _flow_of(homography: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Flow (1, 2, H, W) that a homography brings about."""
    y, x = np.mgrid[:height, :width]
    moved = np.einsum("ij,jhw->ihw", homography, np.stack([x, y, np.ones_like(x)]).astype(np.float64))
    return (moved[:2] / moved[2:] - np.stack([x, y]))[None]


def motion_length(flow: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Length (H, W) of one flow field (1, 2, H, W), in its pixels, or in those of `size` after resizing."""
    resized = flow if size is None else resize_flow(flow, size)
    return resized[0].norm(dim=0)
