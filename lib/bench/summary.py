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
        axes = _shown_axes(self.sweep)
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
        axes = _shown_axes(self.sweep)
        writer.writerow([*axes, "measure", "unit", "mean", "low", "high", "seeds"])
        for row in self.rows:
            for name, values in row.values.items():
                mean, half = mean_interval(values)
                bounds = [f"{mean - half:.10g}", f"{mean + half:.10g}"] if len(values) > 1 else ["", ""]
                setting = [row.setting[axis] for axis in axes]
                writer.writerow([*setting, name, self.units[name], f"{mean:.10g}", *bounds, len(values)])
        return text.getvalue()

    def curve_axis(self) -> str:
        """The axis to draw curves over: the first numeric one with several values that steps alone; "" for none."""
        zipped = {name for group in self.sweep.zips for name in group}
        for name, values in self.sweep.axes.items():
            is_numeric = all(isinstance(it, int | float) and not isinstance(it, bool) for it in values)
            if name not in zipped and name != SEED and is_numeric and len(values) >= MIN_POINTS:
                return name
        return ""

    def figure(self, measure: str) -> "Figure":
        """A measure over `curve_axis`, mean and interval over the seeds, a line for each setting of the other axes."""
        from lib.show.plots import interval_plot

        over = self.curve_axis()
        lines: dict[str, dict[float, list[float]]] = {}
        for row in self.rows:
            if measure in row.values:
                others = [f"{name} {row.setting[name]}" for name in _shown_axes(self.sweep) if name != over]
                points = lines.setdefault(", ".join(others) or self.sweep.notebook, {})
                points[float(row.setting[over])] = row.values[measure]
        unit = self.units[measure]
        return interval_plot(lines, x_label=over, y_label=f"{measure} ({unit})" if unit != "1" else measure)


def summarise(sweep: Sweep, plans: Sequence[Plan]) -> Summary:
    """The sweep's complete cells, those that differ in the seed alone as one row."""
    settings: dict[str, dict[str, Any]] = {}
    held: dict[str, list[Record]] = {}
    for plan in plans:
        if (record := plan.cached()) is not None:
            setting = {name: plan.values[name] for name in sweep.axes if name != SEED}
            settings[repr(setting)] = setting
            held.setdefault(repr(setting), []).append(record)
    measures = _measures([record for runs in held.values() for record in runs])
    rows = []
    for name, runs in held.items():
        values = {name: [run.measures[name].value for run in runs if name in run.measures] for name in measures}
        rows.append(Row(settings[name], {measure: found for measure, found in values.items() if found}))
    return Summary(sweep, tuple(rows), measures)


def write_summary(summary: Summary) -> list[Path]:
    """Write the table as CSV, and one figure a measure where there is a curve to draw; gives back the files."""
    from lib.bench.pages import write_page

    folder = paths().reports / "sweeps"
    stem = (summary.sweep.id or summary.sweep.notebook).replace("/", "_")
    table = folder / f"{stem}.csv"
    write_page(table, summary.csv())
    files = [table]
    for number, measure in enumerate(summary.units if summary.curve_axis() else (), 1):
        file = folder / f"{stem}_{number}.png"
        summary.figure(measure).savefig(file, dpi=110, bbox_inches="tight")
        files.append(file)
    return files


def _shown_axes(sweep: Sweep) -> list[str]:
    named = [name for name, values in sweep.axes.items() if name != SEED and len(values) > 1]
    return named or [name for name in sweep.axes if name != SEED]


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
