"""Which proposal is the target (eq. 10): boxes from offsets, penalties on change, a window on distance."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.ir_tracking.network import RegionMaps

MAX_LOG_SIZE = math.log(1000 / 16)  # of a box over its anchor, as torchvision's box coder: no overflow


@dataclass(frozen=True)
class Selected:
    """The best proposal of each map, in pixels of the search crop around its centre.

    boxes: (B, 4), cx, cy, w, h. scores: (B,), probability of the class. penalties: (B,), 0..1, of change in size and
    shape. ranks: (B,), what was compared. idx: (B,), its number in the flat order anchor, row, column.
    """

    boxes: Tensor
    scores: Tensor
    penalties: Tensor
    ranks: Tensor
    idx: Tensor


def class_scores(maps: RegionMaps) -> Tensor:
    """Probability of the target for each anchor, (B, m*n*n), anchor outermost, then row, then column."""
    classes = maps.classes
    if maps.offsets is None:
        return classes.sigmoid().flatten(1)
    batch = len(classes)
    return classes.reshape(batch, 2, -1).softmax(dim=1)[:, 1]


def decode(maps: RegionMaps, anchors: Tensor) -> Tensor:
    """Boxes (B, 4, m*n*n), cx, cy, w, h, of offsets (B, 4m, n, n) and anchors (4, m, n, n)."""
    assert maps.offsets is not None
    offsets = maps.offsets.reshape(len(maps.offsets), 4, -1)
    flat = anchors.reshape(4, -1)
    sizes = offsets[:, 2:].clamp(-MAX_LOG_SIZE, MAX_LOG_SIZE).exp() * flat[2:]
    return torch.cat([offsets[:, :2] * flat[2:] + flat[:2], sizes], dim=1)


def change_penalty(boxes: Tensor, sizes: Tensor, *, strength: float) -> Tensor:
    """exp(-(max(r, 1/r) max(s, 1/s) - 1) k), r change of aspect, s change of size: (B, N).

    boxes: (B, 4, N), cx, cy, w, h. sizes: (B, 2), the target's width and height before, in the same pixels.
    strength: k. Source: SiamRPN.
    """
    width, height = boxes[:, 2], boxes[:, 3]
    old = sizes.to(boxes)
    size_change = _either_way(_padded_side(width, height) / _padded_side(old[:, :1], old[:, 1:]))
    shape_change = _either_way((old[:, :1] / old[:, 1:]) / (width / height))
    return torch.exp(-(size_change * shape_change - 1) * strength)


def _padded_side(width: Tensor, height: Tensor) -> Tensor:
    margin = (width + height) / 2
    return ((width + margin) * (height + margin)).sqrt()


def _either_way(ratio: Tensor) -> Tensor:
    return torch.maximum(ratio, 1 / ratio)


def cosine_window(num_cells: int, num_anchors: int, *, like: Tensor) -> Tensor:
    """Hanning window (m*n*n,), 0 at the border of the map, 1 in its middle."""
    line = torch.hann_window(num_cells, periodic=False, dtype=torch.float64)
    return torch.outer(line, line).flatten().repeat(num_anchors).to(like)


def select(
    maps: RegionMaps,
    anchors: Tensor,
    sizes: Tensor,
    *,
    penalty_strength: float,
    window_influence: float,
    window: Tensor | None = None,
    spreads: Tensor | None = None,
) -> Selected:
    """The proposal of the highest rank = penalty x score x (1 - influence) + window x influence, for each map.

    maps: of the network, with B samples. anchors: (4, m, n, n) of `anchor_grid`. sizes: (B, 2), the targets' before,
    in pixels of the crop. window: (m*n*n,) of `cosine_window`; None computes it.
    spreads: (B,), pixels of the crop: in place of the window a Gaussian of the box's distance from the crop's centre,
    which is where a motion model expects the target. Choice: not in the paper.
    Without region selection (SiamFC) the box is the cell with the target's size before.
    """
    scores = class_scores(maps)
    if maps.offsets is None:
        flat = anchors[:, 0].reshape(4, -1)
        boxes = torch.cat(
            [
                flat[:2].expand(len(scores), -1, -1),
                sizes.to(scores)[:, :, None].expand(-1, -1, scores.shape[1]),
            ],
            dim=1,
        )
    else:
        boxes = decode(maps, anchors)
    penalties = change_penalty(boxes, sizes, strength=penalty_strength)
    if spreads is not None:
        distance = boxes[:, :2].square().sum(dim=1)
        window = torch.exp(-distance / (2 * spreads.to(boxes)[:, None].square()))
    elif window is None:
        window = cosine_window(anchors.shape[-1], scores.shape[1] // anchors[0, 0].numel(), like=scores)
    ranks = penalties * scores * (1 - window_influence) + window * window_influence
    idx = ranks.argmax(dim=1)
    here = idx[:, None]
    return Selected(
        boxes.gather(2, here[:, None].expand(-1, 4, 1))[:, :, 0],
        scores.gather(1, here)[:, 0],
        penalties.gather(1, here)[:, 0],
        ranks.gather(1, here)[:, 0],
        idx,
    )
