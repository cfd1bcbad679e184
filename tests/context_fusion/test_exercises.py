"""The checks of the exercises: right answers pass, unfinished and wrong ones get a hint that fits, nothing raises."""

import pytest
import torch
import torch.nn.functional as F

from lib.context_fusion import change_from_reference, fit_colour
from lib.context_fusion.exercises import (
    check_colour_fit,
    check_curl,
    check_divergence,
    check_importance,
    check_mask_average,
    check_solver,
)
from lib.context_fusion.settings import ImageSettings
from lib.context_fusion.walkthrough import curl
from lib.solvers.poisson import divergence, solve_poisson

CHECKS = [check_divergence, check_curl, check_colour_fit, check_mask_average, check_solver, check_importance]


def mask_average(masks, c):
    return torch.stack([masks[max(0, i - c) : i + c + 1].mean(0) for i in range(len(masks))])


def fit(reconstruction, target):
    c1, c2 = fit_colour(reconstruction, target)
    return float(c1), float(c2)


def by_difference(night, day, reference):
    return change_from_reference(night, reference, ImageSettings())


def sweeps(div, count=4000, damping=0.8):
    solution = torch.zeros_like(div)
    neighbours = F.conv2d(torch.ones_like(div)[None, None], CROSS, padding=1)[0, 0]
    for _ in range(count):
        step = (F.conv2d(solution[None, None], CROSS, padding=1)[0, 0] - div) / neighbours - solution
        solution = solution + damping * step
        solution = solution - solution.mean()
    return solution


CROSS = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])[None, None]
RIGHT = [divergence, curl, fit, mask_average, solve_poisson, by_difference]


@pytest.mark.parametrize(("check", "answer"), list(zip(CHECKS, RIGHT, strict=True)))
def test_a_right_answer_solves_the_exercise(check, answer):
    verdict = check(answer)
    assert verdict.solved, verdict.says
    assert repr(verdict).startswith("solved: ")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("empty", [None, ...])
def test_an_empty_body_is_not_started(check, empty):
    verdict = check(lambda *inputs: empty)
    assert not verdict.solved
    assert repr(verdict) == "not yet: write the body of the function"


@pytest.mark.parametrize("check", CHECKS)
def test_a_function_that_raises_is_told_so(check):
    def broken(*inputs):
        raise IndexError("too far\nand more")

    assert check(broken).says == "your function raised IndexError: too far"


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "odd", [3, "text", torch.zeros(1), torch.zeros(2, 2), (1.0, 2.0), torch.full((16, 16), torch.nan)]
)
def test_odd_answers_get_a_hint(check, odd):
    verdict = check(lambda *inputs: odd)
    assert not verdict.solved
    assert verdict.says


def test_input_changed_in_place_is_noticed():
    def spoils(gx, gy):
        gx += gy
        return gx

    assert "in place" in check_divergence(spoils).says


def test_typical_mistakes_of_the_divergence_are_named():
    assert "sign" in check_divergence(lambda gx, gy: -divergence(gx, gy)).says
    assert (
        "forward"
        in check_divergence(lambda gx, gy: F.pad(gx.diff(dim=1), (0, 1)) + F.pad(gy.diff(dim=0), (0, 0, 0, 1))).says
    )

    def without_border(gx, gy):
        return F.pad(gx.diff(dim=1), (1, 0)) + F.pad(gy.diff(dim=0), (0, 0, 1, 0))

    assert "first row or column" in check_divergence(without_border).says


def test_either_sense_of_the_curl_counts_and_its_size_matters():
    assert check_curl(lambda gx, gy: -curl(gx, gy)).solved
    assert "once" in check_curl(lambda gx, gy: 2 * curl(gx, gy)).says
    assert "6x8" in check_curl(lambda gx, gy: gx).says


def test_the_guard_of_the_colour_fit_is_asked_for():
    def unguarded(picture, target):
        variance = picture.var(unbiased=False)
        slope = ((picture - picture.mean()) * target).mean() / variance
        return slope, target.mean() - slope * picture.mean()

    assert "negative" in check_colour_fit(unguarded).says

    def flat_forgotten(picture, target):
        slope, offset = unguarded(picture, target)
        return (1.0, target.mean() - picture.mean()) if slope < 0 else (slope, offset)

    assert "flat" in check_colour_fit(flat_forgotten).says


def test_the_ends_of_the_clip_are_asked_for():
    def whole_window(masks, c):
        return torch.stack([masks[max(0, i - c) : i + c + 1].sum(0) / (2 * c + 1) for i in range(len(masks))])

    assert "ends" in check_mask_average(whole_window).says


def test_a_solver_may_add_any_constant_but_must_converge():
    assert check_solver(lambda div: solve_poisson(div) + 7).solved
    assert check_solver(sweeps).solved
    assert "more sweeps" in check_solver(lambda div: sweeps(div, 20)).says
    assert "two colours" in check_solver(lambda div: sweeps(div, damping=1.0)).says
    assert "sign" in check_solver(lambda div: -solve_poisson(div)).says


def test_an_importance_must_be_one_and_beat_the_rule():
    assert "0..1" in check_importance(lambda night, day, reference: 2 * night[0].round() + 2).says
    assert "nowhere" in check_importance(lambda night, day, reference: 0 * night[0]).says
    assert "below" in check_importance(lambda night, day, reference: torch.ones_like(night[0])).says
