"""Simulated thermal clips of targets with a shape: warm bodies of a few ellipses that walk before clutter and others.

Point targets alone teach a network nothing about shape; these do, so that it also follows people and vehicles.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lib.ir_tracking.simulator import TargetScan

NUM_PARTS = (2, 6)
EDGE_PX = 1.0  # softness of an ellipse's border, as the optics make it


@dataclass(frozen=True)
class BodySettings:
    """Size of clip and bodies."""

    side_px: int = 160
    num_frames: int = 8
    heights_px: tuple[float, float] = (10.0, 64.0)
    aspects: tuple[float, float] = (0.3, 1.8)  # width over height
    speed_px: float = 2.0  # a frame and axis, at most
    num_others: int = 3  # bodies beside the target, at most
    contrast: tuple[float, float] = (0.5, 4.0)  # over the clutter's deviation


def body_clip(settings: BodySettings, generator: Generator) -> TargetScan:
    """A clip with a target's truth: frames (T, 1, side, side) of mean 0, boxes (T, 4), visible (T,).

    The target's parts sway about it; others of its kind cross behind and before it; bars cover a part of the picture.
    """
    side, num_frames = settings.side_px, settings.num_frames
    background = _clutter(2 * side, generator)
    frames = []
    bodies = [_Body(settings, generator) for _ in range(1 + _below(settings.num_others + 1, generator))]
    before = _below(len(bodies), generator)  # those that the target walks behind
    bars = _bars(side, generator)
    drift = [_between(-0.7, 0.7, generator) for _ in range(2)]
    noise = _between(0.02, 0.4, generator)
    boxes = []
    for time in range(num_frames):
        top, left = (side // 2 + round(step * time) for step in drift)
        frame = background[top : top + side, left : left + side].clone()
        for idx in (*range(1, len(bodies) - before), 0, *range(len(bodies) - before, len(bodies))):
            cover, heat = bodies[idx].drawn(time, side)
            frame = torch.lerp(frame, heat, cover)
        frame = torch.where(bars > 0, bars - 2, frame)
        frames.append(frame + noise * torch.randn(side, side, generator=generator))
        boxes.append(bodies[0].box(time))
    truth = torch.tensor(boxes)
    visible = ((truth[:, :2] >= 0) & (truth[:, :2] + truth[:, 2:] <= side)).all(dim=1)
    return TargetScan(torch.stack(frames)[:, None], truth, visible)


class _Body:
    """Ellipses one below another in a box that moves."""

    def __init__(self, settings: BodySettings, generator: Generator) -> None:
        low, high = (math.log(value) for value in settings.heights_px)
        self.height = math.exp(_between(low, high, generator))
        low, high = (math.log(value) for value in settings.aspects)
        self.width = min(self.height * math.exp(_between(low, high, generator)), 0.5 * settings.side_px)
        room = (settings.side_px - self.width, settings.side_px - self.height)
        self.start = [_between(0.15, 0.85, generator) * size for size in room]
        self.speed = [_between(-settings.speed_px, settings.speed_px, generator) for _ in range(2)]
        number = NUM_PARTS[0] + _below(NUM_PARTS[1] - NUM_PARTS[0] + 1, generator)
        # each part: place and half axes in shares of the box, phase of its sway, heat
        self.parts = [
            (
                _between(0.3, 0.7, generator),
                (idx + 0.5) / number,
                _between(0.2, 0.5, generator),
                _between(0.8, 1.5, generator) / number,
                _between(0, math.tau, generator),
                _between(0.5, 1.0, generator),
            )
            for idx in range(number)
        ]
        self.contrast = _between(*settings.contrast, generator)
        self.sway, self.rhythm = _between(0, 0.12, generator), _between(0.1, 0.6, generator)

    def box(self, time: int) -> list[float]:
        """x, y, w, h of what its ellipses cover."""
        ends = [self._part(part, time) for part in self.parts]
        left, right = min(x - a for x, _, a, _, _ in ends), max(x + a for x, _, a, _, _ in ends)
        top, bottom = min(y - b for _, y, _, b, _ in ends), max(y + b for _, y, _, b, _ in ends)
        return [left, top, right - left, bottom - top]

    def drawn(self, time: int, side: int) -> tuple[Tensor, Tensor]:
        """Cover (side, side), 0..1, and heat (side, side)."""
        middle = torch.arange(side) + 0.5
        cover, heat = torch.zeros(side, side), torch.zeros(side, side)
        for x, y, a, b, warm in (self._part(part, time) for part in self.parts):
            radius = torch.hypot((middle - x) / a, (middle[:, None] - y) / b)
            inside = ((1 - radius) * min(a, b) / EDGE_PX + 0.5).clamp(0, 1)
            heat = torch.lerp(heat, torch.full_like(heat, self.contrast * warm), inside)
            cover = torch.maximum(cover, inside)
        return cover, heat

    def _part(self, part: tuple[float, ...], time: int) -> tuple[float, float, float, float, float]:
        across, down, wide, high, phase, warm = part
        swung = across + self.sway * math.sin(self.rhythm * time + phase)
        left, top = (start + speed * time for start, speed in zip(self.start, self.speed, strict=True))
        return (
            left + swung * self.width, top + down * self.height, max(wide * self.width, 1.0),
            max(high * self.height / 2, 1.0), warm,
        )  # fmt: skip


def _clutter(side: int, generator: Generator) -> Tensor:
    """Smooth field with blocks, mean 0 and deviation 1."""
    down, right = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]
    frequency = torch.hypot(down, right)
    frequency[0, 0] = math.inf
    slope = _between(1.5, 3.0, generator)
    white = torch.randn(side, side, generator=generator)
    field = torch.fft.irfft2(torch.fft.rfft2(white) * frequency.pow(-slope / 2), s=(side, side))
    field = (field - field.mean()) / field.std()
    for _ in range(_below(20, generator)):
        top, left = _below(side, generator), _below(side, generator)
        high, wide = 4 + _below(50, generator), 4 + _below(50, generator)
        field[top : top + high, left : left + wide] += _between(-1.5, 1.5, generator)
    return (field - field.mean()) / field.std()


def _bars(side: int, generator: Generator) -> Tensor:
    """Thin cold bars (side, side) before everything: 0 where none is, else their heat plus 2."""
    bars = torch.zeros(side, side)
    for _ in range(_below(4, generator)):
        place, wide, heat = _below(side, generator), 1 + _below(4, generator), _between(0.5, 2.0, generator)
        if _below(2, generator):
            bars[place : place + wide] = heat
        else:
            bars[:, place : place + wide] = heat
    return bars


def _between(low: float, high: float, generator: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _below(end: int, generator: Generator) -> int:
    return int(torch.randint(end, (1,), generator=generator))
