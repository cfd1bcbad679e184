"""Checks of the ablation's exercises: each takes a student's function and says in one sentence how far it is."""

from collections.abc import Callable
from statistics import fmean

from lib.context_reg.ablation import Bench, Variant
from lib.context_reg.scenes import simulated_rooms
from lib.context_reg.settings import RegularizationSettings
from lib.context_reg.walkthrough import network_for, training_for
from lib.data.nyuv2_classes import class_names
from lib.metrics.segmentation import BOUNDARY_F
from lib.show.answers import Answer, NotYetError, called, graded, number_from

UNSEEN_SEEDS = (31, 32)
HEIGHT_PX, NUM_ROOMS, START_STEPS, STEPS = 64, 24, 100, 25
GAIN = 1.0  # per cent of boundary F


def check_pairs(answer: Callable[[], object]) -> Answer:
    """Exercise 1: different() -> how many of the eight difference kernels differ in what they see of a picture."""

    def examine() -> str:
        ours = number_from(answer)
        if ours == 8:
            raise NotYetError("east at one pixel and west at its neighbour are the same difference with another sign")
        if ours != 4:
            raise NotYetError("count the pairs of opposite neighbours")
        return "so four kernels with twice the lambda do the same, but for the border, until the kernels are learnt"

    return graded(examine)


def check_lambda(answer: Callable[[float, int, int], object]) -> Answer:
    """Exercise 2: mean_lambda(printed, height, width) -> lambda beside a mean softmax loss and a *summed* context loss.

    So that the ratio of both losses is that of the printed lambda beside a summed softmax loss.
    """

    def examine() -> str:
        for printed, height, width in ((100.0, 425, 560), (1.0, 10, 20)):
            ours = number_from(answer, printed, height, width)
            if abs(ours - printed) < 1e-12:
                raise NotYetError("that keeps the ratio only if both are means, or both sums")
            if abs(ours - printed * height * width) < 1e-6:
                raise NotYetError("the other way: the mean softmax loss is smaller than the sum, so lambda must be too")
            if abs(ours - printed / (height * width)) > 1e-9:
                raise NotYetError(f"divide by what the mean divides by: got {ours:.3g} for {height}x{width} pixels")
        return "for a NYUDv2 picture 100 becomes 0.0004; whoever forgets it has a lambda of 24 million"

    return graded(examine)


def check_better(answer: Callable[[], object]) -> Answer:
    """Exercise 3: better() -> RegularizationSettings that end with a better boundary F than the softmax loss alone.

    Asked for: GAIN per cent in the mean of two hosts with seeds of their own; trains six times.
    """

    def examine() -> str:
        settings = called(answer)
        if not isinstance(settings, RegularizationSettings):
            raise NotYetError(f"return RegularizationSettings(...): got {type(settings).__name__}")
        if settings.reduction != "mean":
            raise NotYetError("the hosts here train on means: leave reduction as it is")
        gain = _boundary(Variant(settings)) - _boundary(Variant(None))
        says = f"boundary F {gain:+.1f} % against the softmax loss alone"
        if gain < GAIN:
            raise NotYetError(f"{says}; {GAIN:+.1f} % is asked for: which way did the tables above point?")
        return says

    return graded(examine)


def _boundary(variant: Variant) -> float:
    """Mean boundary F in per cent of two small hosts on rooms that the page has not seen."""
    names = class_names(4)
    rooms = simulated_rooms(NUM_ROOMS, seed=7000, height_px=HEIGHT_PX, num_classes=len(names))
    unseen = simulated_rooms(NUM_ROOMS // 2, seed=8000, height_px=HEIGHT_PX, num_classes=len(names))
    bench = Bench(
        rooms,
        unseen,
        network=network_for("segnet", names, 8),
        start=training_for(None, num_steps=START_STEPS, seed=0, device="cpu"),
        recipe=training_for(None, num_steps=STEPS, seed=0, device="cpu").but(learning_rate=2e-3),
        seeds=UNSEEN_SEEDS,
    )
    return fmean(scores[BOUNDARY_F.name] for scores in bench.scores(variant))
