"""Nights with known truth: of a day picture with invented traffic, and of a real day clip."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lib.checks import check_image
from lib.data.origin import Origin
from lib.data.simulate.light import Stage, ambient_radiance, lamp_halo, set_stage
from lib.data.simulate.movers import Sprite, draw_movers, sprite_at
from lib.data.simulate.sensor import expose, to_display, to_linear
from lib.data.simulate.settings import NightSettings
from lib.errors import SpecError

MEDIAN_FRAMES = 101  # a background needs no more
MOVER_LOW, MOVER_HIGH = 16 / 255, 48 / 255  # difference to the background: surely still, surely a mover
CLOSING = 0.01  # of the picture height, radius that fills holes inside movers
BEAM_REACH = 0.6  # of the picture height: half the light at this distance before a car


@dataclass(frozen=True)
class NightScene:
    """A night video with everything that is known about it.

    video: (T, 3, H, W) as the camera stores it, with noise. clean: (T, 3, H, W) the same without noise or quantisation.
    reference: (3, H, W) the empty night, noisy as a frame. day: (3, H, W). movers: bool (T, H, W), true where an
    object is. matte: (T, H, W) 0..1, its soft coverage, above 0 exactly where `movers` is true.
    truth: (T, 3, H, W) what an ideal fusion shows: day + matte * (clean - day).
    """

    video: Tensor
    clean: Tensor
    reference: Tensor
    day: Tensor
    movers: Tensor
    matte: Tensor
    truth: Tensor
    settings: NightSettings
    origin: Origin


def night(day: Tensor, *, num_frames: int, generator: Generator, settings: NightSettings | None = None) -> NightScene:
    """Night of a day picture (3, H, W), 0..1, with lamps, cars and people; same generator state, same night.

    Every pixel's light is its day value (taken as reflectance) times ambient and lamp light; objects with soft mattes
    stand before it, lit by the same light and by their own lamps; headlights light the road ahead of a car, the optics
    add a halo around every lamp. The camera adds shot and read noise, the sRGB curve and 8 bits.
    Choice: halo and lit road belong to the night but not to the movers, so the truth shows the day there.
    Raises ShapeError for a wrong picture, SpecError for num_frames < 1.
    """
    check_image("day", day)
    if num_frames < 1:
        raise SpecError(f"num_frames must be at least 1: got {num_frames}")
    settings = settings or NightSettings()
    stage = set_stage(day, generator=generator, settings=settings)
    crowd = draw_movers(day.shape[-2], day.shape[-1], generator=generator, settings=settings)
    still = stage.ambient + stage.reflectance * stage.lamplit
    light, matte = [], []
    for frame_idx in range(num_frames):
        sprites = [sprite_at(mover, frame_idx, like=day) for mover in crowd]
        frame, cover = _compose(still, stage, sprites, settings)
        light.append(frame)
        matte.append(cover)
    empty = (still + stage.halo) * settings.exposure
    return _develop(torch.stack(light), empty, day, torch.stack(matte), generator=generator, settings=settings)


def night_of_clip(video: Tensor, *, generator: Generator, settings: NightSettings | None = None) -> NightScene:
    """Night of a real day clip (T, 3, H, W) of a fixed camera, by the same light and camera; no invented traffic.

    day: the per-pixel temporal median of at most 101 frames. matte: largest channel difference of a frame to it,
    rising from 16 to 48 grey levels after a 3x3 mean; specks removed (opening 3x3) and holes filled (closing by a disc
    of 2 % of the height). An estimate, not a hand-made mask: shadows of the movers may count, parts of a mover in the
    background's colour may not.
    Raises ShapeError for a wrong clip.
    """
    check_image("video", video, ndim=4)
    settings = settings or NightSettings()
    picks = torch.linspace(0, len(video) - 1, min(len(video), MEDIAN_FRAMES)).round().long()
    # the median is several times faster along the last axis
    day = video[picks].movedim(0, -1).contiguous().median(dim=-1).values
    stage = set_stage(day, generator=generator, settings=settings)
    light = torch.empty_like(video)
    for frame, out in zip(video, light, strict=True):
        reflectance = to_linear(frame)
        radiance = ambient_radiance(reflectance, stage.sky, settings) + reflectance * stage.lamplit + stage.halo
        out.copy_(radiance * settings.exposure)
    empty = (stage.ambient + stage.reflectance * stage.lamplit + stage.halo) * settings.exposure
    return _develop(light, empty, day, moving_matte(video, day), generator=generator, settings=settings)


def moving_matte(video: Tensor, background: Tensor) -> Tensor:
    """Soft coverage (T, H, W), 0..1, of what differs from the background (3, H, W) of a fixed camera; see above."""
    import cv2

    side = 2 * max(1, round(CLOSING * video.shape[-2])) + 1
    small, large = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (k, k)) for k in (3, side))
    matte = []
    for frame in video:
        difference = cv2.blur((frame - background).abs().amax(dim=0).cpu().numpy(), (3, 3))
        rising = ((difference - MOVER_LOW) / (MOVER_HIGH - MOVER_LOW)).clip(0, 1)
        closed = cv2.morphologyEx(cv2.morphologyEx(rising, cv2.MORPH_OPEN, small), cv2.MORPH_CLOSE, large)
        matte.append(torch.from_numpy(closed))
    return torch.stack(matte).to(video)


def _compose(still: Tensor, stage: Stage, sprites: list[Sprite], settings: NightSettings) -> tuple[Tensor, Tensor]:
    """Linear light (3, H, W) of one frame and the objects' coverage (H, W)."""
    frame = still
    beam = torch.zeros_like(stage.sky)
    for sprite in sprites:
        if sprite.beam:
            beam = beam + _beam_light(sprite.beam, stage.sky)
    frame = frame + stage.reflectance * (beam * (1 - stage.sky) * settings.headlight_power)
    cover = torch.zeros_like(stage.sky)
    halo = stage.halo
    ambient = still.new_tensor(settings.ambient_colour).view(3, 1, 1) * settings.ambient
    for sprite in sprites:
        halo = halo + sum(lamp_halo(lamp, still, settings=settings) for lamp in sprite.lamps)
        window, inside = _overlap(sprite, *stage.sky.shape)
        lit = sprite.paint[:, *inside] * (ambient + stage.lamplit[:, *window]) + sprite.glow[:, *inside]
        matte = sprite.matte[inside]
        frame[:, *window] = torch.lerp(frame[:, *window], lit, matte.expand_as(lit))
        cover[window] = torch.maximum(cover[window], matte)
    return (frame + halo) * settings.exposure, cover


