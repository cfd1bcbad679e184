"""The labelled pictures that hosts are trained and measured on: simulated rooms, or somebody's own data."""

from dataclasses import replace

import torch
from torch import Generator, Tensor

from lib.data.labels import LabelledPicture
from lib.data.nyuv2_classes import CLASS_NAMES, SUPERCLASS_NAMES
from lib.data.simulate.indoor_scene import IndoorSettings, indoor_scene
from lib.errors import SpecError

WIDTH_PER_HEIGHT = 4 / 3
ROOMS_AT_ONCE = 8  # drawn in one call: bounds the memory, changes nothing


def class_names(num_classes: int) -> tuple[str, ...]:
    """Names of NYUv2's 40 classes or 4 super-classes. Raises SpecError for another number."""
    if num_classes not in (4, 40):
        raise SpecError(f"num_classes must be 4 or 40: got {num_classes}")
    return SUPERCLASS_NAMES if num_classes == 4 else CLASS_NAMES


def simulated_rooms(num_rooms: int, *, seed: int, height_px: int, num_classes: int = 40) -> list[LabelledPicture]:
    """Simulated rooms in NYUv2's classes, all in memory: each picture (3, H, W), its depth and its labels.

    height_px: H; W is 4 / 3 of it, rounded. The same seed and number of rooms give the same rooms, and other seeds
    others, whatever is trained on them.
    """
    names = class_names(num_classes)
    settings = IndoorSettings(height_px, round(WIDTH_PER_HEIGHT * height_px))
    generator = Generator().manual_seed(seed)
    rooms: list[LabelledPicture] = []
    while len(rooms) < num_rooms:
        scenes = indoor_scene(
            generator=generator, num_scenes=min(ROOMS_AT_ONCE, num_rooms - len(rooms)), settings=settings
        )
        labels = scenes.labels if len(names) > len(SUPERCLASS_NAMES) else scenes.superclasses()
        for image, truth, depth in zip(scenes.image, labels, scenes.depth, strict=True):
            origin = replace(scenes.origin, name=f"indoor_scene seed {seed}")
            rooms.append(LabelledPicture(f"room {len(rooms)}", image, truth, origin, depth=depth))
    return rooms


def share_of_classes(rooms: list[LabelledPicture], num_classes: int) -> Tensor:
    """Share of the pixels that each class has over these pictures, (num_classes,), void not counted."""
    counts = sum(torch.bincount(room.labels.flatten(), minlength=256)[:num_classes] for room in rooms)
    counts = torch.as_tensor(counts, dtype=torch.float64)
    return counts / counts.sum()
