"""What each choice of the method is worth: one setting at a time, on the same nights, against the default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from lib.context_fusion.comparison import DIGITS, score_entries
from lib.context_fusion.evaluate import MEASURES, some_scores
from lib.context_fusion.methods import Case, algorithm_1, algorithm_2, case_of_scene
from lib.context_fusion.settings import ImageSettings, VideoSettings
from lib.data.origin import Origin
from lib.data.simulate import NightScene
from lib.data.simulate.sensor import expose, to_linear
from lib.show.ablations import ablation_plot, interval_table
from lib.show.canvas import ShownFigure
from lib.show.plots import mean_interval
from lib.show.progress import progress
from lib.show.tables import Table, table

Settings = ImageSettings | VideoSettings
# first what happens to the movers, then what happens around them
ABLATION_MEASURES = (
    "psnr_inside",
    "fidelity_inside",
    "ghosting_inside",
    "seam_energy",
    "psnr_outside",
    "ghosting_outside",
    "colour_shift",
    "flicker",
)


@dataclass(frozen=True)
class Axis:
    """One choice: its settings by label, which of them is the default, and which the paper's ("" for none)."""

    name: str
    settings: dict[str, Settings]
    default: str
    published: str = ""


def _axis(name: str, base: Settings, choices: dict[str, dict[str, Any]], *, published: str = "") -> Axis:
    settings = {label: replace(base, **changes) for label, changes in choices.items()}
    default = next(label for label, one in settings.items() if one == base)
    return Axis(name, settings, default, published)


def _numbers(field: str, values: Sequence[float], unit: str) -> dict[str, dict[str, Any]]:
    return {f"{value:g}{unit}": {field: value} for value in values}


STILL, VIDEO = ImageSettings(), VideoSettings()
AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        _axis("importance rule", STILL, {rule: {"rule": rule} for rule in ("threshold", "max", "reference")}),
        _axis("gradient threshold", STILL, _numbers("gradient_threshold", (5.0, 10.0, 20.0, 40.0), " levels")),
        _axis("light threshold", STILL, _numbers("intensity_threshold", (64.0, 128.0, 192.0), " levels")),
        _axis("motion threshold", VIDEO, _numbers("difference_threshold", (5.0, 10.0, 20.0, 40.0), " levels")),
        _axis("half window c", VIDEO, _numbers("half_window", (0, 2, 5, 8), " frames"), published="5 frames"),
        _axis("denoising", VIDEO, _numbers("susan_passes", (0, 1, 2, 3), " passes")),
        _axis(
            "solver",
            VIDEO,
            {"direct": {}} | {f"multigrid, {n}": {"solver": "multigrid", "multigrid_cycles": n} for n in (1, 3)},
            published="multigrid, 3",
        ),
        _axis(
            "padding", VIDEO, {name: {"padding": name} for name in ("none", "replicate", "black")}, published="black"
        ),
        _axis("colour fit", VIDEO, {"on": {}, "off": {"colour_fit": False}}, published="on"),
    )
}


@dataclass(frozen=True)
class Sweep:
    """Scores of an axis: measure -> setting -> one value a night, in the order of the nights."""

    axis: Axis
    scores: dict[str, dict[str, list[float]]]

    def changes(self) -> dict[str, dict[str, list[float]]]:
        """Setting minus default, night by night: what all settings share of a night drops out."""
        return {
            measure: {
                label: [one - other for one, other in zip(values, by_setting[self.axis.default], strict=True)]
                for label, values in by_setting.items()
            }
            for measure, by_setting in self.scores.items()
        }


def run_axis(axis: Axis, cases: Sequence[Case], *, every: int = 1) -> Sweep:
    """All settings of an axis on all nights, measured on every `every`-th frame."""
    rows = {
        label: [score_settings(settings, case, every=every) for case in cases]
        for label, settings in progress(axis.settings.items(), label=axis.name)
    }
    return Sweep(axis, _by_measure(rows))


def score_settings(settings: Settings, case: Case, *, every: int = 1) -> dict[str, float]:
    """ABLATION_MEASURES of Algorithm 2 with video settings, of Algorithm 1 on each frame with still ones."""
    fused = algorithm_1(case, settings) if isinstance(settings, ImageSettings) else algorithm_2(case, settings)
    return some_scores(fused, case, ABLATION_MEASURES, every=every)


