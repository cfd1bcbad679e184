"""What is watched: a simulated room by night with a walker and a small thing in it, or somebody's own fixed camera."""

import math
from dataclasses import dataclass, fields, replace
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.data.images import read_image, resized
from lib.data.origin import Origin
from lib.data.simulate import IndoorSettings, LowLightSettings, indoor_scene, lowlight
from lib.data.simulate.cutouts import Cutout, astronaut
from lib.data.simulate.sensor import to_display, to_linear
from lib.data.video import open_video
from lib.errors import DataMissing, SpecError
from lib.metrics.planes import luma

ASPECT = 4 / 3
MIN_HEIGHT_PX, MIN_FRAMES = 64, 9  # discovery looks at every fourth frame, and needs three
VISIBLE = 0.5  # coverage from which a pixel is the walker's
STEP_FRAMES = 12  # of the walker's bobbing
WALK = (0.18, 0.82)  # from here to there over the clip, of the width
NUM_PATHS = 32  # drawn for the small thing; it takes the one before the darkest ground, where it can be seen
PATH_MIDDLE, PATH_SWING = (0.5, 0.24), (0.14, 0.1)  # of width and height
PATH_FRAMES = (130.0, 80.0)  # of a swing across and of one down: at most 1.3 px a frame in a picture 192 px wide
SIDES_PER_SIGMA = 3.3  # of a box that holds four fifths of a Gaussian spot


@dataclass(frozen=True)
class WatchSettings:
    """Light and movers of the simulated room. Lengths are shares of the frame's height unless a unit is named."""

    light: float = 0.1  # that is left under the lamp, over that of the day
    shade: float = 0.12  # light far from the lamp over that under it
    lamp_reach: float = 0.55  # height of the lamp above what it lights
    walker_height: float = 0.62
    small_sigma_px: float = 1.1  # the small thing is a Gaussian spot
    small_light: float = 0.5  # that it sends by day over display white

    def __post_init__(self) -> None:
        for name in ("light", "shade", "walker_height"):
            if not 0 < getattr(self, name) <= 1:
                raise SpecError(f"{name} must be above 0 and at most 1: got {getattr(self, name)!r}")
        for name in ("lamp_reach", "small_sigma_px", "small_light"):
            if not 0 < getattr(self, name) < math.inf:
                raise SpecError(f"{name} must be above 0 and finite: got {getattr(self, name)!r}")


@dataclass(frozen=True)
class Truth:
    """What nobody knows of a real night.

    bright: (T, 3, H, W), the same scene by day light, without noise. walker: bool (T, H, W), its visible pixels.
    boxes: (T, 4), of the small thing, pixels x, y, w, h. labels: (H, W) int64, NYUv2's 40 classes of the empty room.
    """

    bright: Tensor
    walker: Tensor
    boxes: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Watch:
    """A dark video (T, 3, H, W) of a fixed camera, a day picture (3, H, W) of its view, and the truth where known."""

    name: str
    night: Tensor
    day: Tensor
    truth: Truth | None
    origin: Origin

    def to(self, device: torch.device | str) -> "Watch":
        """The same with its pictures on a device."""
        truth = self.truth
        if truth is not None:
            truth = replace(truth, **{one.name: getattr(truth, one.name).to(device) for one in fields(truth)})
        return replace(self, night=self.night.to(device), day=self.day.to(device), truth=truth)


def watched_room(*, seed: int, num_frames: int, height_px: int, settings: WatchSettings | None = None) -> Watch:
    """A simulated room by night, 4:3: a person walks through it and a small bright thing flies before its walls.

    The room, its labels and its light by day are those of `indoor_scene`; the walker is a real picture (scikit-image's
    astronaut). By night one lamp is left, whose light falls off as (1 + d^2 / h^2)^(-3/2); what the camera then stores
    has the shot, read and row noise of `lowlight` at ISO 25600. The day picture is another exposure of the empty room.
    Same seed, same watch. Choice: the small thing takes, of 32 drawn paths, the one before the darkest ground, because
    before a window it can't be seen at noon.
    Raises SpecError for fewer than 9 frames or a height below 64.
    """
    if num_frames < MIN_FRAMES or height_px < MIN_HEIGHT_PX:
        raise SpecError(
            f"a watch needs at least {MIN_FRAMES} frames of height {MIN_HEIGHT_PX}: got {num_frames} of {height_px}"
        )
    settings = settings or WatchSettings()
    size = (height_px, round(ASPECT * height_px))
    generator = Generator().manual_seed(seed)
    beginning = generator.get_state()
    empty = indoor_scene(generator=generator, settings=IndoorSettings(*size, noise=0.0))
    generator.set_state(beginning)  # the same room again, through a camera with noise
    day = indoor_scene(generator=generator, settings=IndoorSettings(*size)).image[0]
    room = to_linear(empty.image[0])
    mattes, walk = _walk(size, num_frames, generator, settings)
    light = torch.lerp(room.expand_as(walk), to_linear(walk), mattes[:, None].expand_as(walk))
    centres = _darkest_path(room, num_frames, generator)
    light = light + settings.small_light * _spots(centres, size, settings.small_sigma_px)[:, None]
    bright = to_display(light)
    dark_light = to_display(to_linear(bright) * _lamp(size, generator, settings))
    camera = replace(LowLightSettings.strong(), exposure=settings.light)
    night = lowlight(dark_light, generator=generator, settings=camera).video
    side = torch.full_like(centres, SIDES_PER_SIGMA * settings.small_sigma_px)
    boxes = torch.cat([centres - side / 2, side], dim=1)
    truth = Truth(bright, mattes > VISIBLE, boxes, empty.labels[0])
    licence = "MIT; walker: public domain, NASA"
    origin = Origin("watched room", "simulated", licence, "", "lib.night_watch.scene: rooms of lib.data.simulate")
    return Watch(f"{empty.kinds[0]} {seed}", night, day, truth, origin)


