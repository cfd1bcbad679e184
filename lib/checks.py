"""Checks at the public doors: shape, type, finite values and the 0..1 range of images."""

import math

import torch
from torch import Tensor

from lib.errors import ShapeError

# display-referred images may overshoot by rounding, not by a wrong unit
RANGE_SLACK = 1e-3


def check_planes(name: str, planes: Tensor, *, ndim: int | None = None) -> None:
    """Passes a float tensor (..., H, W) with at least one pixel and only finite numbers."""
    check_form(name, planes, ndim)
    if not math.isfinite(planes.sum().item()) and not torch.isfinite(planes).all():
        raise _not_finite(name)


def check_form(name: str, planes: Tensor, ndim: int | None = None) -> None:
    """Passes a float tensor (..., H, W) with at least one pixel, whatever its values."""
    if not isinstance(planes, Tensor):
        raise ShapeError(f"{name} must be a torch tensor: got {type(planes).__name__}; use torch.as_tensor first")
    if not planes.is_floating_point():
        raise ShapeError(f"{name} must be a float tensor: got {planes.dtype}; divide 8-bit pictures by 255")
    if planes.ndim < 2 or (ndim is not None and planes.ndim != ndim):
        raise ShapeError(f"{name} must have {ndim or 'at least 2'} axes: got shape {tuple(planes.shape)}")
    if planes.numel() == 0:
        raise ShapeError(f"{name} must hold at least one pixel: got shape {tuple(planes.shape)}")


def _not_finite(name: str) -> ShapeError:
    return ShapeError(f"{name} must hold finite numbers: got NaN or infinity; repair the input first")


def check_image(name: str, image: Tensor, *, ndim: int = 3) -> None:
    """Passes an RGB image (3, H, W) or, with ndim=4, a video (T, 3, H, W), finite and within 0..1."""
    check_form(name, image, ndim)
    if image.shape[-3] != 3:
        raise ShapeError(
            f"{name} must be RGB with 3 channels: got {image.shape[-3]}; repeat a grey picture, drop an alpha channel"
        )
    low, high = (float(bound) for bound in torch.aminmax(image))  # NaN if there is one
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _not_finite(name)
    if low < -RANGE_SLACK or high > 1 + RANGE_SLACK:
        raise ShapeError(f"{name} must lie within 0..1: got {low:.3g}..{high:.3g}; divide 8-bit pictures by 255")


def check_same_grid(first_name: str, first: Tensor, second_name: str, second: Tensor) -> None:
    """Passes two tensors whose last two axes, dtype and device agree."""
    if first.shape[-2:] != second.shape[-2:]:
        raise ShapeError(
            f"{first_name} and {second_name} must share a grid: "
            f"got {tuple(first.shape)} and {tuple(second.shape)}; resize one of them first"
        )
    if first.dtype != second.dtype or first.device != second.device:
        raise ShapeError(
            f"{first_name} and {second_name} must share dtype and device: "
            f"got {first.dtype} on {first.device} and {second.dtype} on {second.device}; convert one with .to(...)"
        )
