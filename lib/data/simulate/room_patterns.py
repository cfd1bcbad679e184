"""Patterns of a simulated room's surfaces: wood, cloth, tiles, books, pictures; each a function of the place on it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from lib.data.simulate.room_solids import PATTERNS


@dataclass(frozen=True)
class Skin:
    """Places on surfaces, one entry per ray. u, v: (R,), metres along the face, v upwards where the face stands.

    across, up: the same from -1 to 1 over the face. reach_u, reach_v: half extents of the face, metres. scale, seed:
    of the pattern. colour, second: (R, 3), linear.
    """

    u: Tensor
    v: Tensor
    across: Tensor
    up: Tensor
    reach_u: Tensor
    reach_v: Tensor
    scale: Tensor
    seed: Tensor
    colour: Tensor
    second: Tensor

    def part(self, rows: Tensor) -> "Skin":
        """The entries of some rows."""
        return Skin(*(getattr(self, field.name).index_select(0, rows) for field in fields(self)))


def paint(skin: Skin, pattern: Tensor) -> Tensor:
    """Colours (R, 3) of the patterns (R,) at the places of a skin, with some wear over all of them."""
    colours = torch.lerp(skin.colour, skin.second, noise(skin.u * skin.scale, skin.v * skin.scale, skin.seed)[:, None])
    for idx, name in enumerate(PATTERNS):
        if name in PAINTERS:
            rows = (pattern == idx).nonzero()[:, 0]
            if len(rows):
                colours[rows] = PAINTERS[name](skin.part(rows))
    wear = noise(skin.u * 2.3, skin.v * 2.3, skin.seed + 7) + 0.6 * noise(skin.u * 31, skin.v * 31, skin.seed + 8)
    return colours * (0.92 + 0.1 * wear)[:, None]


def hashed(x: Tensor, y: Tensor, seed: Tensor) -> Tensor:
    """Numbers 0..1 that look random, the same for the same whole x, y and seed on every machine."""
    # 32-bit integers wrap round, on every device
    mixed = x.int() * 374761393 + y.int() * 668265263 + seed.int() * 1442695041
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed ^ (mixed >> 16)) & 0xFFFF).to(torch.float32) / 65535


def noise(x: Tensor, y: Tensor, seed: Tensor) -> Tensor:
    """Smooth noise 0..1 with features of length 1: values on the lattice, blended with smoothstep."""
    x0, y0 = x.floor(), y.floor()
    blend_x, blend_y = (_smooth(part) for part in (x - x0, y - y0))
    column, row = x0.int(), y0.int()
    above = torch.lerp(hashed(column, row, seed), hashed(column + 1, row, seed), blend_x)
    below = torch.lerp(hashed(column, row + 1, seed), hashed(column + 1, row + 1, seed), blend_x)
    return torch.lerp(above, below, blend_y)


def _smooth(part: Tensor) -> Tensor:
    return part * part * (3 - 2 * part)


def _mixed(skin: Skin, share: Tensor) -> Tensor:
    return torch.lerp(skin.colour, skin.second, share.clamp(0, 1)[:, None])


def _near_line(position: Tensor, width: Tensor | float) -> Tensor:
    """1 on whole numbers, 0 farther than `width` (in the same units) from them."""
    return (1 - (position - position.round()).abs() / width).clamp(0, 1)


def _wood(skin: Skin) -> Tensor:
    """Grain along the longer side of the face."""
    upright = skin.reach_v > skin.reach_u
    along, across = torch.where(upright, skin.v, skin.u), torch.where(upright, skin.u, skin.v)
    bend = noise(along * 1.5, across * 4, skin.seed)
    rings = 0.5 + 0.5 * torch.sin((across * skin.scale * 5 + bend * 2.5) * 2 * math.pi)
    fine = noise(along * 4, across * 90, skin.seed + 1)
    return _mixed(skin, 0.45 * rings * bend + 0.5 * fine)


def _planks(skin: Skin) -> Tensor:
    row = (skin.v * skin.scale).floor()
    offset = hashed(row.int(), row.int(), skin.seed)
    board = (skin.u * 0.8 + offset * 7).floor()
    tone = hashed(row.int(), board.int(), skin.seed + 1)
    grain = noise(skin.u * 3, skin.v * skin.scale * 9, skin.seed + 2)
    seam = torch.maximum(_near_line(skin.v * skin.scale, 0.09), _near_line(skin.u * 0.8 + offset * 7, 0.006))
    return _mixed(skin, 0.55 * tone + 0.35 * grain) * (1 - 0.5 * seam)[:, None]


def _tiles(skin: Skin) -> Tensor:
    x, y = skin.u * skin.scale, skin.v * skin.scale
    tone = hashed(x.floor().int(), y.floor().int(), skin.seed)
    joint = torch.maximum(_near_line(x, 0.03), _near_line(y, 0.03))
    marbled = noise(x * 3, y * 3, skin.seed + 1)
    base = skin.colour * (0.86 + 0.12 * tone + 0.1 * marbled)[:, None]
    return torch.lerp(base, skin.second, joint[:, None])


def _stripes(skin: Skin) -> Tensor:
    wave = torch.sin(skin.u * skin.scale * 2 * math.pi) + 0.7 * torch.sin(skin.u * skin.scale * 4.7)
    return _mixed(skin, (0.5 + 2.5 * wave).clamp(0, 1))


def _plaid(skin: Skin) -> Tensor:
    bands = [(0.5 + 2.5 * torch.sin(axis * skin.scale * 2 * math.pi)).clamp(0, 1) for axis in (skin.u, skin.v)]
    return _mixed(skin, 0.5 * (bands[0] + bands[1]))


def _fabric(skin: Skin) -> Tensor:
    coarse = noise(skin.u * 9, skin.v * 9, skin.seed)
    fine = noise(skin.u * skin.scale, skin.v * skin.scale, skin.seed + 1)
    return _mixed(skin, 0.5 * coarse + 0.9 * (fine - 0.2))


def _flowers(skin: Skin) -> Tensor:
    spots = noise(skin.u * skin.scale, skin.v * skin.scale, skin.seed)
    return _mixed(skin, 5 * (spots - 0.55))


def _spines(skin: Skin) -> Tensor:
    """Backs of books: each of its own colour, brightness and title."""
    book = (skin.u * skin.scale).floor().int()
    zero = torch.zeros_like(book)
    tint = torch.stack([hashed(book, zero + channel, skin.seed) for channel in range(3)], dim=1)
    level = hashed(book, zero + 5, skin.seed)[:, None]
    shade = 0.03 + 0.6 * level.square()
    hue = torch.lerp(tint.square(), skin.colour / skin.colour.amax(1, keepdim=True), 0.3)
    colour = shade * (0.15 + 0.85 * hue)
    gap = _near_line(skin.u * skin.scale, 0.12)
    title = ((skin.up - 0.3).abs() < 0.18) & (hashed(book, zero + 6, skin.seed) > 0.5)
    return torch.where(title[:, None], 0.5 * (1 - colour), colour) * (1 - 0.7 * gap)[:, None]


def _painting(skin: Skin) -> Tensor:
    """A picture: a few soft fields of colour above a darker ground."""
    x, y = skin.u * skin.scale, skin.v * skin.scale
    fields_ = torch.stack([noise(x, y, skin.seed + channel) for channel in range(3)], dim=1)
    sharp = _smooth(((fields_ - 0.3) / 0.4).clamp(0, 1))
    ground = torch.where(skin.up < 0.4 * (fields_[:, 0] - 0.5), 0.45, 1.0)
    mat = (torch.maximum(skin.across.abs(), skin.up.abs()) > 0.82) & (hashed(skin.seed, skin.seed, skin.seed) > 0.5)
    colour = torch.lerp(skin.colour.expand_as(sharp), sharp * 0.6, 0.6) * ground[:, None]
    return torch.where(mat[:, None], 0.7, colour)


def _outside(skin: Skin) -> Tensor:
    """What a window shows: sky above, trees and houses below."""
    line = -0.2 + 0.6 * (noise(skin.u * 1.7, torch.zeros_like(skin.u), skin.seed) - 0.5)
    leaves = noise(skin.u * 14, skin.v * 14, skin.seed + 1)
    house = hashed((skin.u * 1.3).floor().int(), skin.seed, skin.seed + 2)[:, None]
    ground = skin.second * (0.5 + 1.4 * leaves)[:, None] + 0.25 * house.square()
    sky = skin.colour * (0.9 + 0.25 * skin.up)[:, None]
    return torch.lerp(ground, sky, _smooth(((skin.up - line) * 6 + leaves).clamp(0, 1))[:, None])


def _screen(skin: Skin) -> Tensor:
    """A screen, dark or with a picture (the glow decides), and a reflection across it."""
    shine = 0.05 * _smooth((1 - (skin.across + skin.up - 0.4).abs() / 0.5).clamp(0, 1))
    shown = torch.stack([noise(skin.u * 7, skin.v * 7, skin.seed + channel) for channel in range(3)], dim=1)
    return skin.colour + shine[:, None] + 0.02 * shown


def _paper(skin: Skin) -> Tensor:
    """White with lines of writing."""
    line = (skin.v * skin.scale * 2).floor()
    words = noise(skin.u * skin.scale * 3, line * 17, skin.seed)
    on_line = _near_line(skin.v * skin.scale * 2 + 0.5, 0.3)
    inside = (skin.across.abs() < 0.8) & (skin.up.abs() < 0.85)
    held = noise(skin.u * 3, skin.v * 3, skin.seed + 1) > 0.45
    return _mixed(skin, 1.6 * on_line * (words - 0.35) * (inside & held))


def _slats(skin: Skin) -> Tensor:
    phase = skin.v * skin.scale
    return skin.colour * (1 - 0.55 * (phase - phase.floor()))[:, None]


def _folds(skin: Skin) -> Tensor:
    """Cloth that hangs: light and dark with its folds."""
    bend = noise(skin.u * 3, skin.v * 0.8, skin.seed)
    wave = torch.sin((skin.u * skin.scale + bend) * 2 * math.pi)
    return _mixed(skin, 0.4 + 0.3 * wave) * (0.75 + 0.25 * wave)[:, None]


def _fronts(skin: Skin) -> Tensor:
    """Doors or drawers: `scale` panels with joints, a step along their rims, and handles."""
    columns = (skin.scale * skin.reach_u / skin.reach_v).sqrt().round()
    columns = torch.minimum(columns.clamp_min(1), skin.scale)
    rows = (skin.scale / columns).round()
    x, y = (skin.across + 1) / 2 * columns, (skin.up + 1) / 2 * rows
    wide, tall = 2 * skin.reach_u / columns, 2 * skin.reach_v / rows
    joint = torch.maximum(_near_line(x, 0.008 / wide), _near_line(y, 0.008 / tall))
    off_x, off_y = x - x.floor() - 0.5, y - y.floor() - 0.5
    rim = torch.minimum((0.5 - off_x.abs()) * wide, (0.5 - off_y.abs()) * tall)
    step = ((rim > 0.05) & (rim < 0.065)).float()
    flat = wide > tall
    handle_x = torch.where(flat, off_x, off_x - 0.4) * wide
    handle_y = torch.where(flat, off_y - 0.3, off_y) * tall
    long, short = torch.where(flat, handle_x, handle_y).abs(), torch.where(flat, handle_y, handle_x).abs()
    handle = ((long < 0.055) & (short < 0.012) & (skin.scale > 1)).float()
    dark = 1 - torch.maximum(0.7 * joint, torch.maximum(0.22 * step, 0.75 * handle))
    return _wood(skin) * dark[:, None]


PAINTERS: dict[str, Callable[[Skin], Tensor]] = {
    "wood": _wood, "planks": _planks, "tiles": _tiles, "stripes": _stripes, "plaid": _plaid, "fabric": _fabric,
    "flowers": _flowers, "spines": _spines, "painting": _painting, "outside": _outside, "screen": _screen,
    "paper": _paper, "slats": _slats, "folds": _folds, "fronts": _fronts,
}  # fmt: skip
