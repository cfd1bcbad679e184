"""Settings set side by side: tables with intervals, and changes from the default with the noise floor."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lib.errors import SpecError
from lib.show.canvas import PALETTE, ShownFigure, drawing
from lib.show.plots import mean_interval
from lib.show.tables import Table, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Better = Literal["higher", "lower", "none"]
Values = Mapping[str, Sequence[float]]
PAGE_WIDTH_IN = 9.5
BEST = "*"
NOTHING = 1e-9  # of a change


def interval_table(
    rows: Mapping[str, Values],
    *,
    digits: Mapping[str, int],
    better: Mapping[str, Better],
    unranked: Sequence[str] = (),
    caption: str = "",
) -> Table:
    """Mean and 95 % interval (Student's t) over seeds, a star at the best mean of each column.

    rows: name -> column -> values, one a seed; a column that a row lacks is "-". digits, better: by column, which also
    fix the columns and their order. unranked: rows that get no star, given for comparison only.
    """
    means = {name: {column: mean_interval(seeds)[0] for column, seeds in row.items()} for name, row in rows.items()}

    def shown(name: str, column: str) -> str:
        return f"{means[name][column]:.{digits[column]}f}"

    best: dict[str, str] = {}
    for column, direction in better.items():
        held = [name for name, row in means.items() if column in row and name not in unranked]
        if held and direction != "none":
            ordered = sorted((means[name][column], name) for name in held)
            best[column] = shown(ordered[-1 if direction == "higher" else 0][1], column)

    def cell(name: str, column: str) -> str:
        if column not in rows[name]:
            return "-"
        half_width = mean_interval(rows[name][column])[1]
        interval = f" ± {half_width:.{digits[column]}f}" if len(rows[name][column]) > 1 else ""
        # what looks equal in the table is equally good
        star = BEST if name not in unranked and shown(name, column) == best.get(column) else ""
        return shown(name, column) + interval + star

    cells = [[name, *(cell(name, column) for column in digits)] for name in rows]
    return table(cells, ["", *digits], caption=caption)


def ablation_plot(
    changes: Mapping[str, Values],
    *,
    noise_floor: Mapping[str, float],
    better: Mapping[str, Better],
    default: str,
    published: str = "",
    title: str = "",
    columns: int = 4,
) -> ShownFigure:
    """One panel a measure: how each setting changes it from the default, with the noise floor around 0.

    changes: measure with its unit -> setting -> change on each seed, setting minus default on the same scene.
    noise_floor: measure -> change that another draw of the noise alone makes; grey within +- this.
    better: measure -> direction, named in the panel. default: its setting. published: the paper's, a hollow marker.
    Full markers are means, whiskers 95 % intervals (Student's t) over seeds.
    """
    if not changes:
        raise SpecError("ablation_plot needs at least one measure: got none")
    columns = min(columns, len(changes))
    rows = -(-len(changes) // columns)
    settings = list(next(iter(changes.values())))
    with drawing(PAGE_WIDTH_IN, rows * (0.95 + 0.24 * len(settings)) + 0.3) as figure:
        for idx, (measure, by_setting) in enumerate(changes.items()):
            axes = figure.add_subplot(rows, columns, idx + 1)
            _panel(axes, by_setting, noise_floor[measure], published)
            hint = {"higher": "better →", "lower": "← better", "none": ""}[better[measure]]
            axes.set_title(measure, fontsize=9)
            axes.set_xlabel(hint, fontsize=8)
            labels = [f"{name} (default)" if name == default else name for name in settings]
            axes.set_yticks(range(len(settings)), labels if idx % columns == 0 else [""] * len(settings))
        if title:
            figure.suptitle(title, x=0.01, ha="left")
        # laid out once: a dozen panels take longer to arrange than to draw, and a figure is saved twice
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure


def _panel(axes: "Axes", by_setting: Values, floor: float, published: str) -> None:
    """Markers and whiskers of one measure, the first setting on top."""
    axes.axvspan(-floor, floor, color="0.85", linewidth=0)
    axes.axvline(0, color="0.4", linewidth=0.8)
    for row, (name, seeds) in enumerate(by_setting.items()):
        mean, half_width = mean_interval(seeds)
        look: dict[str, Any] = {"marker": "o", "markersize": 5.5, "color": PALETTE[0], "capsize": 2.5}
        axes.errorbar(mean, row, xerr=half_width or None, **look)
        if name == published:
            axes.plot(mean, row, marker="o", markersize=10, color="black", markerfacecolor="none", ls="none")
    axes.set_ylim(len(by_setting) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.locator_params(axis="x", nbins=4)
    axes.margins(x=0.12)
    low, high = axes.get_xlim()
    if high - low < NOTHING:  # no setting changes anything: an axis of its own rounding would say otherwise
        axes.set_xlim(-1, 1)
