"""Three-dimensional SUSAN smoothing: each pixel becomes the mean of those of its 3x3x5 neighbours that look like it.

out(x) = sum of w(q) I(x+q) / sum of w(q) over q != 0, with w(q) = exp(-|q|^2 / (2 sigma^2) - (|I(x+q) - I(x)| / t)^2).
Source: context_fusion sec. 4, after Smith and Brady, IJCV 23 (1997). The centre is excluded, borders are mirrored with
the edge pixel included, and a pixel unlike all its neighbours takes their median.
Choice: the colour distance is that of the RGB vectors, so that the channels share their weights (the paper is silent).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_planes
from lib.errors import ShapeError, SpecError

TEMPORAL_RADIUS = 2
# below this sum of weights no neighbour is alike: take the median
MIN_WEIGHT_SUM = 1e-30


def susan_smooth(video: Tensor, *, sigma: float = 15.0, threshold: float = 20.0, passes: int = 1) -> Tensor:
    """Denoised clip, 3x3 pixels by 5 frames, `passes` times.

    video: (T, C, H, W), 0..1, any number of channels and frames. sigma: pixels (and frames). threshold: grey levels of
    255, the step t at which a neighbour's weight falls to 1/e. Returns the same shape and dtype.
    Raises ShapeError for another shape or values that are not finite, SpecError for a sigma or threshold <= 0.
    """
    check_planes("video", video, ndim=4)
    return torch.stack(list(smooth_stream(video, sigma=sigma, threshold=threshold, passes=passes)))


def smooth_stream(frames: Iterable[Tensor], *, sigma: float, threshold: float, passes: int) -> Iterator[Tensor]:
    """The same filter over an iterator of frames (C, H, W): `passes` times two frames late, in constant memory."""
    stream = iter(frames)
    for _ in range(passes):
        stream = _smooth_once(stream, SusanFilter(sigma=sigma, threshold=threshold))
    return stream


def _smooth_once(frames: Iterator[Tensor], susan: "SusanFilter") -> Iterator[Tensor]:
    for frame in frames:
        smoothed = susan.push(frame)
        if smoothed is not None:
            yield smoothed
    yield from susan.flush()


@dataclass
class _Slot:
    """A frame with a border of one pixel, and the sums that its neighbours have added so far."""

    padded: Tensor
    is_mirror: bool
    weighted_sum: Tensor
    weight_sum: Tensor


class SusanFilter:
    """One pass of the filter, frame by frame: `push` returns the frame of two pushes ago, `flush` the last ones.

    The weight between two pixels serves both of them, so 22 pairs of offsets do for 44 neighbours.
    """

    def __init__(self, *, sigma: float, threshold: float) -> None:
        if sigma <= 0 or threshold <= 0:
            raise SpecError(f"sigma and threshold must be above 0: got {sigma} and {threshold}")
        self.spatial_rate = 1 / (2 * sigma**2)
        self.brightness_rate = (255 / threshold) ** 2
        self._slots: deque[_Slot] = deque(maxlen=2 * TEMPORAL_RADIUS + 1)
        self._start: list[Tensor] = []
        self._recent: deque[Tensor] = deque(maxlen=TEMPORAL_RADIUS)

    def push(self, frame: Tensor) -> Tensor | None:
        """Takes a frame (C, H, W); returns the smoothed frame two before it, or None while there is none."""
        if self._recent and self._recent[-1].shape != frame.shape:
            raise ShapeError(f"every frame must have shape {tuple(self._recent[-1].shape)}: got {tuple(frame.shape)}")
        self._recent.append(frame)
        if self._slots:
            return self._add(frame)
        self._start.append(frame)
        if len(self._start) == TEMPORAL_RADIUS:
            self._begin()
        return None

    def flush(self) -> Iterator[Tensor]:
        """The frames still inside; the filter is then ready for another clip."""
        if not self._slots and self._start:
            self._begin()
        ending = list(self._recent)[::-1]
        for index in range(TEMPORAL_RADIUS if ending else 0):
            smoothed = self._add(ending[min(index, len(ending) - 1)], is_mirror=True)
            if smoothed is not None:
                yield smoothed
        self._slots.clear()
        self._start.clear()
        self._recent.clear()

    def _begin(self) -> None:
        """Mirrors the first frames before the start: 1, 0 | 0, 1, 2, ..."""
        for frame in self._start[::-1] if len(self._start) > 1 else self._start * TEMPORAL_RADIUS:
            self._add(frame, is_mirror=True)
        for frame in self._start:
            self._add(frame)

    def _add(self, frame: Tensor, *, is_mirror: bool = False) -> Tensor | None:
        padded = F.pad(frame[None], (1, 1, 1, 1), mode="replicate")[0]
        slot = _Slot(padded, is_mirror, torch.zeros_like(padded), torch.zeros_like(padded[0]))
        self._slots.append(slot)
        for lag, other in enumerate(reversed(self._slots)):
            if lag <= TEMPORAL_RADIUS and not (slot.is_mirror and other.is_mirror):
                self._exchange(slot, other, lag)
        if len(self._slots) <= TEMPORAL_RADIUS or self._slots[-1 - TEMPORAL_RADIUS].is_mirror:
            return None
        return self._finish(self._slots[-1 - TEMPORAL_RADIUS])

    def _exchange(self, later: _Slot, earlier: _Slot, lag: int) -> None:
        """Adds to both frames what each pair of neighbouring pixels means to the other."""
        if later.padded.device.type == "cpu" and later.padded.dtype == torch.float32:
            from lib.context_fusion import kernels

            kernels.exchange(
                later.padded.numpy(),
                later.weighted_sum.numpy(),
                later.weight_sum.numpy(),
                earlier.padded.numpy(),
                earlier.weighted_sum.numpy(),
                earlier.weight_sum.numpy(),
                lag,
                self.spatial_rate,
                self.brightness_rate,
            )
            return
        for dy, dx in neighbour_offsets(lag):
            here, there = _overlap(later.padded, -dy, -dx), _overlap(earlier.padded, dy, dx)
            distance = (here - there).square().sum(dim=0)
            weight = torch.exp(-distance * self.brightness_rate - (dx**2 + dy**2 + lag**2) * self.spatial_rate)
            _overlap(later.weight_sum, -dy, -dx).add_(weight)
            _overlap(later.weighted_sum, -dy, -dx).addcmul_(weight, there)
            _overlap(earlier.weight_sum, dy, dx).add_(weight)
            _overlap(earlier.weighted_sum, dy, dx).addcmul_(weight, here)

    def _finish(self, slot: _Slot) -> Tensor:
        weights = slot.weight_sum[1:-1, 1:-1]
        smoothed = slot.weighted_sum[:, 1:-1, 1:-1] / weights
        lonely = weights < MIN_WEIGHT_SUM
        if lonely.any():
            smoothed[:, lonely] = self._neighbour_median(lonely)
        return smoothed

    def _neighbour_median(self, pixels: Tensor) -> Tensor:
        """Median (mean of the two middle values) of the 44 neighbours of each marked pixel, (C, pixels)."""
        rows, columns = pixels.nonzero(as_tuple=True)
        neighbours = [
            slot.padded[:, rows + dy, columns + dx]
            for index, slot in enumerate(self._slots)
            for dy in range(3)
            for dx in range(3)
            if (index, dy, dx) != (TEMPORAL_RADIUS, 1, 1)
        ]
        ordered = torch.stack(neighbours).sort(dim=0).values
        middle = len(neighbours) // 2
        return (ordered[middle - 1] + ordered[middle]) / 2


def neighbour_offsets(lag: int) -> list[tuple[int, int]]:
    """(dy, dx) of each pair's other pixel: all nine in another frame, half of the eight in the same one."""
    square = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return square if lag else square[5:]


def _overlap(plane: Tensor, dy: int, dx: int) -> Tensor:
    """The part of a plane (..., H, W) that stays inside when it is moved by (-dy, -dx)."""
    height, width = plane.shape[-2:]
    return plane[..., max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
