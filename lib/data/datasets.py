"""All data sets of the workbench under one roof; each is a torch Dataset that takes the root of what was fetched."""

from lib.data.bvi import BVIRLV, BVICoral, CoralClip, LowLightScene
from lib.data.camvid import CamVid
from lib.data.euvp import EUVP
from lib.data.fixed_camera import DayNight, FixedCamera
from lib.data.imagenet_vid import ImageNetVID
from lib.data.infrared import LSOTBTIR, SIRST, InfraredSequences, SirstStill, SmallAircraft
from lib.data.labels import LabelledPicture
from lib.data.lol import LOL
from lib.data.nyuv2 import NYUDv2
from lib.data.object_videos import FBMS59, Davis2016, ObjectVideo, ObjectVideos, SegTrackV2
from lib.data.pairs import PairedPictures, PicturePair
from lib.data.pedestrians import KAIST, OTCBVS
from lib.data.sunrgbd import SUNRGBD
from lib.data.tracks import TrackedSequence, TrackedSequences

__all__ = [
    "BVIRLV",
    "EUVP",
    "FBMS59",
    "KAIST",
    "LOL",
    "LSOTBTIR",
    "OTCBVS",
    "SIRST",
    "SUNRGBD",
    "BVICoral",
    "CamVid",
    "CoralClip",
    "Davis2016",
    "DayNight",
    "FixedCamera",
    "ImageNetVID",
    "InfraredSequences",
    "LabelledPicture",
    "LowLightScene",
    "NYUDv2",
    "ObjectVideo",
    "ObjectVideos",
    "PairedPictures",
    "PicturePair",
    "SegTrackV2",
    "SirstStill",
    "SmallAircraft",
    "TrackedSequence",
    "TrackedSequences",
]
