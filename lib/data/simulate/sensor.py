"""The camera: light to display values with shot noise, read noise, white balance and quantisation."""

from typing import Protocol

import torch
from torch import Generator, Tensor

from lib.data.simulate.settings import Colour


class Camera(Protocol):
    """What a sensor must tell: NightSettings and LowLightSettings both do.

    electrons_at_white: signal of display white in the green channel; read_noise_electrons: standard deviation;
    white_balance: gains after the sensor; levels: of the quantised display signal.
    """

    @property
    def electrons_at_white(self) -> float: ...
    @property
    def read_noise_electrons(self) -> float: ...
    @property
    def white_balance(self) -> Colour: ...
    @property
    def levels(self) -> int: ...


def to_linear(display: Tensor) -> Tensor:
    """Linear light 0..1 of sRGB display values (IEC 61966-2-1)."""
    return torch.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055).clamp_min(0).pow(2.4))


def to_display(linear: Tensor) -> Tensor:
    """sRGB display values 0..1 of linear light, clipped to 0..1 first."""
    light = linear.clamp(0, 1)
    return torch.where(light <= 0.0031308, light * 12.92, light.pow(1 / 2.4).mul_(1.055).sub_(0.055))


def noise_variance(linear: Tensor, settings: Camera) -> Tensor:
    """Variance of the noise in linear light (..., 3, H, W), per channel with gain g and E = electrons_at_white.

    The raw signal is linear / g, so shot noise gives g * linear / E and read noise (g * read / E) ** 2.
    """
    gain = linear.new_tensor(settings.white_balance).view(3, 1, 1)
    read = gain * (settings.read_noise_electrons / settings.electrons_at_white)
    return linear.clamp(0, 1) * (gain / settings.electrons_at_white) + read.square()


def add_noise(linear: Tensor, *, generator: Generator, settings: Camera) -> Tensor:
    """Linear light (..., 3, H, W) with shot and read noise; not clipped.

    Choice: the Poisson shot noise as a normal of the same variance (Foi et al. 2008), independent per pixel and
    channel: no demosaicking, no fixed pattern.
    """
    noise = torch.randn(linear.shape, generator=generator, device=generator.device).to(linear)
    return noise.mul_(noise_variance(linear, settings).sqrt_()).add_(linear.clamp(0, 1))


def expose(linear: Tensor, *, generator: Generator, settings: Camera) -> Tensor:
    """Display values 0..1 that the camera stores for linear light: noise, sRGB curve, clipping, quantisation."""
    return store(add_noise(linear, generator=generator, settings=settings), levels=settings.levels)


def store(linear: Tensor, *, levels: int) -> Tensor:
    """Display values 0..1 that are stored for linear light: clipped, sRGB curve, quantised to `levels` values."""
    top = levels - 1
    return to_display(linear).mul_(top).round_().div_(top)
