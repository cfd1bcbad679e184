"""Simulated recordings with known truth: nights of a fixed camera, and low light on real clips."""

from lib.data.simulate.lowlight_clip import LowLightClip, LowLightSettings, LowLightVideo, lowlight
from lib.data.simulate.scene import NightScene, moving_matte, night, night_of_clip
from lib.data.simulate.settings import NightSettings

__all__ = [
    "LowLightClip",
    "LowLightSettings",
    "LowLightVideo",
    "NightScene",
    "NightSettings",
    "lowlight",
    "moving_matte",
    "night",
    "night_of_clip",
]
