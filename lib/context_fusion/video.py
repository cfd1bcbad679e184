"""Algorithm 2: a night video in the context of one day picture, frame by frame in constant memory."""

from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from lib.checks import check_image, check_same_grid
from lib.context_fusion.fit import apply_colour, fit_colour, fit_offset
from lib.context_fusion.gradients import luma_gradient_energy
from lib.context_fusion.importance import GREY_LEVELS, clean_mask, motion_mask
from lib.context_fusion.reconstruct import Fusion, reconstruct
from lib.context_fusion.settings import VideoSettings
from lib.context_fusion.susan import SusanFilter
from lib.errors import ShapeError

DEFAULT = VideoSettings()


def fuse_video(night: Tensor | Iterable[Tensor], day: Tensor, *, settings: VideoSettings = DEFAULT) -> Fusion:
    """Night clip fused with a day picture, whole: image (T, 3, H, W), importance W' (T, H, W), target (T, 3, H, W).

    night: (T, 3, H, W) or an iterator of frames (3, H, W), RGB, 0..1; day: (3, H, W). Long clips: use `VideoFuser`.
    Raises ShapeError for other shapes or ranges, or a clip without frames.
    """
    fusions = list(VideoFuser(day, settings).stream(night))
    if not fusions:
        raise ShapeError("night must hold at least one frame: got none")
    return Fusion(
        torch.stack([fusion.image for fusion in fusions]),
        torch.stack([fusion.importance for fusion in fusions]),
        torch.stack([fusion.target for fusion in fusions]),
    )


class VideoFuser:
    """Algorithm 2 as a stream: `push` a frame, get the fusion of the frame `latency` pushes before, or None.

    Memory does not depend on the clip's length, and the results are those of `fuse_video`. Source: sec. 4.
    Choice: the frame in the target W' F + (1 - W') D is the one whose gradients are mixed, by default the denoised one.
    """

    def __init__(self, day: Tensor, settings: VideoSettings = DEFAULT) -> None:
        check_image("day", day)
        self.day = day
        self.settings = settings
        self._day_energy = luma_gradient_energy(day)
        self._reset()

    @property
    def latency(self) -> int:
        """Frames between a push and its result: c for the masks (at least one) and two for each denoising pass."""
        return self._mask_delay + 2 * self.settings.susan_passes

    @property
    def _mask_delay(self) -> int:
        # the first mask is a copy of the second, so that even c = 0 has to wait for one frame
        return max(self.settings.half_window, 1)

    def stream(self, night: Iterable[Tensor]) -> Iterator[Fusion]:
        """Fusions of all frames of a clip, in order."""
        yield from (fusion for fusion in map(self.push, night) if fusion is not None)
        yield from self.flush()

    def push(self, frame: Tensor) -> Fusion | None:
        """Takes the next night frame (3, H, W), 0..1, of the day picture's size."""
        check_image("night frame", frame)
        check_same_grid("night frame", frame, "day", self.day)
        if self.settings.gradient_source == "raw":
            self._raw.append(frame)
        return self._denoise(frame, self._passes)

    def flush(self) -> Iterator[Fusion]:
        """Fusions of the frames still inside; the fuser is then ready for another clip of the same view."""
        for index, susan in enumerate(self._passes):
            for denoised in susan.flush():
                fusion = self._denoise(denoised, self._passes[index + 1 :])
                if fusion is not None:
                    yield fusion
        if self._waiting and not self._masks:  # a clip of one frame has no motion
            self._masks.append(torch.zeros_like(self.day[0], dtype=torch.bool))
        while self._waiting:
            yield self._emit()
        self._reset()

    def _reset(self) -> None:
        sigma, threshold = self.settings.susan_sigma, self.settings.susan_threshold
        self._passes = [SusanFilter(sigma=sigma, threshold=threshold) for _ in range(self.settings.susan_passes)]
        self._raw: deque[Tensor] = deque()
        self._previous: Tensor | None = None
        self._waiting: deque[Tensor] = deque()
        self._masks: deque[Tensor] = deque()
        self._first_mask = 0
        self._num_emitted = 0
        self._colour: tuple[Tensor, Tensor] | None = None

    def _denoise(self, frame: Tensor, passes: list[SusanFilter]) -> Fusion | None:
        for susan in passes:
            smoothed = susan.push(frame)
            if smoothed is None:
                return None
            frame = smoothed
        return self._add(frame)

    def _add(self, denoised: Tensor) -> Fusion | None:
        """Motion mask of the next frame, and the fusion of the frame whose window it completes."""
        self._waiting.append(self._raw.popleft() if self.settings.gradient_source == "raw" else denoised)
        previous, self._previous = self._previous, denoised
        if previous is None:
            return None
        mask = self._motion(denoised, previous)
        if not self._masks:
            self._masks.append(mask)  # M_0 := M_1
        self._masks.append(mask)
        newest = self._first_mask + len(self._masks) - 1
        return self._emit() if newest - self._num_emitted == self._mask_delay else None

    def _motion(self, frame: Tensor, previous: Tensor) -> Tensor:
        """Binary mask M_i, bool (H, W)."""
        settings = self.settings
        mask = motion_mask(frame, previous, threshold=settings.difference_threshold, difference=settings.difference)
        if settings.gradient_gate:
            mask &= luma_gradient_energy(frame) > (settings.gradient_threshold / GREY_LEVELS) ** 2
        return clean_mask(mask) if settings.clean_masks else mask

    def _emit(self) -> Fusion:
        """Fusion of the oldest waiting frame, with the masks of its window that are there."""
        frame, settings = self._waiting.popleft(), self.settings
        while self._first_mask < self._num_emitted - settings.half_window:
            self._masks.popleft()
            self._first_mask += 1
        last = self._num_emitted + settings.half_window
        window = [mask for index, mask in enumerate(self._masks, self._first_mask) if index <= last]
        self._num_emitted += 1
        importance = torch.stack(window).sum(dim=0, dtype=self.day.dtype) / len(window)
        still = importance <= settings.zero_tolerance
        larger = luma_gradient_energy(frame) >= self._day_energy
        weight = torch.where(still, larger.to(importance.dtype), importance)
        reconstruction = reconstruct(frame, self.day, weight, settings)
        target = torch.lerp(self.day, frame, importance)
        return Fusion(apply_colour(reconstruction, *self._fit(reconstruction, target)), importance, target)

    def _fit(self, reconstruction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Colour fit of a frame, drawn towards that of the frame before by `fit_memory`."""
        fit = fit_colour if self.settings.colour_fit else fit_offset
        c1, c2 = fit(reconstruction, target)
        if self._colour is not None and self.settings.fit_memory > 0:
            c1 = torch.lerp(c1, self._colour[0], self.settings.fit_memory)
            c2 = torch.lerp(c2, self._colour[1], self.settings.fit_memory)
        self._colour = c1, c2
        return c1, c2
