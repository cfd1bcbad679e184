"""MABD: how much a video's brightness changes from frame to frame, over time. Source: Zero-TIG fact sheet 9, Fig. 4."""

from collections.abc import Iterable

import torch
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.metrics.measure import Measure
from lib.metrics.planes import GREY_LEVELS, check_mask, check_pictures, luma, precise

FIGURE_WINDOW = 15  # frames, Zero-TIG Fig. 4

MABD = Measure("MABD", "grey levels", "lower", 0.0, "mean over frame pairs of mean |Y_(k+1) - Y_k|, BT.601 luma 0..255")
MABD_STILL = Measure("MABD of still areas", "grey levels", "lower", 0.0, MABD.protocol + ", pixels still in both")
MABD_ERROR = Measure(
    "MABD error", "grey levels^2", "lower", 0.0, "mean squared difference of the MABD vectors of result and reference"
)
MABD_VARIANCE = Measure(
    "MABD variance", "grey levels^2", "lower", 0.0, "population variance of the MABD vector over frame pairs"
)


@torch.no_grad()
def mabd(video: Iterable[Tensor], *, mask: Tensor | None = None) -> Tensor:
    """Mean absolute brightness difference of each frame to the one before, grey levels, a vector (T-1,).

    video: (T, 3, H, W) or any iterable of (3, H, W), 0..1; read once, two frames in memory.
    mask: bool (H, W), or (T, H, W) where the objects move: only pixels inside it in both frames count (still areas).
    Protocol: MABD(k) = mean over pixels of |Y_(k+1) - Y_k|, Y = 255 (0.299 R + 0.587 G + 0.114 B). Motion and noise
    count too: give the input's and the reference's own values beside it.
    Raises ShapeError for fewer than two frames, frames of different size, or a pair without pixels inside the mask.
    """
    values: list[Tensor] = []
    before, inside_before = None, None
    for frame_idx, frame in enumerate(video):
        check_pictures(frame=frame)
        if frame.ndim != 3:
            raise ShapeError(f"frames must be (3, H, W): got {tuple(frame.shape)}; give one video, not a batch of them")
        inside = _mask_of_frame(mask, frame_idx, frame)
        brightness = precise(luma(frame))
        if before is not None:
            values.append(_mean_step(brightness, before, inside, inside_before, frame_idx))
        before, inside_before = brightness, inside
    if not values:
        raise ShapeError("MABD compares neighbouring frames: a video needs at least two")
    return GREY_LEVELS * torch.stack(values)


def moving_average(values: Tensor, *, window: int = FIGURE_WINDOW) -> Tensor:
    """Mean over each whole window of a vector: (N,) to (N - window + 1,); Fig. 4 smooths MABD so, with 15 frames.

    Raises SpecError for a window below 1 or longer than the vector.
    """
    _check_vector("values", values)
    if not 1 <= window <= len(values):
        raise SpecError(f"window must lie within 1..{len(values)}, the number of values: got {window}")
    return values.unfold(0, window, 1).mean(-1)


def mabd_error(result: Tensor, reference: Tensor) -> float:
    """Mean squared difference of two MABD vectors, of the result and of the reference video, squared grey levels.

    result, reference: (T-1,), what `mabd` gives back. Raises ShapeError when the lengths differ.
    """
    for name, values in (("result", result), ("reference", reference)):
        _check_vector(name, values)
    if result.shape != reference.shape:
        raise ShapeError(
            f"the MABD vectors must have one length: got {len(result)} and {len(reference)}; cut the longer video"
        )
    return float((precise(result) - precise(reference).to(result.device)).square().mean())


def mabd_variance(values: Tensor) -> float:
    """Population variance of a MABD vector (T-1,), squared grey levels: 0 for a steady change."""
    _check_vector("values", values)
    return float(precise(values).var(correction=0))


def _mask_of_frame(mask: Tensor | None, frame_idx: int, frame: Tensor) -> Tensor | None:
    if mask is None or mask.ndim == 2:
        inside = mask
    elif frame_idx < len(mask):
        inside = mask[frame_idx]
    else:
        raise ShapeError(f"mask must be (H, W) or one a frame: got {len(mask)} masks for a longer video")
    if inside is not None:
        check_mask(inside, frame)
    return inside


def _mean_step(now: Tensor, before: Tensor, inside: Tensor | None, inside_before: Tensor | None, idx: int) -> Tensor:
    if now.shape != before.shape:
        raise ShapeError(f"frames must have one size: got {tuple(now.shape)} after {tuple(before.shape)}")
    step = (now - before).abs()
    if inside is None or inside_before is None:
        return step.mean()
    both = inside & inside_before
    if not both.any():
        raise ShapeError(f"no pixel is inside the mask in frames {idx - 1} and {idx} both; widen the mask")
    return step[both].mean()


def _check_vector(name: str, values: Tensor) -> None:
    if values.ndim != 1 or values.numel() == 0 or not torch.isfinite(values).all():
        raise ShapeError(f"{name} must hold one finite number a frame pair: got shape {tuple(values.shape)}")
