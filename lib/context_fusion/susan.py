"""Three-dimensional SUSAN smoothing: each pixel becomes the mean of those of its 3x3x5 neighbours that look like it.

out(x) = sum of w(q) I(x+q) / sum of w(q) over q != 0, with w(q) = exp(-|q|^2 / (2 sigma^2) - (|I(x+q) - I(x)| / t)^2).
Source: context_fusion sec. 4, after Smith and Brady, IJCV 23 (1997). The centre is excluded, borders are mirrored with
the edge pixel included, and a pixel unlike all its neighbours takes their median.
Choice: the colour distance is that of the RGB vectors, so that the channels share their weights (the paper is silent).
"""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_planes
from lib.errors import ShapeError, SpecError

TEMPORAL_RADIUS = 2
FRAMES = 2 * TEMPORAL_RADIUS + 1
# below this sum of weights no neighbour is alike: take the median
MIN_WEIGHT_SUM = 1e-30


def susan_smooth(video: Tensor, *, sigma: float = 15.0, threshold: float = 20.0, passes: int = 1) -> Tensor:
    """Denoised clip, 3x3 pixels by 5 frames, `passes` times.

    video: (T, C, H, W), 0..1, any number of channels and frames. sigma: pixels (and frames). threshold: grey levels of
    255, the step t at which a neighbour's weight falls to 1/e. Returns the same shape and dtype.
    Raises ShapeError for another shape or values that are not finite, SpecError for a sigma or threshold <= 0.
    """
    check_planes("video", video, ndim=4)
    if passes < 0:
        raise SpecError(f"passes must be at least 0: got {passes}")
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


