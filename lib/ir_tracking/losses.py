"""What training minimises: eq. 11 read as cross entropy, and smooth L1 of the offsets, which the paper leaves out."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.ir_tracking.anchors import BACKGROUND, TARGET
from lib.ir_tracking.network import RegionMaps

BoxLoss = Literal["smooth_l1", "l1"]
BOX_WEIGHT = 1.2  # SiamRPN's code
NEAR_CELLS = 2  # SiamFC: cells within this city-block distance of the target are positive


@dataclass(frozen=True)
class BatchTargets:
    """What a batch teaches: classes (B, m, n, n) int64, 1, 0 or -1; offsets (B, 4, m, n, n); weights (B, m, n, n)."""

    classes: Tensor
    offsets: Tensor
    weights: Tensor


def region_loss(maps: RegionMaps, targets: BatchTargets, *, box_loss: BoxLoss = "smooth_l1") -> dict[str, Tensor]:
    """`classes` and, with region selection, `boxes` (weighted by 1.2), whose sum is minimised.

    Choice: eq. 11 divides by a feature map and takes log10; this is the mean of natural logarithms, over targets and
    background apart. "l1" is the published code's box loss, "smooth_l1" that of SiamRPN's paper.
    """
    if maps.offsets is None:
        return {"classes": logistic_loss(maps.classes[:, 0], targets.classes[:, 0])}
    batch, _, rows, columns = maps.classes.shape
    logits = maps.classes.reshape(batch, 2, -1, rows, columns).log_softmax(dim=1)
    losses = {"classes": class_loss(logits, targets.classes)}
    offsets = maps.offsets.reshape(batch, 4, -1, rows, columns)
    losses["boxes"] = BOX_WEIGHT * offset_loss(offsets, targets, box_loss=box_loss)
    return losses


def class_loss(log_probabilities: Tensor, classes: Tensor) -> Tensor:
    """Half the mean over targets and half that over background of the negative logarithm, 0 where there are none.

    log_probabilities: (B, 2, m, n, n), background and target. classes: (B, m, n, n).
    """
    parts = [
        -log_probabilities[:, value][classes == value].mean() / 2
        for value in (TARGET, BACKGROUND)
        if bool((classes == value).any())
    ]
    return torch.stack(parts).sum() if parts else log_probabilities.sum() * 0


def offset_loss(offsets: Tensor, targets: BatchTargets, *, box_loss: BoxLoss) -> Tensor:
    """Distance of the four offsets, weighted by one over each pair's number of positives, mean over pairs."""
    distance = F.l1_loss if box_loss == "l1" else F.smooth_l1_loss
    summed = distance(offsets, targets.offsets.to(offsets), reduction="none").sum(dim=1)
    return (summed * targets.weights.to(offsets)).sum() / len(offsets)


def logistic_loss(responses: Tensor, classes: Tensor) -> Tensor:
    """Eq. 11 read soundly: mean of ln(1 + exp(-y v)), y = 1 or -1, targets and background weighing the same.

    responses, classes: (B, n, n). Source: SiamFC.
    """
    is_target, is_background = classes == TARGET, classes == BACKGROUND
    signs = torch.where(is_target, 1.0, -1.0).to(responses)
    values = F.softplus(-signs * responses)
    parts = [values[chosen].mean() / 2 for chosen in (is_target, is_background) if bool(chosen.any())]
    return torch.stack(parts).sum() if parts else responses.sum() * 0


def near_cells(target: Tensor, *, stride: int, num_cells: int) -> Tensor:
    """SiamFC's labels (1, n, n), 1 near a target at cx, cy from the crop's centre, else 0."""
    places = (torch.arange(num_cells, device=target.device) - num_cells // 2) * float(stride)
    distance = (places[:, None] - target[1]).abs() + (places - target[0]).abs()
    return (distance <= NEAR_CELLS * stride).long()[None]
