"""Checks of the exercises: each takes a student's function and says in one sentence how far it is."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.ir_tracking.anchors import overlap
from lib.ir_tracking.network import FUSION_POOLS
from lib.metrics.infrared import decibels
from lib.show.answers import Answer, NotYetError, ask, graded, near, number_from, tensor_from


def check_opening(answer: Callable[[Tensor, int], object]) -> Answer:
    """Exercise 1: opening(row, length) -> (W,): one row of a frame opened with a horizontal line, length odd.

    Pixels outside the row are ignored: they never win a minimum or a maximum.
    """

    def examine() -> str:
        row = torch.cat([torch.tensor([9.0, 9.0, 1.0]), _noise(12) * 5 - 2, torch.tensor([2.0, 8.0, 8.0])])
        shrunk = -_highest(-row, 5)
        wanted = _highest(shrunk, 5)
        ours = tensor_from(answer, row, 5)
        if near(ours, shrunk):
            raise NotYetError("that is the erosion, the running minimum; an opening takes its running maximum after it")
        if near(ours, _highest(row, 5)):
            raise NotYetError("that is the dilation; an opening begins with the running minimum")
        if near(ours, -_highest(-_highest(row, 5), 5)):
            raise NotYetError("that is the closing; first the minimum, then the maximum")
        if ours.shape == row.shape and near(ours[4:-4], wanted[4:-4]) and not near(ours, wanted):
            raise NotYetError("right inside; at the ends leave out what lies outside the row instead of padding it")
        ask(ours, wanted, "highest of the lowest: a running minimum over 5 pixels, then a running maximum over 5")
        return "what is shorter than the line is gone, what is longer stays to the pixel"

    return graded(examine)


def check_filter(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 2: suppressed(frame, openings) -> U (H, W) of eqs 2 and 3; openings: (n, H, W), by each line."""

    def examine() -> str:
        frame = _noise(5, 6) + 1
        openings = frame - _noise(4, 5, 6)
        wanted = frame - openings.amax(0)
        ours = tensor_from(answer, frame, openings)
        if near(ours, openings.amax(0)):
            raise NotYetError("that is the background E; U is what it leaves of the frame")
        if near(ours, -wanted):
            raise NotYetError("the sign is reversed: U = I - E is at least 0")
        if near(ours, frame - openings.amin(0)):
            raise NotYetError("with the lowest opening every edge would stay; E is the highest")
        if near(ours, frame - openings.mean(0)) or near(ours, frame - openings.sum(0)):
            raise NotYetError("E is the highest of the openings, pixel by pixel, neither their mean nor their sum")
        ask(ours, wanted, "U = I - max over the lines of I opened by each")
        return "the same as the lowest of the white top-hats: small in every direction, or it isn't a target"

    return graded(examine)


def check_scr(answer: Callable[[Tensor, Tensor, Tensor], object]) -> Answer:
    """Exercise 3: snr(frame, target, ring) -> dB; target, ring: (H, W) bool, the target's pixels and those around it.

    20 log10 of |mean of the target - mean of the ring| / deviation of the ring, the deviation over all its pixels.
    """

    def examine() -> str:
        frame = _noise(9, 9) + 2
        target, ring = (torch.zeros(9, 9, dtype=torch.bool) for _ in range(2))
        target[4:6, 3:6], ring[1:9, 1:8] = True, True
        ring &= ~target
        frame[target] += 1.5
        inside, around = frame[target].double(), frame[ring].double()
        contrast, deviation = float(inside.mean() - around.mean()), float(around.std(correction=0))
        wanted = decibels(contrast / deviation)
        ours = number_from(answer, frame, target, ring)
        hints = {
            decibels(float(inside.mean()) / deviation): "eq. 13 as printed: without the ring's mean, any bright sky "
            "would have a high SNR",
            contrast / deviation: "right as a ratio; decibels are 20 log10 of it",
            wanted / 2: "10 log10 is for powers; grey levels are amplitudes: 20 log10",
            decibels(contrast / float(frame.double().std(correction=0))): "the deviation is that of the ring alone",
            decibels(contrast / float(around.std())): "divide by the number of pixels, not by one less",
            decibels(contrast / float(around.var(correction=0))): "divide by the deviation, not by its square",
        }
        for value, hint in hints.items():
            if abs(ours - value) < 1e-4:
                raise NotYetError(hint)
        if abs(ours - wanted) > 1e-4:
            raise NotYetError(f"for this frame {wanted:.2f} dB are expected: got {ours:.2f}")
        swapped = number_from(answer, -frame, target, ring)
        if math.isnan(swapped) or abs(swapped - wanted) > 1e-4:
            raise NotYetError("a dark target stands out as much as a bright one: take the magnitude of the contrast")
        return "6 dB is twice the contrast over the same clutter, or half the clutter under the same contrast"

    return graded(examine)