def own_watch(video: str, day: str, *, num_frames: int, height_px: int) -> Watch:
    """The first frames of somebody's own dark video or folder of frames, with a day picture; nothing is known of it.

    day: picture of the same view, brought to the frames' size. Frames are at most `height_px` high.
    Raises DataMissing without a day picture, or when a file is absent or holds fewer than 9 frames.
    """
    if not day:
        raise DataMissing("a video of your own needs its day picture: name it with `day`")
    with open_video(video) as film:
        frames = [resized(frame, height_px) for frame in islice(film, num_frames)]
    if len(frames) < MIN_FRAMES:
        raise DataMissing(f"a watch needs at least {MIN_FRAMES} frames: the video holds {len(frames)}")
    night = torch.stack(frames)
    picture = F.interpolate(read_image(day)[None], size=night.shape[-2:], mode="bilinear", antialias=True)[0]
    origin = Origin("own video", "sample", "that of the video", "", "given by the user")
    return Watch("own video", night, picture.clamp(0, 1), None, origin)


def _walk(
    size: tuple[int, int], num_frames: int, generator: Generator, settings: WatchSettings
) -> tuple[Tensor, Tensor]:
    """Mattes (T, H, W) and colours (T, 3, H, W) of the walker, who crosses the picture to one side or the other."""
    import cv2

    height, width = size
    cutout = _shrunk(astronaut(), round(settings.walker_height * height))
    high, wide = cutout.matte.shape
    forward = bool(torch.rand((), generator=generator) < 0.5)
    mattes, colours = [], []
    for idx in range(num_frames):
        share = idx / (num_frames - 1)
        across = WALK[0] + (WALK[1] - WALK[0]) * (share if forward else 1 - share)
        bob = 0.01 * height * (1 + math.sin(2 * math.pi * idx / STEP_FRAMES))
        place = np.array([[1, 0, across * width - wide / 2], [0, 1, height - high + bob]], dtype=np.float32)
        mattes.append(cv2.warpAffine(cutout.matte, place, (width, height)))
        colours.append(cv2.warpAffine(cutout.colour, place, (width, height), borderMode=cv2.BORDER_REPLICATE))
    return torch.from_numpy(np.stack(mattes)), torch.from_numpy(np.stack(colours)).permute(0, 3, 1, 2).contiguous()


def _shrunk(cutout: Cutout, height_px: int) -> Cutout:
    import cv2

    size = (round(height_px * cutout.matte.shape[1] / cutout.matte.shape[0]), height_px)
    matte, colour = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (cutout.matte, cutout.colour))
    return replace(cutout, matte=matte, colour=colour)


def _darkest_path(room: Tensor, num_frames: int, generator: Generator) -> Tensor:
    """Centres (T, 2) of the small thing, pixels from the frame's corner: the drawn path before the darkest ground."""
    height, width = room.shape[-2:]
    ground = F.max_pool2d(luma(room)[None, None], 5, stride=1, padding=2)[0, 0]
    phases = 2 * math.pi * torch.rand(NUM_PATHS, 1, 2, generator=generator)
    turn = 2 * math.pi * torch.arange(num_frames)[:, None] / torch.tensor(PATH_FRAMES)
    side = torch.tensor([width, height])
    paths = side * (torch.tensor(PATH_MIDDLE) + torch.tensor(PATH_SWING) * torch.sin(turn + phases))
    across, down = paths.long().unbind(-1)
    return paths[int(ground[down, across].amax(dim=1).argmin())]


def _spots(centres: Tensor, size: tuple[int, int], sigma_px: float) -> Tensor:
    """Gaussian spots (T, H, W) of height 1; a pixel's middle lies half a pixel from its corner."""
    down, across = (torch.arange(side) + 0.5 for side in size)
    x, y = centres[:, 0, None, None], centres[:, 1, None, None]
    return torch.exp(-((across - x).square() + (down[:, None] - y).square()) / (2 * sigma_px**2))


def _lamp(size: tuple[int, int], generator: Generator, settings: WatchSettings) -> Tensor:
    """Light (H, W) of the lamp that is left on, 1 under it; the lamp hangs somewhere in the upper third."""
    height, width = size
    draw = torch.rand(2, generator=generator)
    x, y = (0.2 + 0.6 * draw[0]) * width, (0.1 + 0.25 * draw[1]) * height
    distance = (torch.arange(width) - x).square() + (torch.arange(height)[:, None] - y).square()
    fall = (1 + distance / (settings.lamp_reach * height) ** 2).rsqrt().pow(3)
    return settings.shade + (1 - settings.shade) * fall
