"""Checks of the ablation's exercises: each takes a student's function and says in one sentence how far it is."""

from collections.abc import Callable
from functools import partial
from statistics import fmean, stdev

import torch

from lib.context_fusion.evaluate import some_scores
from lib.context_fusion.methods import algorithm_2, case_of_scene, simulated_night
from lib.context_fusion.settings import VideoSettings
from lib.show.answers import Answer, NotYetError, called
from lib.show.plots import mean_interval

FIDELITY_GAIN = 0.05
FLICKER_FACTOR = 1.5


def check_reach(answer: Callable[[int, int], object]) -> Answer:
    """Exercise 1: reach(covered, c) -> frames in a row in which W' > 0 at a pixel that a mover covers `covered` frames.

    The truth is counted: masks of a long clip, averaged over i-c..i+c, far from its ends.
    """
    for covered, c in ((1, 0), (1, 5), (4, 2), (7, 5)):
        value, problem = _tried(partial(answer, covered, c))
        if problem:
            return Answer(False, problem)
        masks = torch.zeros(80)
        masks[40 : 40 + covered] = 1
        counted = int((masks.unfold(0, 2 * c + 1, 1).mean(dim=-1) > 0).sum())
        if value != counted:
            return Answer(False, f"covered for {covered}, c = {c}: {counted} frames, yours says {value}")
    return Answer(True, "each mover drags a weight of c frames before and behind it, in which the night shows through")


def check_paired(answer: Callable[[list[float], list[float]], object]) -> Answer:
    """Exercise 2: paired(ours, default) -> (mean change, half width of its 95 % interval), scores by night."""
    ours, default = [20.1, 27.3, 15.2, 23.0], [19.8, 26.8, 15.0, 22.5]
    value, problem = _tried(partial(answer, list(ours), list(default)))
    if problem:
        return Answer(False, problem)
    if not isinstance(value, tuple) or len(value) != 2:
        return Answer(False, "return two numbers: the mean change and half the width of its interval")
    mean, half_width = float(value[0]), float(value[1])
    changes = [one - other for one, other in zip(ours, default, strict=True)]
    right_mean, right_half = mean_interval(changes)
    if abs(mean - right_mean) > 1e-6:
        return Answer(False, f"the mean change is {right_mean:.3f}, yours is {mean:.3f}")
    if abs(half_width - right_half) > 1e-3:
        unpaired = (stdev(ours) ** 2 / 4 + stdev(default) ** 2 / 4) ** 0.5
        hint = (
            "take the spread of the differences, not of the scores" if half_width > unpaired else "Student's t, n - 1"
        )
        return Answer(False, f"half the width is {right_half:.3f}, yours is {half_width:.3f}: {hint}")
    return Answer(True, f"{right_mean:.2f} ± {right_half:.2f} dB, although the nights differ by {stdev(ours):.0f} dB")


def check_settings(answer: Callable[[], object]) -> Answer:
    """Exercise 3: better() -> VideoSettings that keep more of the movers than the default, on nights not seen before.

    Asked for: gradients inside the movers better by FIDELITY_GAIN, flicker at most FLICKER_FACTOR times the default's,
    in the mean of two nights over the pagoda.
    """
    settings, problem = _tried(answer)
    if problem:
        return Answer(False, problem)
    if not isinstance(settings, VideoSettings):
        return Answer(False, f"return VideoSettings(...): got {type(settings).__name__}")
    names = ["fidelity_inside", "flicker"]
    ours, default = [], []
    for seed in (21, 22):
        case = case_of_scene(simulated_night("pagoda", seed=seed, num_frames=15, height_px=80))
        ours.append(some_scores(algorithm_2(case, settings), case, names))
        default.append(some_scores(case.fusion.image, case, names))
    gain = fmean(one["fidelity_inside"] for one in ours) - fmean(one["fidelity_inside"] for one in default)
    factor = fmean(one["flicker"] for one in ours) / fmean(one["flicker"] for one in default)
    says = f"gradients inside {gain:+.2f}, flicker {factor:.1f} times the default's"
    if gain < FIDELITY_GAIN:
        return Answer(False, f"{says}; the movers need {FIDELITY_GAIN:+.2f}: what hides slow and dark movers?")
    if factor > FLICKER_FACTOR:
        return Answer(False, f"{says}; at most {FLICKER_FACTOR} times is allowed: what keeps the noise down?")
    return Answer(True, says)


def _tried(answer: Callable[[], object]) -> tuple[object, str]:
    """The answer's value, and what is wrong with it before it is even looked at."""
    try:
        return called(answer), ""
    except NotYetError as hint:
        return None, str(hint)
