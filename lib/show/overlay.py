"""A mask drawn into its frame: tinted, with a light and a dark line around it, so that it shows on any ground."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_image
from lib.errors import ShapeError, SpecError

COLOUR = (0.91, 0.69, 0.0)  # yellow of the palette in lib.show.canvas: keeps its distance from skin, grass, sky, water
# one pixel of line for so many of the frame's shorter side
SIDE_PER_LINE_PX = 240


def draw_mask(
    frame: Tensor,
    mask: Tensor,
    *,
    colour: tuple[float, float, float] = COLOUR,
    strength: float = 0.45,
    line_px: int | None = None,
) -> Tensor:
    """The frame (3, H, W) with the mask tinted and outlined, on the frame's device.

    frame: RGB, 0..1. mask: (H, W) bool. colour: RGB, 0..1; strength: its share inside the mask, 0..1.
    line_px: width of each of the outline's two lines, a white one just inside the mask and a black one just outside,
    which stay apart in grey and in colour; None: one in 240 of the shorter side, 0: no outline. The picture's border
    is no outline. Raises ShapeError for a frame or mask of another form, SpecError for numbers out of range.
    """
    check_image("frame", frame)
    if mask.dtype != torch.bool or mask.shape != frame.shape[1:]:
        raise ShapeError(
            f"mask must be bool of the frame's size {tuple(frame.shape[1:])}: got {mask.dtype} {tuple(mask.shape)}"
        )
    if not (0 <= strength <= 1 and all(0 <= value <= 1 for value in colour)):
        raise SpecError(f"colour and strength must lie within 0..1: got {colour} and {strength}")
    width = max(1, round(min(mask.shape) / SIDE_PER_LINE_PX)) if line_px is None else line_px
    if width < 0:
        raise SpecError(f"line_px must be at least 0: got {line_px}")
    mask = mask.to(frame.device)
    tint = frame.new_tensor(colour).view(3, 1, 1)
    drawn = torch.where(mask, (1 - strength) * frame + strength * tint, frame)
    if width:
        drawn = drawn.masked_fill(mask & _near(~mask, width), 1)
        drawn = drawn.masked_fill(~mask & _near(mask, width), 0)
    return drawn


def _near(mask: Tensor, distance_px: int) -> Tensor:
    """Pixels (H, W) at most so far from one of the mask, along rows and columns."""
    grown = F.max_pool2d(mask[None].float(), 2 * distance_px + 1, stride=1, padding=distance_px)
    return grown[0] > 0
