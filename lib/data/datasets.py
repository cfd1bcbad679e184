"""All data sets of the workbench under one roof; each is a torch Dataset that takes the root of what was fetched."""

from lib.data.bvi import BVIRLV, BVICoral, CoralClip, LowLightScene
from lib.data.euvp import EUVP
from lib.data.fixed_camera import DayNight, FixedCamera
from lib.data.lol import LOL
from lib.data.object_videos import FBMS59, Davis2016, ObjectVideo, ObjectVideos, SegTrackV2
from lib.data.pairs import PairedPictures, PicturePair

__all__ = [
    "BVIRLV",
    "EUVP",
    "FBMS59",
    "LOL",
    "BVICoral",
    "CoralClip",
    "Davis2016",
    "DayNight",
    "FixedCamera",
    "LowLightScene",
    "ObjectVideo",
    "ObjectVideos",
    "PairedPictures",
    "PicturePair",
    "SegTrackV2",
]
