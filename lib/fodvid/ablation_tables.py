"""The ablation's tables and figures, its record, and the published curves of table 3 beside ours."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from statistics import fmean
from typing import Any, Literal, Protocol

from lib.fodvid.ablation import PAPER, STAND_IN_ALPHAS, STAND_IN_TAUS, TABLE_3_TAU, Variant
from lib.fodvid.ablation_bench import WARP_FLOW, Bench
from lib.fodvid.evaluate import DIGITS, MEASURES, NETWORK_NAMES, measures_for
from lib.fodvid.scenes import coverage
from lib.fodvid.settings import Settings
from lib.fodvid.train import SegmenterSettings
from lib.metrics import MEAN_J
from lib.show import sweeps
from lib.show.canvas import ShownFigure
from lib.show.figures import image_grid
from lib.show.overlay import draw_mask
from lib.show.plots import profile_plot
from lib.show.scores import score_entries
from lib.show.sweeps import Axis, Sweep
from lib.show.tables import Table, table

Swept = Literal["tau", "alpha"]
ROWS = {"tau": "edge threshold", "alpha": "image weight"}  # as table 3's rows begin
X_LABELS = {"tau": "edge threshold tau", "alpha": "share alpha of appearance, the rest is flow's"}
# what a cell of the paper leaves to the machine
FREE_OF_TRAINING = ("seed", "device", "num_devices", "precision")
FREE_OF_CUT = ("backbone", "weights", "flow", "flow_weights", "alpha", "tau")


class PublishedCell(Protocol):
    """A number of the paper, as lib.bench reads it: this room knows no bench, the notebook hands it over."""

    @property
    def row(self) -> str: ...
    @property
    def column(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def protocol(self) -> str: ...


class PublishedTable(Protocol):
    """A table of the paper, as lib.bench reads it."""

    @property
    def name(self) -> str: ...
    @property
    def data(self) -> Sequence[str]: ...
    @property
    def cells(self) -> Sequence[PublishedCell]: ...
    def weights_of(self, row: str) -> str: ...


def sweep_table(sweep: Sweep[Variant]) -> Table:
    """Mean and 95 % interval of each variant over the groups of scenes, a star at the best."""
    return sweeps.sweep_table(sweep, MEASURES, digits=DIGITS)


def sweep_figure(sweep: Sweep[Variant], floor: Mapping[str, float]) -> ShownFigure:
    """Changes from the default, one panel a measure, with the noise floor."""
    return sweeps.sweep_figure(sweep, MEASURES, floor)


def effects_table(swept: Sequence[Sweep[Variant]], floors: Sequence[Mapping[str, float]]) -> Table:
    """Largest mean change that each choice makes to each measure, or "." where it drowns; see lib.show.sweeps."""
    return sweeps.effects_table(swept, floors, MEASURES)


def floor_table(floors: Mapping[str, Mapping[str, float]]) -> Table:
    """The noise floors, one row a name."""
    return sweeps.floor_table(floors, MEASURES)


def missing_table(benches: Sequence[Bench]) -> Table:
    """The networks that were asked for and are not here, and what would make them run."""
    missing = {name: reason for bench in benches for name, reason in bench.missing.items()}
    return table([[name, reason] for name, reason in sorted(missing.items())], ["network", "why"])


def mask_sheet(bench: Bench, axis: Axis[Variant], *, columns: int = 3) -> ShownFigure:
    """One frame with the mask of each variant of an axis that was run."""
    assert bench.frame is not None
    shown = {f"{axis.name}: {label}": draw_mask(bench.frame, mask) for label, mask in bench.shown(axis).items()}
    return image_grid(list(shown.values()), list(shown), columns=columns)


def curve(sweep: Sweep[Variant], swept: Swept) -> tuple[list[float], list[float]]:
    """Values of the swept number and the mean J, per cent, of each."""
    x = [float(getattr(one.settings, swept)) for one in sweep.axis.settings.values()]
    return x, [fmean(sweep.scores["j"][label]) for label in sweep.axis.settings]


def published_curve(published: PublishedTable, swept: Swept) -> tuple[list[float], list[float]]:
    """The same of table 3."""
    cells = [cell for cell in published.cells if cell.row.startswith(ROWS[swept])]
    return [_value_of(cell) for cell in cells], [cell.value for cell in cells]


def swept_values(base: Settings, published: PublishedTable, swept: Swept) -> list[float]:
    """What tau or alpha is swept over: the values of table 3, or those that suit a stand-in."""
    if base.is_stand_in:
        return list({"tau": STAND_IN_TAUS, "alpha": STAND_IN_ALPHAS}[swept])
    return published_curve(published, swept)[0]


def curve_figure(
    bench: Bench, lines: Mapping[str, Sweep[Variant]], swept: Swept, published: PublishedTable
) -> ShownFigure:
    """Mean J over tau or alpha, a line a sweep, with the paper's own points as hollow markers on its last line.

    lines: the sweeps by what they hold fixed; the last is the one with the paper's. The title says whether ours may be
    set against the published points.
    """
    paper_line = list(lines)[-1]
    reasons = why_not_comparable(bench, next(iter(lines[paper_line].axis.settings.values())), published)
    verdict = "not comparable" if reasons else "comparable"
    return profile_plot(
        {name: curve(sweep, swept) for name, sweep in lines.items()},
        x_label=X_LABELS[swept],
        y_label="mean J (%)",
        title=f"Published: {', '.join(published.data)}, {published.weights_of(ROWS[swept])}: {verdict}",
        published={paper_line: published_curve(published, swept)},
        mark_x=float(getattr(bench.base, swept)),
    )


def why_not_comparable(bench: Bench, variant: Variant, published: PublishedTable) -> list[str]:
    """What of data, weights and settings is not the paper's; empty where a variant may be set against table 3."""
    ours, wanted = bench.weights(variant.settings, is_trained=False).name, published.weights_of(ROWS["tau"])
    return [
        *([coverage(bench.scenes)] if coverage(bench.scenes) else []),
        *([f"weights are {ours}, the paper's {wanted}"] if ours != wanted else []),
        *departures(variant),
    ]


