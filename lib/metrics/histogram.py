"""Histogram matching: takes brightness out of a comparison, as Table I of Zero-TIG does for its columns "HM"."""

import torch
from torch import Tensor

from lib.checks import check_planes
from lib.errors import ShapeError
from lib.metrics.planes import sort_values

PIECE = 1 << 16


@torch.no_grad()
def match_histogram(image: Tensor, reference: Tensor, *, joint: bool = True) -> Tensor:
    """The image with its values moved, order kept, so that they are distributed as the reference's.

    image: (3, H, W) or (T, 3, H, W), any range; each frame is matched by itself.
    reference: the same, or one picture for all frames; its size may differ.
    joint: one histogram over red, green and blue together, which keeps the colours' order (Table I's protocol); else
        one histogram for each channel, which also takes a colour cast out.
    Returns the image's shape, dtype and device; not rounded.
    Protocol: each value goes to the reference value of the same cumulative frequency, linearly interpolated between
    the reference's distinct values; the rule of scikit-image's match_histograms on float pictures, with or without a
    channel axis. No bins: exact for 8-bit and for float values. Source: Zero-TIG fact sheet 9, "with HM".
    Raises ShapeError for other shapes, numbers that are not finite, or another device or dtype of the two.
    """
    for name, picture in (("image", image), ("reference", reference)):
        check_planes(name, picture)
        if picture.ndim not in (3, 4) or picture.shape[-3] != 3:
            raise ShapeError(f"{name} must be RGB (3, H, W) or (T, 3, H, W): got shape {tuple(picture.shape)}")
    if (image.dtype, image.device) != (reference.dtype, reference.device):
        raise ShapeError(
            f"image and reference must share dtype and device: got {image.dtype} on {image.device} and "
            f"{reference.dtype} on {reference.device}; convert one with .to(...)"
        )
    if reference.ndim == 4 and reference.shape[:-3] != image.shape[:-3]:
        raise ShapeError(
            f"reference must be one picture or one a frame: got {tuple(reference.shape)} for {tuple(image.shape)}"
        )
    frames = image.reshape(-1, *image.shape[-3:])
    wanted = reference.expand(len(frames), *reference.shape[-3:]) if reference.ndim == 3 else reference
    matched = [_match_picture(frame, target, joint) for frame, target in zip(frames, wanted, strict=True)]
    return torch.stack(matched).reshape(image.shape)


def _match_picture(image: Tensor, reference: Tensor, joint: bool) -> Tensor:
    if joint:
        return _match_values(image.flatten(), reference.flatten()).reshape(image.shape)
    channels = [_match_values(ours.flatten(), wanted.flatten()) for ours, wanted in zip(image, reference, strict=True)]
    return torch.stack(channels).reshape(image.shape)


def _match_values(ours: Tensor, wanted: Tensor) -> Tensor:
    """Each value of one vector moved to the other's value of the same cumulative frequency."""
    sorted_ours, order = sort_values(ours)
    _, group, counts = torch.unique_consecutive(sorted_ours, return_inverse=True, return_counts=True)
    levels, level_counts = torch.unique_consecutive(sort_values(wanted)[0], return_counts=True)
    knots = _frequencies(level_counts.cumsum(0), wanted.numel())
    levels = levels.to(knots.dtype)
    # in pieces that fit the processor's cache: a float picture has millions of distinct values
    pieces = [
        _interpolate(_frequencies(piece, ours.numel()), knots, levels).to(ours.dtype)
        for piece in counts.cumsum(0).split(PIECE)
    ]
    return torch.empty_like(ours).index_copy_(0, order, torch.cat(pieces)[group])


def _frequencies(counts: Tensor, total: int) -> Tensor:
    """Cumulative counts as shares of all values, in float64 where the device has it."""
    return (counts if counts.device.type == "mps" else counts.double()) / total


def _interpolate(at: Tensor, knots: Tensor, levels: Tensor) -> Tensor:
    """Piecewise linear through (knots, levels), the first level below the first knot; both end at 1."""
    above = torch.searchsorted(knots, at).clamp_max_(len(knots) - 1)
    below = (above - 1).clamp_min_(0)
    start, first = knots[below], levels[below]
    width = knots[above] - start
    share = torch.where(width > 0, (at - start) / width, 1.0).clamp_(0, 1)
    return torch.lerp(first, levels[above], share)
