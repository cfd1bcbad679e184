"""Right answers pass; each wrong one gets its own hint."""

import pytest
import torch

from lib.night_watch import exercises


def overlap(mask, truth):
    union = (mask | truth).sum()
    return (mask & truth).sum() / union if union else 1.0


def empty(video, masks):
    free = (~masks)[:, None].float()
    return torch.where(free.sum(0) > 0, (video * free).sum(0) / free.sum(0).clamp_min(1), video.mean(0))


def effect(before, after):
    change = after - before
    return torch.stack([change.mean(), 4.3027 * change.std() / len(change) ** 0.5])


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (exercises.check_overlap, overlap),
        (exercises.check_background, empty),
        (exercises.check_effect, effect),
    ],
)
def test_right_answers_are_solved(check, answer):
    assert check(answer).solved


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (exercises.check_overlap, lambda mask, truth: (mask & truth).float().mean(), "at least one has"),
        (exercises.check_overlap, lambda mask, truth: (mask & truth).sum() / (mask | truth).sum(), "two empty masks"),
        (exercises.check_background, lambda video, masks: video.mean(0), "sum of weights"),
        (
            exercises.check_background,
            lambda video, masks: (video * ~masks[:, None]).sum(0) / (~masks[:, None]).sum(0).clamp_min(1),
            "never free",
        ),
        (exercises.check_effect, lambda before, after: (after - before).mean(), "two numbers"),
        (exercises.check_effect, lambda before, after: torch.stack([after.mean(), after.std()]), "room by room"),
        (
            exercises.check_effect,
            lambda before, after: torch.stack([(after - before).mean(), (after - before).std()]),
            "Student's t",
        ),
        (exercises.check_effect, lambda before, after: None, "write the body"),
    ],
)
def test_wrong_answers_get_their_hint(check, answer, hint):
    found = check(answer)
    assert not found.solved
    assert hint in found.says
