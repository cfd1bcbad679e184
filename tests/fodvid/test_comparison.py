"""Methods side by side: one value a seed, places of the published tables, claims and floor."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.data.origin import Origin
from lib.errors import SpecError
from lib.fodvid import comparison
from lib.fodvid.claims import claims, quality_floor
from lib.fodvid.comparison import (
    CUT,
    METHODS,
    OTSU,
    REFINED,
    Comparison,
    beside_published,
    compare_methods,
    mask_grid,
    run_methods,
    scene_table,
    score_entries,
    score_table,
    table_four,
)
from lib.fodvid.discover import Discoverer
from lib.fodvid.evaluate import Refinement, Seen, see
from lib.fodvid.scenes import Scene, scene_of
from lib.fodvid.train import SegmenterSettings
from tests.fodvid.discovery_scene import TrueFlow, colours, truth, video
from tests.fodvid.test_evaluate import COUNT, SETTINGS, TRAINING, scene


def discoverer() -> Discoverer:
    return Discoverer(SETTINGS, extractor=colours, estimator=TrueFlow())


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare_methods([[scene()], [scene()], [scene()]], discoverer(), TRAINING)


def test_every_method_has_one_value_a_seed(compared: Comparison) -> None:
    assert list(compared.scores) == list(METHODS)
    for values in compared.scores.values():
        assert set(values) == {"j", "recall", "decay", "f"}
        assert all(len(seeds) == 3 for seeds in values.values())
    # the same scene three times, and nothing random in the cut
    assert len(set(compared.scores[CUT]["j"])) == 1
    assert compared.by_scene[CUT] == {"block": compared.scores[CUT]["j"][0]}


def test_each_group_of_scenes_trains_with_its_own_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def refine(seen: Seen, masks: list[Tensor], training: SegmenterSettings, **_: Any) -> Refinement:
        seeds.append(training.seed)
        return Refinement(None, masks)  # type: ignore[arg-type]

    monkeypatch.setattr(comparison, "refined_masks", refine)
    compare_methods([[scene(), scene()], [scene()]], discoverer(), replace(TRAINING, seed=5), methods=[REFINED])
    assert seeds == [5, 5, 6]


def test_the_mean_over_scenes_counts_each_once() -> None:
    masks = torch.stack([truth(idx) for idx in range(COUNT)])
    wrong = scene_of("inverse", torch.stack(list(video(COUNT))), ~masks, Origin("i", "simulated", "MIT", "", "a test"))
    found = compare_methods([[scene(), wrong]], discoverer(), TRAINING, methods=[CUT], boundaries=False)
    held = found.by_scene[CUT]
    assert found.scores[CUT]["j"] == [pytest.approx((held["block"] + held["inverse"]) / 2)]
    assert held["block"] > 80 > held["inverse"]


def test_only_the_named_methods_run() -> None:
    found = run_methods(see(discoverer(), scene()), TRAINING, methods=[OTSU, CUT], boundaries=False)
    assert list(found.masks) == [OTSU, CUT]
    with pytest.raises(SpecError, match="'magic' is no method"):
        run_methods(see(discoverer(), scene()), TRAINING, methods=["magic"])


def test_scenes_without_truth_cannot_be_compared() -> None:
    blind = scene_of("blind", torch.stack(list(video(COUNT))), None, Origin("b", "sample", "MIT", "", "a test"))
    with pytest.raises(SpecError, match="blind has no true masks"):
        compare_methods([[blind]], discoverer(), TRAINING, methods=[CUT])
    with pytest.raises(SpecError, match="at least one"):
        compare_methods([], discoverer(), TRAINING)


def entry_of(entries: list[dict[str, Any]], row: str, column: str) -> dict[str, Any]:
    return next(entry for entry in entries if (entry["row"], entry["column"]) == (row, column))


def test_scores_enter_a_record_with_data_and_weights(compared: Comparison) -> None:
    entries = score_entries(compared, table="all", data="block", weights="w")
    assert entry_of(entries, CUT, "mean J")["weights"] == "w"
    assert entry_of(entries, OTSU, "mean J")["weights"] == ""
    assert "other clips: block" in entry_of(entries, CUT, "mean J")["protocol"]
    published = score_entries(compared, table="table_1", data="block", rows={REFINED: "FODVid"})
    assert [(entry["row"], entry["column"]) for entry in published] == [("FODVid", "mean J")]


def test_table_four_takes_the_flows_that_it_has(compared: Comparison) -> None:
    assert table_four(compared, "dis") == []
    cells = table_four(compared, "arflow")
    assert [(cell["row"], cell["column"]) for cell in cells] == [
        ("ARFlow", "graph cut"),
        ("ARFlow", "refined"),
        ("ARFlow", "refined + CRF"),
    ]


def test_tables_and_figure_show_every_method(compared: Comparison) -> None:
    for shown in (score_table(compared), scene_table(compared)):
        assert [row[0] for row in shown.rows] == list(METHODS)
    beside = beside_published({"SAGE": {"mean J": "42.6"}}, compared, note="a toy")
    assert beside.rows[0] == ("SAGE", "published", "42.6")
    assert [row[:2] for row in beside.rows[1:]] == [(f"{CUT}, here", "a toy"), (f"{REFINED}, here", "a toy")]
    figure = mask_grid(compared.first, [1, 2])
    assert len(figure.axes) == 2 * (1 + len(METHODS))


def of(values: dict[str, list[float]], scenes: list[Scene] | None = None) -> Comparison:
    scores = {name: {"j": values.get(name, [50.0] * 3)} for name in METHODS}
    by_scene = {name: {"a": held["j"][0], "b": held["j"][-1]} for name, held in scores.items()}
    return Comparison(scores, by_scene, None, scenes or [])  # type: ignore[arg-type]


def test_a_claim_holds_where_the_interval_leaves_out_zero() -> None:
    rows = {row[0]: row[2] for row in claims(of({CUT: [60.0, 61.0, 62.0], REFINED: [70.0, 40.0, 90.0]})).rows}
    assert rows["flow helps: the cut beats appearance alone"] == "yes"
    assert rows["training on its masks beats the cut"] == "can't tell"
    assert {row[2] for row in claims(of({CUT: [40.0, 41.0, 42.0]})).rows[:3]} == {"no"}


def test_floor_falls_with_what_must_hold() -> None:
    assert all(quality_floor(of({"appearance alone": [10.0] * 3})).values())
    assert not all(quality_floor(of({CUT: [30.0] * 3})).values())
    assert not all(quality_floor(of({REFINED: [40.0] * 3})).values())
