"""The ablation changes one choice at a time, from the same weights, runs nothing twice, and knows its noise."""

import pytest
import torch

from lib.context_reg import RegularizationSettings, ablation, ablation_exercises
from lib.context_reg import walkthrough as walk
from lib.context_reg.ablation import MEASURES, Bench, Variant, axes_of
from lib.context_reg.scenes import simulated_rooms
from lib.data.nyuv2_classes import class_names

BASE = RegularizationSettings(weight=0.3)
NAMES = class_names(4)


@pytest.fixture(scope="module")
def bench():
    rooms = simulated_rooms(4, seed=1, height_px=32, num_classes=4)
    quick = walk.training_for(None, num_steps=2, seed=0, device="cpu")
    network = walk.network_for("segnet", NAMES, 4)
    return Bench(rooms, rooms[:2], network=network, start=quick, recipe=quick, seeds=[0, 1])


def test_every_axis_has_its_default_and_changes_one_thing():
    axes = axes_of(BASE, weights=[0.05, 2.0], sigmas=[0.05, 0.25])
    assert list(axes) == ["lambda", "sigma", "kernels", "learning", "kernel loss", "weights from", "ramp"]
    for axis in axes.values():
        assert axis.settings[axis.default] == Variant(BASE)
        assert len(set(axis.settings.values())) == len(axis.settings) > 1
    assert list(axes["lambda"].settings) == ["alone", "0.05", "0.3", "2"]
    assert axes["lambda"].settings["alone"].regularization is None
    assert axes["sigma"].settings["no picture"].regularization.sigma == walk.NO_EDGES


def test_a_variant_trains_as_the_recipe_but_for_its_regulariser():
    recipe = walk.training_for(None, num_steps=10, seed=0, device="cpu")
    assert Variant(None).training(recipe, seed=0) == recipe
    risen, at_once = (Variant(BASE, ramp=ramp).training(recipe, seed=3) for ramp in (True, False))
    assert (risen.ramp_steps, at_once.ramp_steps) == (5, 0)
    assert risen.but(ramp_steps=0) == at_once
    assert at_once.but(regularization=None, seed=0) == recipe


def test_variants_go_on_from_the_same_weights_and_nothing_runs_twice(bench, monkeypatch):
    axis = axes_of(BASE, weights=[0.3], sigmas=[0.25])["lambda"]
    sweep = bench.run(axis)
    assert set(sweep.scores) == set(MEASURES)
    assert all(len(values) == 2 for values in sweep.scores["mean IU"].values())
    monkeypatch.setattr(bench, "trained", lambda *_, **__: pytest.fail("trained twice"))
    assert bench.run(axis) == sweep
    shown = bench.shown(axis, bench.tests[0])
    assert list(shown) == list(axis.settings)
    assert torch.allclose(shown["alone"].sum(0), torch.ones(32, 43), atol=1e-5)


def test_no_steps_give_back_the_start(bench):
    still = Bench(
        bench.rooms,
        bench.tests,
        network=bench.network,
        start=bench.start,
        recipe=bench.recipe.but(num_steps=0),
        seeds=[0],
    )
    first = still.trained(Variant(None), seed=0).network.state_dict()
    again = still.trained(Variant(BASE), seed=0, order=9).network.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_the_noise_floor_is_what_another_order_does(bench):
    floor = bench.noise_floor(Variant(BASE))
    assert set(floor) == set(MEASURES)
    assert all(value >= 0 for value in floor.values())
    assert max(floor.values()) > 0
    assert "regularised host" in repr(ablation.floor_table(floor))


def test_tables_figure_and_entries_of_a_sweep(bench):
    sweep = bench.run(axes_of(BASE, weights=[0.3], sigmas=[0.25])["lambda"])
    floor = dict.fromkeys(MEASURES, 0.5)
    assert "alone" in repr(ablation.sweep_table(sweep))
    assert len(ablation.sweep_figure(sweep, floor).axes) >= len(MEASURES)
    assert "lambda" in repr(ablation.effects_table([sweep], floor))
    entries = ablation.sweep_entries(sweep, data="rooms")
    assert {entry["table"] for entry in entries} == {"ablation, lambda"}
    assert len(entries) == 2 * len(MEASURES)


@pytest.mark.parametrize(
    ("check", "answer", "solved", "says"),
    [
        (ablation_exercises.check_pairs, lambda: 4, True, "twice the lambda"),
        (ablation_exercises.check_pairs, lambda: 8, False, "another sign"),
        (ablation_exercises.check_pairs, lambda: 5, False, "pairs"),
        (ablation_exercises.check_lambda, lambda printed, h, w: printed / (h * w), True, "0.0004"),
        (ablation_exercises.check_lambda, lambda printed, h, w: printed, False, "both are means"),
        (ablation_exercises.check_lambda, lambda printed, h, w: printed * h * w, False, "other way"),
        (ablation_exercises.check_lambda, lambda printed, h, w: 0.5, False, "divide"),
        (ablation_exercises.check_better, lambda: 3, False, "RegularizationSettings"),
        (ablation_exercises.check_better, lambda: RegularizationSettings.paper(), False, "means"),
    ],
)
def test_exercises_know_the_answer_and_the_slips(check, answer, solved, says):
    found = check(answer)
    assert found.solved is solved
    assert says in found.says


@pytest.mark.parametrize(("gain", "solved"), [(2.0, True), (0.5, False)])
def test_better_asks_for_the_gain(monkeypatch, gain, solved):
    boundary = {None: 20.0}
    monkeypatch.setattr(ablation_exercises, "_boundary", lambda one: boundary.get(one.regularization, 20.0 + gain))
    assert ablation_exercises.check_better(lambda: BASE).solved is solved
