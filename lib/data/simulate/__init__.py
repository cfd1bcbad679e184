"""Simulated recordings with known truth: nights, low light and water on real clips, moving objects, rooms."""

from lib.data.simulate.indoor_scene import IndoorRooms, IndoorScenes, IndoorSettings, indoor_scene
from lib.data.simulate.lowlight_clip import LowLightClip, LowLightSettings, LowLightVideo, lowlight
from lib.data.simulate.object_clip import ObjectClip, ObjectClipSettings, object_clip
from lib.data.simulate.scene import NightScene, moving_matte, night, night_of_clip
from lib.data.simulate.settings import NightSettings
from lib.data.simulate.water import UnderwaterClip, UnderwaterSettings, UnderwaterVideo, underwater

__all__ = [
    "IndoorRooms",
    "IndoorScenes",
    "IndoorSettings",
    "LowLightClip",
    "LowLightSettings",
    "LowLightVideo",
    "NightScene",
    "NightSettings",
    "ObjectClip",
    "ObjectClipSettings",
    "UnderwaterClip",
    "UnderwaterSettings",
    "UnderwaterVideo",
    "indoor_scene",
    "lowlight",
    "moving_matte",
    "night",
    "night_of_clip",
    "object_clip",
    "underwater",
]
