"""Every exercise can be solved, and each usual slip gets its own hint."""

import pytest
import torch
import torch.nn.functional as F

from lib.fodvid import exercises

CHECKS = [getattr(exercises, name) for name in dir(exercises) if name.startswith("check_")]


def unit(features):
    return features / features.norm(dim=1, keepdim=True)


def similarity(image, flow, alpha):
    return alpha * unit(image) @ unit(image).T + (1 - alpha) * unit(flow) @ unit(flow).T


def affinity(s, tau, epsilon):
    return torch.where(s >= tau, 1.0, epsilon)


def laplacian(w):
    degree = w.sum(1)
    root = degree.rsqrt()
    return root[:, None] * (torch.diag(degree) - w) * root


def split(x):
    return x > x.mean()


def side(x):
    inside = x > x.mean()
    corners = inside[0, 0].int() + inside[0, -1].int() + inside[-1, 0].int() + inside[-1, -1].int()
    if corners >= 3:
        return ~inside
    return inside if inside.flatten()[x.abs().argmax()] else ~inside


def read(prediction, flow):
    rows, columns = torch.meshgrid(*map(torch.arange, prediction.shape), indexing="ij")
    return rows + flow[1].long(), columns + flow[0].long()


def bring(prediction, flow):
    rows, columns = read(prediction, flow)
    return prediction[rows.clamp(0, prediction.shape[0] - 1), columns.clamp(0, prediction.shape[1] - 1)]


def bring_zeros(prediction, flow):
    rows, columns = read(prediction, flow)
    inside = (rows >= 0) & (rows < prediction.shape[0]) & (columns >= 0) & (columns < prediction.shape[1])
    return bring(prediction, flow) * inside


def jaccard(mask, truth):
    union = int((mask | truth).sum())
    return int((mask & truth).sum()) / union if union else 1.0


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
        (exercises.check_similarity, similarity),
        (exercises.check_affinity, affinity),
        (exercises.check_laplacian, laplacian),
        (exercises.check_split, split),
        (exercises.check_side, side),
        (exercises.check_bring, bring),
        (exercises.check_jaccard, jaccard),
    ],
)
def test_each_exercise_can_be_solved(check, answer):
    result = check(answer)
    assert result.solved, result.says


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (
            exercises.check_similarity,
            lambda image, flow, alpha: similarity(image, flow, 1 - alpha),
            "belongs to the image",
        ),
        (
            exercises.check_similarity,
            lambda image, flow, alpha: alpha * image @ image.T + (1 - alpha) * flow @ flow.T,
            "inner products",
        ),
        (
            exercises.check_similarity,
            lambda image, flow, alpha: similarity(*[torch.cat([image, flow], 1)] * 2, alpha),
            "each for itself",
        ),
        (exercises.check_similarity, lambda image, flow, alpha: 2 * similarity(image, flow, alpha), "S_ij"),
        (exercises.check_affinity, lambda s, tau, epsilon: (s >= tau).float(), "fall apart"),
        (exercises.check_affinity, lambda s, tau, epsilon: torch.where(s > tau, 1.0, epsilon), ">="),
        (
            exercises.check_affinity,
            lambda s, tau, epsilon: torch.where(s >= tau, s, torch.tensor(epsilon)),
            "two values",
        ),
        (exercises.check_affinity, lambda s, tau, epsilon: torch.full_like(s, epsilon), "diagonal"),
        (exercises.check_laplacian, lambda w: torch.diag(w.sum(1)) - w, "normalise"),
        (exercises.check_laplacian, lambda w: (torch.diag(w.sum(1)) - w) / w.sum(1)[:, None], "one-sided"),
        (exercises.check_laplacian, lambda w: torch.eye(len(w)) - laplacian(w), "1 minus"),
        (exercises.check_laplacian, lambda w: -laplacian(w), "entry"),
        (exercises.check_split, lambda x: x > 0, "at the mean"),
        (exercises.check_split, lambda x: x > x.median(), "at the mean"),
        (exercises.check_split, lambda x: x < x.mean(), "other side"),
        (exercises.check_split, lambda x: (x > x.mean()).float(), "bool"),
        (exercises.check_split, lambda x: x > 10, "expected 4"),
        (exercises.check_side, lambda x: x > x.mean(), "wrong side for a dark middle"),
        (
            exercises.check_side,
            lambda x: split(x) if split(x).flatten()[x.abs().argmax()] else ~split(x),
            "bright frame",
        ),
        (exercises.check_side, lambda x: x > 5, "neither side"),
        (exercises.check_side, lambda x: x, "bool"),
        (exercises.check_bring, lambda prediction, flow: bring(prediction, -flow), "direction"),
        (exercises.check_bring, lambda prediction, flow: bring(prediction, flow.flip(0)), "swapped"),
        (exercises.check_bring, bring_zeros, "border"),
        (exercises.check_bring, lambda prediction, flow: prediction, "result"),
        (exercises.check_jaccard, lambda mask, truth: 2 * (mask & truth).sum() / (mask.sum() + truth.sum()), "Dice"),
        (exercises.check_jaccard, lambda mask, truth: (mask == truth).float().mean(), "accuracy"),
        (exercises.check_jaccard, lambda mask, truth: 100 * jaccard(mask, truth), "unit"),
        (exercises.check_jaccard, lambda mask, truth: float(F.relu(mask.float() - 2).sum()), "in the union"),
        (
            exercises.check_jaccard,
            lambda mask, truth: (mask & truth).sum() / (mask | truth).sum().clamp_min(1),
            "two empty masks",
        ),
    ],
)
def test_a_slip_gets_its_hint(check, answer, hint):
    result = check(answer)
    assert not result.solved
    assert hint in result.says
