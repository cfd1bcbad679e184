"""DAVIS-2016's scores of object masks (Perazzi et al. 2016): region similarity J, boundary accuracy F, statistics."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lib.errors import DataMissing, ShapeError
from lib.metrics.measure import Measure

BOUNDARY_TOLERANCE = 0.008  # of the picture's diagonal
RECALL_ABOVE = 0.5
NUM_BINS = 4

_USE = "over DAVIS-2016 val at 480p, first and last frame of each sequence excluded"
MEAN_J = Measure("mean J", "%", "higher", 100.0, f"mean J {_USE}, mean of sequence means")
RECALL_J = Measure("recall J", "%", "higher", 100.0, f"share of frames with J above 0.5 {_USE}, mean of sequences")
DECAY_J = Measure("decay J", "%", "lower", 0.0, f"J of the first quarter minus J of the last {_USE}, mean of sequences")
MEAN_F = Measure("mean F", "%", "higher", 100.0, f"mean F, boundaries within 0.8 % of the diagonal, {_USE}")


@dataclass(frozen=True)
class Statistics:
    """mean; recall: share of values above 0.5; decay: mean of the first quarter minus mean of the last. All 0..1."""

    mean: float
    recall: float
    decay: float


@dataclass(frozen=True)
class SequenceScores:
    """One sequence: J and F of its frames but the first and the last, in order, and their statistics."""

    frames_j: tuple[float, ...]
    frames_f: tuple[float, ...]
    j: Statistics
    f: Statistics | None


def jaccard(mask: Tensor, truth: Tensor) -> float:
    """Intersection over union of two masks (H, W), bool; 1 where both are empty."""
    _check(mask, truth)
    union = int((mask | truth).sum())
    return int((mask & truth).sum()) / union if union else 1.0


def boundary_f(mask: Tensor, truth: Tensor, *, tolerance: float = BOUNDARY_TOLERANCE) -> float:
    """F of the boundaries of two masks (H, W), bool, that may lie a little apart.

    tolerance: radius of the disc in which a boundary pixel finds its partner: a share of the diagonal, rounded up to
    whole pixels, or pixels from 1 on. Boundaries as in the toolkit: between a pixel and its right, lower or lower right
    neighbour; the picture's edge is none.
    """
    import cv2

    _check(mask, truth)
    radius = round(tolerance) if tolerance >= 1 else math.ceil(tolerance * math.hypot(*mask.shape))
    span = np.arange(-radius, radius + 1)
    disc = (span[:, None] ** 2 + span[None] ** 2 <= radius**2).astype(np.uint8)
    ours, theirs = (boundary_map(one.cpu().numpy()) for one in (mask, truth))
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    precision = cv2.dilate(theirs.astype(np.uint8), disc)[ours].mean()
    recall = cv2.dilate(ours.astype(np.uint8), disc)[theirs].mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def boundary_map(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels (H, W) whose right, lower or lower right neighbour is on the other side; the toolkit's seg2bmap."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return (mask != padded[:-1, 1:]) | (mask != padded[1:, :-1]) | (mask != padded[1:, 1:])


def statistics(values: Sequence[float]) -> Statistics:
    """Mean, recall and decay of a sequence's scores; neighbouring quarters share their edge frame, as the toolkit's."""
    if not len(values):
        raise DataMissing("no frame is left to score: a sequence needs at least three, its first and last don't count")
    scores = np.asarray(values, dtype=np.float64)
    edges = np.round(np.linspace(1, len(scores), NUM_BINS + 1) + 1e-10).astype(int) - 1
    first, last = scores[edges[0] : edges[1] + 1], scores[edges[-2] : edges[-1] + 1]
    return Statistics(float(scores.mean()), float((scores > RECALL_ABOVE).mean()), float(first.mean() - last.mean()))


def davis_scores(masks: Iterable[Tensor], truths: Iterable[Tensor], *, boundaries: bool = True) -> SequenceScores:
    """Scores of one sequence by the protocol of DAVIS-2016: the first and the last frame don't count.

    masks, truths: (H, W) bool for every frame of the sequence, also those two; iterators are read side by side.
    boundaries: False leaves out F, which takes most of the time. Raises ShapeError for masks of another size than the
    truth or another number, DataMissing for fewer than three frames.
    """
    frames_j, frames_f = [], []
    held: tuple[Tensor, Tensor] | None = None
    try:
        for idx, (mask, truth) in enumerate(zip(masks, truths, strict=True)):
            if held is not None and idx > 1:
                frames_j.append(jaccard(*held))
                frames_f += [boundary_f(*held)] if boundaries else []
            held = (mask, truth)
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise ShapeError(f"a sequence must have as many masks as true masks: {error}") from error
    j = statistics(frames_j)
    return SequenceScores(tuple(frames_j), tuple(frames_f), j, statistics(frames_f) if boundaries else None)


def mean_over_sequences(sequences: Iterable[Statistics]) -> Statistics:
    """Mean of the sequences' means, recalls and decays, each sequence counted once however long it is."""
    every = list(sequences)
    if not every:
        raise DataMissing("no sequence to average: give at least one")
    return Statistics(*(float(np.mean([getattr(one, name) for one in every])) for name in ("mean", "recall", "decay")))


def _check(mask: Tensor, truth: Tensor) -> None:
    if mask.ndim != 2 or mask.shape != truth.shape:
        raise ShapeError(
            f"mask and truth must be (H, W) of one size: got {tuple(mask.shape)} and {tuple(truth.shape)}; "
            "bring the mask to the frame's size first"
        )
    if str(mask.dtype) != "torch.bool" or str(truth.dtype) != "torch.bool":
        raise ShapeError(f"mask and truth must be bool: got {mask.dtype} and {truth.dtype}; compare with 0 first")
