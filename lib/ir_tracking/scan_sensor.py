"""The scanner's electronics: row gains and offsets, noise, flashing and dead pixels, rounding."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.ir_tracking.scan_settings import ScanSettings

STRIPE_OCTAVES = 5  # of the offsets' 1/f noise: from one value a row to one in 16 pieces of a row
BRIGHTEST_FLASH = 0.1  # of full scale


@dataclass(frozen=True)
class SensorNoise:
    """What the electronics add to some frames (T, H, W), the same with and without targets.

    normal: standard normal. offset: electrons. flash: electrons, 0 where a pixel doesn't flash.
    """

    normal: Tensor
    offset: Tensor
    flash: Tensor


class Sensor:
    """A sensor with its own row gains and dead pixels; generator: on the CPU."""

    def __init__(self, settings: ScanSettings, generator: Generator, device: torch.device) -> None:
        self.settings = settings
        self.top = (1 << settings.bits) - 1  # highest grey level
        self.levels_per_electron = self.top / settings.electrons
        size = (settings.height_px, settings.width_px)
        self._gains = (1 + settings.gain_spread * torch.randn(size[0], 1, generator=generator)).to(device)
        self.dead = (torch.rand(size, generator=generator) < settings.dead).to(device)
        self._dead_levels = (torch.rand(size, generator=generator) * self.top).round().to(device)

    def draw(self, generators: list[Generator]) -> SensorNoise:
        """Noise of as many frames as there are generators, on their device; a frame's is always the same."""
        settings = self.settings
        size = (settings.height_px, settings.width_px)
        normal = _normal(generators, size)
        offset = torch.zeros_like(normal)
        for octave in range(STRIPE_OCTAVES):
            knots = _normal(generators, (settings.height_px, 2**octave + 1))
            offset += F.interpolate(knots, settings.width_px, mode="linear", align_corners=True)
        # a straight line between knots has two thirds of their variance
        offset *= settings.stripe_noise / math.sqrt(STRIPE_OCTAVES * 2 / 3)
        # what is uniform stays so below its limit: it also says how strong a flash is
        chance = torch.stack([torch.rand(size, generator=one, device=one.device) for one in generators])
        share, brightest = settings.flashing, BRIGHTEST_FLASH * settings.electrons
        flash = torch.where(chance < share, chance * (brightest / max(share, 1e-12)), torch.zeros_like(chance))
        return SensorNoise(normal, offset, flash)

    def read(self, electrons: Tensor, noise: SensorNoise) -> Tensor:
        """Stored grey levels (T, H, W) of a signal in electrons: rounded, clipped; shot noise as normal noise."""
        deviation = (electrons.clamp_min(0) + self.settings.read_noise**2).sqrt_()
        signal = torch.addcmul(electrons * self._gains + noise.offset, noise.normal, deviation).add_(noise.flash)
        levels = signal.mul_(self.levels_per_electron).round_().clamp_(0, self.top)
        return torch.where(self.dead, self._dead_levels, levels)


def _normal(generators: list[Generator], size: tuple[int, int]) -> Tensor:
    """Standard normal numbers (T, *size), each frame's from its own generator."""
    return torch.stack([torch.randn(size, generator=one, device=one.device) for one in generators])
