"""Labels that a person makes in seconds: one stroke in each region, all other pixels open.

An open pixel doesn't count for the softmax loss, but the regulariser acts on it: unlike void it has a class, which
nobody wrote down.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from lib.data.labels import VOID, LabelledPicture
from lib.training import SEED_STRIDE

OPEN = 254  # a label, as `VOID` is: the pixel has a class, but nobody says which
SMALLEST_PX = 4  # a region below this area gets no stroke: a person wouldn't see it
INNER = 0.5  # strokes end at least this share of the region's largest depth away from its border


def stroked(labels: Tensor, *, generator: Generator) -> Tensor:
    """The labels (H, W) with one stroke in each region and OPEN elsewhere; void stays void.

    labels: (H, W) int64 on the CPU, class from 0, 255 for void. A region is a connected part (4 neighbours) of one
    class of at least 4 pixels; its stroke is a straight line, one pixel wide, between two random pixels of its inner
    half, as far as it lies in the region. generator: draws those pixels.
    """
    truth = labels.numpy()
    found = np.where(truth == VOID, VOID, OPEN)
    for class_idx, region, depth in _regions(truth):
        inner = np.argwhere(region & (depth >= INNER * depth[region].max()))
        (top, left), (bottom, right) = inner[torch.randint(len(inner), (2,), generator=generator)].tolist()
        line = np.zeros_like(truth, np.uint8)
        cv2.line(line, (left, top), (right, bottom), 1)
        found[(line > 0) & region] = class_idx
    return torch.from_numpy(found.astype(np.int64))


def _regions(truth: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[Any]]]:
    """Class, mask, and depth of every pixel: how far it is from the nearest of another class or the picture's end."""
    for class_idx in np.unique(truth[truth != VOID]).tolist():
        mask = (truth == class_idx).astype(np.uint8)
        num_parts, parts = cv2.connectedComponents(mask, connectivity=4)
        depth = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        for part in range(1, num_parts):
            region = parts == part
            if region.sum() >= SMALLEST_PX:
                yield class_idx, region, depth


def with_strokes(pictures: Sequence[LabelledPicture], *, seed: int) -> list[LabelledPicture]:
    """The same pictures with strokes in place of their labels; same seed and place in the row, same strokes."""
    return [
        replace(one, labels=stroked(one.labels, generator=Generator().manual_seed(seed * SEED_STRIDE + idx)))
        for idx, one in enumerate(pictures)
    ]


def labelled_share(pictures: Sequence[LabelledPicture]) -> float:
    """Share of all pixels that have a class, 0..1."""
    known = sum(int(((one.labels != OPEN) & (one.labels != VOID)).sum()) for one in pictures)
    return known / sum(one.labels.numel() for one in pictures)
