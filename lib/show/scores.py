"""Scores of methods over seeds, as tables and as entries of a record; the measures come from whoever asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lib.metrics.measure import Measure
from lib.show.ablations import interval_table
from lib.show.plots import mean_interval
from lib.show.tables import Table

# method -> measure -> one value a seed
Scores = dict[str, dict[str, list[float]]]
Measures = Mapping[str, Measure]

ARROWS = {"higher": " ↑", "lower": " ↓", "none": ""}


def label_of(measure: Measure) -> str:
    """A measure's name with its unit, as an axis label."""
    return measure.name if measure.unit == "1" else f"{measure.name} ({measure.unit})"


def column_of(measure: Measure) -> str:
    """A measure's name, its unit and an arrow to its better side, as a column title."""
    return label_of(measure) + ARROWS[measure.better]


def by_seed(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> Scores:
    """Scores of each method, from one dict of measures a seed: method -> seeds to method -> measure -> values."""
    return {name: {measure: [seed[measure] for seed in seeds] for measure in seeds[0]} for name, seeds in rows.items()}


def mean_scores(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each measure over several cases; measures that not every case has are left out."""
    shared = [name for name in scores[0] if all(name in one for one in scores)]
    return {name: fmean(one[name] for one in scores) for name in shared}


def mean_of(scores: Scores, method: str, measure: str) -> float:
    """Mean over the seeds of one method's measure."""
    return fmean(scores[method][measure])


def score_table(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    measures: Measures,
    names: Sequence[str],
    *,
    digits: Mapping[str, int],
    unranked: Sequence[str] = (),
    caption: str = "",
) -> Table:
    """Mean and 95 % interval of the measures of these names, a star at the best of each.

    digits: decimals by unit. unranked: methods that don't compete. Measures that no method has are left out.
    """
    held = [name for name in names if any(name in row for row in scores.values())]
    titles = {name: column_of(measures[name]) for name in held}
    rows = {method: {titles[name]: row[name] for name in held if name in row} for method, row in scores.items()}
    return interval_table(
        rows,
        digits={titles[name]: digits[measures[name].unit] for name in held},
        better={titles[name]: measures[name].better for name in held},
        unranked=unranked,
        caption=caption,
    )


def score_entries(
    scores: Mapping[str, Mapping[str, Sequence[float]]], measures: Measures, *, table: str, data: str
) -> list[dict[str, Any]]:
    """The scores as keyword arguments of a run's `add_score`: mean, and the interval where there are several seeds."""
    entries = []
    for method, row in scores.items():
        for name, seeds in row.items():
            mean, half_width = mean_interval(seeds)
            interval = (mean - half_width, mean + half_width) if len(seeds) > 1 else None
            entries.append(Finding(method, measures[name], mean).score(table) | {"data": data, "interval": interval})
    return entries


@dataclass(frozen=True)
class Finding:
    """One number of a walkthrough: what it was measured on, how, and its value."""

    row: str
    measure: Measure
    value: float

    def score(self, table: str) -> dict[str, Any]:
        """The arguments of RunLog.add_score but for `data`."""
        measure = self.measure
        return {
            "table": table,
            "row": self.row,
            "column": measure.name,
            "value": self.value,
            "unit": measure.unit,
            "better": measure.better,
            "protocol": measure.protocol,
        }
