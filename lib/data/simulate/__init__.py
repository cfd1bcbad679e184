"""Simulated nights with known truth."""

from lib.data.simulate.scene import NightScene, moving_matte, night, night_of_clip
from lib.data.simulate.settings import NightSettings

__all__ = ["NightScene", "NightSettings", "moving_matte", "night", "night_of_clip"]
