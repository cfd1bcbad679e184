"""The ablation's exercises can be solved, and the usual slips get their hint."""

import pytest

from lib.zero_tig import Settings, ablation_exercises
from lib.zero_tig.methods import Recipe

CHECKS = [getattr(ablation_exercises, name) for name in dir(ablation_exercises) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_empty_or_failing_answer_is_unfinished(check):
    assert "write the body" in check(lambda *_: ...).says

    def fails(*_: object) -> None:
        raise ZeroDivisionError("no")

    assert "ZeroDivisionError" in check(fails).says
    assert not check(lambda *_: "text").solved


def test_counting_and_recursion_can_be_solved():
    assert ablation_exercises.check_parameters(lambda: 6 * 9 * (64 + 48)).solved
    assert ablation_exercises.check_recursion(lambda a: (a / (2 - a)) ** 0.5).solved


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (ablation_exercises.check_parameters, lambda: 6 * 9 * 64, "both"),
        (ablation_exercises.check_parameters, lambda: 6 * (64 + 48), "3x3"),
        (ablation_exercises.check_parameters, lambda: 1, "six more"),
        (ablation_exercises.check_recursion, lambda a: a, "variances"),
        (ablation_exercises.check_recursion, lambda a: a / (2 - a), "root"),
        (ablation_exercises.check_recursion, lambda a: 1.0, "counted"),
        (ablation_exercises.check_better, lambda: 3, "Settings"),
        (ablation_exercises.check_better, lambda: Settings(epochs=9), "at most 4"),
    ],
)
def test_usual_slips_get_their_hint(check, answer, hint):
    result = check(answer)
    assert not result.solved
    assert hint in result.says


def test_better_settings_are_measured_against_the_default(monkeypatch):
    asked: list[Recipe] = []

    def psnr(recipe: Recipe) -> float:
        asked.append(recipe)
        return 20.0 + recipe.settings.epochs

    monkeypatch.setattr(ablation_exercises, "_psnr", psnr)
    assert ablation_exercises.check_better(lambda: Settings(epochs=3)).solved
    assert "+0.00 dB" in ablation_exercises.check_better(lambda: Settings(epochs=1)).says
    assert asked[1].settings == Recipe.fine_tuning(epochs=1).settings