def check_fusion(answer: Callable[[Tensor, Tensor, Tensor], object]) -> Answer:
    """Exercise 4: fused(conv3, conv4, conv5) -> (c3 + c4 + c5, n, n): eqs 5 and 6 without the normalisation.

    The maps (c, n + 4, n + 4), (c, n + 2, n + 2), (c, n, n) are max-pooled with stride 1 to the size of the last.
    """

    def examine() -> str:
        layers = [_noise(2, 8, 8), _noise(3, 6, 6).flip(1), _noise(2, 4, 4).flip(2)]
        pools = list(zip(layers, FUSION_POOLS, strict=True))
        wanted = torch.cat([F.max_pool2d(one[None], pool, 1)[0] for one, pool in pools])
        ours = tensor_from(answer, *layers)
        cropped = torch.cat([one[:, gap : one.shape[1] - gap, gap : one.shape[1] - gap] for one, gap in
                             zip(layers, (2, 1, 0), strict=True)])  # fmt: skip
        if near(ours, cropped):
            raise NotYetError("that cuts the margins off; pooling 5x5 and 3x3 keeps what lies there")
        averaged = torch.cat([F.avg_pool2d(one[None], pool, 1)[0] for one, pool in pools])
        if near(ours, averaged):
            raise NotYetError("the paper pools by the highest value, not by the mean")
        if near(ours, torch.cat([F.adaptive_max_pool2d(one[None], 4)[0] for one in layers])):
            raise NotYetError("adaptive pooling shifts the cells; stride 1 with sides 5, 3 and 1 keeps them in line")
        if near(ours, torch.cat([wanted[5:], wanted[2:5], wanted[:2]])):
            raise NotYetError("the order is conv3, conv4, conv5")
        ask(ours, wanted, "max-pool 5x5, 3x3 and 1x1, stride 1, no padding, then one behind the other along channels")
        return "cells stay in line without losing stride, so that a 1x1 convolution may mix the layers"

    return graded(examine)


