"""Multi-level background filter, eqs 2 to 4: line openings give the background, what they miss is target and noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.errors import ShapeError
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.shifts import Combine, PaddedPlanes, doubling

Plane = NDArray[np.integer[Any] | np.floating[Any]]

# dtypes that OpenCV's erode and dilate take
OPENCV_DTYPES = (torch.uint8, torch.uint16, torch.int16, torch.float32, torch.float64)
DTYPES = (*OPENCV_DTYPES, torch.int32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Line:
    """One a_i of eq. 2: its pixels (down, right) around its middle, and whether they are evenly spaced."""

    offsets: tuple[tuple[int, int], ...]
    is_straight: bool

    @cached_property
    def kernel(self) -> NDArray[np.uint8]:
        """The line as OpenCV wants it, without the empty rows or columns that would slow it down."""
        reach = len(self.offsets) // 2
        mask = np.zeros((len(self.offsets), len(self.offsets)), np.uint8)
        for down, right in self.offsets:
            mask[reach + down, reach + right] = 1
        return np.ascontiguousarray(mask[mask.any(axis=1)][:, mask.any(axis=0)])


@lru_cache(maxsize=64)
def lines(settings: FilterSettings) -> tuple[Line, ...]:
    """The lines a_i: 0, 45 (up to the right), 90, 135 degrees, then with 8 directions 22.5, 67.5, 112.5 and 157.5.

    Each has `line_length_px` pixels, one in each column, or row where it is steeper than 45 degrees.
    Choice: those between are rounded to the nearest pixel, so that each is its own mirror image through the middle.
    """
    reach = range(-(settings.line_length_px // 2), settings.line_length_px // 2 + 1)
    straight = [[(-step * down, step * right) for step in reach] for down, right in ((0, 1), (1, 1), (1, 0), (-1, 1))]
    between = []
    if settings.directions == 8:
        flat = [(round(step * math.tan(math.pi / 8)), step) for step in reach]
        between = [
            [(-rise, step) for rise, step in flat],
            [(-step, rise) for rise, step in flat],
            [(step, rise) for rise, step in flat],
            [(rise, step) for rise, step in flat],
        ]
    return tuple(Line(tuple(line), is_straight=line in straight) for line in straight + between)


class BackgroundSuppression(NamedTuple):
    """The three stages, each with the shape, dtype and device of the frames.

    background: E of eq. 2, never above the frame (with dark targets: never below it).
    suppressed: U of eq. 3, at least 0. filtered: M of eq. 4, between 0 and U.
    """

    background: Tensor
    suppressed: Tensor
    filtered: Tensor


def suppress_background(frames: Tensor, *, settings: FilterSettings | None = None) -> BackgroundSuppression:
    """Background E = max_i(I o a_i), U = I - E and M = U o s of infrared frames (eqs 2, 3, 4).

    frames: (..., H, W), any unit: 8-bit, 16-bit or 32-bit whole numbers, or finite floats; kept. All frames of a batch
    at once. settings: FilterSettings() unless given. Pixels outside the frame are ignored, so that E <= I up to the
    border; with whole numbers the result is exact. Dark targets: E = min_i of closings, U = E - I. No gradients.
    On the CPU the steps are OpenCV's, on other devices running minima and maxima by doubling, with the same bits.
    Choice: s ranges over the squares whose top left pixel lies in the frame, of even and odd size alike.
    Raises ShapeError for anything but such frames, also for NaN and infinity.
    """
    settings = settings or FilterSettings()
    check_frames(frames)
    if frames.device.type == "cpu" and frames.dtype in OPENCV_DTYPES:
        return suppress_with_opencv(frames, settings=settings)
    return suppress_with_shifts(frames, settings=settings)


def check_frames(frames: Tensor) -> None:
    """Passes frames (..., H, W) of a known dtype, with at least one pixel and only finite numbers."""
    if not isinstance(frames, Tensor):
        raise ShapeError(f"frames must be a torch tensor: got {type(frames).__name__}; use torch.as_tensor first")
    if frames.dtype not in DTYPES:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
        raise ShapeError(f"frames must be one of {known}: got {frames.dtype}; convert them first")
    if frames.ndim < 2 or frames.numel() == 0:
        raise ShapeError(f"frames must be (..., H, W) with at least one pixel: got shape {tuple(frames.shape)}")
    if not frames.is_floating_point() or math.isfinite(frames.sum().item()):
        return
    if not torch.isfinite(frames).all():  # a sum may overflow by itself
        raise ShapeError("frames must hold finite numbers: got NaN or infinity; repair the dead rows or pixels first")


def suppress_with_opencv(frames: Tensor, *, settings: FilterSettings) -> BackgroundSuppression:
    """The filter by OpenCV's erosions and dilations, frame by frame; see suppress_background."""
    shape = tuple(frames.shape)
    stack = frames.detach().numpy().reshape(-1, *shape[-2:])
    # numpy's memory: torch's aligned blocks cost a tenth of the whole filter
    stages = [np.empty(stack.shape, stack.dtype) for _ in BackgroundSuppression._fields]
    for frame, *outputs in zip(stack, *stages, strict=True):
        _opencv_frame(frame, outputs, settings=settings)
    return BackgroundSuppression(*(torch.from_numpy(stage.reshape(shape)) for stage in stages))


