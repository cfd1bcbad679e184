"""One setting of a method at a time against its default, on the same scenes: scores, table, figure, entries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lib.seeds import mean_interval, verdict_of
from lib.show.ablations import ablation_plot, interval_table
from lib.show.canvas import ShownFigure
from lib.show.progress import progress
from lib.show.scores import Measures, label_of, score_entries
from lib.show.tables import Table, table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings", bound="DataclassInstance")
Choices = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Axis(Generic[Settings]):
    """One choice: its settings by label, which of them is the default, and which the paper's ("" for none)."""

    name: str
    settings: dict[str, Settings]
    default: str
    published: str = ""


def axis_of(name: str, base: Settings, choices: Choices, *, published: str = "") -> Axis[Settings]:
    """The axis of settings that differ from `base` in the fields given by label; one label must equal the base."""
    settings = {label: replace(base, **changes) for label, changes in choices.items()}
    default = next(label for label, one in settings.items() if one == base)
    return Axis(name, settings, default, published)


def numbers(field: str, values: Sequence[float], unit: str = "") -> dict[str, dict[str, Any]]:
    """Choices of one numeric field, labelled by value and unit."""
    return {f"{value:g}{unit}": {field: value} for value in values}


@dataclass(frozen=True)
class Sweep(Generic[Settings]):
    """Scores of an axis: measure -> setting -> one value a scene, in the order of the scenes."""

    axis: Axis[Settings]
    scores: dict[str, dict[str, list[float]]]

    def changes(self) -> dict[str, dict[str, list[float]]]:
        """Setting minus default, scene by scene: what all settings share of a scene drops out."""
        return {
            measure: {
                label: [one - other for one, other in zip(values, by_setting[self.axis.default], strict=True)]
                for label, values in by_setting.items()
            }
            for measure, by_setting in self.scores.items()
        }


def run_sweep(axis: Axis[Settings], score: Callable[[Settings], Sequence[Mapping[str, float]]]) -> Sweep[Settings]:
    """All settings of an axis; `score` gives the measures of one setting, one dict a scene."""
    rows = {label: score(settings) for label, settings in progress(axis.settings.items(), label=axis.name)}
    names = next(iter(rows.values()))[0]
    return Sweep(
        axis, {name: {label: [one[name] for one in scenes] for label, scenes in rows.items()} for name in names}
    )


def sweep_table(sweep: Sweep[Settings], measures: Measures, *, digits: Mapping[str, int]) -> Table:
    """Mean and 95 % interval of each setting over the scenes, a star at the best; digits by unit."""
    titles = {name: label_of(measures[name]) for name in sweep.scores}
    rows = {
        label: {titles[name]: by_setting[label] for name, by_setting in sweep.scores.items()}
        for label in sweep.axis.settings
    }
    better = {titles[name]: measures[name].better for name in titles}
    places = {titles[name]: digits[measures[name].unit] for name in titles}
    return interval_table(rows, digits=places, better=better)


def sweep_figure(sweep: Sweep[Settings], measures: Measures, floor: Mapping[str, float]) -> ShownFigure:
    """Changes from the default, one panel a measure, with its noise floor."""
    titles = {name: label_of(measures[name]) for name in sweep.scores}
    return ablation_plot(
        {titles[name]: values for name, values in sweep.changes().items()},
        noise_floor={titles[name]: floor[name] for name in titles},
        better={titles[name]: measures[name].better for name in titles},
        default=sweep.axis.default,
        published=sweep.axis.published,
    )


def effects_table(
    sweeps: Sequence[Sweep[Settings]], floors: Sequence[Mapping[str, float]], measures: Measures
) -> Table:
    """Largest mean change that each choice makes to each measure, or "." where it drowns.

    A change counts by the rules of lib.seeds: at least three scenes, a 95 % interval over them that leaves out 0, and a
    size above the noise floor.
    """
    rows = []
    for sweep, floor in zip(sweeps, floors, strict=True):
        row = [sweep.axis.name]
        for measure, by_setting in sweep.changes().items():
            held = [values for label, values in by_setting.items() if label != sweep.axis.default]
            shown = [values for values in held if verdict_of(values, noise_floor=floor[measure]) == "changed"]
            seen = [mean_interval(values)[0] for values in shown]
            row.append(f"{max(seen, key=abs):+.2f}" if seen else ".")
        rows.append(row)
    return table(rows, ["choice", *(label_of(measures[name]) for name in sweeps[0].scores)])


def floor_table(floors: Mapping[str, Mapping[str, float]], measures: Measures) -> Table:
    """The noise floor of each measure, one row a name."""
    names = list(next(iter(floors.values())))
    rows = [[label, *floor.values()] for label, floor in floors.items()]
    return table(rows, ["noise floor", *(label_of(measures[name]) for name in names)], digits=2)


def sweep_entries(sweep: Sweep[Settings], measures: Measures, *, data: str) -> list[dict[str, Any]]:
    """The scores of a sweep as keyword arguments of a run's `add_score`, in the table `ablation, <axis>`."""
    rows = {label: {name: sweep.scores[name][label] for name in sweep.scores} for label in sweep.axis.settings}
    return score_entries(rows, measures, table=f"ablation, {sweep.axis.name}", data=data)


def mean_change(sweep: Sweep[Settings], label: str, measure: str) -> float:
    """Mean change over the scenes that one setting makes to one measure."""
    return mean_interval(sweep.changes()[measure][label])[0]
