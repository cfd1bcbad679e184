"""Plots of scores and profiles: ours full with its interval, a paper's value hollow, methods apart in grey as well."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lib.errors import SpecError
from lib.seeds import mean_interval as mean_interval
from lib.show.canvas import LINES, MARKERS, ShownFigure, colour_of, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_WIDTH_IN = 6.5

Line = tuple[Sequence[float], Sequence[float]]


def profile_plot(
    lines: Mapping[str, Line],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    colours: Mapping[str, str] | None = None,
    published: Mapping[str, Line] | None = None,
    mark_x: float | None = None,
    zero_line: bool = False,
) -> ShownFigure:
    """Lines of several methods over one quantity.

    lines: method -> (x values, y values). x_label, y_label: quantity with its unit in brackets.
    colours: method -> colour, as everywhere else in the notebook; its order also fixes line and marker.
    published: method -> a paper's points, hollow markers.
    mark_x: a vertical line, for instance a mask's border or a default setting. zero_line: a horizontal line at 0.
    """
    if not lines:
        raise SpecError("profile_plot needs at least one line: got none")
    with drawing(PLOT_WIDTH_IN, 3.6) as figure:
        axes = figure.add_subplot()
        if zero_line:
            axes.axhline(0, color="0.5", linewidth=0.8)
        if mark_x is not None:
            axes.axvline(mark_x, color="0.5", linewidth=0.8, linestyle=(0, (4, 3)))
        for line_idx, (name, (x, y)) in enumerate(lines.items()):
            idx = list(colours).index(name) if colours and name in colours else line_idx
            look: dict[str, Any] = {
                "color": colour_of(name, idx, colours),
                "marker": MARKERS[idx % len(MARKERS)],
                "markersize": 4.5,
            }
            axes.plot(x, y, linestyle=LINES[idx % len(LINES)], markevery=max(1, len(x) // 12), label=name, **look)
            if published and name in published:
                hollow = {**look, "markersize": 8, "markerfacecolor": "white", "linestyle": "none"}
                axes.plot(*published[name], label=f"{name}, published", zorder=3, **hollow)
        _label(axes, x_label, y_label, title)
        _legend_beside(axes, len(lines) + len(published or {}))
    return figure


def interval_plot(
    lines: Mapping[str, Mapping[float, Sequence[float]]], *, x_label: str, y_label: str, title: str = ""
) -> ShownFigure:
    """Means along one quantity with 95 % intervals (Student's t) over seeds, one line a setting.

    lines: setting -> x -> values, one a seed; one value has no whisker. x_label, y_label: with units in brackets.
    """
    if not lines:
        raise SpecError("interval_plot needs at least one line: got none")
    with drawing(PLOT_WIDTH_IN, 3.6) as figure:
        axes = figure.add_subplot()
        for idx, (name, points) in enumerate(lines.items()):
            x = sorted(points)
            means, halves = zip(*(mean_interval(points[value]) for value in x), strict=True)
            look: dict[str, Any] = {"color": colour_of(name, idx, None), "marker": MARKERS[idx % len(MARKERS)]}
            line = LINES[idx % len(LINES)]
            axes.errorbar(x, means, yerr=halves, capsize=2.5, markersize=4.5, linestyle=line, label=name, **look)
        _label(axes, x_label, y_label, title)
        _legend_beside(axes, len(lines))
    return figure


def score_plot(
    scores: Mapping[str, float | Sequence[float]],
    *,
    label: str,
    title: str = "",
    colours: Mapping[str, str] | None = None,
    published: Mapping[str, float] | None = None,
) -> ShownFigure:
    """One score of several methods or settings, one row each from the top.

    scores: name -> value, or the values of several seeds: then the marker is their mean and the whisker its 95 %
        interval (Student's t). label: the score with its unit in brackets, and which direction is better.
    published: name -> a paper's value, a hollow marker.
    """
    if not scores:
        raise SpecError("score_plot needs at least one score: got none")
    with drawing(PLOT_WIDTH_IN, 0.9 + 0.34 * len(scores)) as figure:
        axes = figure.add_subplot()
        for row, (name, values) in enumerate(scores.items()):
            seeds = [float(values)] if isinstance(values, int | float) else [float(value) for value in values]
            mean, half_width = mean_interval(seeds)
            axes.errorbar(
                mean,
                row,
                xerr=half_width or None,
                marker="o",
                markersize=7,
                color=colour_of(name, row, colours),
                capsize=3,
            )
            if published and name in published:
                axes.plot(
                    published[name], row, marker="o", markersize=9, markerfacecolor="none", color="black", ls="none"
                )
        axes.set_yticks(range(len(scores)), list(scores))
        axes.set_ylim(len(scores) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.08)
        _label(axes, label, "", title)
        if published:
            _explain_markers(axes, has_intervals=any(not isinstance(values, int | float) for values in scores.values()))
    return figure


def _label(axes: "Axes", x_label: str, y_label: str, title: str) -> None:
    """Names of both axes and the title; empty ones stay away."""
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title)


def _legend_beside(axes: "Axes", num_entries: int) -> None:
    """Legend outside the data on the right; a single line needs none."""
    if num_entries > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, handlelength=3.2)


def _explain_markers(axes: "Axes", *, has_intervals: bool) -> None:
    """Legend for full and hollow markers, above the data."""
    from matplotlib.lines import Line2D

    label = "ours, 95 % interval over seeds" if has_intervals else "ours"
    ours = Line2D([], [], marker="o", markersize=7, color="0.3", linestyle="none", label=label)
    paper = Line2D(
        [], [], marker="o", markersize=9, color="black", markerfacecolor="none", ls="none", label="published"
    )
    axes.legend(handles=[ours, paper], loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
