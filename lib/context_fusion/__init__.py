"""Gradient-domain context enhancement for fixed cameras: a night frame or video fused with a day picture.

Ilie, Raskar and Yu, "Gradient domain context enhancement for fixed cameras", ACCV 2004 (TR2004-020).
The modules follow the paper: settings, gradients, importance, reconstruct, fit, still (Algorithm 1); susan, background,
video (Algorithm 2).
"""

from lib.context_fusion.background import median_background
from lib.context_fusion.fit import apply_colour, fit_colour, fit_offset
from lib.context_fusion.gradients import luma, luma_gradient_energy, mix_gradients, mixed_divergence
from lib.context_fusion.importance import (
    change_from_reference,
    clean_mask,
    feather,
    importance_of,
    larger_gradient,
    motion_mask,
    strong_gradient_or_light,
)
from lib.context_fusion.reconstruct import Fusion, pad_to_power_of_two, reconstruct
from lib.context_fusion.registration import Registration, register_day
from lib.context_fusion.settings import ImageSettings, VideoSettings
from lib.context_fusion.still import fuse_image
from lib.context_fusion.susan import SusanFilter, susan_smooth
from lib.context_fusion.video import VideoFuser, fuse_video

__all__ = [
    "Fusion",
    "ImageSettings",
    "Registration",
    "SusanFilter",
    "VideoFuser",
    "VideoSettings",
    "apply_colour",
    "change_from_reference",
    "clean_mask",
    "feather",
    "fit_colour",
    "fit_offset",
    "fuse_image",
    "fuse_video",
    "importance_of",
    "larger_gradient",
    "luma",
    "luma_gradient_energy",
    "median_background",
    "mix_gradients",
    "mixed_divergence",
    "motion_mask",
    "pad_to_power_of_two",
    "reconstruct",
    "register_day",
    "strong_gradient_or_light",
    "susan_smooth",
]
