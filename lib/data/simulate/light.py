"""The light of the night: ambient, lamps on what they light, and the halo around every lamp in the picture."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.data.simulate.sensor import to_linear
from lib.data.simulate.settings import Colour, NightSettings

SKY_CELLS = 64
LAMP_RADIUS = 0.006  # of the picture height
LAMP_RADIANCE = 6.0  # over display white
HALO_RADIUS = 0.014  # of the picture height
LAMP_COLOURS: tuple[Colour, ...] = ((1.0, 0.74, 0.42), (1.0, 0.86, 0.64), (1.0, 0.95, 0.88))  # sodium, warm, white LED
LUMA: Colour = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Lamp:
    """A light in the picture: place in pixels, colour, power relative to a lamp of the settings."""

    x: float
    y: float
    colour: Colour
    power: float


@dataclass(frozen=True)
class Stage:
    """A day picture ready for the night.

    reflectance: (3, H, W) linear, the day picture; lamplit: (3, H, W) linear light of the lamps on each pixel;
    ambient: (3, H, W) linear radiance under the ambient light only; halo: (3, H, W) linear, the lamps themselves and
    what the optics spread around them; sky: (H, W) 0..1.
    """

    reflectance: Tensor
    lamplit: Tensor
    ambient: Tensor
    halo: Tensor
    sky: Tensor
    lamps: list[Lamp]


def set_stage(day: Tensor, *, generator: Generator, settings: NightSettings) -> Stage:
    """Light fields of one view (3, H, W); draws the lamps."""
    sky = find_sky(day)
    reflectance = to_linear(day)
    lamps = draw_lamps(sky, generator=generator, settings=settings)
    lamplit, halo = torch.zeros_like(day), torch.zeros_like(day)
    # pixels on the border mix sky and building: lit as a building they would draw a bright line
    solid = 1 - F.max_pool2d(sky[None], 3, 1, 1)[0]
    for lamp in lamps:
        lamplit = lamplit + lamp_light(lamp, day, settings=settings) * solid
        halo = halo + lamp_halo(lamp, day, settings=settings) + lamp_disc(lamp, day)
    return Stage(reflectance, lamplit, ambient_radiance(reflectance, sky, settings), halo, sky, lamps)


def ambient_radiance(reflectance: Tensor, sky: Tensor, settings: NightSettings) -> Tensor:
    """Linear radiance (..., 3, H, W) under the night sky alone: dim, tinted, less colourful than by day.

    The sky (H, W) itself loses all its colour: by night it scatters the light of the town, not that of the sun.
    """
    luma = reflectance.new_tensor(LUMA).view(3, 1, 1)
    grey = (reflectance * luma).sum(dim=-3, keepdim=True)
    tint = reflectance.new_tensor(settings.ambient_colour).view(3, 1, 1) * settings.ambient
    return torch.lerp(grey.expand_as(reflectance), reflectance, settings.saturation * (1 - sky)) * tint


def find_sky(day: Tensor) -> Tensor:
    """How much each pixel of a day picture (3, H, W) is sky, (H, W), 0..1; lamps light no sky.

    Rule of thumb: bright or blue, and in a region of such pixels that reaches the top of the picture. The region is
    found on a coarse grid and grown by a cell, each pixel's own colour then draws the exact border.
    """
    luma = (day * day.new_tensor(LUMA).view(3, 1, 1)).sum(dim=0)
    blue = day[2] - day[0]
    likely = torch.maximum((luma - 0.48) / 0.28, torch.minimum(blue - 0.08, luma - 0.25) / 0.10).clamp(0, 1)
    cells = (min(SKY_CELLS, likely.shape[0]), min(SKY_CELLS, likely.shape[1]))
    coarse = F.adaptive_avg_pool2d(likely[None, None], cells)
    region = torch.zeros_like(coarse)
    region[..., 0, :] = coarse[..., 0, :]
    for _ in range(2 * SKY_CELLS):
        region = torch.minimum(F.max_pool2d(region, 3, 1, 1), coarse)
    grown = F.max_pool2d(region, 3, 1, 1).clamp(0, 0.5) * 2
    grown = F.interpolate(grown, size=likely.shape, mode="bilinear", align_corners=False)[0, 0]
    return likely * grown


def draw_lamps(sky: Tensor, *, generator: Generator, settings: NightSettings) -> list[Lamp]:
    """Lamps at the places of the settings, or spread over the width and over what is not sky (H, W).

    Powers are spread evenly over their logarithm, from a tenth to the full power: a few bright and many dim ones.
    """
    height, width = sky.shape
    count = len(settings.lamp_places) or settings.num_lamps
    dice = torch.rand(count, 4, generator=generator, device=generator.device).tolist()
    lamps = []
    for index, (across, down, kind, power) in enumerate(dice):
        x = (index + across) / count
        y = _down_the_column(sky[:, int(x * width)], down)
        if settings.lamp_places:
            x, y = settings.lamp_places[index]
        colour = LAMP_COLOURS[int(kind * len(LAMP_COLOURS))]
        lamps.append(Lamp(x * width, y * height, colour, 0.1 ** (1 - power)))
    return lamps


def _down_the_column(sky: Tensor, share: float) -> float:
    """Height (fraction from the top) at a share of the ground pixels of a column (H,), in its upper six tenths."""
    height = len(sky)
    ground = (sky[: max(1, height * 3 // 5)] < 0.5).nonzero().flatten()
    row = ground[int(share * len(ground))].item() if len(ground) else height * 3 // 5
    return float(row / height)


def square_distance(like: Tensor, x: float, y: float) -> Tensor:
    """Squared distance (H, W) in pixels from a place to the pixel centres of a picture (..., H, W)."""
    down = torch.arange(like.shape[-2], device=like.device, dtype=like.dtype).sub_(y).square_()
    across = torch.arange(like.shape[-1], device=like.device, dtype=like.dtype).sub_(x).square_()
    return down[:, None] + across[None, :]


def lamp_light(lamp: Lamp, like: Tensor, *, settings: NightSettings) -> Tensor:
    """Light (3, H, W) of a lamp on the scene, (1 + d**2 / h**2) ** -3/2 with h = `lamp_reach`.

    The inverse-square law with the cosine of incidence for a lamp at height h above what it lights; the pool of light
    lies half of h below the lamp in the picture.
    """
    reach = settings.lamp_reach * like.shape[-2]
    fall = (1 + square_distance(like, lamp.x, lamp.y + 0.5 * reach) / reach**2).rsqrt().pow(3)
    return like.new_tensor(lamp.colour).view(3, 1, 1) * (settings.lamp_power * lamp.power * fall)


def lamp_halo(lamp: Lamp, like: Tensor, *, settings: NightSettings) -> Tensor:
    """What the optics add around a lamp, linear (3, H, W): glare * (1 + r**2 / r0**2) ** -3/2, r0 = HALO_RADIUS."""
    radius = HALO_RADIUS * like.shape[-2]
    fall = (1 + square_distance(like, lamp.x, lamp.y) / radius**2).rsqrt().pow(3)
    return like.new_tensor(lamp.colour).view(3, 1, 1) * (fall * (settings.glare * lamp.power))


def lamp_disc(lamp: Lamp, like: Tensor) -> Tensor:
    """The lamp itself, linear (3, H, W): a small disc far above display white."""
    radius = max(LAMP_RADIUS * like.shape[-2], 0.7)
    disc = (radius + 0.5 - square_distance(like, lamp.x, lamp.y).sqrt()).clamp(0, 1)
    return like.new_tensor(lamp.colour).view(3, 1, 1) * (disc * (LAMP_RADIANCE * lamp.power))
