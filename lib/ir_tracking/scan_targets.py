"""Where simulated targets fly, when they fade or are hidden, and the response of the scanner to a point."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from lib.ir_tracking.scan_settings import ScanSettings

CANDIDATES = 64  # paths that are tried before one is folded at the frame's edge
MARGIN_PX = 6.0  # paths stay this far inside
FIRST_SURE = 10  # a target is at its full strength in the first frames
HELD_SHARE = 0.8  # of the point response that the true box holds
SMALLEST_BOX_PX = 3.0


@dataclass(frozen=True)
class Flights:
    """What N targets do in T frames, float64 on the CPU.

    centres: (T, N, 2), x and y as pixel numbers. strength: (T, N), share of a target's contrast, 0..1. scr: (N,).
    """

    centres: Tensor
    strength: Tensor
    scr: Tensor


def draw_flights(settings: ScanSettings, generator: Generator) -> Flights:
    """Paths and strengths of all targets; generator: on the CPU, so that truth is the same on every device."""
    paths: list[Tensor] = []
    for number in range(settings.num_targets):
        meets = paths[number - 1] if settings.crossing and number % 2 else None
        paths.append(_draw_path(settings, generator, meets))
    strengths = [_draw_strength(settings, generator) for _ in paths]
    low, high = settings.scr
    scr = low + (high - low) * _uniform(settings.num_targets, generator)
    if not paths:
        empty = torch.zeros(settings.num_frames, 0, dtype=torch.float64)
        return Flights(empty[..., None].expand(-1, -1, 2), empty, scr)
    return Flights(torch.stack(paths, dim=1), torch.stack(strengths, dim=1), scr)


def _draw_path(settings: ScanSettings, generator: Generator, meets: Tensor | None) -> Tensor:
    """Path (T, 2) inside the frame; with `meets` (T, 2) it comes to the same place at the same time once."""
    room = torch.tensor([settings.width_px, settings.height_px], dtype=torch.float64) - 1
    margin = torch.clamp(room / 4, max=MARGIN_PX)
    low, high = margin, room - margin
    path = torch.empty(0)
    for _ in range(CANDIDATES):
        path = _draw_moves(settings, generator)
        if meets is None:
            spare = (high - low) - (path.amax(0) - path.amin(0))
            path = path - path.amin(0) + low + spare.clamp_min(0) * _uniform(2, generator)
        else:
            when = int((1 + float(_uniform(1, generator))) * settings.num_frames / 3)
            path = path - path[when] + meets[when]
        inside = bool(((path >= low) & (path <= high)).all())
        if inside or (settings.may_leave and bool(((path[0] >= low) & (path[0] <= high)).all())):
            return path
    return path if settings.may_leave else _fold(path, low, high)


def _draw_moves(settings: ScanSettings, generator: Generator) -> Tensor:
    """A path (T, 2) from (0, 0): speed and heading from frame to frame by one of the manoeuvres."""
    frames = torch.arange(settings.num_frames, dtype=torch.float64)
    slow, fast = settings.speed_px
    first, second, third, fourth, fifth = _uniform(5, generator).tolist()
    speed, heading = torch.full_like(frames, slow + (fast - slow) * first), torch.full_like(frames, math.tau * second)
    kind = settings.manoeuvres[int(torch.randint(len(settings.manoeuvres), (1,), generator=generator))]
    if kind == "turn":
        # 1 to 4 degrees a frame over a third of the sequence, then straight on
        begin, length = third * len(frames) / 2, len(frames) / 3
        rate = math.radians(1 + 3 * fourth) * (1 if fifth < 0.5 else -1)
        heading = heading + rate * (frames - begin).clamp(0, length)
    elif kind == "weave":
        swing, period = math.radians(20 + 40 * third), 30 + 40 * fourth
        heading = heading + swing * torch.sin(math.tau * (frames / period + fifth))
    elif kind == "dash":
        # up to three times as fast for a while
        speed = speed * (1 + (1 + third) * _bump(frames, fourth * len(frames), 0, 20 + 20 * fifth))
    steps = torch.stack([speed * torch.cos(heading), speed * torch.sin(heading)], dim=1)
    return torch.cat([torch.zeros(1, 2, dtype=torch.float64), steps[:-1].cumsum(0)])


def _fold(path: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Path (T, 2) mirrored at the bounds as often as needed."""
    span = high - low
    phase = torch.remainder(path - low, 2 * span)
    return low + torch.where(phase > span, 2 * span - phase, phase)


