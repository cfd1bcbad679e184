"""All methods on all scenes: masks, scores by scene and by seed, and ours beside the published rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from torch import Tensor

from lib.errors import SpecError
from lib.flow import FlowEstimator
from lib.fodvid.discover import Discoverer
from lib.fodvid.evaluate import (
    DIGITS,
    MEASURES,
    NETWORK_NAMES,
    Seen,
    cut_masks,
    finished_masks,
    measures_for,
    otsu_look_masks,
    otsu_masks,
    percent,
    refined_masks,
    score,
    see,
)
from lib.fodvid.scenes import Scene
from lib.fodvid.train import SegmenterSettings
from lib.metrics.davis import SequenceScores
from lib.show import scores as shown
from lib.show.canvas import ShownFigure
from lib.show.figures import image_grid
from lib.show.overlay import draw_mask
from lib.show.plots import mean_interval
from lib.show.progress import progress
from lib.show.scores import Scores, by_seed
from lib.show.tables import Table, table

OTSU, APPEARANCE, FLOW = "Otsu on motion", "appearance alone", "flow alone"
CUT, REFINED = "graph cut", "refined"
OTSU_LOOK, CUT_LOOK = f"{OTSU} + own look", f"{CUT} + own look"  # not in the paper
OTSU_CRF, CUT_CRF, REFINED_CRF = (f"{name} + CRF" for name in (OTSU, CUT, REFINED))
METHODS = (OTSU, OTSU_LOOK, OTSU_CRF, APPEARANCE, FLOW, CUT, CUT_LOOK, CUT_CRF, REFINED, REFINED_CRF)
Masks = list[Tensor]


@dataclass(frozen=True, eq=False)
class SceneResult:
    """What the methods found in one scene: masks and, where it has a truth, scores, by method."""

    scene: Scene
    masks: dict[str, Masks]
    scores: dict[str, SequenceScores]
    seen: Seen


def run_methods(
    seen: Seen,
    training: SegmenterSettings,
    *,
    methods: Iterable[str] = METHODS,
    boundaries: bool = True,
    warp_flow: FlowEstimator | None = None,
) -> SceneResult:
    """Masks and scores of the named methods on a scene; the cut that a refinement needs is computed once.

    warp_flow: of the refinement, None: the cut's. Raises SpecError for an unknown method.
    """
    settings = seen.discoverer.settings
    made: dict[str, Masks] = {}

    def masks_of(name: str) -> Masks:
        if name not in made:
            made[name] = makers[name]()
        return made[name]

    makers: dict[str, Callable[[], Masks]] = {
        OTSU: lambda: otsu_masks(seen),
        APPEARANCE: lambda: cut_masks(seen, settings.but(alpha=1.0)),
        FLOW: lambda: cut_masks(seen, settings.but(alpha=0.0)),
        CUT: lambda: cut_masks(seen, settings),
        OTSU_LOOK: lambda: otsu_look_masks(seen),
        CUT_LOOK: lambda: cut_masks(seen, settings.but(own_look=True)),
        REFINED: lambda: refined_masks(seen, masks_of(CUT), training, warp_flow=warp_flow).masks,
        OTSU_CRF: lambda: finished_masks(seen, masks_of(OTSU), "crf"),
        CUT_CRF: lambda: finished_masks(seen, masks_of(CUT), "crf"),
        REFINED_CRF: lambda: finished_masks(seen, masks_of(REFINED), "crf"),
    }
    names = list(methods)
    if unknown := [name for name in names if name not in makers]:
        raise SpecError(f"{unknown[0]!r} is no method; methods: {', '.join(makers)}")
    masks = {name: masks_of(name) for name in names}
    scores = {name: score(seen, found, boundaries=boundaries) for name, found in masks.items() if seen.truths}
    return SceneResult(seen.scene, masks, scores, seen)


@dataclass(frozen=True)
class Comparison:
    """scores: method -> measure -> one value a seed, the mean over its scenes. by_scene: method -> scene -> J, per
    cent, of the first seed. first: what was found in the first scene, to be shown."""

    scores: Scores
    by_scene: dict[str, dict[str, float]]
    first: SceneResult
    scenes: list[Scene] = field(default_factory=list)


def compare_methods(
    scenes_by_seed: Sequence[Sequence[Scene]],
    discoverer: Discoverer,
    training: SegmenterSettings,
    *,
    methods: Sequence[str] = METHODS,
    boundaries: bool = True,
    warp_flow: FlowEstimator | None = None,
) -> Comparison:
    """Every measure of the methods, one value a seed; a scene is dropped from memory before the next is seen.

    training: its seed trains the first group of scenes, the next number the next. Raises SpecError for a scene without
    truth.
    """
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    by_scene: dict[str, dict[str, float]] = {name: {} for name in methods}
    first: SceneResult | None = None
    for number, scenes in enumerate(progress(scenes_by_seed, label="seeds")):
        scored: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
        for scene in progress(scenes, label="scenes"):
            seeded = replace(training, seed=training.seed + number)
            found = run_methods(
                see(discoverer, scene), seeded, methods=methods, boundaries=boundaries, warp_flow=warp_flow
            )
            if not found.scores:
                raise SpecError(f"{scene.name} has no true masks to score against")
            for name in methods:
                scored[name].append(percent(found.scores[name]))
                if number == 0:
                    by_scene[name][scene.name] = scored[name][-1]["j"]
            first = first or found
        for name in methods:
            rows[name].append(shown.mean_scores(scored[name]))
    if first is None:
        raise SpecError("no scene to compare on: give at least one")
    return Comparison(by_seed(rows), by_scene, first, list(scenes_by_seed[0]))


def score_table(compared: Comparison, *, caption: str = "") -> Table:
    """Mean and 95 % interval of every measure, a star at the best of each."""
    return shown.score_table(compared.scores, MEASURES, list(MEASURES), digits=DIGITS, caption=caption)


def scene_table(compared: Comparison) -> Table:
    """Mean J of each scene by each method, first seed, and the mean of all."""
    names = [scene.name for scene in compared.scenes]
    rows: list[list[object]] = []
    for method, held in compared.by_scene.items():
        rows.append([method, *(held[name] for name in names), fmean(held.values())])
    return table(rows, ["mean J (%)", *names, "mean"], digits=1)


def score_entries(
    compared: Comparison, *, table: str, data: str, weights: str = "", rows: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The scores as keyword arguments of a run's `add_score`.

    weights: name of an origin. rows: only these methods, under these names, and only their J: for a published table.
    """
    measures = measures_for(compared.scenes)
    if rows is None:
        entries = shown.score_entries(compared.scores, measures, table=table, data=data)
    else:
        held = {row: {"j": compared.scores[method]["j"]} for method, row in rows.items()}
        entries = shown.score_entries(held, measures, table=table, data=data)
    return [entry | {"weights": "" if entry["row"] in (OTSU, OTSU_CRF) else weights} for entry in entries]


