"""Training pairs: a template and, some frames on, a search crop with the target somewhere in it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
from torch import Generator, Tensor

from lib.errors import DataMissing, ShapeError, SpecError
from lib.ir_tracking.anchors import BACKGROUND, AnchorTargets, anchor_grid, anchor_targets
from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.crops import context_side, crops_of, input_planes
from lib.ir_tracking.losses import BatchTargets, near_cells
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.settings import FilterSettings


class TargetSequence(Protocol):
    """A clip with one target, and where it is.

    frames: (T, 1, H, W), any unit. boxes: (T, 4), x, y, w, h, pixels. visible: (T,) bool, frames that may teach.
    Where there is also a method frame(number) that gives one (1, H, W), such as of lib.data.tracks.TrackedSequence,
    it is called in place of `frames`.
    """

    @property
    def frames(self) -> Tensor: ...
    @property
    def boxes(self) -> Tensor: ...
    @property
    def visible(self) -> Tensor: ...


@dataclass(frozen=True)
class PairSettings:
    """How pairs are drawn and changed. Shares are of a crop or of a map; defaults are SiamRPN's code."""

    max_gap: int = 100  # frames between template and search; SiamRPN on VID
    negative_share: float = 0.1  # of pairs whose search shows another target. Sheet: 5-20 %
    template_shift_px: float = 4.0  # of the crop, to each side
    template_scale: float = 0.05
    search_reach: float = 1.0  # of the map, to each side: SiamRPN's 64 pixels are all of its 17 cells
    search_scale: float = 0.18
    contrast: float = 0.3  # gain of a frame within 1 -+ this, before the filter
    noise_share: float = 0.3  # of crops with white noise added before the filter
    noise: float = 0.5  # its deviation at most, in deviations of the frame's difference of neighbours
    flips: bool = True  # both crops of a pair mirrored alike. Choice: small targets know no up or down
    sampled: bool = True  # 16 positives and 64 cells in all; False: every cell
    at_least_best: bool = True  # the anchor of most overlap teaches, however little it is

    def __post_init__(self) -> None:
        for name in ("max_gap", "template_shift_px", "search_reach", "noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SpecError(f"{name} must be at least 0: got {getattr(self, name)!r}")
        for name in ("negative_share", "template_scale", "search_scale", "contrast", "noise_share"):
            if not 0 <= getattr(self, name) < 1:
                raise SpecError(f"{name} must be at least 0 and below 1: got {getattr(self, name)!r}")

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Batch:
    """Crops (B, 3, s, s) of templates and searches, and what they teach."""

    templates: Tensor
    searches: Tensor
    targets: BatchTargets


class PairMaker:
    """Draws and cuts training pairs; the same seed gives the same pair.

    sequences: clips with truth, indexed lazily. frames: for each sequence the numbers that may be used; None: all.
    Raises DataMissing when no frame shows a target, ShapeError for a sequence whose parts don't fit.
    """

    def __init__(
        self,
        sequences: Sequence[TargetSequence],
        *,
        network: NetworkSettings,
        settings: PairSettings | None = None,
        filter_settings: FilterSettings | None = None,
        frames: Sequence[Sequence[int]] | None = None,
    ) -> None:
        if not len(sequences):
            raise DataMissing("training needs at least one sequence: got none")
        if frames is not None and len(frames) != len(sequences):
            raise ShapeError(f"frames must have one list a sequence: got {len(frames)} for {len(sequences)}")
        self.sequences, self.frames = sequences, frames
        self.network, self.settings = network, settings or PairSettings()
        self.filter = filter_settings or FilterSettings()
        self.num_cells = network.map_size(network.training_search_px)
        self.anchors = anchor_grid(network, self.num_cells)
        self.usable_by_idx: dict[int, list[int]] = {}

    def batch(self, seeds: Sequence[int]) -> Batch:
        """One pair for each seed."""
        pairs = [self.pair(Generator().manual_seed(seed)) for seed in seeds]
        targets = [pair[2] for pair in pairs]
        return Batch(
            torch.cat([pair[0] for pair in pairs]),
            torch.cat([pair[1] for pair in pairs]),
            BatchTargets(
                torch.stack([target.classes for target in targets]),
                torch.stack([target.offsets for target in targets]),
                torch.stack([target.weights for target in targets]),
            ),
        )

    def pair(self, generator: Generator) -> tuple[Tensor, Tensor, AnchorTargets]:
        """Template crop (1, 3, s, s), search crop (1, 3, s, s), and what the anchors should say."""
        is_pair = _uniform(generator) >= self.settings.negative_share or len(self.sequences) == 1
        first, usable = self._sequence(generator)
        frame = usable[_below(len(usable), generator)]
        if is_pair:
            second = first
            near = [other for other in usable if abs(other - frame) <= self.settings.max_gap]
        else:
            second, near = self._sequence(generator)
        other_frame = near[_below(len(near), generator)]
        flip = tuple(axis for axis in (-2, -1) if self.settings.flips and _uniform(generator) < 0.5)
        template, _ = self._crop(first, frame, generator, is_template=True)
        search, target = self._crop(second, other_frame, generator, is_template=False)
        signs = torch.tensor([-1.0 if axis in flip else 1.0 for axis in (-1, -2)])
        target = torch.cat([target[:2] * signs, target[2:]])
        return template.flip(flip), search.flip(flip), self._targets(target, is_pair, generator)

    def _targets(self, target: Tensor, is_pair: bool, generator: Generator) -> AnchorTargets:
        if self.network.head == "correlation":
            near = near_cells(target, stride=self.network.stride, num_cells=self.num_cells)
            classes = near if is_pair else torch.full_like(near, BACKGROUND)
            return AnchorTargets(classes, torch.zeros(4, *near.shape), torch.zeros(near.shape))
        return anchor_targets(
            self.anchors,
            target,
            stride=self.network.stride,
            is_pair=is_pair,
            generator=generator if self.settings.sampled else None,
            at_least_best=self.settings.at_least_best,
        )

    def _sequence(self, generator: Generator) -> tuple[TargetSequence, list[int]]:
        """A sequence drawn at random, and its frames that can teach."""
        for _ in range(1000):
            idx = _below(len(self.sequences), generator)
            sequence = self.sequences[idx]
            if idx not in self.usable_by_idx:
                allowed = None if self.frames is None else self.frames[idx]
                self.usable_by_idx[idx] = usable_frames(sequence, allowed)
            if self.usable_by_idx[idx]:
                return sequence, self.usable_by_idx[idx]
        raise DataMissing("training needs a frame that shows its target: a thousand sequences drawn have none")

    def _crop(
        self, sequence: TargetSequence, frame: int, generator: Generator, *, is_template: bool
    ) -> tuple[Tensor, Tensor]:
        """A crop (1, 3, s, s) at a random shift and scale, and the target in it, (4,) cx, cy, w, h from its centre."""
        settings, network = self.settings, self.network
        x, y, width, height = sequence.boxes[frame].tolist()
        out = network.template_px if is_template else network.training_search_px
        reach = settings.template_shift_px
        if not is_template:
            reach = settings.search_reach * (self.num_cells // 2) * network.stride
        scale = settings.template_scale if is_template else settings.search_scale
        side = context_side(width, height, floor_px=network.context_floor_px) * out / network.template_px
        side *= 1 + scale * (2 * _uniform(generator) - 1)
        zoom = out / side
        shift_x, shift_y = (reach * (2 * _uniform(generator) - 1) for _ in range(2))
        window = (x + width / 2 - shift_x / zoom, y + height / 2 - shift_y / zoom, side)
        plane = one_frame(sequence, frame).float()
        planes, corner = self._planes(plane, window, generator)
        moved = torch.tensor([[window[0] - corner[0], window[1] - corner[1], side]])
        crop = crops_of(planes, moved, out, network)
        return crop, torch.tensor([shift_x, shift_y, width * zoom, height * zoom])

    def _planes(
        self, plane: Tensor, window: tuple[float, float, float], generator: Generator
    ) -> tuple[Tensor, tuple[int, int]]:
        """Input planes of the part of a frame that a window needs, gain and noise changed first; and its corner."""
        left = top = 0
        if self.network.scaling == "crop":
            margin = window[2] / 2 + self.filter.line_length_px + 2 * self.filter.opening_px
            (left, right), (top, bottom) = (
                _overlapping(window[axis] - margin, window[axis] + margin, size)
                for axis, size in ((0, plane.shape[-1]), (1, plane.shape[-2]))
            )
            plane = plane[:, top:bottom, left:right]
        gain = 1 + self.settings.contrast * (2 * _uniform(generator) - 1)
        noise = self.settings.noise * _uniform(generator)
        plane = plane * gain
        if _uniform(generator) < self.settings.noise_share and plane.shape[-1] > 1:
            grain = (plane[..., 1:] - plane[..., :-1]).std() / math.sqrt(2)
            plane = plane + noise * grain * torch.randn(plane.shape, generator=generator)
        if self.network.inputs == "frame":
            planes = input_planes(plane, plane, plane, inputs="frame", scaling=self.network.scaling)
        else:
            stages = suppress_background(plane, settings=self.filter)
            planes = input_planes(
                plane, stages.suppressed, stages.filtered, inputs=self.network.inputs, scaling=self.network.scaling
            )
        return planes, (left, top)


def one_frame(sequence: TargetSequence, number: int) -> Tensor:
    """Frame (1, H, W) of a sequence, without reading the others where it can."""
    read = getattr(sequence, "frame", None)
    frame: Tensor = sequence.frames[number] if read is None else read(number)
    return frame


def usable_frames(sequence: TargetSequence, allowed: Sequence[int] | None = None) -> list[int]:
    """Numbers of the frames that show the target, with its centre in the frame.

    Raises ShapeError for a sequence whose frames, boxes and flags don't fit.
    """
    boxes, visible = sequence.boxes, sequence.visible
    num = len(boxes) if hasattr(sequence, "frame") else len(sequence.frames)
    first = one_frame(sequence, 0)
    if first.ndim != 3 or first.shape[0] != 1 or boxes.shape != (num, 4) or visible.shape != (num,):
        raise ShapeError(
            "a sequence must have frames (T, 1, H, W), boxes (T, 4) and visible (T,): got "
            f"{(num, *first.shape)}, {tuple(boxes.shape)} and {tuple(visible.shape)}"
        )
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    limits = centres.new_tensor([first.shape[-1], first.shape[-2]])
    inside = ((centres >= 0) & (centres <= limits)).all(dim=1) & (boxes[:, 2:] > 0).all(dim=1) & visible.bool()
    numbers = range(num) if allowed is None else allowed
    return [number for number in numbers if bool(inside[number])]


def _overlapping(first: float, last: float, size: int) -> tuple[int, int]:
    """Whole pixels from first to last, at least one of 0..size."""
    start = min(max(math.floor(first), 0), size - 1)
    return start, max(min(math.ceil(last), size), start + 1)


def _below(end: int, generator: Generator) -> int:
    return int(torch.randint(end, (1,), generator=generator))


def _uniform(generator: Generator) -> float:
    return float(torch.rand((), generator=generator))
