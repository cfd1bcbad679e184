"""The ablation changes one setting at a time, pairs nights, knows its noise, and its exercises can be solved."""

from statistics import fmean, stdev

import pytest
import torch
from scipy.stats import t

from lib.context_fusion import ablation_exercises
from lib.context_fusion.ablation import (
    ABLATION_MEASURES,
    AXES,
    VIDEO,
    Sweep,
    all_nights,
    effects_table,
    floor_table,
    noise_floor,
    retake,
    run_axis,
    sweep_entries,
    sweep_figure,
    sweep_table,
)
from lib.context_fusion.methods import case_of_scene, simulated_night
from lib.context_fusion.settings import VideoSettings
from lib.show.sweeps import mean_change


@pytest.fixture(scope="module")
def scenes():
    return [simulated_night("pagoda", seed=seed, num_frames=13, height_px=48) for seed in (0, 1, 2)]


@pytest.fixture(scope="module")
def sweep(scenes) -> Sweep:
    return run_axis(AXES["denoising"], [case_of_scene(scene) for scene in scenes], every=6)


@pytest.mark.parametrize("axis", AXES.values(), ids=lambda axis: axis.name)
def test_an_axis_changes_one_choice_around_its_default(axis):
    base = axis.settings[axis.default]
    assert base == type(base)()
    assert len(set(axis.settings.values())) == len(axis.settings)
    assert axis.published in ("", *axis.settings)


def test_a_retake_has_other_noise_on_the_same_night(scenes):
    again = retake(scenes[0], generator=torch.Generator().manual_seed(9))
    assert torch.equal(again.truth, scenes[0].truth)
    noise = (again.video - scenes[0].video).flatten()
    assert 0 < float(noise.std()) < 0.1
    assert abs(float(noise.mean())) < 1e-3
    before, after = ((video - scenes[0].clean).std() for video in (scenes[0].video, again.video))
    assert float(after) == pytest.approx(float(before), rel=0.02)


def test_changes_are_paired_and_zero_for_the_default(sweep):
    for measure, by_setting in sweep.changes().items():
        assert by_setting["3 passes"] == [0, 0, 0], measure
    change = sweep.scores["flicker"]["0 passes"][1] - sweep.scores["flicker"]["3 passes"][1]
    assert sweep.changes()["flicker"]["0 passes"][1] == change
    assert mean_change(sweep, "0 passes", "flicker") > 0, "without denoising the noise must show"


def test_the_noise_floor_is_small_and_positive(scenes):
    floor = noise_floor(scenes[:1], VIDEO, every=6)
    assert list(floor) == list(ABLATION_MEASURES)
    assert all(value >= 0 for value in floor.values())
    assert 0 < floor["flicker"] < 1
    assert "Algorithm 2" in repr(floor_table({"Algorithm 2": floor}))


def test_only_clear_effects_enter_the_summary(sweep):
    changes = {"a": [1.0, 1.1, 0.9], "b": [5.0, -4.0, 0.1], "default": [0.0, 0.0, 0.0]}
    axis = AXES["denoising"]
    scores = {measure: {label: [0.0] * 3 for label in axis.settings} for measure in ABLATION_MEASURES}
    scores["psnr_inside"]["0 passes"] = changes["a"]
    scores["psnr_outside"]["1 passes"] = changes["b"]
    row = repr(effects_table([Sweep(axis, scores)], [dict.fromkeys(ABLATION_MEASURES, 0.5)])).splitlines()[-1].split()
    assert row == ["denoising", "+1.00", ".", ".", ".", ".", ".", ".", "."]
    drowned = effects_table([Sweep(axis, scores)], [dict.fromkeys(ABLATION_MEASURES, 1.5)])
    assert "+1.00" not in repr(drowned)


def test_a_sweep_becomes_a_table_a_figure_and_entries(sweep, scenes):
    assert len(repr(sweep_table(sweep)).splitlines()) == 2 + len(sweep.axis.settings)
    figure = sweep_figure(sweep, dict.fromkeys(ABLATION_MEASURES, 0.1))
    assert len(figure.axes) == len(ABLATION_MEASURES)
    entries = sweep_entries(sweep, data="nights")
    assert {entry["table"] for entry in entries} == {"ablation, denoising"}
    assert len(entries) == len(ABLATION_MEASURES) * len(sweep.axis.settings)
    origin = all_nights(scenes)
    assert origin.kind == "simulated"
    assert "pagoda" in origin.source


def test_exercises_say_that_an_empty_answer_is_unfinished():
    for check in (ablation_exercises.check_reach, ablation_exercises.check_paired, ablation_exercises.check_settings):
        assert not check(lambda *_: ...).solved

        def fails(*_: object) -> None:
            raise ZeroDivisionError("no")

        assert "ZeroDivisionError" in check(fails).says


def test_the_reach_of_a_mover_can_be_solved_and_missed():
    assert ablation_exercises.check_reach(lambda covered, c: covered + 2 * c).solved
    assert not ablation_exercises.check_reach(lambda covered, c: covered + c).solved


def test_the_paired_interval_can_be_solved_and_missed():
    def paired(ours, default):
        changes = [a - b for a, b in zip(ours, default, strict=True)]
        return fmean(changes), float(t.ppf(0.975, len(changes) - 1)) * stdev(changes) / len(changes) ** 0.5

    def unpaired(ours, default):
        return fmean(ours) - fmean(default), float(t.ppf(0.975, 3)) * (stdev(ours) + stdev(default)) / 2

    assert ablation_exercises.check_paired(paired).solved
    assert "differences" in ablation_exercises.check_paired(unpaired).says
    assert not ablation_exercises.check_paired(lambda ours, default: (0.0, 0.0)).solved
    assert not ablation_exercises.check_paired(lambda ours, default: 1.0).solved


def test_better_settings_exist_and_the_default_is_not_enough():
    assert ablation_exercises.check_settings(lambda: VideoSettings(susan_passes=1, difference_threshold=8.0)).solved
    assert not ablation_exercises.check_settings(VideoSettings).solved
    noisy = ablation_exercises.check_settings(lambda: VideoSettings(susan_passes=0, difference_threshold=15.0))
    assert "noise" in noisy.says
    assert "VideoSettings" in ablation_exercises.check_settings(lambda: 3).says
