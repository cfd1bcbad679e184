"""Multi-level background filter, eqs 2 to 4: line openings give the background, what they miss is target and noise."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.errors import ShapeError
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.shifts import HIGHEST, LOWEST, Extremum, PaddedPlanes, Step

Plane = NDArray[np.integer[Any] | np.floating[Any]]

# dtypes that OpenCV's erode and dilate take
OPENCV_DTYPES = (torch.uint8, torch.uint16, torch.int16, torch.float32, torch.float64)
MOST_KEPT = 16 << 20  # bytes of a stack; for larger ones, preparing the filter takes little of its time
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
    stages = _shift_filter(stack, settings)(stack)
    return BackgroundSuppression(*(stage.view(frames.shape) for stage in stages))


class ShiftFilter:
    """The filter's steps for stacks of frames (T, H, W) like one given, with the memory that they need."""

    def __init__(self, like: Tensor, settings: FilterSettings) -> None:
        self.settings = settings
        pad = max(settings.line_length_px // 2, settings.opening_px - 1)
        self.planes = planes = PaddedPlanes(like, pad=pad)
        self.is_bright = settings.polarity == "bright"
        shrink, grow = (LOWEST, HIGHEST) if self.is_bright else (HIGHEST, LOWEST)
        source, shrunk, opened, joined, scratch = planes.vectors
        self.source, self.joined, self.opened = (planes.content(vector) for vector in (source, joined, opened))
        self.openings = planes.surround(source, shrink)
        for number, line in enumerate(lines(settings)):
            out = opened if number else joined
            self.openings += [
                *_over_line(planes, shrink, source, line, out=shrunk, scratch=scratch),
                *planes.surround(shrunk, grow),
                *_over_line(planes, grow, shrunk, line, out=out, scratch=scratch),
            ]
            if number:
                self.openings.append(partial(grow.of_two, joined, opened, out=joined))
        self.squares = planes.surround(source, LOWEST) + _open_squares(planes, settings.opening_px)

    def __call__(self, stack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """background, suppressed and filtered, in new memory."""
        self.source.copy_(stack)
        for step in self.openings:
            step()
        background = self.joined.clone(memory_format=torch.contiguous_format)
        suppressed = torch.sub(*((stack, background) if self.is_bright else (background, stack)))
        if self.settings.opening_px == 1:
            return background, suppressed, suppressed.clone()
        self.source.copy_(suppressed)
        for step in self.squares:
            step()
        return background, suppressed, self.opened.clone(memory_format=torch.contiguous_format)


class _Kept(threading.local):
    """The last filter that a thread used on the CPU: its views and memory take as long to make as the filter to run."""

    key: object = None
    filter: ShiftFilter | None = None


_KEPT = _Kept()


def _shift_filter(stack: Tensor, settings: FilterSettings) -> ShiftFilter:
    """A filter for such stacks, the last one where it fits."""
    key = (stack.shape, stack.dtype, settings)
    if stack.device.type == "cpu" and _KEPT.filter is not None and _KEPT.key == key:
        return _KEPT.filter
    with torch.inference_mode(False):  # it may be used again outside
        made = ShiftFilter(stack, settings)
    if stack.device.type == "cpu" and stack.nbytes <= MOST_KEPT:
        _KEPT.key, _KEPT.filter = key, made
    return made


def _over_line(
    planes: PaddedPlanes, extremum: Extremum, vector: Tensor, line: Line, *, out: Tensor, scratch: Tensor
) -> list[Step]:
    """Extremum over the line around each pixel."""
    moves = [down * planes.row + right for down, right in line.offsets]
    if not line.is_straight:
        return planes.reduce_each(extremum, vector, moves, out=out)
    passes = planes.passes(len(moves), step=abs(moves[1] - moves[0]))
    return planes.reduce(extremum, vector, passes, start=min(moves), out=out, scratch=scratch)


def _open_squares(planes: PaddedPlanes, side: int) -> list[Step]:
    """Opening with a square by passes along rows, then columns; eq. 4."""
    source, shrunk, opened, _, scratch = planes.vectors
    if side == 1:
        return []
    passes = [*planes.passes(side), *planes.passes(side, step=planes.row)]
    start = -(side - 1) * (planes.row + 1)
    return [
        *planes.reduce(LOWEST, source, passes, start=0, out=shrunk, scratch=scratch),
        *planes.surround(shrunk, HIGHEST),
        *planes.reduce(HIGHEST, shrunk, passes, start=start, out=opened, scratch=scratch),
    ]
