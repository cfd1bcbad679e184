"""What a sweep found: every measure of its cells as mean and interval over the seeds, as a table, CSV and a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.bench.plan import Plan
from lib.bench.record import Record
from lib.bench.sweeps import Sweep
from lib.paths import paths
from lib.seeds import mean_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEED = "seed"
MIN_POINTS = 3  # of an axis that is drawn as a curve


@dataclass(frozen=True)
class Row:
    """One setting of a sweep: its values on the axes, and one number a seed for each measure."""

    setting: dict[str, Any]
    values: dict[str, list[float]]


@dataclass(frozen=True)
class Summary:
    """All settings of a sweep; `units` by measure. A measure is a column of scores in which each run has one value."""

    sweep: Sweep
    rows: tuple[Row, ...]
    units: dict[str, str]

    def table(self) -> list[tuple[str, ...]]:
        """A head, then a line a setting: its values, and mean and half of the 95 % interval of each measure."""
        axes = shown_axes(self.sweep)
        head = (*axes, *(f"{name} ({unit})" if unit != "1" else name for name, unit in self.units.items()))
        lines = [
            (*(str(row.setting[name]) for name in axes), *(_cell(row.values.get(name, [])) for name in self.units))
            for row in self.rows
        ]
        return [head, *lines]

    def csv(self) -> str:
        """One line a setting and measure: values on the axes, measure, unit, mean, low, high, number of seeds."""
        import csv
        import io

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        axes = shown_axes(self.sweep)
        writer.writerow([*axes, "measure", "unit", "mean", "low", "high", "seeds"])
        for row in self.rows:
            for name, values in row.values.items():
                mean, half = mean_interval(values)
                bounds = [f"{mean - half:.10g}", f"{mean + half:.10g}"] if len(values) > 1 else ["", ""]
                setting = [row.setting[axis] for axis in axes]
                writer.writerow([*setting, name, self.units[name], f"{mean:.10g}", *bounds, len(values)])
        return text.getvalue()

    def curves(self) -> list[str]:
        """Axes to draw curves over: numeric ones that step while the others stand still, as few as show every setting.

        A grid of two axes is drawn over the first, one line for each value of the other; two axes that were swept one
        at a time are drawn over each.
        """
        chosen: list[str] = []
        shown: set[int] = set()
        for name in shown_axes(self.sweep):
            rows = {id(row) for line in self._lines(name).values() for row in line}
            if rows - shown:
                chosen.append(name)
                shown |= rows
        return chosen

    def figures(self, measure: str) -> list["Figure"]:
        """A measure over each axis of `curves`, mean and interval over the seeds; without one, setting by setting."""
        from lib.show.plots import interval_plot, score_plot

        unit = self.units[measure]
        label = f"{measure} ({unit})" if unit != "1" else measure
        drawn: list[Figure] = []
        for over in self.curves():
            points = {
                name or self.sweep.notebook: {
                    it.setting[over]: it.values[measure] for it in line if measure in it.values
                }
                for name, line in self._lines(over).items()
            }
            if lines := {name: line for name, line in points.items() if line}:
                drawn.append(interval_plot(lines, x_label=over, y_label=label))
        measured = {
            label_of(self.sweep, row.setting): row.values[measure] for row in self.rows if measure in row.values
        }
        if not drawn and len(measured) > 1:
            drawn.append(score_plot(measured, label=label))
        return drawn

    def _lines(self, over: str) -> dict[str, list[Row]]:
        """MIN_POINTS settings or more that differ in one numeric axis alone, by what the other axes stand at."""
        others = [name for name in shown_axes(self.sweep) if name != over]
        lines: dict[str, list[Row]] = {}
        for row in self.rows:
            value = row.setting[over]
            if isinstance(value, int | float) and not isinstance(value, bool):
                lines.setdefault(", ".join(f"{name} {row.setting[name]}" for name in others), []).append(row)
        return {name: line for name, line in lines.items() if len(line) >= MIN_POINTS}


def summarise(sweep: Sweep, plans: Sequence[Plan]) -> Summary:
    """The sweep's complete cells, those that differ in the seed alone as one row."""
    found = [plan.cached() for plan in plans]
    return summary_of(sweep, [record for record in found if record is not None])


def summary_of(sweep: Sweep, records: Sequence[Record]) -> Summary:
    """The same from the cells' records, settings in their order."""
    settings: dict[str, dict[str, Any]] = {}
    held: dict[str, list[Record]] = {}
    for record in records:
        setting = {name: record.parameters[name] for name in sweep.axes if name != SEED}
        settings[repr(setting)] = setting
        held.setdefault(repr(setting), []).append(record)
    measures = _measures([record for runs in held.values() for record in runs])
    rows = []
    for name, runs in held.items():
        values = {name: [run.measures[name].value for run in runs if name in run.measures] for name in measures}
        rows.append(Row(settings[name], {measure: found for measure, found in values.items() if found}))
    return Summary(sweep, tuple(rows), measures)


def write_summary(summary: Summary) -> list[Path]:
    """Write the table as CSV, and the figures of each measure; gives back the files."""
    from lib.bench.pages import write_page

    folder = paths().reports / "sweeps"
    stem = (summary.sweep.id or summary.sweep.notebook).replace("/", "_")
    table = folder / f"{stem}.csv"
    write_page(table, summary.csv())
    files = [table]
    drawn = [figure for measure in summary.units for figure in summary.figures(measure)]
    for number, figure in enumerate(drawn, 1):
        file = folder / f"{stem}_{number}.png"
        figure.savefig(file, dpi=110, bbox_inches="tight")
        files.append(file)
    return files


def shown_axes(sweep: Sweep) -> list[str]:
    """Axes that tell the settings apart, the seed not among them; all where there is one setting."""
    named = [name for name, values in sweep.axes.items() if name != SEED and len(values) > 1]
    return named or [name for name in sweep.axes if name != SEED]


def label_of(sweep: Sweep, setting: dict[str, Any]) -> str:
    """A setting as people name it: its values on `shown_axes`."""
    return ", ".join(f"{name} {setting[name]}" for name in shown_axes(sweep)) or "as the profile has it"


def _measures(runs: Sequence[Record]) -> dict[str, str]:
    """Units of the columns that are measures of every run that has them, in order of first appearance."""
    units: dict[str, str] = {}
    mixed = set()
    for run in runs:
        mixed |= {score.column for score in run.scores} - run.measures.keys()
        for name, score in run.measures.items():
            if units.setdefault(name, score.unit) != score.unit:
                mixed.add(name)
    return {name: unit for name, unit in units.items() if name not in mixed}


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean, half = mean_interval(values)
    return f"{mean:.4g} ± {half:.3g}" if len(values) > 1 else f"{mean:.4g}"
