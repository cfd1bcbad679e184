"""Anchors of region selection, and what training asks of each: class, offsets, weight.

Boxes here are corners (x0, y0, x1, y1) or centres (cx, cy, w, h), pixels of the search crop.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lib.ir_tracking.network_settings import NetworkSettings

POSITIVE_IOU, NEGATIVE_IOU = 0.6, 0.3  # SiamRPN
MAX_POSITIVE, MAX_TOTAL = 16, 64  # sampled from each pair; SiamRPN
NEGATIVE_PAIR_REACH = 3  # cells to each side of a distractor that teach; SiamRPN's code
TARGET, BACKGROUND, IGNORED = 1, 0, -1


def anchor_sizes(stride: int, ratios: tuple[float, ...], scales: tuple[float, ...]) -> Tensor:
    """Widths and heights (m, 2), ratios outermost; truncated to whole pixels before scaling, as in the published code.

    ratios: height over width. scales: in strides.
    """
    sizes: list[tuple[float, float]] = []
    for ratio in ratios:
        width = int(math.sqrt(stride * stride / ratio))
        height = int(width * ratio)
        sizes.extend((width * scale, height * scale) for scale in scales)
    return torch.tensor(sizes, dtype=torch.float32)


def anchor_grid(settings: NetworkSettings, num_cells: int) -> Tensor:
    """Anchors (4, m, n, n) as cx, cy, w, h, around the centre of the crop: what the maps' cells stand for."""
    offsets = (torch.arange(num_cells) - num_cells // 2) * float(settings.stride)
    sizes = anchor_sizes(settings.stride, settings.ratios, settings.scales)
    shape = (len(sizes), num_cells, num_cells)
    return torch.stack(
        [
            offsets.expand(shape),
            offsets[:, None].expand(shape),
            sizes[:, 0, None, None].expand(shape),
            sizes[:, 1, None, None].expand(shape),
        ]
    )


def to_corners(boxes: Tensor) -> Tensor:
    """(4, ...) from cx, cy, w, h to x0, y0, x1, y1."""
    centre, size = boxes[:2], boxes[2:]
    return torch.cat([centre - size / 2, centre + size / 2])


def to_centres(boxes: Tensor) -> Tensor:
    """(4, ...) from x0, y0, x1, y1 to cx, cy, w, h."""
    first, last = boxes[:2], boxes[2:]
    return torch.cat([(first + last) / 2, last - first])


def overlap(corners: Tensor, other: Tensor) -> Tensor:
    """Intersection over union (...) of two tensors of corners (4, ...) that broadcast."""
    sides = (torch.minimum(corners[2:], other[2:]) - torch.maximum(corners[:2], other[:2])).clamp(min=0)
    shared = sides[0] * sides[1]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (corners, other)]
    return shared / (areas[0] + areas[1] - shared)


@dataclass(frozen=True)
class AnchorTargets:
    """What one pair teaches.

    classes: int64 (m, n, n), 1 target, 0 background, -1 says nothing.
    offsets: (4, m, n, n), from each anchor to the target. weights: (m, n, n), 1 over the positives' number, else 0.
    """

    classes: Tensor
    offsets: Tensor
    weights: Tensor


def anchor_targets(
    anchors: Tensor,
    target: Tensor,
    *,
    stride: int,
    is_pair: bool = True,
    generator: Generator | None = None,
    at_least_best: bool = False,
) -> AnchorTargets:
    """Class, offsets and weight of each anchor.

    anchors: (4, m, n, n) as cx, cy, w, h around the crop's centre. target: (4,), cx, cy, w, h likewise.
    is_pair: False where the target is another one than the template's: 16 cells around it teach background.
    generator: draws at most 16 positives and 64 in all; None keeps every anchor.
    at_least_best: the anchor of most overlap teaches even below 0.6. Choice: with one scale, a target of 3 pixels
        between two cells would teach nothing.
    Source: SiamRPN's code. A distractor's 7x7 cells lie one cell right and down of its own, as published.
    """
    boxes = target[:, None, None, None].to(anchors)
    offsets = torch.cat([(boxes[:2] - anchors[:2]) / anchors[2:], (boxes[2:] / anchors[2:]).log()])
    classes = torch.full(anchors.shape[1:], IGNORED, dtype=torch.int64, device=anchors.device)
    weights = anchors.new_zeros(anchors.shape[1:])
    if not is_pair:
        around = negative_pair_window(target, stride=stride, num_cells=anchors.shape[-1]).to(anchors.device)
        classes[_sampled(around.expand_as(classes), MAX_POSITIVE, generator)] = BACKGROUND
        return AnchorTargets(classes, torch.zeros_like(offsets), weights)
    shares = overlap(to_corners(anchors), to_corners(boxes))
    is_target = shares > POSITIVE_IOU
    if at_least_best:
        is_target = is_target | (shares >= shares.amax().clamp(min=NEGATIVE_IOU))
    positives = _sampled(is_target, MAX_POSITIVE, generator)
    classes[positives] = TARGET
    classes[_sampled(shares < NEGATIVE_IOU, MAX_TOTAL - MAX_POSITIVE, generator)] = BACKGROUND
    weights[positives] = 1 / (positives.sum() + 1e-6)
    return AnchorTargets(classes, offsets, weights)


def negative_pair_window(target: Tensor, *, stride: int, num_cells: int) -> Tensor:
    """Cells (n, n), bool, around a distractor at cx, cy from the crop's centre."""
    ranges = []
    for offset in target[:2].tolist():
        middle = num_cells // 2 + math.ceil(offset / stride + 0.5)
        cells = torch.arange(num_cells)
        ranges.append((cells >= middle - NEGATIVE_PAIR_REACH) & (cells <= middle + NEGATIVE_PAIR_REACH))
    return ranges[1][:, None] & ranges[0]


def _sampled(chosen: Tensor, most: int, generator: Generator | None) -> Tensor:
    """The mask, or `most` of its elements drawn at random."""
    if generator is None:
        return chosen
    places = chosen.flatten().nonzero()[:, 0]
    if len(places) <= most:
        return chosen
    order = torch.randperm(len(places), generator=generator)[:most].to(places.device)
    kept = torch.zeros(chosen.numel(), dtype=torch.bool, device=chosen.device)
    kept[places[order]] = True
    return kept.view(chosen.shape)
