"""Every exercise can be solved, and each usual slip gets its own hint."""

import pytest
import torch
import torch.nn.functional as F

from lib.context_reg import exercises

CHECKS = [getattr(exercises, name) for name in dir(exercises) if name.startswith("check_")]
NEIGHBOURS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2))


def kernels():
    made = torch.zeros(8, 3, 3)
    made[:, 1, 1] = 1
    for kernel, (y, x) in zip(made, NEIGHBOURS, strict=True):
        kernel[y, x] = -1
    return made / 2**0.5


def response(plane, kernel):
    padded = F.pad(plane[None, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernel[None, None])[0, 0]


def weight(image, kernel, sigma):
    squares = sum(response(plane, kernel) ** 2 for plane in image)
    return torch.exp(-squares / (2 * sigma**2))


def context(weights, differences):
    return (weights[:, None] * differences.abs()).sum()


def push(row, w):
    signs = w * torch.sign(row[:-1] - row[1:])
    return F.pad(signs, (0, 1)) - F.pad(signs, (1, 0))


def pinned(d, alpha, beta):
    return (alpha * (d.square().sum((1, 2)) - 1) ** 2 + beta * d.sum((1, 2)) ** 2).sum()


def minimum(alpha, beta):
    return max(0.0, 1 - beta / (2 * alpha))


SOLUTIONS = {
    exercises.check_kernels: kernels,
    exercises.check_response: response,
    exercises.check_weight: weight,
    exercises.check_context: context,
    exercises.check_push: push,
    exercises.check_kernel_loss: pinned,
    exercises.check_minimum: minimum,
}


def test_every_check_has_a_solution_here():
    assert set(SOLUTIONS) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_the_right_answer_is_solved(check):
    answer = check(SOLUTIONS[check])
    assert answer.solved, answer.says


@pytest.mark.parametrize("check", CHECKS)
def test_an_empty_body_is_not_yet(check):
    answer = check(lambda *_: ...)
    assert not answer.solved
    assert answer.says == "write the body of the function"


@pytest.mark.parametrize(
    ("check", "slip", "hint"),
    [
        (exercises.check_kernels, lambda: kernels() * 2**0.5, "root of 2"),
        (exercises.check_kernels, lambda: -kernels(), "plus in the centre"),
        (exercises.check_kernels, lambda: kernels().flip(0), "upper left"),
        (exercises.check_response, lambda p, k: response(p, k.flip(0, 1)), "flips"),
        (exercises.check_response, lambda p, k: F.conv2d(p[None, None], k[None, None], padding=1)[0, 0], "border"),
        (exercises.check_response, lambda p, k: F.conv2d(p[None, None], k[None, None])[0, 0], "pad by one"),
        (exercises.check_response, lambda p, _k: p, "nine taps"),
        (exercises.check_weight, lambda i, k, s: weight(i, k, s) ** (1 / 3), "not their mean"),
        (exercises.check_weight, lambda i, k, s: weight(i, k, s) ** 2, "2 sigma squared"),
        (exercises.check_weight, lambda i, k, s: (-(-2 * s**2 * weight(i, k, s).log()).sqrt() / (2 * s**2)).exp(),
         "no root"),
        (exercises.check_weight, lambda i, k, s: weight(i.mean(0, keepdim=True), k, s), "grey"),
        (exercises.check_weight, lambda i, k, s: 1 - weight(i, k, s), "exp"),
        (exercises.check_context, lambda w, d: (w[:, None] * d).sum(), "cancel"),
        (exercises.check_context, lambda w, d: (w[:, None] * d.square()).sum(), "square"),
        (exercises.check_context, lambda w, d: (w[:, None] * d.abs()).mean(), "sum"),
        (exercises.check_context, lambda w, d: d.abs().sum(), "expected"),
        (exercises.check_push, lambda r, w: -push(r, w), "sign"),
        (exercises.check_push, lambda r, w: push(r, 2 * w), "times the weight"),
        (exercises.check_push, lambda r, _w: r, "right and from its left"),
        (exercises.check_kernel_loss, lambda d, a, b: (a * (d.square().sum((1, 2)) - 1) ** 2
                                                       + b * d.square().sum((1, 2))).sum(), "as printed"),
        (exercises.check_kernel_loss, lambda _d, _a, _b: 1.0, "expected"),
        (exercises.check_minimum, lambda a, b: 1 - b / (2 * a), "negative"),
        (exercises.check_minimum, lambda _a, _b: 1.0, "derivative"),
    ],
)  # fmt: skip
def test_a_usual_slip_gets_its_hint(check, slip, hint):
    answer = check(slip)
    assert not answer.solved
    assert hint in answer.says
