"""All methods on all cases: scores by seed, contact sheets, curves, and ours beside the published rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from torch import Tensor

from lib.metrics import mabd, moving_average, uciqe, uiqm
from lib.show import scores as shown
from lib.show.canvas import ShownFigure, method_colours
from lib.show.figures import image_grid
from lib.show.plots import mean_interval
from lib.show.progress import progress
from lib.show.scores import Scores, by_seed, mean_scores
from lib.show.tables import Table, table
from lib.zero_tig.baselines import brighten_to_mean
from lib.zero_tig.evaluate import DIGITS, MEASURES, TABLE_NAMES, channel_gap, measures_for, noise_kept, scores_of
from lib.zero_tig.methods import METHODS, OURS, Recipe
from lib.zero_tig.scenes import Case

INPUT = "input"
MISSING = "-"
SHEET_NAMES = ("noise_kept", "uiqm", "uciqe", "channel_gap")  # of single pictures without truth

Results = dict[str, Tensor]


@dataclass(frozen=True)
class Comparison:
    """Scores of all methods, one value a seed, and their videos (T, 3, H, W) on the first case of the first seed."""

    scores: Scores
    results: Results


def compare_methods(
    cases_by_seed: Sequence[Sequence[Case]],
    recipe: Recipe,
    *,
    methods: Iterable[str] = METHODS,
    seed: int = 0,
    perceptual: bool = False,
) -> Comparison:
    """Every measure of the named methods, one value a seed: the mean over the seed's cases; the input comes last.

    seed: of the first group's initialisations and training draws; the next group takes the next number.
    perceptual: LPIPS as well, where its weights are.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    first: Results = {}
    names = list(methods)
    for number, cases in enumerate(progress(cases_by_seed, label="seeds")):
        scored: dict[str, list[dict[str, float]]] = {}
        for case in cases:
            for name in [*names, INPUT]:
                result = case.video if name == INPUT else METHODS[name](case, recipe, seed + number)
                scored.setdefault(name, []).append(scores_of(result, case, measures_for(case, perceptual=perceptual)))
                if number == 0 and case is cases[0]:
                    first[name] = result
        for name, found in scored.items():
            rows.setdefault(name, []).append(mean_scores(found))
    return Comparison(by_seed(rows), first)


def score_table(scores: Scores, names: Sequence[str], *, caption: str = "") -> Table:
    """Mean and 95 % interval of some measures, a star at the best of each; the untouched input doesn't compete."""
    return shown.score_table(scores, MEASURES, names, digits=DIGITS, unranked=(INPUT,), caption=caption)


def score_entries(scores: Mapping[str, Any], *, table: str, data: str, weights: str = "") -> list[dict[str, Any]]:
    """The scores as keyword arguments of a run's `add_score`; weights: name of an origin, for the rows of ours."""
    entries = shown.score_entries(scores, MEASURES, table=table, data=data)
    return [entry | {"weights": weights if entry["row"] in OURS else ""} for entry in entries]


def method_colour() -> dict[str, str]:
    """One colour for each method, the same in every figure; greys for the input and the truth."""
    return method_colours([*METHODS]) | {INPUT: "0.5", "truth": "0.1"}


def frame_grid(results: Results, case: Case, *, frame_idx: int, columns: int = 3) -> ShownFigure:
    """One frame of the input, of every method's result, and of the truth where there is one."""
    pictures = {INPUT: case.video[frame_idx]}
    pictures |= {name: video[frame_idx] for name, video in results.items() if name != INPUT}
    if case.truth is not None:
        pictures["truth"] = case.truth[frame_idx]
    return image_grid(list(pictures.values()), list(pictures), columns=columns)


def mabd_lines(
    results: Results, *, still: Tensor | None = None, window: int = 1
) -> dict[str, tuple[list[float], list[float]]]:
    """MABD curves as Figure 4 of the paper draws them: name -> (frame numbers, grey levels), smoothed over `window`.

    still: bool (T, H, W), pixels that count; None for all, as in the paper.
    """
    lines = {}
    for name, video in results.items():
        values = moving_average(mabd(video, mask=still), window=window)
        first = 1 + (window - 1) / 2  # the middle of its window
        lines[name] = ([first + idx for idx in range(len(values))], values.tolist())
    return lines


def beside_published(printed: Mapping[str, Mapping[str, str]], scores: Scores, *, caption: str = "") -> Table:
    """Published rows (row -> column -> as printed) above ours, which are measured on other data and say so.

    A method that both have stands there twice; nothing here is a verdict.
    """
    names = [name for name in MEASURES if any(MEASURES[name].name in row for row in printed.values())]
    names = [name for name in names if name in TABLE_NAMES]
    columns = list(dict.fromkeys(column for row in printed.values() for column in row))
    by_column = {MEASURES[name].name: name for name in names}
    rows = [[f"{row}, published", *(held.get(name, MISSING) for name in columns)] for row, held in printed.items()]
    for method, values in scores.items():
        cells = []
        for column in columns:
            measure = by_column.get(column, "")
            digits = DIGITS[MEASURES[measure].unit] if measure else 0
            cells.append(f"{mean_interval(values[measure])[0]:.{digits}f}" if measure in values else MISSING)
        rows.append([f"{method}, here", *cells])
    return table(rows, ["", *columns], caption=caption)


def rows_of_table(scores: Scores, printed: Mapping[str, Mapping[str, str]]) -> Scores:
    """Our scores in the places of a published table: the rows and measures that it has."""
    columns = {column for row in printed.values() for column in row}
    return {
        method: {name: values for name, values in row.items() if MEASURES[name].name in columns and name in TABLE_NAMES}
        for method, row in scores.items()
        if method in printed
    }


def sheet(pictures: Mapping[str, Tensor], results: Mapping[str, Mapping[str, Tensor]]) -> ShownFigure:
    """A contact sheet: one row a picture, first as it is, then made equally bright by one gain, then each result.

    pictures: name -> (3, H, W). results: method -> name -> (3, H, W).
    """
    images, titles = [], []
    for name, picture in pictures.items():
        images += [picture, brighten_to_mean(picture), *(found[name] for found in results.values())]
        titles += [name, "one gain", *results]
    return image_grid(images, titles, columns=2 + len(results))


def sheet_table(pictures: Mapping[str, Tensor], results: Mapping[str, Mapping[str, Tensor]]) -> Table:
    """Mean over the pictures, for each method: SHEET_NAMES; the first row is the input itself.

    pictures and results as in `sheet`. Noise is that over the equally brightened input's, 1 for the input.
    """
    rows: list[list[object]] = []
    for method, found in {INPUT: pictures, **results}.items():
        scored = [_picture_scores(found[name], picture) for name, picture in pictures.items()]
        rows.append([method, *(fmean(one[name] for one in scored) for name in SHEET_NAMES)])
    columns = [shown.column_of(MEASURES[name]) for name in SHEET_NAMES]
    return table(rows, [f"mean of {len(pictures)} pictures", *columns], digits=3)


def _picture_scores(result: Tensor, picture: Tensor) -> dict[str, float]:
    return {
        "noise_kept": noise_kept(result, picture),
        "uiqm": uiqm(result),
        "uciqe": uciqe(result),
        "channel_gap": channel_gap(result),
    }
