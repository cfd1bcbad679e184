"""Calibrated low light on a real clip: the same scene with a tenth of the light, so that the bright truth exists."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Generator, Tensor

from lib.checks import check_form
from lib.data.origin import Origin
from lib.data.simulate.recording import Recording, as_frames
from lib.data.simulate.sensor import add_noise, store, to_display, to_linear
from lib.data.simulate.settings import Colour
from lib.errors import SpecError


@dataclass(frozen=True)
class LowLightSettings:
    """Light and camera of a dark recording.

    The noise is that of a Sony A7S II in the noise model of ELD (Wei et al. 2020: shot, read and row noise), with the
    line fits that Feng et al. 2022 published for its high ISO range: gain K = 0.0009546 ISO - 0.00193 grey levels of
    14 bits per electron, log(read) = 0.82645 log K + 0.45061, log(row) = 0.62945 log K - 1.5104 (grey levels),
    15871 grey levels from black to white. ISO 6400 gives 2600 electrons at white, 1.15 read and 0.11 row noise;
    ISO 25600 gives 650, 0.90 and 0.07.
    Choice: the white-balance gains are those of the simulated night; `colour_shift` (the auto white balance of a dark
    picture is off towards the warm lamps) is invented.
    Raises SpecError for values out of range.
    """

    exposure: float = 0.2  # light on the sensor over that of the bright clip, linear; BVI-RLV: 0.2 and 0.1
    colour_shift: Colour = (1.04, 1.0, 0.94)  # factors on linear R, G, B
    electrons_at_white: float = 2600.0  # signal of display white in the green channel
    read_noise_electrons: float = 1.15  # standard deviation per pixel
    row_noise_electrons: float = 0.11  # standard deviation per row (banding)
    white_balance: Colour = (1.5, 1.0, 1.35)  # gains after the sensor: red and blue are noisier
    levels: int = 256  # of the quantised display signal

    @classmethod
    def mild(cls) -> Self:
        """A fifth of the light at ISO 6400: the 20 % level of BVI-RLV. These are the defaults."""
        return cls()

    @classmethod
    def strong(cls) -> Self:
        """A tenth of the light at ISO 25600: the 10 % level of BVI-RLV, with four times the gain."""
        return cls(exposure=0.1, electrons_at_white=650.0, read_noise_electrons=0.90, row_noise_electrons=0.07)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(x, bool) or not isinstance(x, int | float) or not math.isfinite(x) for x in numbers):
                raise SpecError(f"{field.name} must hold finite numbers: got {value!r}")
        for name in ("colour_shift", "white_balance"):
            if not isinstance(getattr(self, name), tuple) or len(getattr(self, name)) != 3:
                raise SpecError(f"{name} must be a tuple of three numbers (R, G, B): got {getattr(self, name)!r}")
        if not 0 < self.exposure <= 1:
            raise SpecError(f"exposure must be above 0 and at most 1: got {self.exposure}")
        if self.electrons_at_white <= 0:
            raise SpecError(f"electrons_at_white must be above 0: got {self.electrons_at_white}")
        for name in ("read_noise_electrons", "row_noise_electrons"):
            if getattr(self, name) < 0:
                raise SpecError(f"{name} must be at least 0: got {getattr(self, name)}")
        if min(self.colour_shift) <= 0 or min(self.white_balance) < 1:
            raise SpecError("colour_shift must be above 0 and white_balance gains at least 1")
        if not isinstance(self.levels, int) or self.levels < 2:
            raise SpecError(f"levels must be a whole number of at least 2: got {self.levels}")


@dataclass(frozen=True)
class LowLightClip:
    """A dark noisy clip and the bright one it was made of, both (T, 3, H, W) or (3, H, W), 0..1, display-referred.

    video: as the dark camera stores it. truth: the bright clip as it was given.
    """

    video: Tensor
    truth: Tensor
    settings: LowLightSettings
    origin: Origin

    @property
    def exposure(self) -> float:
        """Light of `video` over that of `truth`, linear."""
        return self.settings.exposure


def lowlight(video: Tensor, *, generator: Generator, settings: LowLightSettings | None = None) -> LowLightClip:
    """Dark recording of a bright clip (T, 3, H, W) or picture (3, H, W), 0..1; same generator state, same noise.

    Per frame: display values to linear light, times `exposure` and `colour_shift`; shot, read and row noise; sRGB
    curve, clipping and 8 bits. Noise is independent from frame to frame and from pixel to pixel, but for the rows.
    Choice: the clip's own noise and compression stay in truth and dark clip alike. LowLightVideo does the same to a
    clip of any length and gives the same frames.
    Raises ShapeError for a wrong clip.
    """
    frames = as_frames(video)
    stream = LowLightVideo(frames, generator=generator, settings=settings)
    dark = stream.develop(frames)
    return LowLightClip(dark.view(video.shape), video, stream.settings, stream.origin)


class LowLightVideo(Recording):
    """Dark recording of bright frames as a stream: each `for` gives dark images (3, H, W) one by one.

    frames: iterable of images (3, H, W), 0..1, such as a VideoReader. See Recording for memory and passes.
    """

    def __init__(
        self, frames: Iterable[Tensor], *, generator: Generator, settings: LowLightSettings | None = None
    ) -> None:
        super().__init__(frames, generator=generator)
        self.settings = settings or LowLightSettings()
        self.origin = Origin("lowlight", "simulated", "that of the clip", "", "lib.data.simulate, from a given clip")

    def _record(self, frame: Tensor, generator: Generator) -> Tensor:
        return take_picture(_dark_light(frame, self.settings), generator=generator, settings=self.settings)


def darkened(image: Tensor, *, settings: LowLightSettings) -> Tensor:
    """Display values of (..., 3, H, W) in the dark, without noise or quantisation: what a perfect denoiser shows."""
    check_form("image", image)
    return to_display(_dark_light(image, settings))


def row_noise(linear: Tensor, *, generator: Generator, settings: LowLightSettings) -> Tensor:
    """Banding (..., 3, H, 1) in linear light, one normal number per row of the sensor, times the channel's gain."""
    rows = torch.randn((*linear.shape[:-3], 1, linear.shape[-2], 1), generator=generator, device=generator.device)
    gain = linear.new_tensor(settings.white_balance).view(3, 1, 1)
    return rows.to(linear) * gain * (settings.row_noise_electrons / settings.electrons_at_white)


def _dark_light(image: Tensor, settings: LowLightSettings) -> Tensor:
    shift = image.new_tensor(settings.colour_shift).view(3, 1, 1)
    return to_linear(image) * (shift * settings.exposure)


def take_picture(linear: Tensor, *, generator: Generator, settings: LowLightSettings) -> Tensor:
    """Display values that the dark camera stores for linear light (..., 3, H, W) on its sensor."""
    noisy = add_noise(linear, generator=generator, settings=settings)
    return store(noisy.add_(row_noise(linear, generator=generator, settings=settings)), levels=settings.levels)
