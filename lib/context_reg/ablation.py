"""What each choice of the regulariser is worth: one at a time, on the same rooms, from the same trained weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lib.context_reg.networks import NetworkSettings
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.settings import RegularizationSettings
from lib.context_reg.train import Trained, count, train
from lib.context_reg.walkthrough import NO_EDGES, predict
from lib.data.labels import LabelledPicture
from lib.metrics.segmentation import BOUNDARY_F, MEAN_IU, PIXEL_ACCURACY, SMALL_OBJECT_IU
from lib.show import sweeps
from lib.show.canvas import ShownFigure
from lib.show.sweeps import Axis, Sweep, axis_of, numbers, run_sweep
from lib.show.tables import Table

MEASURES = {measure.name: measure for measure in (PIXEL_ACCURACY, MEAN_IU, BOUNDARY_F, SMALL_OBJECT_IU)}
DIGITS = {"%": 1}
ORDER_SHIFT = 500  # what is added to a seed to draw another order of the same pictures


@dataclass(frozen=True)
class Variant:
    """One way to train: what stands beside the softmax loss, None for nothing, and whether lambda rises from 0."""

    regularization: RegularizationSettings | None = field(default_factory=RegularizationSettings)
    ramp: bool = True

    def training(self, recipe: TrainingSettings, *, seed: int) -> TrainingSettings:
        """The recipe with this variant's regulariser, lambda rising over the first half where it does."""
        ramp = recipe.num_steps // 2 if self.ramp and self.regularization is not None else 0
        return recipe.but(regularization=self.regularization, ramp_steps=ramp, seed=seed)


def axes_of(base: RegularizationSettings, *, weights: Sequence[float], sigmas: Sequence[float]) -> dict[str, Axis[Any]]:
    """Every choice as an axis around the regulariser `base`, by name.

    weights: lambdas beside a mean softmax loss, 0 for the softmax loss alone. sigmas: of the weights.
    """
    default = Variant(base)

    def choices(name: str, changes: Mapping[str, Mapping[str, Any]], published: str = "") -> Axis[Variant]:
        made: dict[str, dict[str, Any]] = {
            label: {"regularization": base.but(**change)} for label, change in changes.items()
        }
        return axis_of(name, default, made, published=published)

    by_weight: dict[str, dict[str, Any]] = {"alone": {"regularization": None}}
    by_weight |= {f"{value:g}": {"regularization": base.but(weight=value)} for value in sorted({*weights, base.weight})}
    sigma = numbers("sigma", sorted({*sigmas, base.sigma})) | {"no picture": {"sigma": NO_EDGES}}
    axes = [
        axis_of("lambda", default, by_weight),
        choices("sigma", sigma, "0.25"),
        choices(
            "kernels",
            {
                "8 differences": {},
                "4 differences": {"initialisation": "differences", "num_kernels": 4},
                "9 Kirsch": {"initialisation": "kirsch"},
                "8 random": {"initialisation": "random"},
            },
        ),
        choices("learning", {"learnt": {}, "fixed": {"learn_kernels": False}}, "learnt"),
        choices("kernel loss", {name: {"kernel_loss": name} for name in ("recommended", "printed")}, "printed"),
        choices(
            "weights from",
            {
                "picture": {},
                "conv1_2": {"guide": "features"},
                "picture, no gradient": {"detach_weights": True},
                "picture, own kernels": {"tied": False},
            },
        ),
        axis_of("ramp", default, {"rises": {}, "from the start": {"ramp": False}}, published="from the start"),
    ]
    return {axis.name: axis for axis in axes}


