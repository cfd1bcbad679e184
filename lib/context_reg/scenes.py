"""The labelled pictures that the notebooks train and measure hosts on: simulated rooms, all in memory."""

from typing import Literal, cast

from lib.data.labels import LabelledPicture
from lib.data.nyuv2_classes import class_names
from lib.data.simulate.indoor_scene import IndoorRooms, IndoorSettings

WIDTH_PER_HEIGHT = 4 / 3


def simulated_rooms(
    num_rooms: int, *, seed: int, height_px: int, num_classes: int = 40, hha: bool = False
) -> list[LabelledPicture]:
    """Simulated rooms in NYUv2's 40 classes or 4 super-classes: pictures (3, H, W), depth, labels and, if asked, HHA.

    height_px: H; W is 4 / 3 of it, rounded. Same seed, same rooms; sets of other seeds hold other rooms.
    Raises SpecError for another number of classes, no room, or a size below 16 pixels.
    """
    class_names(num_classes)
    settings = IndoorSettings(height_px, round(WIDTH_PER_HEIGHT * height_px))
    rooms = IndoorRooms(num_rooms, seed=seed, num_classes=cast(Literal[40, 4], num_classes), hha=hha, settings=settings)
    return [rooms[idx] for idx in range(num_rooms)]