def _draw_strength(settings: ScanSettings, generator: Generator) -> Tensor:
    """Strength (T,): 1, but for fades to a fifth and occlusions to 0, never in the first frames."""
    frames = torch.arange(settings.num_frames, dtype=torch.float64)
    strength = torch.ones_like(frames)
    for kind, rate in (("fade", settings.fades), ("occlusion", settings.occlusions)):
        # the expected number, its fraction by chance
        number = int(rate * settings.num_frames / 100 + float(_uniform(1, generator)))
        for where, how_long in _uniform(2 * number, generator).view(-1, 2).tolist():
            half, ramp = (0.0, 10 + 10 * how_long) if kind == "fade" else (2.5 + 5 * how_long, 2.0)
            first = FIRST_SURE + half + ramp
            middle = first + where * max(settings.num_frames - first, 0)
            depth = 0.8 if kind == "fade" else 1.0
            strength = torch.minimum(strength, 1 - depth * _bump(frames, middle, half, ramp))
    return strength


def _bump(frames: Tensor, middle: float, half: float, ramp: float) -> Tensor:
    """1 up to `half` frames from the middle, then down to 0 along half a cosine of `ramp` frames."""
    outside = ((frames - middle).abs() - half).clamp(0, ramp) / ramp
    return 0.5 + 0.5 * torch.cos(math.pi * outside)


def _uniform(number: int, generator: Generator) -> Tensor:
    return torch.rand(number, generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class Sight:
    """Where the scanner looks, float64 on the CPU.

    total: (T, 2), output pixels in x and y from frame to frame, jitter included. jitter: (T, 2). start: (2,), 0..1.
    misregistration: (k_y, 2), x and y in pitches by which each staggered column is off, the first by nothing.
    """

    total: Tensor
    jitter: Tensor
    start: Tensor
    misregistration: Tensor


def draw_sight(settings: ScanSettings, generator: Generator) -> Sight:
    """Line of sight that drifts in one direction and jitters, and the columns' misregistration; generator: CPU."""
    off = _uniform(2 * settings.oversampling[1], generator).view(-1, 2) * 2 - 1
    off[0] = 0
    angle = math.tau * float(_uniform(1, generator))
    if settings.scenery == "ground":  # a horizon stays where it is
        angle = 0.0 if angle < math.pi else math.pi
    direction = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    start = _uniform(2, generator)
    jitter = torch.randn(settings.num_frames, 2, generator=generator, dtype=torch.float64) * settings.jitter_px
    frames = torch.arange(settings.num_frames, dtype=torch.float64)[:, None]
    total = frames * direction * settings.drift_px + jitter
    return Sight(total, jitter, start, off * settings.misregistration)


def point_response(distance_px: Tensor, settings: ScanSettings, *, axis: Literal["x", "y"]) -> Tensor:
    """What a sample gets of a point of energy 1 that is `distance_px` output pixels away along one axis, 0..1.

    Gaussian optics, the detector's width of one pitch and, along the scan, the way during the integration of one
    sample: the Gaussian seen through a box of one pitch and, in x, averaged over one of 1 / k_x pitch. Exact.
    """
    samples = settings.oversampling[0 if axis == "x" else 1]
    away = distance_px / samples  # pitches
    sigma = settings.psf_sigma
    if axis == "y":
        return _gauss_integral(away + 0.5, sigma) - _gauss_integral(away - 0.5, sigma)
    way = 1 / samples
    wide, narrow = (1 + way) / 2, (1 - way) / 2
    rising = _gauss_integral_twice(away + wide, sigma) - _gauss_integral_twice(away + narrow, sigma)
    falling = _gauss_integral_twice(away - narrow, sigma) - _gauss_integral_twice(away - wide, sigma)
    return (rising - falling) / way


def _gauss_integral(away: Tensor, sigma: float) -> Tensor:
    return 0.5 * torch.erf(away / (sigma * math.sqrt(2)))


def _gauss_integral_twice(away: Tensor, sigma: float) -> Tensor:
    bell = torch.exp(-0.5 * (away / sigma).square()) * (sigma / math.sqrt(math.tau))
    return away * _gauss_integral(away, sigma) + bell


def box_size(settings: ScanSettings) -> tuple[float, float]:
    """Width and height of the true box, pixels: the smallest that holds 80 % of the point response, at least 3x3.

    Choice: each side holds the square root of that share.
    """
    share = math.sqrt(HELD_SHARE)
    sides = []
    axes: tuple[Literal["x", "y"], ...] = ("x", "y")
    for axis in axes:
        away = torch.linspace(0, 40, 40001, dtype=torch.float64)
        held = point_response(away, settings, axis=axis).cumsum(0)
        # symmetric: half of it on each side
        inside = float(away[int((held / held[-1] < share).sum())])
        sides.append(max(2 * inside, SMALLEST_BOX_PX))
    return sides[0], sides[1]
