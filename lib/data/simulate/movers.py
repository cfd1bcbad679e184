"""Moving lit objects: cars with head and tail lights, and people, as small soft-edged pictures with places in time."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lib.data.simulate.light import Lamp
from lib.data.simulate.settings import Colour, NightSettings

EDGE_PX = 1.5  # width of the soft edge; the matte is exactly 0 beyond it
MARGIN = 0.25  # of the width: objects leave the picture this far before they come in again
CAR_HEIGHT = 0.38  # of its length
PERSON_WIDTH = 0.5  # of the height, legs swinging
HEAD_COLOUR: Colour = (1.0, 0.95, 0.85)
TAIL_COLOUR: Colour = (1.0, 0.06, 0.03)
HEAD_RADIANCE, TAIL_RADIANCE = 8.0, 1.6
HEAD_HALO, TAIL_HALO = 0.8, 0.15  # power as a lamp


@dataclass(frozen=True)
class Sprite:
    """One object in one frame.

    left, top: place of the patch in the picture, pixels, may lie outside. matte: (h, w) 0..1; paint: (3, h, w) linear
    reflectance; glow: (3, h, w) linear radiance of its own lamps. lamps: those lamps, for the halo.
    beam: (x, y, direction) of the headlights and the ground below them, or None.
    """

    left: int
    top: int
    matte: Tensor
    paint: Tensor
    glow: Tensor
    lamps: list[Lamp]
    beam: tuple[float, float, int] | None


@dataclass(frozen=True)
class Mover:
    """A car or a person on its way: ground line and start in pixels, pixels per frame, size in pixels, colours."""

    is_car: bool
    ground: float
    start: float
    speed: float
    size: float
    paint: Colour
    second: Colour
    phase: float


def draw_movers(height: int, width: int, *, generator: Generator, settings: NightSettings) -> list[Mover]:
    """Cars on the lanes, direction by lane, and people on the near side; far ones first."""
    dice = torch.rand(settings.num_cars + settings.num_people, 8, generator=generator, device=generator.device).tolist()
    movers = []
    for index, roll in enumerate(dice):
        is_car = index < settings.num_cars
        lane = settings.lanes[index % len(settings.lanes)]
        ground = lane if is_car else 0.68 + 0.27 * roll[0]
        # things further up the picture are further away
        scale = 0.5 + 0.6 * ground
        size = scale * (settings.car_length * width if is_car else settings.person_height * height)
        pace = (settings.car_speed if is_car else settings.person_speed) * width * scale * (0.8 + 0.4 * roll[1])
        forward = index % 2 == 0 if is_car else roll[2] < 0.5
        # lacquer and cloth: from black to light grey with a slight tint
        grey = 0.05 + 0.5 * roll[3]
        paint = (grey * (0.8 + 0.5 * roll[4]), grey, grey * (0.8 + 0.5 * roll[5]))
        second = (0.02, 0.02, 0.02) if is_car else (0.02 + 0.05 * roll[6], 0.02 + 0.05 * roll[6], 0.03 + 0.08 * roll[6])
        start = (0.1 + 0.8 * roll[7]) * width
        movers.append(
            Mover(is_car, ground * height, start, pace if forward else -pace, size, paint, second, 6 * roll[6])
        )
    return sorted(movers, key=lambda mover: mover.ground)


def sprite_at(mover: Mover, frame_idx: int, *, like: Tensor) -> Sprite:
    """The object in frame `frame_idx` of a picture of the size, device and type of `like` (..., H, W)."""
    width = like.shape[-1]
    span = (1 + 2 * MARGIN) * width
    x = (mover.start + mover.speed * frame_idx + MARGIN * width) % span - MARGIN * width
    wide, high = (1.0, CAR_HEIGHT) if mover.is_car else (PERSON_WIDTH, 1.0)
    patch_w, patch_h = math.ceil(wide * mover.size) + 4, math.ceil(high * mover.size) + 4
    left, top = math.floor(x - patch_w / 2), math.floor(mover.ground - patch_h + 2)
    direction = 1 if mover.speed >= 0 else -1
    # own coordinates in units of the size: u forward from the middle, v up from the ground
    columns = torch.arange(patch_w, device=like.device, dtype=like.dtype) + (left - x)
    rows = torch.arange(patch_h, device=like.device, dtype=like.dtype) + (top - mover.ground)
    u = (columns * (direction / mover.size)).expand(patch_h, patch_w)
    v = (rows * (-1 / mover.size))[:, None].expand(patch_h, patch_w)
    place = _Place(x, mover.ground, mover.size, direction)
    draw = _draw_car if mover.is_car else _draw_person
    return draw(mover, u, v, left, top, place, frame_idx)


@dataclass(frozen=True)
class _Place:
    x: float
    ground: float
    size: float
    direction: int

    def pixel(self, u: float, v: float) -> tuple[float, float]:
        return self.x + self.direction * u * self.size, self.ground - v * self.size


def _draw_car(mover: Mover, u: Tensor, v: Tensor, left: int, top: int, place: _Place, frame_idx: int) -> Sprite:
    """Side view: body, cabin with windows, two wheels, a headlight and a tail light; its upper sides face the sky."""
    size = mover.size
    body = _box(u, v - 0.15, 0.5, 0.08, 0.07)
    slope = 0.27 - 0.85 * (v - 0.2).clamp(0, 0.16)
    cabin = _box_of(u.add(0.05).abs() - slope, (v - 0.27).abs() - 0.07) - 0.025
    wheels = torch.minimum(_disc(u - 0.3, v - 0.075, 0.075), _disc(u + 0.31, v - 0.075, 0.075))
    pillar = (u + 0.05).abs() - 0.012
    window = _soft(torch.maximum(torch.maximum(cabin + 0.03, 0.235 - v), -pillar), size)
    head, tail = _soft(_disc(u - 0.475, v - 0.16, 0.022), size), _soft(_disc(u + 0.485, v - 0.18, 0.02), size)
    # brighter shoulders and roof, dark sills
    shade = 0.35 + 1.1 * ((v - 0.08) / 0.16).clamp(0, 1) * torch.where(v > 0.24, 0.9, 1.0)
    paint = _mix(_fill(mover.paint, u) * shade, (0.06, 0.07, 0.08), window)
    paint = _mix(paint, mover.second, _soft(wheels, size))
    paint = _mix(paint, (0.15, 0.15, 0.15), _soft(wheels + 0.04, size))
    glow = _fill(HEAD_COLOUR, u) * (HEAD_RADIANCE * head) + _fill(TAIL_COLOUR, u) * (TAIL_RADIANCE * tail)
    shape = torch.minimum(torch.minimum(body, cabin), wheels)
    matte = torch.maximum(_soft(shape, size), torch.maximum(head, tail))
    lamps = [
        Lamp(*place.pixel(0.475, 0.16), HEAD_COLOUR, HEAD_HALO),
        Lamp(*place.pixel(-0.485, 0.18), TAIL_COLOUR, TAIL_HALO),
    ]
    return Sprite(left, top, matte, paint, glow, lamps, (lamps[0].x, place.ground, place.direction))


def _draw_person(mover: Mover, u: Tensor, v: Tensor, left: int, top: int, place: _Place, frame_idx: int) -> Sprite:
    """Side view: head, trunk and two swinging legs."""
    # a walker takes about two steps per second; 25 frames
    swing = 0.13 * math.sin(mover.phase + frame_idx * 2 * math.pi / 25)
    trunk = _box(u, v - 0.64, 0.10, 0.20, 0.06)
    head = _disc(u - 0.01, v - 0.91, 0.075)
    legs = torch.minimum(_limb(u, v, swing), _limb(u, v, -swing))
    shape = torch.minimum(torch.minimum(trunk, head), legs)
    paint = _mix(_fill(mover.paint, u), mover.second, _soft(legs, mover.size))
    paint = _mix(paint, (0.35, 0.22, 0.15), _soft(head, mover.size))
    return Sprite(left, top, _soft(shape, mover.size), paint, torch.zeros_like(paint), [], None)


def _soft(distance: Tensor, size: float) -> Tensor:
    """Matte of a signed distance (negative inside, units of the object's size) with an edge of EDGE_PX pixels."""
    return (0.5 - distance * (size / EDGE_PX)).clamp(0, 1)


def _disc(u: Tensor, v: Tensor, radius: float) -> Tensor:
    return torch.hypot(u, v) - radius


def _box(u: Tensor, v: Tensor, half_width: float, half_height: float, round_off: float) -> Tensor:
    """Signed distance of a rectangle with rounded corners around the origin."""
    return _box_of(u.abs() - (half_width - round_off), v.abs() - (half_height - round_off)) - round_off


def _box_of(du: Tensor, dv: Tensor) -> Tensor:
    """Signed distance of a box from how far a point lies beyond its sides and beyond its top or bottom."""
    return torch.hypot(du.clamp_min(0), dv.clamp_min(0)) + torch.maximum(du, dv).clamp_max(0)


def _limb(u: Tensor, v: Tensor, reach: float) -> Tensor:
    """Signed distance of a leg from the hip (0, 0.48) to the foot (reach, 0.03)."""
    along = ((u * reach + (v - 0.48) * -0.45) / (reach**2 + 0.45**2)).clamp(0, 1)
    return torch.hypot(u - along * reach, v - 0.48 + along * 0.45) - 0.045


def _fill(colour: Colour, like: Tensor) -> Tensor:
    return like.new_tensor(colour).view(3, 1, 1).expand(3, *like.shape)


def _mix(paint: Tensor, colour: Colour, matte: Tensor) -> Tensor:
    return torch.lerp(paint, _fill(colour, matte), matte.expand_as(paint))