def _opencv_frame(frame: Plane, stages: Sequence[Plane], *, settings: FilterSettings) -> None:
    """Fills background, suppressed and filtered of one frame (H, W)."""
    import cv2

    background, suppressed, filtered = stages
    bright = settings.polarity == "bright"
    operation, join = (cv2.MORPH_OPEN, cv2.max) if bright else (cv2.MORPH_CLOSE, cv2.min)
    for number, line in enumerate(lines(settings)):
        opened = cv2.morphologyEx(frame, operation, line.kernel, dst=filtered if number else background)
        if number:
            join(background, opened, dst=background)
    cv2.subtract(*((frame, background) if bright else (background, frame)), dst=suppressed)
    side = settings.opening_px
    square = np.ones((side, side), np.uint8)
    cv2.dilate(cv2.erode(suppressed, square, anchor=(0, 0)), square, dst=filtered, anchor=(side - 1, side - 1))


@torch.no_grad()
def suppress_with_shifts(frames: Tensor, *, settings: FilterSettings) -> BackgroundSuppression:
    """The filter by shifted minima and maxima of whole batches, on any device; see suppress_background."""
    if frames.dtype == torch.uint16:  # torch has no minimum of it
        wide = suppress_with_shifts(frames.int(), settings=settings)
        return BackgroundSuppression(*(stage.to(torch.uint16) for stage in wide))
    stack = frames.detach().reshape(-1, *frames.shape[-2:])
    background, suppressed, filtered = (stack.new_empty(stack.shape) for _ in BackgroundSuppression._fields)
    planes = PaddedPlanes(stack, pad=max(settings.line_length_px // 2, settings.opening_px - 1))
    bright = settings.polarity == "bright"
    shrink, grow = (torch.minimum, torch.maximum) if bright else (torch.maximum, torch.minimum)
    source, shrunk = (planes.high, planes.low) if bright else (planes.low, planes.high)
    planes.content(source).copy_(stack)
    shrunk_planes = planes.content(shrunk)
    for number, line in enumerate(lines(settings)):
        _over_line(planes, shrink, source, line, shrunk_planes)
        opened = _over_line(planes, grow, shrunk, line, filtered if number else background)
        if number:
            grow(background, opened, out=background)
    torch.sub(*((stack, background) if bright else (background, stack)), out=suppressed)
    _open_squares(planes, suppressed, settings.opening_px, filtered)
    return BackgroundSuppression(*(stage.view(frames.shape) for stage in (background, suppressed, filtered)))


def _over_line(planes: PaddedPlanes, combine: Combine, flat: Tensor, line: Line, out: Tensor) -> Tensor:
    """Extremum over the line around each pixel."""
    moves = [down * planes.row + right for down, right in line.offsets]
    if not line.is_straight:
        return planes.reduce_each(combine, flat, moves, out=out)
    step = abs(moves[1] - moves[0])
    return planes.reduce(combine, flat, [step * shift for shift in doubling(len(moves))], start=min(moves), out=out)


def _open_squares(planes: PaddedPlanes, suppressed: Tensor, side: int, out: Tensor) -> Tensor:
    """Opening with a square by passes along rows, then columns; eq. 4."""
    if side == 1:
        return out.copy_(suppressed)
    planes.content(planes.high).copy_(suppressed)
    shifts = [*doubling(side), *(planes.row * shift for shift in doubling(side))]
    planes.reduce(torch.minimum, planes.high, shifts, start=0, out=planes.content(planes.low))
    return planes.reduce(torch.maximum, planes.low, shifts, start=-(side - 1) * (planes.row + 1), out=out)
