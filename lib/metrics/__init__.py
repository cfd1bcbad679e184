"""Scores of images and videos; each function names its protocol, each Measure its unit and direction."""

from lib.metrics.colour import COLOUR_SHIFT, colour_shift, rgb_to_lab
from lib.metrics.fusion import (
    CONTRAST_KEPT,
    FLICKER,
    GHOSTING,
    GRADIENT_FIDELITY,
    SEAM_ENERGY,
    contrast_kept,
    flicker,
    ghosting,
    gradient_fidelity,
    seam_energy,
)
from lib.metrics.halo import HALO, HaloProfile, halo_profile
from lib.metrics.image import PSNR, SSIM, psnr, ssim
from lib.metrics.measure import Measure

__all__ = [
    "COLOUR_SHIFT",
    "CONTRAST_KEPT",
    "FLICKER",
    "GHOSTING",
    "GRADIENT_FIDELITY",
    "HALO",
    "PSNR",
    "SEAM_ENERGY",
    "SSIM",
    "HaloProfile",
    "Measure",
    "colour_shift",
    "contrast_kept",
    "flicker",
    "ghosting",
    "gradient_fidelity",
    "halo_profile",
    "psnr",
    "rgb_to_lab",
    "seam_energy",
    "ssim",
]
