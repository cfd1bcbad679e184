"""What each choice of the method is worth: one at a time, on the same videos, from the same start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from lib.errors import Unavailable
from lib.flow import FlowEstimator
from lib.show import sweeps
from lib.show.ablations import interval_table
from lib.show.canvas import ShownFigure
from lib.show.progress import progress
from lib.show.scores import score_entries
from lib.show.sweeps import Axis, Sweep, axis_of, run_sweep
from lib.show.tables import Table, table
from lib.zero_tig.evaluate import DIGITS, MEASURES, scores_of
from lib.zero_tig.losses import NAMES
from lib.zero_tig.methods import Recipe, play, reflectances, start_model
from lib.zero_tig.model import ZeroIG, ZeroTIG
from lib.zero_tig.scenes import Case
from lib.zero_tig.settings import Settings
from lib.zero_tig.temporal import Alignment
from lib.zero_tig.train import Trainer
from lib.zero_tig.walkthrough import ALIGNMENT, NoMotion, alignment_error

# first the picture, then time and noise
ABLATION_MEASURES = ("psnr_hm", "ssim_hm", "mabd_equal", "noise_kept", "colour_cast")
Feedback = Literal["by flow", "as it stands", "none"]
SHRUNK_SIDE = 64  # px of the short side: less than the method keeps, to see what that costs
WEIGHTS_OF: dict[str, tuple[str, ...]] = {"smooth": ("smooth_neighbours", "smooth_variation")}


@dataclass(frozen=True)
class Variant:
    """One way to run the method: its settings, and what it knows of the frame before.

    feedback: the previous result brought over by optical flow (Zero-TIG), taken as it stands, or none (Zero-IG).
    """

    feedback: Feedback = "by flow"
    settings: Settings = field(default_factory=Settings)

    def start(self, recipe: Recipe, *, seed: int) -> ZeroIG:
        """The untrained model of this variant, from the recipe's weights."""
        recipe = replace(recipe, settings=self.settings)
        model = start_model("zero_ig" if self.feedback == "none" else "zero_tig", recipe, seed=seed)
        if isinstance(model, ZeroTIG) and self.feedback == "as it stands":
            model.align = Alignment(self.settings, estimator=FlowEstimator("none", NoMotion()))
        return model


