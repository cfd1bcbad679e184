"""Scores of semantic segmentation from one confusion matrix, and what it can't see: boundaries and small objects.

The matrix is counted over the whole test set, void excluded (Long, Shelhamer, Darrell 2015); so are the counts of
boundaries and small objects, so that a picture with little in it weighs little.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.errors import DataMissing, ShapeError, SpecError
from lib.metrics.measure import Measure

VOID = 255
BOUNDARY_TOLERANCE = 0.0075  # of the picture's diagonal; Csurka et al. 2013
SMALL_SHARE = 0.01  # of the picture's area
SMALL_SURROUND = 0.02  # of the picture's diagonal

_USE = "one confusion matrix over the whole set, void excluded"
PIXEL_ACCURACY = Measure("pixel accuracy", "%", "higher", 100.0, f"share of pixels that are right; {_USE}")
MEAN_ACCURACY = Measure("mean accuracy", "%", "higher", 100.0, f"mean recall of the classes in the truth; {_USE}")
MEAN_IU = Measure("mean IU", "%", "higher", 100.0, f"mean over classes in the truth or the prediction; {_USE}")
FW_IU = Measure("fw IU", "%", "higher", 100.0, f"IU weighted by the class's share of the truth; {_USE}")
BOUNDARY_F = Measure(
    "boundary F",
    "%",
    "higher",
    100.0,
    "F of each class's boundary within 0.75 % of the diagonal, rounded up to whole pixels, matches counted over the "
    "set, boundaries beside void excluded, mean over the classes in the truth",
)
SMALL_OBJECT_IU = Measure(
    "small-object IU",
    "%",
    "higher",
    100.0,
    "IU of each class inside its connected parts (8 neighbours) below 1 % of the picture and 2 % of the diagonal "
    "around them, pixels counted over the set, mean over the classes that have such parts",
)


@dataclass(frozen=True)
class SegmentationScores:
    """The four scores of the confusion matrix, 0..1, and IU by class; NaN for a class that is nowhere."""

    pixel_accuracy: float
    mean_accuracy: float
    mean_iu: float
    fw_iu: float
    iu: tuple[float, ...]


def confusion_matrix(prediction: Tensor, truth: Tensor, *, num_classes: int, ignore: int = VOID) -> Tensor:
    """Counts (num_classes, num_classes) int64: row the true class, column the predicted one.

    prediction, truth: integers of one shape. Pixels whose truth is `ignore` don't count, whatever was predicted there.
    Raises ShapeError for two shapes or a class outside 0..num_classes - 1.
    """
    _check_labels(prediction, truth, num_classes, ignore)
    counted = truth != ignore
    place = truth[counted].long() * num_classes + prediction[counted].long()
    return torch.bincount(place, minlength=num_classes**2).view(num_classes, num_classes)


def segmentation_scores(matrix: Tensor) -> SegmentationScores:
    """Pixel accuracy, mean accuracy, mean IU and frequency-weighted IU of a confusion matrix.

    Mean accuracy skips classes that the truth doesn't hold; mean IU skips a class only where neither truth nor
    prediction hold it, so that a class which is predicted but absent counts as 0 (FCN repository).
    Raises DataMissing for a matrix without a pixel.
    """
    counts = matrix.double()
    total = counts.sum()
    if not total > 0:
        raise DataMissing("no pixel to score: every pixel of the truth is void")
    right, in_truth, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    iu = right / (in_truth + predicted - right)  # 0 / 0 is NaN
    return SegmentationScores(
        pixel_accuracy=(right.sum() / total).item(),
        mean_accuracy=(right / in_truth).nanmean().item(),
        mean_iu=iu.nanmean().item(),
        fw_iu=((in_truth * iu)[in_truth > 0].sum() / total).item(),
        iu=tuple(iu.tolist()),
    )


@dataclass(frozen=True, eq=False)
class Matches:
    """Per class: pixels of our boundary, of the true one, and how many of each have a partner. Arrays (classes,)."""

    ours: NDArray[np.int64]
    ours_matched: NDArray[np.int64]
    theirs: NDArray[np.int64]
    theirs_matched: NDArray[np.int64]


def boundary_matches(
    prediction: Tensor,
    truth: Tensor,
    *,
    num_classes: int,
    tolerance: float = BOUNDARY_TOLERANCE,
    ignore: int = VOID,
) -> Matches:
    """Boundaries of each class in a prediction and the truth (H, W), and how many of their pixels lie close enough.

    tolerance: radius of the disc in which a boundary pixel finds its partner, as a share of the diagonal, rounded up to
    whole pixels. A boundary pixel of a class is one of the class beside (4 neighbours) another class.
    Choice: void is no class, so that a boundary beside it is none, and the prediction there is void as well.
    """
    import cv2

    _check_labels(prediction, truth, num_classes, ignore)
    theirs = truth.cpu().numpy().astype(np.int64)
    ours = np.where(theirs == ignore, ignore, prediction.cpu().numpy().astype(np.int64))
    radius = math.ceil(tolerance * math.hypot(*theirs.shape))
    span = np.arange(-radius, radius + 1)
    disc = (span[:, None] ** 2 + span[None] ** 2 <= radius**2).astype(np.uint8)
    edges = [class_borders(one, ignore) for one in (ours, theirs)]
    counts = np.zeros((4, num_classes), dtype=np.int64)
    for label in range(num_classes):
        mine, true = (edge & (one == label) for edge, one in zip(edges, (ours, theirs), strict=True))
        counts[0, label], counts[2, label] = mine.sum(), true.sum()
        if counts[0, label] and counts[2, label]:
            counts[1, label] = cv2.dilate(true.astype(np.uint8), disc)[mine].sum()
            counts[3, label] = cv2.dilate(mine.astype(np.uint8), disc)[true].sum()
    return Matches(*counts)


def class_borders(labels: NDArray[np.int64], ignore: int = VOID) -> NDArray[np.bool_]:
    """Pixels (H, W) with one of the four neighbours in another class; void is none."""
    found = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        first, second = (
            tuple(part if one == axis else slice(None) for one in (0, 1)) for part in (slice(None, -1), slice(1, None))
        )
        differ = (labels[first] != labels[second]) & (labels[first] != ignore) & (labels[second] != ignore)
        found[first] |= differ
        found[second] |= differ
    return found


@dataclass(frozen=True, eq=False)
class SmallObjects:
    """Per class: pixels in and around its small parts that are right, and in either. Arrays (classes,)."""

    intersection: NDArray[np.int64]
    union: NDArray[np.int64]


def small_object_overlap(
    prediction: Tensor,
    truth: Tensor,
    *,
    num_classes: int,
    share: float = SMALL_SHARE,
    surround: float = SMALL_SURROUND,
    ignore: int = VOID,
) -> SmallObjects:
    """Overlap of a prediction (H, W) with the small parts of each class.

    share: a connected part (8 neighbours) of a class in the truth is small below this share of the picture's area.
    surround: pixels this near, as a share of the diagonal, rounded up, count as well where the class was predicted and
    the truth has another one. Choice: without them the widest prediction would win, and far away a wrong pixel has
    nothing to do with the small part. The paper shows small objects in figures and gives no score.
    """
    import cv2

    _check_labels(prediction, truth, num_classes, ignore)
    theirs, ours = truth.cpu().numpy(), prediction.cpu().numpy()
    radius = math.ceil(surround * math.hypot(*theirs.shape))
    span = np.arange(-radius, radius + 1)
    disc = (span[:, None] ** 2 + span[None] ** 2 <= radius**2).astype(np.uint8)
    counts = np.zeros((2, num_classes), dtype=np.int64)
    for label in range(num_classes):
        true = theirs == label
        if not true.any():
            continue
        _, parts, stats, _ = cv2.connectedComponentsWithStats(true.astype(np.uint8), connectivity=8)
        is_small = stats[:, cv2.CC_STAT_AREA] < share * true.size
        is_small[0] = False
        small = is_small[parts]
        if not small.any():
            continue
        mine = ours == label
        around = (cv2.dilate(small.astype(np.uint8), disc) > 0) & ~true & (theirs != ignore)
        counts[0, label] = (mine & small).sum()
        counts[1, label] = small.sum() + (mine & around).sum()
    return SmallObjects(*counts)


@dataclass(eq=False)
class SegmentationMeter:
    """Counts over a set, picture by picture; `scores` gives all six in per cent by the names of their measures.

    details: False leaves out boundaries and small objects, which take most of the time.
    """

    num_classes: int
    ignore: int = VOID
    details: bool = True
    counts: Tensor = field(init=False)

    def __post_init__(self) -> None:
        if self.num_classes < 1:
            raise SpecError(f"num_classes must be at least 1: got {self.num_classes}")
        # the matrix, then four rows of boundaries and two of small objects, in one tensor so that devices can add them
        self.counts = torch.zeros(self.num_classes + 6, self.num_classes, dtype=torch.int64)

    def add(self, prediction: Tensor, truth: Tensor) -> None:
        """Counts one picture: labels (H, W) of one size."""
        size: dict[str, Any] = {"num_classes": self.num_classes, "ignore": self.ignore}
        self.counts[: self.num_classes] += confusion_matrix(prediction, truth, **size).cpu()
        if self.details:
            edges, small = boundary_matches(prediction, truth, **size), small_object_overlap(prediction, truth, **size)
            rows = [edges.ours, edges.ours_matched, edges.theirs, edges.theirs_matched, small.intersection, small.union]
            self.counts[self.num_classes :] += torch.from_numpy(np.stack(rows))

    @property
    def matrix(self) -> Tensor:
        """The confusion matrix so far."""
        return self.counts[: self.num_classes]

    def scores(self) -> dict[str, float]:
        """Per cent by measure name; NaN for small objects where the truth has none."""
        found = segmentation_scores(self.matrix)
        scores = {
            PIXEL_ACCURACY.name: found.pixel_accuracy,
            MEAN_ACCURACY.name: found.mean_accuracy,
            MEAN_IU.name: found.mean_iu,
            FW_IU.name: found.fw_iu,
        }
        if self.details:
            ours, ours_matched, theirs, theirs_matched, intersection, union = self.counts[self.num_classes :].double()
            precision = torch.where(ours > 0, ours_matched / ours, 0)
            recall = theirs_matched / theirs  # NaN: the truth has no such boundary
            f = torch.where(precision + recall == 0, 0, 2 * precision * recall / (precision + recall))
            scores[BOUNDARY_F.name] = f[theirs > 0].mean().item()
            scores[SMALL_OBJECT_IU.name] = (intersection / union).nanmean().item()
        return {name: 100 * value for name, value in scores.items()}


def _check_labels(prediction: Tensor, truth: Tensor, num_classes: int, ignore: int) -> None:
    if prediction.shape != truth.shape:
        raise ShapeError(
            f"prediction and truth must have one size: got {tuple(prediction.shape)} and {tuple(truth.shape)}; "
            "resize the scores before taking the best class"
        )
    if prediction.is_floating_point() or truth.is_floating_point():
        raise ShapeError(
            f"prediction and truth must be class numbers: got {prediction.dtype} and {truth.dtype}; "
            "take the argmax of scores first"
        )
    counted = truth != ignore
    for name, labels in (("truth", truth[counted]), ("prediction", prediction[counted])):
        if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= num_classes):
            raise ShapeError(
                f"{name} must hold classes 0..{num_classes - 1}, or {ignore} for void in the truth: "
                f"got {int(labels.min())}..{int(labels.max())}"
            )
