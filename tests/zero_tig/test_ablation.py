"""The ablation changes one choice at a time, runs nothing twice, knows its noise, and names what is missing."""

from dataclasses import replace

import pytest
import torch

from lib.errors import Unavailable
from lib.zero_tig import Settings, ZeroIG
from lib.zero_tig.ablation import (
    ABLATION_MEASURES,
    Bench,
    Variant,
    axes_of,
    effects_table,
    floor_table,
    flow_entries,
    flow_scores,
    flow_table,
    flow_ways,
    loss_axis,
    missing_table,
    sweep_entries,
    sweep_figure,
    sweep_table,
)
from lib.zero_tig.evaluate import scores_of
from lib.zero_tig.losses import NAMES
from lib.zero_tig.methods import Recipe
from lib.zero_tig.scenes import dark_clip

SETTINGS = Settings(epochs=1)
QUICK = Recipe(SETTINGS, weights="")


@pytest.fixture(scope="module")
def cases():
    return [dark_clip("walk", seed=seed, num_frames=3, height_px=32) for seed in (0, 1)]


@pytest.fixture(scope="module")
def bench(cases):
    return Bench(cases, QUICK)


@pytest.mark.parametrize("axis", axes_of(SETTINGS).values(), ids=lambda axis: axis.name)
def test_an_axis_changes_one_choice_around_its_default(axis):
    assert axis.settings[axis.default] == Variant(settings=SETTINGS)
    assert len(set(axis.settings.values())) == len(axis.settings) > 1
    assert axis.published in ("", *axis.settings)


def test_each_loss_can_be_dropped():
    axis = loss_axis(SETTINGS, NAMES)
    assert list(axis.settings) == ["all", *(f"without {name}" for name in NAMES)]
    weights = axis.settings["without smooth"].settings.weights
    assert weights.smooth_neighbours == weights.smooth_variation == 0
    assert weights.color > 0


def test_no_feedback_is_zero_ig_and_standing_still_warps_nothing(cases):
    assert type(Variant("none", SETTINGS).start(QUICK, seed=0)) is ZeroIG
    model = Variant("as it stands", SETTINGS).start(QUICK, seed=0)
    found = model(cases[0].video[:1])
    aligned = model.align(found.state, found.denoised)
    assert torch.equal(aligned.reflectance, found.reflectance)


def test_nothing_is_run_twice_and_changes_are_paired(bench, monkeypatch):
    axis = axes_of(SETTINGS)["feedback"]
    sweep = bench.run(axis)
    assert set(sweep.scores) == set(ABLATION_MEASURES)
    assert sweep.changes()["psnr_hm"]["by flow"] == [0, 0]
    assert sweep.changes()["psnr_hm"]["none"] != [0, 0]
    monkeypatch.setattr(Bench, "result", lambda *_, **__: pytest.fail("already measured"))
    assert bench.run(axis).scores == sweep.scores
    assert list(bench.shown(axis, frame_idx=1)) == list(axis.settings)
    assert len(repr(sweep_table(sweep)).splitlines()) == 2 + len(axis.settings)
    assert len(sweep_figure(sweep, dict.fromkeys(ABLATION_MEASURES, 0.1)).axes) == len(ABLATION_MEASURES)
    assert len(sweep_entries(sweep, data="d")) == len(ABLATION_MEASURES) * len(axis.settings)
    assert "feedback" in repr(effects_table([sweep], dict.fromkeys(ABLATION_MEASURES, 0.0)))


def test_the_noise_floor_is_that_of_another_take(bench):
    variant = Variant(settings=SETTINGS)
    retake = dark_clip("walk", seed=100, num_frames=3, height_px=32)
    floor = bench.noise_floor([retake], variant)
    assert list(floor) == list(ABLATION_MEASURES)
    again = scores_of(bench.result(variant, retake, seed=0), retake, ABLATION_MEASURES)
    first = bench.scores(variant)[0]
    assert floor == {name: pytest.approx(abs(again[name] - first[name])) for name in ABLATION_MEASURES}
    assert min(floor.values()) > 0
    # the same take again is no other one
    assert set(bench.noise_floor(bench.cases[:1], variant).values()) == {0}
    assert "Zero-TIG" in repr(floor_table(floor))


def test_flow_is_better_than_none_on_a_moving_camera_and_missing_weights_are_named(monkeypatch):
    cases = [dark_clip("walk", seed=0, num_frames=3, height_px=128)]
    import lib.zero_tig.temporal as temporal

    load = temporal.load_flow

    def only_dis(name, **options):
        if name != "dis":
            raise Unavailable(f"no weights of {name}")
        return load(name, **options)

    monkeypatch.setattr(temporal, "load_flow", only_dis)
    at_full_size = replace(SETTINGS, flow_factor=1)  # as the notebook, whose frames are small
    ways = flow_ways(at_full_size, flows=("dis", "raft"), factors=(1, 3))
    scores = flow_scores(cases, Recipe(at_full_size), ways)
    assert scores.errors["default"][0] < 0.7 * scores.errors["nothing moves"][0]
    assert scores.errors["not equalised"][0] > scores.errors["default"][0]
    assert set(scores.errors) | set(scores.missing) == set(ways)
    assert "no weights of raft" in repr(missing_table(scores))
    assert "alignment error" in repr(flow_table(scores))
    assert {entry["row"] for entry in flow_entries(scores, data="d")} == set(scores.errors)
