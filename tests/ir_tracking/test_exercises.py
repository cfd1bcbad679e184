"""Every exercise can be solved, and each usual slip gets its own hint."""

import math

import pytest
import torch
import torch.nn.functional as F

from lib.ir_tracking import exercises

CHECKS = [getattr(exercises, name) for name in dir(exercises) if name.startswith("check_")]


def eroded(row, length):
    reach = length // 2
    return torch.stack([row[max(i - reach, 0) : i + reach + 1].amin() for i in range(len(row))])


def opening(row, length):
    return -eroded(-eroded(row, length), length)


def padded_opening(row, length):
    reach = length // 2
    return opening(F.pad(row, (reach, reach)), length)[reach : len(row) + reach]


def suppressed(frame, openings):
    return frame - openings.amax(0)


def snr(frame, target, ring, *, power=20, correction=0, minus=True):
    contrast = frame[target].mean() - (frame[ring].mean() if minus else 0)
    return power * math.log10(float(contrast.abs() / frame[ring].std(correction=correction)))


def fused(conv3, conv4, conv5, pool=F.max_pool2d):
    return torch.cat([pool(one[None], side, 1)[0] for one, side in ((conv3, 5), (conv4, 3), (conv5, 1))])


def boxes(offsets, anchors):
    return torch.cat([offsets[:2] * anchors[2:] + anchors[:2], offsets[2:].exp() * anchors[2:]])


def rank(score, penalty, window, influence):
    return penalty * score * (1 - influence) + window * influence


def loss(values, labels):
    return F.softplus(-labels * values).mean()


def shared(first, second):
    low = torch.maximum(first[:, :2], second[:, :2])
    high = torch.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    return (high - low).clamp(min=0).prod(1)


def overlap(first, second):
    both = shared(first, second)
    return both / (first[:, 2:].prod(1) + second[:, 2:].prod(1) - both)


def overlap_unclamped(first, second):
    low = torch.maximum(first[:, :2], second[:, :2])
    high = torch.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    both = (high - low).prod(1)
    return both / (first[:, 2:].prod(1) + second[:, 2:].prod(1) - both)


def overlap_of_corners(first, second):
    both = (
        (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(min=0).prod(1)
    )
    areas = [(one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in (first, second)]
    return both / (areas[0] + areas[1] - both)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_empty_or_failing_answer_is_unfinished(check):
    assert "write the body" in check(lambda *_: ...).says

    def fails(*_: object) -> None:
        raise ZeroDivisionError("no")

    assert "ZeroDivisionError" in check(fails).says
    assert not check(lambda *_: "text").solved


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (exercises.check_opening, opening),
        (exercises.check_filter, suppressed),
        (exercises.check_scr, snr),
        (exercises.check_fusion, fused),
        (exercises.check_boxes, boxes),
        (exercises.check_rank, rank),
        (exercises.check_loss, loss),
        (exercises.check_overlap, overlap),
    ],
)
def test_each_exercise_can_be_solved(check, answer):
    result = check(answer)
    assert result.solved, result.says


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (exercises.check_opening, eroded, "erosion"),
        (exercises.check_opening, lambda row, length: -eroded(-row, length), "dilation"),
        (exercises.check_opening, lambda row, length: -opening(-row, length), "closing"),
        (exercises.check_opening, padded_opening, "at the ends"),
        (exercises.check_opening, lambda row, length: opening(row, length - 2), "over 5 pixels"),
        (exercises.check_filter, lambda _, openings: openings.amax(0), "background"),
        (exercises.check_filter, lambda frame, openings: openings.amax(0) - frame, "sign"),
        (exercises.check_filter, lambda frame, openings: frame - openings.amin(0), "lowest opening"),
        (exercises.check_filter, lambda frame, openings: frame - openings.mean(0), "neither their mean"),
        (exercises.check_filter, lambda frame, openings: frame + openings[0], "max over the lines"),
        (exercises.check_scr, lambda *given: snr(*given, minus=False), "as printed"),
        (exercises.check_scr, lambda *given: 10 ** (snr(*given) / 20), "20 log10 of it"),
        (exercises.check_scr, lambda *given: snr(*given, power=10), "for powers"),
        (exercises.check_scr, lambda *given: snr(*given, correction=1), "one less"),
        (exercises.check_scr, lambda frame, t, r: snr(frame, t, torch.ones_like(t)), "dB are expected"),
        (
            exercises.check_scr,
            lambda frame, t, r: snr(frame, t, r) if frame.mean() > 0 else math.nan,
            "magnitude",
        ),
        (exercises.check_fusion, lambda a, b, c: torch.cat([a[:, 2:-2, 2:-2], b[:, 1:-1, 1:-1], c]), "margins"),
        (exercises.check_fusion, lambda *maps: fused(*maps, pool=F.avg_pool2d), "by the mean"),
        (
            exercises.check_fusion,
            lambda *maps: torch.cat([F.adaptive_max_pool2d(one[None], 4)[0] for one in maps]),
            "adaptive",
        ),
        (exercises.check_fusion, lambda a, b, c: torch.cat(fused(a, b, c).split([2, 3, 2])[::-1]), "order"),
        (exercises.check_fusion, lambda a, b, c: c, "shape"),
        (exercises.check_boxes, lambda offsets, anchors: offsets + anchors, "relative"),
        (
            exercises.check_boxes,
            lambda offsets, anchors: torch.cat([offsets[:2] + anchors[:2], boxes(offsets, anchors)[2:]]),
            "not in pixels",
        ),
        (
            exercises.check_boxes,
            lambda offsets, anchors: torch.cat([boxes(offsets, anchors)[:2], offsets[2:] * anchors[2:]]),
            "logarithm",
        ),
        (
            exercises.check_boxes,
            lambda *given: boxes(*given) - torch.cat([boxes(*given)[2:] / 2, torch.zeros(2, 6)]),
            "corner",
        ),
        (exercises.check_rank, lambda s, p, w, share: rank(s, p, w, 1 - share), "gets the rest"),
        (exercises.check_rank, lambda s, p, w, share: rank(s, 1, w, share), "without the penalty"),
        (exercises.check_rank, lambda s, p, w, share: p * rank(s, 1, w, share), "belongs to the score"),
        (exercises.check_rank, lambda s, p, w, share: p * s * w, "a product"),
        (exercises.check_loss, lambda v, y: loss(v, y) / math.log(10), "natural"),
        (exercises.check_loss, lambda v, y: F.softplus(-y * v).sum(), "mean over the cells"),
        (exercises.check_loss, lambda v, y: loss(v, -y), "sign"),
        (exercises.check_loss, lambda v, y: F.softplus(-v).mean(), "y = -1"),
        (exercises.check_loss, lambda v, y: (1 + (-y * v).exp()).log().mean(), "overflows"),
        (exercises.check_overlap, overlap_of_corners, "far corner"),
        (
            exercises.check_overlap,
            lambda a, b: shared(a, b) / (a[:, 2:].prod(1) + b[:, 2:].prod(1)),
            "counts the shared part once",
        ),
        (exercises.check_overlap, lambda a, b: shared(a, b) / b[:, 2:].prod(1), "true box alone"),
        (exercises.check_overlap, overlap_unclamped, "clamp"),
    ],
)
def test_usual_slips_get_their_hint(check, answer, hint):
    result = check(answer)
    assert not result.solved
    assert hint in result.says


def test_inputs_must_stay():
    assert "inputs must stay" in exercises.check_boxes(lambda offsets, anchors: boxes(offsets.mul_(2), anchors)).says
