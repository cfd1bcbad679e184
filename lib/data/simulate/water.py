"""Simulated underwater pictures: water takes the red first and adds its own light, so that a truth exists."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from lib.checks import check_planes
from lib.data.origin import Origin
from lib.data.simulate.lowlight_clip import LowLightSettings, take_picture
from lib.data.simulate.recording import Recording, as_frames
from lib.data.simulate.sensor import to_linear
from lib.data.simulate.settings import Colour
from lib.errors import ShapeError, SpecError

# Light that is left after a metre of water, R, G, B. Jerlov's oceanic (I to III) and coastal (1 to 9) types as
# "normalised residual energy ratio" in Li, Anwar, Porikli 2020 (UWCNN), table 1, after Chiang and Chen 2012.
WATERS: dict[str, Colour] = {
    "I": (0.805, 0.961, 0.982),
    "IA": (0.804, 0.955, 0.975),
    "IB": (0.830, 0.950, 0.968),
    "II": (0.800, 0.925, 0.940),
    "III": (0.750, 0.885, 0.890),
    "1": (0.750, 0.885, 0.875),
    "3": (0.710, 0.820, 0.800),
    "5": (0.670, 0.730, 0.670),
    "7": (0.620, 0.610, 0.500),
    "9": (0.550, 0.460, 0.290),
}


@dataclass(frozen=True)
class UnderwaterSettings:
    """Water, distances in metres, and the camera.

    Choice: the scene is a slope, `far_m` away at the top row and `near_m` at the bottom, unless a map is given.
    `camera`: its exposure and colour shift act on what a white object at `near_m` sends, whose brightest channel is 1
    at exposure 1: the camera opens up for the dim light below, not for its colour.
    Raises SpecError for an unknown water and for values out of range.
    """

    water: str = "II"  # Jerlov type, see WATERS
    depth_m: float = 10.0  # below the surface; the light from above is attenuated over it
    near_m: float = 1.0
    far_m: float = 6.0
    veil: float = 0.25  # light of endless water over that of a white object in it: share that is scattered back
    camera: LowLightSettings = field(
        default_factory=lambda: LowLightSettings(exposure=0.5, colour_shift=(1.0, 1.0, 1.0))
    )

    def __post_init__(self) -> None:
        if self.water not in WATERS:
            raise SpecError(f"water must be one of {', '.join(WATERS)}: got {self.water!r}")
        for name in ("depth_m", "near_m", "far_m", "veil"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise SpecError(f"{name} must be a finite number of at least 0: got {value!r}")
        if self.far_m < self.near_m:
            raise SpecError(f"far_m must be at least near_m = {self.near_m}: got {self.far_m}")
        if self.veil > 1:
            raise SpecError(f"veil must be at most 1: got {self.veil}")


@dataclass(frozen=True)
class UnderwaterClip:
    """A recording under water and the clip in air it was made of, both (T, 3, H, W) or (3, H, W), 0..1.

    truth: the clip as it was given. distance: (H, W) metres to the camera.
    """

    video: Tensor
    truth: Tensor
    distance: Tensor
    settings: UnderwaterSettings
    origin: Origin


def underwater(
    video: Tensor,
    *,
    generator: Generator,
    settings: UnderwaterSettings | None = None,
    distance: Tensor | None = None,
) -> UnderwaterClip:
    """Underwater recording of a clip (T, 3, H, W) or picture (3, H, W), 0..1; same generator state, same noise.

    distance: (H, W) metres, or None for the slope of the settings. Every frame has the same one.
    See UnderwaterVideo for the physics; it does the same to a clip of any length.
    Raises ShapeError for a wrong clip or map, SpecError for negative distances.
    """
    frames = as_frames(video)
    stream = UnderwaterVideo(frames, generator=generator, settings=settings, distance=distance)
    wet = stream.develop(frames)
    return UnderwaterClip(wet.view(video.shape), video, stream.distance_of(frames), stream.settings, stream.origin)


class UnderwaterVideo(Recording):
    """Underwater recording of frames in air as a stream of images (3, H, W); see Recording for memory and passes.

    Per channel and in linear light: direct = scene * ambient * t, backscatter = veil * ambient * (1 - t), with
    t = n ** distance and ambient = n ** depth for n = WATERS[water]; then the camera's exposure, shot, read and row
    noise, sRGB curve and 8 bits.
    Source: Jaffe 1990 and McGlamery 1980 in the simplified form that Akkaynak and Treibitz 2018 start from.
    Choice: one coefficient for direct and backscattered light, no blur by forward scatter, no caustics, no particles.
    """

    def __init__(
        self,
        frames: Iterable[Tensor],
        *,
        generator: Generator,
        settings: UnderwaterSettings | None = None,
        distance: Tensor | None = None,
    ) -> None:
        super().__init__(frames, generator=generator)
        self.settings = settings or UnderwaterSettings()
        if distance is not None:
            check_planes("distance", distance, ndim=2)
            if distance.min() < 0:
                raise SpecError(f"distance must be at least 0 metres: got {distance.min():.3g}")
        self._distance = distance
        self.origin = Origin("underwater", "simulated", "that of the clip", "", "lib.data.simulate, from a given clip")

    def distance_of(self, frame: Tensor) -> Tensor:
        """Metres (H, W) for frames (..., H, W); raises ShapeError when a given map has another size."""
        if self._distance is None:
            rows = torch.linspace(self.settings.far_m, self.settings.near_m, frame.shape[-2]).to(frame)
            return rows[:, None].expand(frame.shape[-2:])
        if self._distance.shape != frame.shape[-2:]:
            raise ShapeError(
                f"distance and frame must share a grid: got {tuple(self._distance.shape)} and {tuple(frame.shape)}; "
                "resize the map first"
            )
        return self._distance.to(frame)

    def _record(self, frame: Tensor, generator: Generator) -> Tensor:
        light = through_water(to_linear(frame), self.distance_of(frame), settings=self.settings)
        return take_picture(light, generator=generator, settings=self.settings.camera)


def through_water(linear: Tensor, distance: Tensor, *, settings: UnderwaterSettings) -> Tensor:
    """Linear light (..., 3, H, W) on the sensor of a scene whose light in air is `linear`, distance (H, W) metres."""
    residual = linear.new_tensor(WATERS[settings.water]).view(3, 1, 1)
    transmission = residual**distance
    ambient = residual**settings.depth_m
    exposed = settings.camera.exposure / float((residual ** (settings.depth_m + settings.near_m)).max())
    shift = linear.new_tensor(settings.camera.colour_shift).view(3, 1, 1)
    return (linear * transmission + settings.veil * (1 - transmission)) * ambient * (shift * exposed)
