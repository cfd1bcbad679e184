"""Every exercise can be solved, and each usual slip gets its own hint."""

import pytest
import torch
import torch.nn.functional as F

from lib.zero_tig import exercises
from lib.zero_tig.filters import LUMA

CHECKS = [getattr(exercises, name) for name in dir(exercises) if name.startswith("check_")]
WEIGHTS = torch.tensor(LUMA).view(3, 1, 1)


def halves(image):
    rows, columns = image.shape[-2] // 2 * 2, image.shape[-1] // 2 * 2
    image = image[:, :rows, :columns]
    a, b, c, d = image[:, ::2, ::2], image[:, ::2, 1::2], image[:, 1::2, ::2], image[:, 1::2, 1::2]
    return (b + c) / 2, (a + d) / 2


def alpha(dark):
    return min(max(0.5 / (float((dark * WEIGHTS).sum(0).mean()) + 1e-9), 1), 25)


def crossed(g1, g2, n1, n2):
    return ((g1 - n1 - g2) ** 2).mean() + ((g2 - n2 - g1) ** 2).mean()


def bring(image, flow):
    rows, columns = torch.meshgrid(torch.arange(image.shape[1]), torch.arange(image.shape[2]), indexing="ij")
    y, x = rows + flow[1].long(), columns + flow[0].long()
    inside = (x >= 0) & (x < image.shape[2]) & (y >= 0) & (y < image.shape[1])
    return image[:, y.clamp(0, image.shape[1] - 1), x.clamp(0, image.shape[2] - 1)] * inside


def luma(video):
    return 255 * (video * WEIGHTS).sum(1)


def factors(dark):
    return (0.3 / dark.mean((1, 2))).clamp(1, 25)


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
        (exercises.check_halves, halves),
        (exercises.check_alpha, alpha),
        (exercises.check_crossed, crossed),
        (exercises.check_warp, bring),
        (exercises.check_mabd, lambda video: luma(video).diff(dim=0).abs().mean((1, 2))),
        (exercises.check_white_balance, factors),
    ],
)
def test_each_exercise_can_be_solved(check, answer):
    result = check(answer)
    assert result.solved, result.says


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (exercises.check_halves, lambda image: halves(image)[::-1], "swapped"),
        (exercises.check_halves, lambda image: (F.avg_pool2d(image[None], 2)[0],) * 2, "four pixels"),
        (exercises.check_halves, lambda image: (halves(image)[0],) * 2, "g1 is right"),
        (exercises.check_halves, lambda image: image, "two tensors"),
        (exercises.check_halves, lambda image: (image, image), "odd row"),
        (exercises.check_alpha, lambda dark: 0.5 / float(dark.mean()), "green"),
        (exercises.check_alpha, lambda dark: 0.5 / float((dark * WEIGHTS).sum(0).mean() + 1e-9), "at least 1"),
        (exercises.check_alpha, lambda dark: max(alpha(dark), 1) if dark.max() > 0.01 else 500.0, "at most 25"),
        (exercises.check_crossed, lambda g1, g2, n1, n2: crossed(g1, g2, n1, n2) / 2, "it is"),
        (exercises.check_crossed, lambda g1, g2, n1, n2: (n1**2).mean() + (n2**2).mean(), "itself"),
        (exercises.check_crossed, lambda g1, g2, n1, n2: ((g1 - n1 - g2) ** 2).mean(), "other"),
        (exercises.check_warp, lambda image, flow: bring(image, -flow), "sign"),
        (exercises.check_warp, lambda image, flow: bring(image, flow.flip(0)), "swapped"),
        (exercises.check_warp, lambda image, flow: image + flow[:1], "grid|result"),
        (exercises.check_mabd, lambda video: luma(video).diff(dim=0).abs().mean((1, 2)) / 255, "unit"),
        (exercises.check_mabd, lambda video: luma(video).mean((1, 2)).diff().abs(), "cancel"),
        (exercises.check_mabd, lambda video: 255 * video.mean(1).diff(dim=0).abs().mean((1, 2)), "plain mean"),
        (exercises.check_white_balance, lambda dark: 0.3 / dark.mean((1, 2)), "limit"),
        (exercises.check_white_balance, lambda dark: 0.5 / dark.mean((1, 2)), "0.3, not 0.5"),
        (exercises.check_white_balance, lambda dark: (0.3 / dark.mean((1, 2))).clamp(max=25), "must not be darkened"),
    ],
)
def test_usual_slips_get_their_hint(check, answer, hint):
    result = check(answer)
    assert not result.solved
    assert any(one in result.says for one in hint.split("|")), result.says


def test_inputs_must_stay():
    assert "inputs must stay" in exercises.check_mabd(lambda video: luma(video.mul_(2))).says
