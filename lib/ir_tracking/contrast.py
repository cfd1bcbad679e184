"""How faint a target a tracker still follows: the same scans at one contrast after the other."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from lib.ir_tracking.evaluate import MakeTracker, SimulatedSet, evaluate, simulated_cases
from lib.ir_tracking.measures import DIGITS, MEASURES, tracking_values
from lib.show.ablations import interval_table
from lib.show.canvas import ShownFigure
from lib.show.plots import profile_plot
from lib.show.progress import progress
from lib.show.scores import score_entries
from lib.show.tables import Table

# method -> SCR -> measure -> one value a sequence
ContrastScores = dict[str, dict[float, dict[str, list[float]]]]
CURVE_NAMES = ("precision_3", "aor")


def contrast_scores(
    scans: SimulatedSet, levels: Sequence[float], trackers: Mapping[str, MakeTracker]
) -> ContrastScores:
    """CURVE_NAMES of every tracker at every SCR; scenes, paths and noise of a sequence are the same at each."""
    scores: ContrastScores = {name: {} for name in trackers}
    for level in progress(levels, label="contrasts"):
        for name, result in evaluate(trackers, simulated_cases(scans.but(scr=(level, level)))).items():
            values = [tracking_values(one) for one in result.by_case.values()]
            scores[name][level] = {measure: [one[measure] for one in values] for measure in CURVE_NAMES}
    return scores


def contrast_table(scores: ContrastScores) -> Table:
    """Precision at 3 px, mean and 95 % interval over the sequences, a star at the best tracker of each contrast."""
    measure = MEASURES["precision_3"]
    levels = list(next(iter(scores.values())))
    columns = {level: f"SCR {level:g}" for level in levels}
    rows = {
        name: {columns[level]: held["precision_3"] for level, held in by_level.items()}
        for name, by_level in scores.items()
    }
    return interval_table(
        rows,
        digits=dict.fromkeys(columns.values(), DIGITS[measure.unit]),
        better=dict.fromkeys(columns.values(), measure.better),
        caption=f"{measure.name} ({measure.unit})",
    )


def contrast_figure(scores: ContrastScores) -> ShownFigure:
    """Mean precision at 3 px over the SCR, a line a tracker."""
    lines = {
        name: (list(by_level), [fmean(held["precision_3"]) for held in by_level.values()])
        for name, by_level in scores.items()
    }
    return profile_plot(lines, x_label="SCR of the target in the frame", y_label="precision at 3 px (%)")


def contrast_entries(scores: ContrastScores, *, data: str) -> list[dict[str, Any]]:
    """The scores as keyword arguments of a run's `add_score`, in the table `ablation, SCR`."""
    rows = {f"{name}, SCR {level:g}": held for name, by_level in scores.items() for level, held in by_level.items()}
    return score_entries(rows, MEASURES, table="ablation, SCR", data=data)
