"""Pictures of the night watch: what is watched, its versions, and what every step found in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from lib.night_watch.chain import discovery_frames, film_frames
from lib.night_watch.effects import TASKS
from lib.night_watch.measure import MEASURES, NUM_LABELLED, Seen, moving
from lib.night_watch.scene import Watch
from lib.seeds import mean_interval
from lib.show.canvas import LINES, PALETTE, ShownFigure, drawing, method_colours, pixels
from lib.show.figures import PAGE_WIDTH_IN, TITLE_HEIGHT_IN, image_grid
from lib.show.labels import class_colours, colour_labels
from lib.show.overlay import draw_mask
from lib.show.scores import Scores, column_of

MOST_IN_LEGEND = 8
LIFT = 4.0  # by which the night is brightened to be looked at
TRUE, WITH, WITHOUT = "true", "with filter", "without filter"
COURSE_LOOKS: dict[str, dict[str, Any]] = {
    TRUE: {"color": "white", "linestyle": "-", "linewidth": 3.2},
    WITH: {"color": PALETTE[5], "linestyle": "-", "linewidth": 1.5},
    WITHOUT: {"color": PALETTE[2], "linestyle": LINES[2], "linewidth": 1.5},
}


def watch_figure(watch: Watch, idx: int) -> ShownFigure:
    """What is given, the day picture and a night frame, also brightened; and with the truth, what moves in it."""
    night = watch.night[idx]
    pictures = {"day picture": watch.day, "night": night, f"night, times {LIFT:g}": (LIFT * night).clamp(0, 1)}
    if watch.truth is not None:
        movers = draw_mask(watch.truth.bright[idx], moving(watch.truth)[idx], line_px=1)
        pictures["by daylight: what moves"] = movers
    return image_grid(list(pictures.values()), list(pictures), columns=4)


def versions_figure(videos: Mapping[str, Tensor], idx: int) -> ShownFigure:
    """One frame of every version."""
    return image_grid([video[idx] for video in videos.values()], list(videos))


def masks_figure(videos: Mapping[str, Tensor], seen: Mapping[str, Seen], *, columns: int = 3) -> ShownFigure:
    """What discovery found: one row a version, some frames side by side."""
    numbers = discovery_frames(len(next(iter(videos.values()))))
    chosen = film_frames(len(numbers), columns)
    pictures = [draw_mask(videos[name][numbers[idx]], one.masks[idx]) for name, one in seen.items() for idx in chosen]
    titles = [f"{name}, frame {numbers[idx]}" for name in seen for idx in chosen]
    return image_grid(pictures, titles, columns=columns)


def courses_figure(videos: Mapping[str, Tensor], seen: Mapping[str, Seen], truth: Tensor | None) -> ShownFigure:
    """Ways of the small target over the first frame of each version: true, with the filter, without; dots: the end.

    truth: true boxes (T, 4), or None.
    """
    height, width = next(iter(videos.values())).shape[-2:]
    columns = 3
    rows = -(-len(seen) // columns)
    size = (PAGE_WIDTH_IN, rows * (PAGE_WIDTH_IN / columns * height / width + TITLE_HEIGHT_IN) + TITLE_HEIGHT_IN)
    with drawing(*size, photographic=True) as figure:
        for place, (name, one) in enumerate(seen.items()):
            axes = figure.add_subplot(rows, columns, place + 1)
            axes.imshow(pixels(videos[name][0]))
            courses = {} if truth is None else {TRUE: truth.cpu()}
            for label, boxes in (courses | {WITH: one.course.boxes, WITHOUT: one.course_without.boxes}).items():
                x, y = (boxes[:, :2] + boxes[:, 2:] / 2 - 0.5).unbind(dim=1)
                axes.plot(x, y, label=label, marker="o", markevery=[len(x) - 1], markersize=5, **COURSE_LOOKS[label])
            axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[], title=name)
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
        handles, labels = axes.get_legend_handles_labels()
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=True)
        legend.get_frame().set_facecolor("0.75")
    return figure


def labels_figure(
    seen: Mapping[str, Seen],
    others: Mapping[str, Tensor],
    scores: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
) -> ShownFigure:
    """Classes that the labeller sees in one frame of each version, and maps (H, W) of others, such as the truth.

    scores: name -> measures, from which a mean IU goes into the title where there is one. names: of all classes.
    """
    maps = {name: one.labels[NUM_LABELLED // 2] for name, one in seen.items()} | dict(others)
    titles = [f"{name}: {scores[name]['iu']:.0f} %" if "iu" in scores.get(name, {}) else name for name in maps]
    return _with_legend(image_grid([colour_labels(labels, len(names)) for labels in maps.values()], titles), names)


def scores_figure(scores: Scores, rows: Sequence[str]) -> ShownFigure:
    """Every task's measure on every version: the mean over rooms with its 95 % interval, and each room as a dot."""
    colours = method_colours(rows)
    with drawing(PAGE_WIDTH_IN, 1.0 + 0.3 * len(rows)) as figure:
        for place, task in enumerate(TASKS):
            axes = figure.add_subplot(1, len(TASKS), place + 1)
            for row, name in enumerate(rows):
                if task not in scores.get(name, {}):
                    continue
                values = scores[name][task]
                mean, half_width = mean_interval(values)
                axes.plot(values, [row] * len(values), ".", color="0.7", markersize=5)
                axes.errorbar(mean, row, xerr=half_width or None, marker="o", color=colours[name], capsize=2.5)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.set_yticks(range(len(rows)), rows if place == 0 else [""] * len(rows))
            axes.set_title(column_of(MEASURES[task]), fontsize=9)
            axes.grid(visible=False, axis="y")
            axes.margins(x=0.1)
    return figure


def backgrounds_figure(pictures: Mapping[str, Tensor], labels: Sequence[Tensor], names: Sequence[str]) -> ShownFigure:
    """Means over time (3, H, W) with and without movers, and beside each the classes (H, W) that are seen in it."""
    maps = [colour_labels(one, len(names)) for one in labels]
    shown = [picture for pair in zip(pictures.values(), maps, strict=True) for picture in pair]
    titles = [title for name in pictures for title in (name, "classes seen in it")]
    return _with_legend(image_grid(shown, titles, columns=4), names)


def _with_legend(figure: ShownFigure, names: Sequence[str]) -> ShownFigure:
    """The figure with the colours of its classes below, where they are few."""
    from matplotlib.patches import Patch

    if len(names) <= MOST_IN_LEGEND:
        colours = class_colours(len(names)).tolist()
        patches = [Patch(color=colour, label=name) for name, colour in zip(names, colours, strict=True)]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(names))
    return figure
