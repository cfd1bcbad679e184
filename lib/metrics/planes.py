"""What all image measures share: checks at the door, luma, forward differences, averages inside a mask."""

import torch
from torch import Tensor

from lib.checks import check_planes, check_same_grid
from lib.errors import ShapeError

GREY_LEVELS = 255.0
LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601, as the papers' luminance


def check_pictures(mask: Tensor | None = None, **pictures: Tensor) -> None:
    """Passes float pictures (..., 3, H, W) of one shape, and a bool mask (H, W) or (..., H, W) on their grid.

    Values outside 0..1 pass: measures also judge a reconstruction before it is fitted and clipped.
    """
    (first_name, first), *others = pictures.items()
    for name, picture in pictures.items():
        check_planes(name, picture)
        if picture.ndim < 3 or picture.shape[-3] != 3:
            raise ShapeError(f"{name} must be RGB (..., 3, H, W): got shape {tuple(picture.shape)}")
    for name, picture in others:
        check_same_grid(first_name, first, name, picture)
        if picture.shape not in (first.shape, first.shape[-3:]):
            raise ShapeError(
                f"{name} must have the shape of {first_name} or be one picture for all its frames: "
                f"got {tuple(picture.shape)} and {tuple(first.shape)}"
            )
    if mask is not None:
        check_mask(mask, first)


def check_mask(mask: Tensor, picture: Tensor) -> None:
    """Passes a bool mask (H, W), or one for each frame, that selects at least one pixel of `picture` (..., C, H, W)."""
    if mask.dtype != torch.bool:
        raise ShapeError(f"mask must be a bool tensor: got {mask.dtype}; compare it with a threshold first")
    if mask.shape not in (picture.shape[-2:], picture.shape[:-3] + picture.shape[-2:]):
        raise ShapeError(f"mask must be (H, W) or one a frame: got {tuple(mask.shape)} for {tuple(picture.shape)}")
    if not mask.any():
        raise ShapeError("mask must select at least one pixel: got an empty mask, so that there is nothing to measure")


def precise(picture: Tensor) -> Tensor:
    """The picture in float64, so that long sums keep their digits; MPS, which has no float64, keeps its own type."""
    return picture if picture.device.type == "mps" else picture.double()


def luma(picture: Tensor) -> Tensor:
    """Brightness Y = 0.299 R + 0.587 G + 0.114 B of (..., 3, H, W), as (..., H, W)."""
    red, green, blue = picture.unbind(-3)
    return LUMA_WEIGHTS[0] * red + LUMA_WEIGHTS[1] * green + LUMA_WEIGHTS[2] * blue


def neighbour_steps(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Forward differences to the right (..., H, W-1) and downwards (..., H-1, W) neighbour."""
    return planes[..., :, 1:] - planes[..., :, :-1], planes[..., 1:, :] - planes[..., :-1, :]


def neighbour_pairs(mask: Tensor, *, straddling: bool = False) -> tuple[Tensor, Tensor]:
    """Which steps have both ends inside the mask (..., H, W); with `straddling`, exactly one end."""
    right = (mask[..., :, 1:], mask[..., :, :-1])
    down = (mask[..., 1:, :], mask[..., :-1, :])
    return (right[0] ^ right[1], down[0] ^ down[1]) if straddling else (right[0] & right[1], down[0] & down[1])


def select(planes: Tensor, mask: Tensor | None) -> Tensor:
    """Values of planes (..., C, H, W) inside a mask (H, W) or (..., H, W), as one long vector."""
    if mask is None:
        return planes.flatten()
    return planes[mask.unsqueeze(-3).expand_as(planes)]


def eight_bit(picture: Tensor) -> Tensor:
    """Grey levels 0..255 as a file would hold them, float32: clipped, rounded half to even."""
    return (GREY_LEVELS * picture.clamp(0, 1)).round().float()


def sort_values(values: Tensor) -> tuple[Tensor, Tensor]:
    """A vector's values in rising order, float32 or float64, and the index of each in it."""
    if values.dtype == torch.float64:
        ordered, index = values.sort()
        return ordered, index
    # five times faster on the CPU: the bits of a float32, read as an integer, rise with it; + 0.0 makes one zero of two
    bits = (values.float() + 0.0).view(torch.int32)
    keys, index = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).sort()
    return torch.where(keys < 0, keys ^ 0x7FFFFFFF, keys).view(torch.float32), index
