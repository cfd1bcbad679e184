"""The pictures and clips that the walkthrough looks at: staged nights with known truth, and somebody's own camera."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.context_fusion.background import median_background
from lib.context_fusion.registration import register_day, translate
from lib.data.fixed_camera import FixedCamera
from lib.data.images import resized
from lib.data.origin import Origin
from lib.data.samples import sample_clip, sample_image
from lib.data.simulate import NightScene, NightSettings, night
from lib.errors import SpecError

# lamps, two near cars that overlap the lit part of the picture, a longer exposure than the simulator's default
STAGED = NightSettings(exposure=2.0, ambient=0.05, num_cars=2, num_people=0, car_length=0.24, lanes=(0.86, 0.97))
STAGED_CLIP = NightSettings(
    exposure=3.0,
    ambient=0.04,
    num_people=1,
    person_height=0.35,
    car_length=0.22,
    lanes=(0.84, 0.97),
    headlight_power=1.2,
)
FRAME_IDX = 8  # both cars are well inside the picture
# what a staged day camera has moved by, pixels: known, so that registration has something to find
STAGED_SHAKE_PX = (1.4, -0.6)


@dataclass(frozen=True)
class Pair:
    """A night and a day picture of one view, each (3, H, W), on one grid.

    day_as_found: the day picture before it was registered. shake_px: (dx, dy) that it is known to be off by, if known.
    reference: the empty night view, truth: what an ideal fusion shows, matte: (H, W) coverage 0..1 of the movers; None
    for a real camera, where nobody knows them.
    """

    name: str
    night: Tensor
    day: Tensor
    day_as_found: Tensor
    origins: list[Origin]
    shake_px: tuple[float, float] | None = None
    reference: Tensor | None = None
    truth: Tensor | None = None
    matte: Tensor | None = None

    @property
    def known_shake(self) -> str:
        """The shift of the day as found, in words."""
        return f"({self.shake_px[0]:.1f}, {self.shake_px[1]:.1f}) px" if self.shake_px else "nobody knows how much"

    def to(self, device: torch.device) -> "Pair":
        """The same pair with its pictures on a device."""
        return replace(self, **_tensors_on(self, device))


@dataclass(frozen=True)
class Clip:
    """A real day clip (T, 3, H, W) of a fixed view, its median background (3, H, W), and a simulated night of that."""

    by_day: Tensor
    background: Tensor
    scene: NightScene
    origins: list[Origin]

    def to(self, device: torch.device) -> "Clip":
        """The same clip with its frames on a device."""
        scene = replace(self.scene, **_tensors_on(self.scene, device))
        return replace(self, scene=scene, **_tensors_on(self, device))


def staged_pair(picture: str, *, height_px: int, generator: Generator) -> Pair:
    """A real day picture (`pagoda`, `street`, `rocket`) and one frame of its simulated night, with the truth."""
    sample = sample_image(picture)
    day = resized(sample.image, height_px)
    scene = night(day, num_frames=FRAME_IDX + 1, generator=generator, settings=STAGED)
    return Pair(
        picture,
        scene.video[FRAME_IDX],
        day,
        translate(day, *STAGED_SHAKE_PX),
        [sample.origin, replace(scene.origin, name=f"night of {picture}")],
        STAGED_SHAKE_PX,
        scene.reference,
        scene.truth[FRAME_IDX],
        scene.matte[FRAME_IDX],
    )


def camera_pair(root: str, index: int, *, height_px: int) -> Pair:
    """Night number `index` of a FixedCamera folder with its day picture, registered to it by a sub-pixel shift.

    Raises DataMissing for a folder of another layout, SpecError for a night that isn't there, LabError when the two
    pictures share no edges.
    """
    camera = FixedCamera(root)
    if not 0 <= index < len(camera):
        raise SpecError(f"camera_night must be 0..{len(camera) - 1} for this folder: got {index}")
    found = camera[index]
    night_picture = resized(found.night, height_px)
    as_found = F.interpolate(found.day[None], size=night_picture.shape[-2:], mode="bilinear", antialias=True)[0]
    day = register_day(as_found.clamp(0, 1), night_picture).day
    return Pair(found.name, night_picture, day, as_found.clamp(0, 1), [found.origin])


def chosen_pair(root: str, index: int, staged: Pair, *, height_px: int) -> Pair:
    """The night of a fixed camera where a folder is given, else the staged pair."""
    return camera_pair(root, index, height_px=height_px) if root else staged


def staged_clip(*, num_frames: int, height_px: int, generator: Generator) -> Clip:
    """A real street with passing cars by day, and `num_frames` of a simulated night in its median background."""
    sample = sample_clip("street")
    by_day = torch.stack([resized(frame, height_px) for frame in sample.video])
    background = median_background(by_day)
    scene = night(background, num_frames=num_frames, generator=generator, settings=STAGED_CLIP)
    return Clip(by_day, background, scene, [sample.origin, replace(scene.origin, name="night traffic")])


def _tensors_on(scene: Pair | Clip | NightScene, device: torch.device) -> dict[str, Any]:
    values = {field.name: getattr(scene, field.name) for field in fields(scene)}
    return {name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
