"""All data sets of the workbench under one roof; each is a torch Dataset that takes the root of what was fetched."""

from lib.data.bvi import BVIRLV, BVICoral, CoralClip, LowLightScene
from lib.data.euvp import EUVP
from lib.data.fixed_camera import DayNight, FixedCamera
from lib.data.lol import LOL
from lib.data.pairs import PairedPictures, PicturePair

__all__ = [
    "BVIRLV",
    "EUVP",
    "LOL",
    "BVICoral",
    "CoralClip",
    "DayNight",
    "FixedCamera",
    "LowLightScene",
    "PairedPictures",
    "PicturePair",
]