def check_boxes(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 5: boxes(offsets, anchors) -> (4, N), cx, cy, w, h of offsets dx, dy, dw, dh (4, N) to anchors (4, N).

    dx and dy are in widths and heights of the anchor, dw and dh logarithms of ratios.
    """

    def examine() -> str:
        anchors = torch.cat([10 * _noise(2, 6), 4 + 8 * _noise(2, 6).flip(1)])
        offsets = _noise(4, 6) - 0.5
        moved, sized = offsets[:2] * anchors[2:] + anchors[:2], offsets[2:].exp() * anchors[2:]
        wanted = torch.cat([moved, sized])
        ours = tensor_from(answer, offsets, anchors)
        if near(ours, anchors + offsets):
            raise NotYetError("offsets are relative: dx times the anchor's width, and exp(dw) times its width")
        if near(ours, torch.cat([offsets[:2] + anchors[:2], sized])):
            raise NotYetError("dx and dy are in widths and heights of the anchor, not in pixels")
        if near(ours, torch.cat([moved, offsets[2:] * anchors[2:]])):
            raise NotYetError("dw is the logarithm of the ratio, so that 0 keeps the size: exp(dw) w")
        if near(ours, torch.cat([moved - sized / 2, sized])):
            raise NotYetError("that is the corner; the centre is asked for")
        ask(ours, wanted, "cx = dx w_a + cx_a, cy likewise with h_a, w = w_a exp(dw), h = h_a exp(dh)")
        return "offsets of zero give the anchor itself, whatever its size"

    return graded(examine)


def check_rank(answer: Callable[[Tensor, Tensor, Tensor, float], object]) -> Answer:
    """Exercise 6: rank(score, penalty, window, influence) -> (N,): what the best proposal is chosen by."""

    def examine() -> str:
        score, penalty, window = _noise(7), _noise(7).flip(0), _noise(7).roll(2)
        wanted = penalty * score * 0.7 + window * 0.3
        ours = tensor_from(answer, score, penalty, window, 0.3)
        if near(ours, penalty * score * 0.3 + window * 0.7):
            raise NotYetError("influence is the window's share; penalty x score gets the rest")
        if near(ours, score * 0.7 + window * 0.3):
            raise NotYetError("without the penalty, a box twice as large counts as much as one of the right size")
        if near(ours, penalty * (score * 0.7 + window * 0.3)):
            raise NotYetError("the penalty belongs to the score; the window counts whatever the size is")
        if near(ours, penalty * score * window):
            raise NotYetError("a product would kill whatever lies far away; the window is added with its share")
        ask(ours, wanted, "penalty x score x (1 - influence) + window x influence")
        return "influence 0 trusts the looks alone, 1 stays where it was"

    return graded(examine)


def check_loss(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 7: loss(values, labels) -> number: eq. 11, soundly read: mean of ln(1 + exp(-y v)), y -1 or 1."""

    def examine() -> str:
        values, labels = 4 * _noise(3, 4) - 2, torch.where(_noise(3, 4).flip(0) > 0.5, 1.0, -1.0)
        every = F.softplus(-labels * values).double()
        wanted = float(every.mean())
        ours = number_from(answer, values, labels)
        hints = {
            wanted / math.log(10): "lg is read as the natural logarithm; base 10 only scales every gradient",
            float(every.sum()): "the mean over the cells, or the loss grows with the map",
            float(F.softplus(labels * values).mean()): "the sign: a high value of a target must cost little",
            float(F.softplus(-values).mean()): "background cells have y = -1 and must cost when their value is high",
        }
        for value, hint in hints.items():
            if abs(ours - value) < 1e-4:
                raise NotYetError(hint)
        if math.isnan(ours) or abs(ours - wanted) > 1e-4:
            raise NotYetError(f"for these values {wanted:.4f} is expected: got {ours:.4f}")
        large = number_from(answer, torch.tensor([-200.0]), torch.tensor([1.0]))
        if math.isnan(large) or abs(large - 200) > 1e-2:
            raise NotYetError(f"exp overflows for v = -200, where 200 is right: got {large}; softplus is safe")
        return "this is the class loss alone; the box needs one of its own, which the paper leaves out"

    return graded(examine)


def check_overlap(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 8: overlap(boxes, truths) -> (T,): IoU of boxes x, y, w, h (T, 4), frame by frame; the mean is AOR."""

    def examine() -> str:
        boxes = torch.tensor([[2.0, 3, 4, 5], [0, 0, 3, 3], [1, 1, 3, 3], [9, 9, 2, 2], [2, 2, 2, 2]])
        truths = torch.tensor([[3.0, 4, 4, 4], [0, 0, 3, 3], [2, 1, 3, 3], [0, 0, 2, 2], [1, 1, 4, 4]])
        corners = [torch.cat([one[:, :2], one[:, :2] + one[:, 2:]], dim=1).T for one in (boxes, truths)]
        wanted = overlap(*corners)
        ours = tensor_from(answer, boxes, truths)
        if near(ours, overlap(boxes.T, truths.T)):
            raise NotYetError("w and h are a size, not the far corner: that is x + w, y + h")
        areas = [one[:, 2] * one[:, 3] for one in (boxes, truths)]
        shared = wanted * (areas[0] + areas[1]) / (1 + wanted)
        if near(ours, shared / (areas[0] + areas[1])):
            raise NotYetError("the union counts the shared part once: subtract it from the sum of the areas")
        if near(ours, shared / areas[1]):
            raise NotYetError("over the true box alone, a box as large as the frame would be perfect")
        if ours.shape == wanted.shape and near(ours[:3], wanted[:3]) and not near(ours, wanted):
            raise NotYetError("boxes that don't meet share nothing: clamp the sides of the shared part at 0")
        ask(ours, wanted, "shared area over the area of both together, pair by pair")
        return "one pixel beside a target of 3 x 3 leaves 0.5: small targets make AOR a hard measure"

    return graded(examine)


def _highest(row: Tensor, length: int) -> Tensor:
    """Running maximum over `length` pixels, those outside ignored."""
    return F.max_pool1d(row[None, None], length, stride=1, padding=length // 2)[0, 0]


def _noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=Generator().manual_seed(5))