def noise_floor(scenes: Sequence[NightScene], settings: Settings, *, every: int = 1) -> dict[str, float]:
    """Mean absolute change of each measure when nothing but the camera's noise is drawn anew.

    A setting whose change stays below it makes no difference that this comparison could see.
    """
    changes = []
    for number, scene in enumerate(scenes):
        again = retake(scene, generator=torch.Generator().manual_seed(10_000 + number))
        first, second = (score_settings(settings, case_of_scene(one), every=every) for one in (scene, again))
        changes.append({name: abs(first[name] - second[name]) for name in first})
    return {name: sum(change[name] for change in changes) / len(changes) for name in ABLATION_MEASURES}


def retake(scene: NightScene, *, generator: torch.Generator) -> NightScene:
    """The same night, filmed once more: other noise in the video, all else as it was."""
    frames = [
        expose(to_linear(frame.cpu()), generator=generator, settings=scene.settings).to(frame) for frame in scene.clean
    ]
    return replace(scene, video=torch.stack(frames))


def sweep_table(sweep: Sweep) -> Table:
    """Mean and 95 % interval of each setting over the nights, a star at the best."""
    titles = {name: label_of(name) for name in sweep.scores}
    rows = {
        label: {titles[name]: by_setting[label] for name, by_setting in sweep.scores.items()}
        for label in sweep.axis.settings
    }
    better = {titles[name]: MEASURES[name].better for name in titles}
    digits = {titles[name]: DIGITS[MEASURES[name].unit] for name in titles}
    return interval_table(rows, digits=digits, better=better)


def sweep_figure(sweep: Sweep, floor: Mapping[str, float]) -> ShownFigure:
    """Changes from the default, one panel a measure, with the noise floor of `noise_floor`."""
    titles = {name: label_of(name) for name in sweep.scores}
    return ablation_plot(
        {titles[name]: values for name, values in sweep.changes().items()},
        noise_floor={titles[name]: floor[name] for name in titles},
        better={titles[name]: MEASURES[name].better for name in titles},
        default=sweep.axis.default,
        published=sweep.axis.published,
    )


def effects_table(sweeps: Sequence[Sweep], floors: Sequence[Mapping[str, float]]) -> Table:
    """Largest mean change that each choice makes to each measure, or "." where it drowns.

    A change counts when its 95 % interval over the nights leaves out 0 and its size is above the noise floor.
    """
    rows = []
    for sweep, floor in zip(sweeps, floors, strict=True):
        row = [sweep.axis.name]
        for measure, by_setting in sweep.changes().items():
            clear = [mean_interval(by_setting[label]) for label in by_setting if label != sweep.axis.default]
            seen = [mean for mean, half_width in clear if abs(mean) > max(half_width, floor[measure])]
            row.append(f"{max(seen, key=abs):+.2f}" if seen else ".")
        rows.append(row)
    return table(rows, ["choice", *(label_of(name) for name in ABLATION_MEASURES)])


def sweep_entries(sweep: Sweep, *, data: str) -> list[dict[str, Any]]:
    """The scores of a sweep as keyword arguments of a run's `add_score`, in the table `ablation, <axis>`."""
    rows = {label: {name: sweep.scores[name][label] for name in sweep.scores} for label in sweep.axis.settings}
    return score_entries(rows, table=f"ablation, {sweep.axis.name}", data=data)


def floor_table(floors: Mapping[str, Mapping[str, float]]) -> Table:
    """The noise floor of each measure, one row an algorithm."""
    rows = [[name, *floor.values()] for name, floor in floors.items()]
    return table(rows, ["noise floor", *(label_of(name) for name in ABLATION_MEASURES)], digits=2)


def mean_change(sweep: Sweep, label: str, measure: str) -> float:
    """Mean change over the nights that one setting makes to one measure."""
    return mean_interval(sweep.changes()[measure][label])[0]


def all_nights(scenes: Sequence[NightScene]) -> Origin:
    """One origin for scores over several simulated nights; it names the pictures under them and their licences."""
    names = list(dict.fromkeys(scene.origin.name for scene in scenes))
    licences = list(dict.fromkeys(scene.origin.licence for scene in scenes))
    return Origin("simulated nights", "simulated", "; ".join(licences), "", f"lib.data.simulate: {', '.join(names)}")


def label_of(measure: str) -> str:
    """A measure's name with its unit, as an axis label."""
    unit = MEASURES[measure].unit
    return MEASURES[measure].name if unit == "1" else f"{MEASURES[measure].name} ({unit})"


def _by_measure(rows: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, list[float]]]:
    return {
        measure: {label: [night[measure] for night in nights] for label, nights in rows.items()}
        for measure in ABLATION_MEASURES
    }