class Bench:
    """Trains and measures variants on the same rooms; what was measured once is not run again.

    For each seed the host is first trained alone (`start`, from random weights); every variant, the softmax loss alone
    too, goes on from there with `recipe`, so that differences between variants of one seed are paired. Choice: the
    paper trains from ImageNet's weights with the regulariser from the first step.
    """

    def __init__(
        self,
        rooms: Sequence[LabelledPicture],
        tests: Sequence[LabelledPicture],
        *,
        network: NetworkSettings,
        start: TrainingSettings,
        recipe: TrainingSettings,
        seeds: Sequence[int],
    ) -> None:
        self.rooms, self.tests = list(rooms), list(tests)
        self.network, self.start, self.recipe, self.seeds = network, start, recipe, tuple(seeds)
        self._starts: dict[int, dict[str, Tensor]] = {}
        self._known: dict[tuple[Variant, int], dict[str, float]] = {}
        self._trained: dict[Variant, Trained] = {}

    def run(self, axis: Axis[Variant]) -> Sweep[Variant]:
        """MEASURES of all variants of an axis for all seeds."""
        return run_sweep(axis, self.scores)

    def scores(self, variant: Variant) -> list[dict[str, float]]:
        """The measures of one variant, one dict a seed."""
        for seed in self.seeds:
            if (variant, seed) not in self._known:
                trained = self.trained(variant, seed=seed)
                self._known[variant, seed] = self._measured(trained)
                self._trained.setdefault(variant, trained)
        return [self._known[variant, seed] for seed in self.seeds]

    def trained(self, variant: Variant, *, seed: int, order: int | None = None) -> Trained:
        """The host of this seed after the variant's training. order: seed of the order of the rooms, the same."""
        settings = variant.training(self.recipe, seed=seed if order is None else order)
        return train(self.rooms, network=self.network, settings=settings, start=self._start(seed))

    def _start(self, seed: int) -> dict[str, Tensor]:
        if seed not in self._starts:
            trained = train(self.rooms, network=self.network, settings=self.start.but(seed=seed))
            self._starts[seed] = trained.network.state_dict()
        return self._starts[seed]

    def _measured(self, trained: Trained) -> dict[str, float]:
        scores = count(trained.network, self.network, self.tests).scores()
        return {name: scores[name] for name in MEASURES}

    def noise_floor(self, variant: Variant) -> dict[str, float]:
        """Mean absolute change of each measure over the seeds when only the order of the rooms is drawn anew.

        A change below the floor says nothing.
        """
        first = self.scores(variant)
        again = [self._measured(self.trained(variant, seed=seed, order=seed + ORDER_SHIFT)) for seed in self.seeds]
        pairs = list(zip(first, again, strict=True))
        return {name: sum(abs(one[name] - other[name]) for one, other in pairs) / len(pairs) for name in MEASURES}

    def shown(self, axis: Axis[Variant], room: LabelledPicture) -> dict[str, Tensor]:
        """Probabilities (C, H, W) of one room by each variant of an axis that was run, for the first seed."""
        return {
            label: predict(self._trained[one], room.image)
            for label, one in axis.settings.items()
            if one in self._trained
        }


def sweep_table(sweep: Sweep[Variant]) -> Table:
    """Mean and 95 % interval of each variant over the seeds, a star at the best."""
    return sweeps.sweep_table(sweep, MEASURES, digits=DIGITS)


def sweep_figure(sweep: Sweep[Variant], floor: Mapping[str, float]) -> ShownFigure:
    """Changes from the default, one panel a measure, with the noise floor."""
    return sweeps.sweep_figure(sweep, MEASURES, floor)


def effects_table(swept: Sequence[Sweep[Variant]], floor: Mapping[str, float]) -> Table:
    """Largest mean change that each choice makes to each measure, or "." where it drowns; see lib.show.sweeps."""
    return sweeps.effects_table(swept, [floor] * len(swept), MEASURES)


def sweep_entries(sweep: Sweep[Variant], *, data: str) -> list[dict[str, Any]]:
    """The scores of a sweep as keyword arguments of a run's `add_score`, in the table `ablation, <axis>`."""
    return sweeps.sweep_entries(sweep, MEASURES, data=data)


def floor_table(floor: Mapping[str, float]) -> Table:
    """The noise floor of each measure."""
    return sweeps.floor_table({"regularised host": floor}, MEASURES)