def axes_of(settings: Settings) -> dict[str, Axis[Variant]]:
    """Every choice as an axis around Zero-TIG with these settings, by name."""
    base = Variant(settings=settings)

    def choices(name: str, changes: Mapping[str, Mapping[str, Any]], published: str = "") -> Axis[Variant]:
        variants = {label: {"settings": replace(settings, **change)} for label, change in changes.items()}
        return axis_of(name, base, variants, published=published)

    axes = [
        axis_of("feedback", base, {label: {"feedback": label} for label in ("by flow", "as it stands", "none")}),
        loss_axis(settings, NAMES),
        choices("equalisation", {"on": {"equalise": True}, "off": {"equalise": False}}, "on"),
        choices("flow direction", {name: {"direction": name} for name in ("backward", "forward")}, "forward"),
        choices("published slips", {"off": {}, "on": {"reference_quirks": True}}, "on"),
        choices("dividend", {name: {"retinex": name} for name in ("noisy", "denoised")}, "noisy"),
        choices("over-exposure", {name: {"over": name} for name in ("reflectance", "illumination")}, "reflectance"),
        choices("epochs", {f"{n}": {"epochs": n} for n in sorted({0, (settings.epochs + 1) // 2, settings.epochs})}),
    ]
    return {axis.name: axis for axis in axes}


def loss_axis(settings: Settings, names: Sequence[str]) -> Axis[Variant]:
    """All losses, and without each of the named ones; a loss is dropped by weight 0."""
    variants: dict[str, dict[str, Any]] = {"all": {}}
    for name in names:
        zero: dict[str, Any] = dict.fromkeys(WEIGHTS_OF.get(name, (name,)), 0.0)
        variants[f"without {name}"] = {"settings": replace(settings, weights=replace(settings.weights, **zero))}
    return axis_of("losses", Variant(settings=settings), variants)


class Bench:
    """Trains and measures variants on the same cases; what was measured once is not run again."""

    def __init__(self, cases: Sequence[Case], recipe: Recipe, *, seed: int = 0) -> None:
        self.cases, self.recipe, self.seed = list(cases), recipe, seed
        self._known: dict[tuple[Variant, int], dict[str, float]] = {}
        self._shown: dict[Variant, Tensor] = {}

    def run(self, axis: Axis[Variant]) -> Sweep[Variant]:
        """ABLATION_MEASURES of all variants of an axis on all cases; each trains on its case as the recipe says."""
        return run_sweep(axis, self.scores)

    def scores(self, variant: Variant) -> list[dict[str, float]]:
        """The measures of one variant, one dict a case."""
        for idx, case in enumerate(self.cases):
            if (variant, idx) not in self._known:
                result = self.result(variant, case, seed=self.seed + idx)
                self._known[variant, idx] = scores_of(result, case, ABLATION_MEASURES)
                if idx == 0:
                    self._shown[variant] = result
        return [self._known[variant, idx] for idx in range(len(self.cases))]

    def result(self, variant: Variant, case: Case, *, seed: int) -> Tensor:
        """The video (T, 3, H, W) of one variant, trained on the case."""
        model = variant.start(self.recipe, seed=seed).to(case.video.device)
        Trainer(model).fit(case.video, total=len(case.video))
        return reflectances(model, case.video)

    def shown(self, axis: Axis[Variant], *, frame_idx: int) -> dict[str, Tensor]:
        """One frame of the first case by each variant of an axis that was run: label -> (3, H, W)."""
        return {label: self._shown[one][frame_idx] for label, one in axis.settings.items() if one in self._shown}

    def noise_floor(self, retakes: Sequence[Case], variant: Variant) -> dict[str, float]:
        """Mean absolute change of each measure when nothing but the camera's noise is drawn anew.

        retakes: the first cases once more, with other noise. A change below the floor says nothing.
        """
        first = self.scores(variant)
        changes = []
        for idx, case in enumerate(retakes):
            again = scores_of(self.result(variant, case, seed=self.seed + idx), case, ABLATION_MEASURES)
            changes.append({name: abs(again[name] - first[idx][name]) for name in ABLATION_MEASURES})
        return {name: sum(change[name] for change in changes) / len(changes) for name in ABLATION_MEASURES}


def sweep_table(sweep: Sweep[Variant]) -> Table:
    """Mean and 95 % interval of each variant over the videos, a star at the best."""
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
    return sweeps.floor_table({"Zero-TIG": floor}, MEASURES)


@dataclass(frozen=True)
class FlowScores:
    """Alignment error of flow settings, one value a case, and why others could not be had."""

    errors: dict[str, list[float]]
    missing: dict[str, str]


def flow_scores(cases: Sequence[Case], recipe: Recipe, ways: Mapping[str, Variant], *, seed: int = 0) -> FlowScores:
    """How well the flow of each way brings the true previous frame onto the current one, in grey levels; no training.

    Protocol: ALIGNMENT, with R(t-1) and L(t) of the start model without feedback; the factor may leave SHRUNK_SIDE
    pixels, which the method itself doesn't allow. Ways whose weights are not here are named with their reason.
    """
    errors: dict[str, list[float]] = {}
    missing: dict[str, str] = {}
    model = start_model("zero_ig", recipe, seed=seed).to(cases[0].video.device).eval()
    found = [list(play(model, case.video)) for case in cases]
    for label, way in progress(ways.items(), label="flows"):
        try:
            errors[label] = [
                alignment_error(case, frames, way.settings, moves=way.feedback == "by flow", smallest_side=SHRUNK_SIDE)
                for case, frames in zip(cases, found, strict=True)
            ]
        except Unavailable as reason:
            missing[label] = f"not run: {reason}"
    return FlowScores(errors, missing)


def flow_ways(
    settings: Settings, *, flows: Sequence[str] = ("dis",), factors: Sequence[int] = (1, 3, 6)
) -> dict[str, Variant]:
    """The default of the flow and one change each: no motion, no equalisation, direction, estimator, factor."""
    ways = {"default": Variant(settings=settings), "nothing moves": Variant("as it stands", settings)}
    changes: dict[str, dict[str, Any]] = {
        "not equalised": {"equalise": False},
        "flow forward, as published": {"direction": "forward"},
        "published warp": {"direction": "forward", "reference_quirks": True},
    }
    changes |= {f"factor {factor}": {"flow_factor": factor} for factor in factors if factor != settings.flow_factor}
    changes |= {name: {"flow": name} for name in flows if name != settings.flow}
    return ways | {label: Variant(settings=replace(settings, **change)) for label, change in changes.items()}


def flow_table(scores: FlowScores) -> Table:
    """The alignment errors with their interval, smallest with a star; what could not run is named below."""
    column = f"{ALIGNMENT.name} ({ALIGNMENT.unit})"
    rows = {label: {column: values} for label, values in scores.errors.items()}
    return interval_table(rows, digits={column: 2}, better={column: ALIGNMENT.better})


def flow_entries(scores: FlowScores, *, data: str) -> list[dict[str, Any]]:
    """The alignment errors as keyword arguments of a run's `add_score`, in the table `flow`."""
    rows = {label: {"alignment": values} for label, values in scores.errors.items()}
    return score_entries(rows, {"alignment": ALIGNMENT}, table="flow", data=data)


def missing_table(scores: FlowScores) -> Table:
    """What could not be measured here, and what would make it run."""
    return table([[label, reason] for label, reason in scores.missing.items()], ["flow", "why"])