def table_four(compared: Comparison, flow: str) -> list[dict[str, Any]]:
    """Our cells of table 4 as arguments of `add_score` but data and weights; none for a flow that it has no row for."""
    row = NETWORK_NAMES.get(flow, "")
    if row not in ("GMFlow", "ARFlow"):
        return []
    measures = measures_for(compared.scenes)
    entries = []
    for method in (CUT, REFINED, REFINED_CRF):
        held = shown.score_entries({row: {"j": compared.scores[method]["j"]}}, measures, table="table_4", data="")
        entries += [entry | {"column": method} for entry in held]
    return [{name: value for name, value in entry.items() if name not in ("data", "weights")} for entry in entries]


def beside_published(printed: Mapping[str, Mapping[str, str]], compared: Comparison, *, note: str) -> Table:
    """All published rows of table 1, then our cut and what training made of it, under a note that says what they rest
    on. Nothing here is a verdict."""
    rows: list[list[object]] = [[row, "published", next(iter(cells.values()))] for row, cells in printed.items()]
    for method in (CUT, REFINED):
        rows.append([f"{method}, here", note, f"{mean_interval(compared.scores[method]['j'])[0]:.1f}"])
    return table(rows, ["method", "measured on", "mean J (%)"])


def mask_grid(found: SceneResult, frame_idxs: Sequence[int], *, methods: Sequence[str] = METHODS) -> ShownFigure:
    """Frames with the masks of each method drawn in, one row a method, the truth first where it is known."""
    by_name: dict[str, Masks] = {"truth": found.seen.truths} if found.seen.truths else {}
    by_name |= {name: found.masks[name] for name in methods if name in found.masks}
    pictures, titles = [], []
    for name, masks in by_name.items():
        for idx in frame_idxs:
            pictures.append(draw_mask(found.seen.frame(idx), masks[idx].cpu()))
            titles.append(f"{name}, frame {idx}")
    return image_grid(pictures, titles, columns=len(frame_idxs))