class SusanFilter:
    """One pass of the filter, frame by frame: `push` returns the frame of two pushes ago, `flush` the last ones.

    The weight between two pixels serves both of them, so 22 pairs of offsets do for 44 neighbours. The last five
    frames (with a border of one pixel) and the sums of the last three live in rings of buffers that are used again.
    """

    def __init__(self, *, sigma: float, threshold: float) -> None:
        if sigma <= 0 or threshold <= 0:
            raise SpecError(f"sigma and threshold must be above 0: got {sigma} and {threshold}")
        self.spatial_rate = 1 / (2 * sigma**2)
        self.brightness_rate = (255 / threshold) ** 2
        self._padded: list[Tensor] = []
        self._weighted_sums: list[Tensor] = []
        self._weight_sums: list[Tensor] = []
        self._start: list[Tensor] = []
        self._num_added = 0  # mirrored frames included
        self._end: int | None = None  # index of the first mirrored frame after the clip
        self._shape: torch.Size | None = None

    def push(self, frame: Tensor) -> Tensor | None:
        """Takes a frame (C, H, W); returns the smoothed frame two before it, or None while there is none."""
        if self._shape is not None and frame.shape != self._shape:
            raise ShapeError(f"every frame must have shape {tuple(self._shape)}: got {tuple(frame.shape)}")
        self._shape = frame.shape
        if self._num_added:
            return self._add(frame)
        self._start.append(frame)
        if len(self._start) == TEMPORAL_RADIUS:
            self._begin()
        return None

    def flush(self) -> Iterator[Tensor]:
        """The frames still inside; the filter is then ready for another clip."""
        if not self._num_added and self._start:
            self._begin()
        self._end = self._num_added
        num_real = self._end - TEMPORAL_RADIUS
        for step in range(TEMPORAL_RADIUS if num_real > 0 else 0):
            mirrored = self._padded[(self._end - 1 - min(step, num_real - 1)) % FRAMES]
            smoothed = self._add(mirrored[:, 1:-1, 1:-1])
            if smoothed is not None:
                yield smoothed
        self._start.clear()
        self._num_added, self._end, self._shape = 0, None, None

    def _begin(self) -> None:
        """Makes room, and mirrors the first frames before the start: 1, 0 | 0, 1, 2, ..."""
        padded = F.pad(self._start[0], (1, 1, 1, 1))
        if not self._padded or self._padded[0].shape != padded.shape or self._padded[0].device != padded.device:
            self._padded = [torch.empty_like(padded) for _ in range(FRAMES)]
            self._weighted_sums = [torch.empty_like(padded) for _ in range(TEMPORAL_RADIUS + 1)]
            self._weight_sums = [torch.empty_like(padded[0]) for _ in range(TEMPORAL_RADIUS + 1)]
        for frame in self._start[::-1] if len(self._start) > 1 else self._start * TEMPORAL_RADIUS:
            self._add(frame)
        for frame in self._start:
            self._add(frame)

    def _is_mirror(self, index: int) -> bool:
        return index < TEMPORAL_RADIUS or (self._end is not None and index >= self._end)

    def _add(self, frame: Tensor) -> Tensor | None:
        index = self._num_added
        self._num_added += 1
        _copy_with_border(frame, self._padded[index % FRAMES])
        self._weighted_sums[index % (TEMPORAL_RADIUS + 1)].zero_()
        self._weight_sums[index % (TEMPORAL_RADIUS + 1)].zero_()
        for lag in range(min(index, TEMPORAL_RADIUS) + 1):
            if not (self._is_mirror(index) and self._is_mirror(index - lag)):
                self._exchange(index, lag)
        finished = index - TEMPORAL_RADIUS
        return None if finished < 0 or self._is_mirror(finished) else self._finish(finished)

    def _exchange(self, index: int, lag: int) -> None:
        """Adds to a frame and to the one `lag` before it what each pair of neighbouring pixels means to the other."""
        later, later_sum, later_weight = self._buffers(index)
        earlier, earlier_sum, earlier_weight = self._buffers(index - lag)
        if _compiles(later):
            from lib.context_fusion import kernels

            kernels.exchange(
                later.numpy(),
                later_sum.numpy(),
                later_weight.numpy(),
                earlier.numpy(),
                earlier_sum.numpy(),
                earlier_weight.numpy(),
                lag,
                self.spatial_rate,
                self.brightness_rate,
                not self._is_mirror(index),
                not self._is_mirror(index - lag),
            )
            return
        for dy, dx in neighbour_offsets(lag):
            here, there = _overlap(later, -dy, -dx), _overlap(earlier, dy, dx)
            distance = (here - there).square().sum(dim=0)
            weight = torch.exp(-distance * self.brightness_rate - (dx**2 + dy**2 + lag**2) * self.spatial_rate)
            _overlap(later_weight, -dy, -dx).add_(weight)
            _overlap(later_sum, -dy, -dx).addcmul_(weight, there)
            _overlap(earlier_weight, dy, dx).add_(weight)
            _overlap(earlier_sum, dy, dx).addcmul_(weight, here)

    def _buffers(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """A frame with its border, the weighted sum of its neighbours so far, and the sum of their weights."""
        place = index % (TEMPORAL_RADIUS + 1)
        return self._padded[index % FRAMES], self._weighted_sums[place], self._weight_sums[place]

    def _finish(self, index: int) -> Tensor:
        _, weighted_sum, weight_sum = self._buffers(index)
        weights = weight_sum[1:-1, 1:-1]
        if _compiles(weight_sum):
            from lib.context_fusion import kernels

            smoothed = weighted_sum.new_empty(len(weighted_sum), *weights.shape)
            some_are_lonely = kernels.weighted_means(
                weighted_sum.numpy(), weight_sum.numpy(), MIN_WEIGHT_SUM, smoothed.numpy()
            )
        else:
            smoothed = weighted_sum[:, 1:-1, 1:-1] / weights
            some_are_lonely = (weights < MIN_WEIGHT_SUM).any()
        if some_are_lonely:
            lonely = weights < MIN_WEIGHT_SUM
            smoothed[:, lonely] = self._neighbour_median(index, lonely)
        return smoothed

    def _neighbour_median(self, index: int, pixels: Tensor) -> Tensor:
        """Median (mean of the two middle values) of the 44 neighbours of each marked pixel, (C, pixels)."""
        rows, columns = pixels.nonzero(as_tuple=True)
        neighbours = [
            self._padded[(index + dt) % FRAMES][:, rows + dy, columns + dx]
            for dt in range(-TEMPORAL_RADIUS, TEMPORAL_RADIUS + 1)
            for dy in range(3)
            for dx in range(3)
            if (dt, dy, dx) != (0, 1, 1)
        ]
        ordered = torch.stack(neighbours).sort(dim=0).values
        middle = len(neighbours) // 2
        return (ordered[middle - 1] + ordered[middle]) / 2


def _compiles(frame: Tensor) -> bool:
    """Whether the compiled kernels apply: float32 on the CPU."""
    return frame.device.type == "cpu" and frame.dtype == torch.float32


def _copy_with_border(frame: Tensor, padded: Tensor) -> None:
    """Copies (C, H, W) into the middle of (C, H + 2, W + 2) and repeats the outermost pixels around it."""
    if _compiles(frame):
        from lib.context_fusion import kernels

        kernels.copy_with_border(frame.contiguous().numpy(), padded.numpy())
        return
    padded[:, 1:-1, 1:-1] = frame
    padded[:, 0, 1:-1], padded[:, -1, 1:-1] = frame[:, 0], frame[:, -1]
    padded[:, :, 0], padded[:, :, -1] = padded[:, :, 1], padded[:, :, -2]


def neighbour_offsets(lag: int) -> list[tuple[int, int]]:
    """(dy, dx) of each pair's other pixel: all nine in another frame, half of the eight in the same one."""
    square = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return square if lag else square[5:]


def _overlap(plane: Tensor, dy: int, dx: int) -> Tensor:
    """The part of a plane (..., H, W) that stays inside when it is moved by (-dy, -dx)."""
    height, width = plane.shape[-2:]
    return plane[..., max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
