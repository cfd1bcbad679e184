"""Scores of tracked boxes: overlap (AOR and success curve) and centre error (precision curve), as OTB and pysot."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal, get_args

import torch
from torch import Tensor

from lib.errors import DataMissing, ShapeError, SpecError
from lib.metrics.measure import Measure

Protocol = Literal["valid", "pysot"]
NUM_SUCCESS_THRESHOLDS = 21  # overlaps 0, 0.05 ... 1
MAX_PRECISION_PX = 50  # thresholds 0, 1 ... 50 px
SMALL_TARGET_PX = (3, 5, 20)  # 20 px is OTB's; 3 and 5 px are for targets of a few pixels

_MEAN = "mean of the sequences' means"
_BOXES = f"frames whose true box has some size, {_MEAN}"
_CENTRES = f"frames whose true box has some size and its centre right of and below the picture's corner, {_MEAN}"
AOR = Measure("AOR", "1", "higher", 1.0, f"mean IoU over {_BOXES}; the sound reading of eq. 14")
SUCCESS_AUC = Measure("success AUC", "1", "higher", 1.0, f"mean of the shares with IoU > 0, 0.05 ... 1; {_BOXES}")
PRECISION_3, PRECISION_5, PRECISION_20 = (
    Measure(
        f"precision at {px} px",
        "%",
        "higher",
        100.0,
        f"share with a centre error of at most {px} px, centre = x + (w - 1) / 2; {_CENTRES}; sound reading of eq. 15",
    )
    for px in SMALL_TARGET_PX
)
CENTRE_ERROR = Measure("centre error", "px", "lower", 0.0, f"median distance of the centres; {_CENTRES}")


def box_iou(boxes: Tensor, truths: Tensor) -> Tensor:
    """Intersection over union (...) of boxes (..., 4) with the true boxes (..., 4), pair by pair, 0..1.

    Both (x, y, w, h), pixels, x and y of the top left corner. 0 where either box is empty, outside the other or NaN.
    Raises ShapeError for shapes that don't match.
    """
    _check(boxes, truths)
    first, second = boxes.double(), truths.double()
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    shared = (high - low).clamp_min(0).prod(dim=-1)
    union = first[..., 2:].clamp_min(0).prod(dim=-1) + second[..., 2:].clamp_min(0).prod(dim=-1) - shared
    return (shared / union).nan_to_num(nan=0.0).clamp(0, 1)


def centre_error(boxes: Tensor, truths: Tensor) -> Tensor:
    """Distance (...) between the centres of boxes (..., 4) and the true boxes, pixels; infinite where a box is NaN."""
    _check(boxes, truths)
    distance = torch.linalg.vector_norm(_centre(boxes.double()) - _centre(truths.double()), dim=-1)
    return distance.nan_to_num(nan=torch.inf)


def success_curve(boxes: Tensor, truths: Tensor, *, protocol: Protocol = "valid") -> Tensor:
    """Share of frames (21,) whose IoU is above 0, 0.05 ... 1 (strictly), of one sequence (T, 4).

    Its mean is the AUC. protocol: "valid" counts the frames whose true box has some size; "pysot" divides by all
    frames, and one whose truth has no size is never a success. Raises DataMissing when no frame is left.
    """
    counted = _counted(boxes, truths, protocol)
    overlap = box_iou(boxes, truths)
    if protocol == "pysot":
        overlap = torch.where(_has_size(truths), overlap, -1)
    thresholds = torch.arange(NUM_SUCCESS_THRESHOLDS, dtype=torch.float64, device=boxes.device) * 0.05
    return (overlap[counted, None] > thresholds).double().mean(dim=0)


def precision_curve(boxes: Tensor, truths: Tensor, *, protocol: Protocol = "valid") -> Tensor:
    """Share of frames (51,) whose centres are at most 0, 1 ... 50 px apart, of one sequence (T, 4).

    protocol: "valid" counts the frames whose true box has some size and whose true centre is above 0 in both
    coordinates; "pysot" divides by all frames, and one whose true centre isn't is a hit at every threshold: that is
    what the published code does, and it is not sound. Raises DataMissing when no frame is left.
    """
    _check(boxes, truths)
    counted = _counted(boxes, truths, protocol, _has_centre(truths))
    distance = centre_error(boxes, truths)
    if protocol == "pysot":
        distance = torch.where(_has_centre(truths), distance, -1)
    thresholds = torch.arange(MAX_PRECISION_PX + 1, dtype=torch.float64, device=boxes.device)
    return (distance[counted, None] <= thresholds).double().mean(dim=0)


def average_overlap(boxes: Tensor, truths: Tensor) -> float:
    """AOR: mean IoU of one sequence (T, 4) over the frames whose true box has some size; eq. 14.

    Raises DataMissing when there is none.
    """
    return float(box_iou(boxes, truths)[_counted(boxes, truths, "valid")].mean())


@dataclass(frozen=True)
class TrackingScores:
    """Scores of one sequence, or means of several: shares 0..1, the centre error in pixels (a sequence's median)."""

    aor: float
    success_auc: float
    precision_3: float
    precision_5: float
    precision_20: float
    centre_error: float


def tracking_scores(boxes: Tensor, truths: Tensor) -> TrackingScores:
    """All scores of one sequence: boxes and true boxes (T, 4), frames without a true box left out.

    A tracker that reports nothing in a frame gives NaN there, which is a miss.
    Raises ShapeError for shapes that don't match, DataMissing when no frame has a true box.
    """
    precision = precision_curve(boxes, truths)
    seen = _has_size(truths) & _has_centre(truths)
    return TrackingScores(
        aor=average_overlap(boxes, truths),
        success_auc=float(success_curve(boxes, truths).mean()),
        precision_3=float(precision[3]),
        precision_5=float(precision[5]),
        precision_20=float(precision[20]),
        centre_error=float(centre_error(boxes, truths)[seen].median()),
    )


def mean_of_tracks(tracks: Iterable[TrackingScores]) -> TrackingScores:
    """Mean over sequences, each counted once however long it is; DataMissing without any."""
    every = list(tracks)
    if not every:
        raise DataMissing("no track to average: give at least one")
    return TrackingScores(*(sum(getattr(one, f.name) for one in every) / len(every) for f in fields(TrackingScores)))


def _centre(boxes: Tensor) -> Tensor:
    return boxes[..., :2] + (boxes[..., 2:] - 1) / 2


def _has_size(truths: Tensor) -> Tensor:
    return truths.isfinite().all(dim=-1) & (truths[..., 2:] > 0).all(dim=-1)


def _has_centre(truths: Tensor) -> Tensor:
    return (_centre(truths) > 0).all(dim=-1)


def _counted(boxes: Tensor, truths: Tensor, protocol: Protocol, needed: Tensor | None = None) -> Tensor:
    """Which frames (T,) the shares are of; `needed`: what must also hold."""
    _check(boxes, truths)
    if boxes.ndim != 2:
        raise ShapeError(f"boxes of one sequence must be (T, 4): got {tuple(boxes.shape)}; score target by target")
    if protocol not in get_args(Protocol):
        raise SpecError(f"protocol must be one of {', '.join(get_args(Protocol))}: got {protocol!r}")
    counted = _has_size(truths) if needed is None else _has_size(truths) & needed
    if protocol == "pysot":
        counted = torch.ones_like(counted)
    if not counted.any():
        raise DataMissing("no frame is left to score: none has a true box; give the boxes of the target's frames")
    return counted


def _check(boxes: Tensor, truths: Tensor) -> None:
    for name, one in (("boxes", boxes), ("truths", truths)):
        if not isinstance(one, Tensor) or one.ndim < 1 or one.shape[-1] != 4 or one.is_complex():
            form = tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__
            raise ShapeError(f"{name} must be a tensor (..., 4) of x, y, w, h in pixels: got {form}")
    if boxes.shape != truths.shape:
        raise ShapeError(
            f"boxes and truths must have one shape: got {tuple(boxes.shape)} and {tuple(truths.shape)}; "
            "give one box for each true box, NaN where there is none"
        )
