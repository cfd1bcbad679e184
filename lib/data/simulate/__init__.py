"""Simulated recordings with known truth: nights of a fixed camera, low light and water on real clips."""

from lib.data.simulate.lowlight_clip import LowLightClip, LowLightSettings, LowLightVideo, lowlight
from lib.data.simulate.scene import NightScene, moving_matte, night, night_of_clip
from lib.data.simulate.settings import NightSettings
from lib.data.simulate.water import UnderwaterClip, UnderwaterSettings, UnderwaterVideo, underwater

__all__ = [
    "LowLightClip",
    "LowLightSettings",
    "LowLightVideo",
    "NightScene",
    "NightSettings",
    "UnderwaterClip",
    "UnderwaterSettings",
    "UnderwaterVideo",
    "lowlight",
    "moving_matte",
    "night",
    "night_of_clip",
    "underwater",
]
