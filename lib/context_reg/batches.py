"""Labelled pictures as batches: what a network reads of them, flipped, scaled and cropped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.utils.data import Dataset

from lib.context_reg.networks import Channels
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.weak_labels import OPEN
from lib.data.labels import VOID, LabelledPicture
from lib.errors import DataMissing, ShapeError
from lib.training import SEED_STRIDE

Data = Sequence[LabelledPicture] | Dataset[LabelledPicture]
FILL = 0.5  # of what lies outside a picture; its label is void


@dataclass(frozen=True, eq=False)
class Batch:
    """images: (B, 3 or 6, H, W), 0..1. labels: (B, H, W) int64, 255 void."""

    images: Tensor
    labels: Tensor


def read_channels(picture: LabelledPicture, channels: Channels) -> Tensor:
    """What a network for these channels reads: RGB (3, H, W), HHA (3, H, W) or both (6, H, W).

    Raises DataMissing where HHA is asked for and the picture has none.
    """
    if channels == "rgb":
        return picture.image
    if picture.hha is None:
        raise DataMissing(f"{picture.name} has no HHA: give data with depth and encode it, or take channels rgb")
    return picture.hha if channels == "hha" else torch.cat([picture.image, picture.hha])


def check_labels(picture: LabelledPicture, num_classes: int) -> None:
    """Passes labels of the picture's size within the classes. Raises ShapeError that names the picture."""
    size, labels = tuple(picture.image.shape[-2:]), picture.labels
    if tuple(labels.shape) != size:
        raise ShapeError(
            f"{picture.name}: labels must have the picture's size {size}: got {tuple(labels.shape)}; "
            "fetch the pair again"
        )
    outside = ((labels < 0) | (labels >= num_classes)) & (labels != VOID) & (labels != OPEN)
    if outside.any():
        raise ShapeError(
            f"{picture.name}: labels must be 0..{num_classes - 1}, {VOID} (void) or {OPEN} (open): "
            f"got {int(labels[outside][0])}; map them first, or give the network more classes"
        )


def augment(image: Tensor, labels: Tensor, settings: TrainingSettings, generator: Generator) -> tuple[Tensor, Tensor]:
    """Picture (C, H, W) and labels (H, W), flipped, scaled and cropped by `settings`, with draws of the generator.

    The image is scaled bilinearly, labels take the nearest pixel. What a crop lacks is grey and void.
    """
    draws = torch.rand(4, generator=generator).tolist()
    if settings.flip and draws[0] < 0.5:
        image, labels = image.flip(-1), labels.flip(-1)
    low, high = settings.scale
    factor = low * (high / low) ** draws[1]
    size = tuple(max(round(side * factor), 1) for side in labels.shape)
    crop = settings.crop if min(settings.crop) > 0 else tuple(labels.shape)
    if size != tuple(labels.shape):
        image = F.interpolate(image[None], size=size, mode="bilinear", antialias=factor < 1)[0].clamp(0, 1)
        labels = F.interpolate(labels[None, None].float(), size=size, mode="nearest-exact")[0, 0].long()
    below, right = (max(want - have, 0) for want, have in zip(crop, size, strict=True))
    if below or right:
        image = F.pad(image, (0, right, 0, below), value=FILL)
        labels = F.pad(labels, (0, right, 0, below), value=VOID)
    top, left = (math.floor(d * (have - want + 1)) for d, have, want in zip(draws[2:], labels.shape, crop, strict=True))
    here = (..., slice(top, top + crop[0]), slice(left, left + crop[1]))
    return image[here], labels[here]


class Batches(Dataset[Batch]):
    """This device's part of each step's batch; every picture and its draws follow from the seed and the step alone.

    Pictures come in a shuffled order, each once, then in the next. first: the step to begin with, 0-based.
    """

    def __init__(
        self,
        data: Data,
        *,
        settings: TrainingSettings,
        channels: Channels,
        num_classes: int,
        rank: int = 0,
        world: int = 1,
        first: int = 0,
    ) -> None:
        pictures: Any = data
        if not len(pictures):
            raise DataMissing("training needs at least one labelled picture: got none")
        self.data = pictures
        self.settings, self.channels, self.num_classes = settings, channels, num_classes
        self.rank, self.world, self.first = rank, world, first

    def __len__(self) -> int:
        return self.settings.num_steps - self.first

    def __getitem__(self, idx: int) -> Batch:
        if idx >= len(self):
            raise IndexError(idx)
        start = (self.first + idx) * self.settings.batch_size
        numbers = range(start + self.rank, start + self.settings.batch_size, self.world)
        pairs = [self._drawn(number) for number in numbers]
        sizes = {tuple(labels.shape) for _, labels in pairs}
        if len(sizes) > 1:
            raise ShapeError(
                f"pictures of one batch must have one size: got {sorted(sizes)}; set crop, or batch_size 1"
            )
        return Batch(torch.stack([image for image, _ in pairs]), torch.stack([labels for _, labels in pairs]))

    def _drawn(self, number: int) -> tuple[Tensor, Tensor]:
        """Picture and labels of the number-th draw."""
        turn, place = divmod(number, len(self.data))
        order = Generator().manual_seed(self.settings.seed * SEED_STRIDE + turn)
        picture = self.data[int(torch.randperm(len(self.data), generator=order)[place])]
        check_labels(picture, self.num_classes)
        generator = Generator().manual_seed((self.settings.seed + 1) * SEED_STRIDE + number)
        return augment(read_channels(picture, self.channels), picture.labels, self.settings, generator)


def class_weights(data: Data, num_classes: int) -> Tensor:
    """Median-frequency weights (num_classes,) (Eigen and Fergus 2015, the public SegNet models).

    A class's frequency is its share of the pixels of those pictures that hold it; its weight is the median frequency
    over its own. A class that no picture holds has weight 0.
    """
    pictures: Any = data
    counts, totals = torch.zeros(2, num_classes, dtype=torch.float64)
    for idx in range(len(pictures)):
        check_labels(pictures[idx], num_classes)
        labels = pictures[idx].labels
        known = labels[(labels != VOID) & (labels != OPEN)]
        found = torch.bincount(known, minlength=num_classes).double()
        counts += found
        totals += (found > 0) * found.sum()
    there = counts > 0
    if not there.any():
        raise DataMissing("no pixel has a class: every label is void")
    frequency = counts[there] / totals[there]
    weights = torch.zeros(num_classes, dtype=torch.float64)
    weights[there] = frequency.quantile(0.5) / frequency
    return weights.float()
