"""Measures of day/night fusion: each is named after the failure that it separates from a good result.

The paper gives no measure. N is the night frame, D the day picture, W the importance of the night, R the result.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from lib.checks import check_planes
from lib.errors import ShapeError
from lib.metrics.measure import Measure
from lib.metrics.planes import (
    GREY_LEVELS,
    check_mask,
    check_pictures,
    luma,
    neighbour_pairs,
    neighbour_steps,
    precise,
    select,
)

GRADIENT_FIDELITY = Measure(
    "gradient fidelity", "1", "higher", 1.0, "2 <grad R, G> / (|grad R|^2 + |G|^2), forward differences, all channels"
)
CONTRAST_KEPT = Measure("contrast kept", "1", "none", 1.0, "root mean square of grad R over that of G, all channels")
SEAM_ENERGY = Measure(
    "seam energy",
    "grey levels",
    "lower",
    0.0,
    "mean over steps across the mask border and channels of max(0, |step of R| - max(|step of N|, |step of D|))",
)
GHOSTING = Measure(
    "ghosting",
    "1",
    "lower",
    0.0,
    "|slope| of grad R on the part of the unwanted picture's gradient that D does not share",
)
FLICKER = Measure("flicker", "grey levels", "lower", 0.0, "mean |luma step from frame to frame| over still pixels")


def gradient_fidelity(result: Tensor, field_x: Tensor, field_y: Tensor, *, mask: Tensor | None = None) -> float:
    """Agreement of the result's gradient with the wanted field G: 1 is equal, 0 is unrelated, -1 is reversed.

    result: (3, H, W) or (T, 3, H, W), 0..1.
    field_x, field_y: the same shape, forward differences to the right and downwards; the mixed field
        G = W grad N + (1 - W) grad D, or the gradient of the truth. What stands in the last column and row is ignored.
    mask: bool (H, W) or (T, H, W): only steps with both ends inside count.
    Protocol: 2 <grad R, G> / (|grad R|^2 + |G|^2), so that lost contrast counts (half the contrast gives 0.8) as well
    as foreign structure and noise. Two flat pictures agree: 1. Raises ShapeError when shapes differ.
    """
    ours, wanted = _steps_and_field(result, field_x, field_y, mask)
    energy = ours.square().sum() + wanted.square().sum()
    return float(2 * (ours * wanted).sum() / energy) if energy > 0 else 1.0


def contrast_kept(result: Tensor, field_x: Tensor, field_y: Tensor, *, mask: Tensor | None = None) -> float:
    """Strength of the result's gradient against the wanted field's: 1 is equal, below is washed out, above is harsher.

    Arguments as in `gradient_fidelity`. Protocol: ratio of the root mean squares over all steps and channels.
    Raises ShapeError when shapes differ or the field is 0 everywhere.
    """
    ours, wanted = _steps_and_field(result, field_x, field_y, mask)
    if not wanted.any():
        raise ShapeError("the wanted field must not be 0 everywhere: there is no contrast to keep")
    return float((ours.square().sum() / wanted.square().sum()).sqrt())


def seam_energy(result: Tensor, night: Tensor, day: Tensor, mask: Tensor) -> float:
    """Steps across the mask border that neither source picture shows, mean in grey levels; 0 without a seam.

    result: (3, H, W) or (T, 3, H, W), 0..1. night, day: the same, or one picture for all frames.
    mask: bool (H, W) or (T, H, W), what was taken from the night.
    Protocol: over all neighbour pairs with one end in the mask, and over channels, the mean of
    max(0, |step of R| - max(|step of N|, |step of D|)). A hard pixel blend shows about |N - D| here.
    Raises ShapeError when shapes differ or the mask has no border.
    """
    check_pictures(mask, result=result, night=night, day=day)
    excesses = []
    steps = [neighbour_steps(precise(picture)) for picture in (result, night, day)]
    for ours, nights, days, border in zip(*steps, neighbour_pairs(mask, straddling=True), strict=True):
        excess = (ours.abs() - torch.maximum(nights.abs(), days.abs())).clamp_min(0)
        excesses.append(select(excess, border))
    seam = torch.cat(excesses)
    if seam.numel() == 0:
        raise ShapeError("mask must have a border: got one that covers everything")
    return float(GREY_LEVELS * seam.mean())


def ghosting(result: Tensor, wanted: Tensor, unwanted: Tensor, *, mask: Tensor | None = None) -> float:
    """Share of the unwanted picture's own structure that shines through where only the wanted one should show.

    result: (3, H, W) or (T, 3, H, W), 0..1. wanted, unwanted: the same, or one picture for all frames.
    mask: bool (H, W) or (T, H, W), where only `wanted` should show. Outside the movers wanted is the day and unwanted
        the night; inside them it is the other way round (a car that the street shines through).
    Protocol: grad R is regressed on grad(unwanted) after what grad(wanted) explains of it is taken away; the absolute
    slope. 0 is perfect, averaging gives 0.5, the unwanted picture itself 1. A gain, an offset or the structure that
    both share doesn't count. Steps count when both ends are inside the mask.
    Raises ShapeError when shapes differ, the mask holds no two neighbours, or the pictures differ by no structure.
    """
    check_pictures(mask, result=result, wanted=wanted, unwanted=unwanted)
    ours, right, wrong = (_masked_steps(picture.expand_as(result), mask) for picture in (result, wanted, unwanted))
    if ours.numel() == 0:
        raise ShapeError("mask must hold neighbouring pixels: got single ones only")
    shared = (wrong * right).sum() / right.square().sum().clamp_min(torch.finfo(right.dtype).tiny)
    own = wrong - shared * right
    energy = own.square().sum()
    if energy <= 1e-12 * wrong.square().sum():
        raise ShapeError("unwanted must show structure that wanted lacks: there is nothing that could shine through")
    return float(((ours * own).sum() / energy).abs())


def flicker(frames: Iterable[Tensor], *, still: Tensor) -> float:
    """Mean absolute luma step from frame to frame where nothing moves, grey levels; 0 for a steady picture.

    frames: (T, 3, H, W) or any iterable of (3, H, W), 0..1; read once, two frames in memory.
    still: bool (H, W), or (T, H, W) where the objects move: a pixel counts when it is still in both frames.
    Protocol: 255 |Y_t - Y_(t-1)|, one mean over all still pixels and frame pairs. Noise counts too: give a denoised
    night's own value beside it. Raises ShapeError for fewer than two frames or when no pixel is still in a pair.
    """
    total, count, previous = 0.0, 0, None
    for frame_idx, frame in enumerate(frames):
        check_pictures(frame=frame)
        still_now = still if still.ndim == 2 else still[frame_idx]
        check_mask(still_now, frame)
        brightness = precise(luma(frame))
        if previous is not None:
            brightness_before, still_before = previous
            both = still_now & still_before
            total += float((brightness - brightness_before)[both].abs().sum())
            count += int(both.sum())
        previous = brightness, still_now
    if count == 0:
        raise ShapeError("flicker needs at least two frames and pixels that are still in both: got none")
    return GREY_LEVELS * total / count


def _steps_and_field(result: Tensor, field_x: Tensor, field_y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Steps of the result and of the wanted field inside the mask, as two vectors of one length."""
    for name, field in (("field_x", field_x), ("field_y", field_y)):
        check_planes(name, field)
        if field.shape != result.shape:
            raise ShapeError(f"{name} must have the result's shape: got {tuple(field.shape)}, {tuple(result.shape)}")
    check_pictures(mask, result=result)
    right, down = neighbour_pairs(mask) if mask is not None else (None, None)
    wanted = [select(precise(field_x)[..., :, :-1], right), select(precise(field_y)[..., :-1, :], down)]
    return _masked_steps(result, mask), torch.cat(wanted)


def _masked_steps(picture: Tensor, mask: Tensor | None) -> Tensor:
    """Steps to the right and downwards neighbour with both ends in the mask, as one vector."""
    pairs = neighbour_pairs(mask) if mask is not None else (None, None)
    return torch.cat(
        [select(steps, pair) for steps, pair in zip(neighbour_steps(precise(picture)), pairs, strict=True)]
    )