def departures(variant: Variant) -> list[str]:
    """Settings of a variant that are not the paper's, but for its networks, tau and alpha, each as `name value`."""
    cut, paper_cut = variant.settings, PAPER
    found = [
        f"{name} {getattr(cut, name)}"
        for name in (field.name for field in fields(cut))
        if name not in FREE_OF_CUT and getattr(cut, name) != getattr(paper_cut, name)
    ]
    if variant.training is None:
        return found
    ours, paper = variant.training, SegmenterSettings()
    return found + [
        f"{field.name} {getattr(ours, field.name)}"
        for field in fields(ours)
        if field.name not in FREE_OF_TRAINING and getattr(ours, field.name) != getattr(paper, field.name)
    ]


def sweep_entries(bench: Bench, sweep: Sweep[Variant], *, data: str) -> list[dict[str, Any]]:
    """The scores of a sweep as keyword arguments of a run's `add_score`, in the table `ablation, <axis>`."""
    entries = sweeps.sweep_entries(sweep, measures_for(bench.scenes), data=data)
    rows = {
        label: bench.weights(one.settings, is_trained=one.training is not None).name
        for label, one in sweep.axis.settings.items()
    }
    return [entry | {"weights": rows[entry["row"]]} for entry in entries]


def published_entries(
    bench: Bench, swept: Sequence[Sweep[Variant]], tables: Sequence[PublishedTable], *, data: str
) -> list[dict[str, Any]]:
    """Scores at the places of tables 2, 3 and 4, as keyword arguments of a run's `add_score`.

    The protocol is the published cell's, followed by everything in which ours departs from it, so that the report
    takes a score for comparable only where data, weights, sizes and settings are the paper's.
    """
    cells = {(one.name, cell.row, cell.column): cell for one in tables for cell in one.cells}
    entries: dict[tuple[str, str, str], dict[str, Any]] = {}
    for sweep in swept:
        for label, variant in sweep.axis.settings.items():
            for place in _places(variant, sweep.axis.name):
                if place not in cells:
                    continue
                notes = [note for note in (coverage(bench.scenes), *departures(variant)) if note]
                protocol = "; ".join([cells[place].protocol, *notes])
                measure = replace(MEAN_J, name=place[2], protocol=protocol)
                scored = {place[1]: {"j": sweep.scores["j"][label]}}
                [entry] = score_entries(scored, {"j": measure}, table=place[0], data=data)
                # a row's networks, also in a cell that leaves out one of them: alpha 1, or the cut alone in table 4
                row = variant.settings.but(alpha=bench.base.alpha)
                is_trained = place[0] == "table_4" and WARP_FLOW not in bench.missing
                weights = bench.weights(row, is_trained=is_trained)
                entries[place] = entry | {"weights": weights.name}
    return list(entries.values())


def _places(variant: Variant, axis: str) -> list[tuple[str, str, str]]:
    """Table, row and column of the published cells that a variant stands for, if they exist."""
    cut = variant.settings
    found = []
    if axis == "backbone":
        found.append(("table_2", NETWORK_NAMES[cut.backbone], MEAN_J.name))
    if axis.startswith("tau ") and cut.alpha == PAPER.alpha:
        found.append(("table_3", f"{ROWS['tau']} {cut.tau:.2f}", MEAN_J.name))
    if axis.startswith("alpha ") and cut.tau == TABLE_3_TAU:
        found.append(("table_3", f"{ROWS['alpha']} {cut.alpha:.1f}", MEAN_J.name))
    if axis == "refinement":
        column = "graph cut" if variant.training is None else "refined"
        suffix = {"none": "", "crf": " + CRF", "bilateral": " + bilateral"}[variant.finish]
        found.append(("table_4", NETWORK_NAMES.get(cut.flow, cut.flow), column + suffix))
    return found


def _value_of(cell: PublishedCell) -> float:
    return float(cell.row.split()[-1])