def _overlap(sprite: Sprite, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Rows and columns of the picture that a sprite covers, and the same in the sprite; empty when it is outside."""
    patch_h, patch_w = sprite.matte.shape
    top, bottom = min(max(sprite.top, 0), height), min(max(sprite.top + patch_h, 0), height)
    left, right = min(max(sprite.left, 0), width), min(max(sprite.left + patch_w, 0), width)
    picture = (slice(top, bottom), slice(left, right))
    patch = (slice(top - sprite.top, bottom - sprite.top), slice(left - sprite.left, right - sprite.left))
    return picture, patch


def _beam_light(beam: tuple[float, float, int], like: Tensor) -> Tensor:
    """Light (H, W) of headlights on the ground: ahead only, widening, falling with the squared distance."""
    x, ground, direction = beam
    height, width = like.shape
    ahead = (torch.arange(width, device=like.device, dtype=like.dtype) - x) * direction
    down = torch.arange(height, device=like.device, dtype=like.dtype)[:, None] - ground
    reach = BEAM_REACH * height
    spread = 0.02 * height + 0.14 * ahead.clamp_min(0)
    near = (ahead / (0.08 * reach)).clamp(0, 1)
    return near / (1 + (ahead / reach).square()) / (1 + 0.5 * (down / spread).square()).square()


def _develop(
    light: Tensor, empty: Tensor, day: Tensor, matte: Tensor, *, generator: Generator, settings: NightSettings
) -> NightScene:
    """Takes the pictures: linear light (T, 3, H, W) and the empty night (3, H, W) to a scene."""
    clean = to_display(light)
    frames = [expose(frame, generator=generator, settings=settings) for frame in light]
    reference = expose(empty, generator=generator, settings=settings)
    truth = torch.lerp(day.expand_as(clean), clean, matte[:, None])
    origin = Origin("night", "simulated", "MIT", "", "lib.data.simulate, from a given day picture or clip")
    return NightScene(torch.stack(frames), clean, reference, day, matte > 0, matte, truth, settings, origin)
