"""Methods by name and their measures: what a perfect result scores, what known failures score, what is refused."""

from dataclasses import replace
from math import inf

import pytest
import torch

from lib.context_fusion.comparison import (
    NIGHT,
    case_without_truth,
    compare_methods,
    compare_on_cameras,
    results_of,
    score_entries,
    score_table,
    shift_table,
    street_night,
    timing_night,
)
from lib.context_fusion.evaluate import (
    CONTEXT_NAMES,
    MEASURES,
    TRUTH_NAMES,
    all_scores,
    context_scores,
    halo,
    identity_error,
    shift_before_and_after,
    some_scores,
    time_per_frame,
    truth_scores,
)
from lib.context_fusion.methods import (
    METHODS,
    Case,
    algorithm_1,
    algorithm_2,
    case_of_scene,
    case_of_still,
    methods_for,
    on_device,
    simulated_night,
)
from lib.context_fusion.settings import ImageSettings, VideoSettings
from lib.data.images import write_image
from lib.data.simulate import NightScene
from lib.errors import DataMissing, ShapeError, SpecError
from lib.show.scores import mean_of

NUM_FRAMES, HEIGHT = 13, 64


@pytest.fixture(scope="module")
def scene() -> NightScene:
    return simulated_night("pagoda", seed=3, num_frames=NUM_FRAMES, height_px=HEIGHT)


@pytest.fixture(scope="module")
def case(scene: NightScene) -> Case:
    return case_of_scene(scene)


def test_the_same_seed_gives_the_same_night_and_another_one_differs(scene):
    again, other = (simulated_night("pagoda", seed=seed, num_frames=2, height_px=HEIGHT) for seed in (3, 4))
    assert torch.equal(again.video, scene.video[:2])
    assert not torch.equal(other.video, scene.video[:2])
    assert scene.day.shape[-2] == HEIGHT
    assert scene.origin.kind == "simulated"
    assert "pagoda" in scene.origin.name
    assert "CC BY" in scene.origin.licence


def test_every_method_gives_a_picture_for_each_frame(case):
    assert list(methods_for(case)) == list(METHODS)
    for name, fuse in methods_for(case).items():
        result = fuse(case)
        assert result.shape == case.night.shape, name
        assert 0 <= float(result.min()) <= float(result.max()) <= 1, name


def test_the_blend_and_the_default_share_their_weights(case):
    weight = case.fusion.importance[:, None]
    assert torch.allclose(METHODS["pixel blend"](case), weight * case.night + (1 - weight) * case.day, atol=1e-6)
    assert torch.equal(METHODS["Algorithm 2"](case), algorithm_2(case, VideoSettings()))
    assert torch.equal(METHODS["rule max"](case), algorithm_1(case, ImageSettings(rule="max")))


def test_a_still_has_no_motion_and_no_empty_night(case):
    still = case_of_still(case.night[5], case.day)
    assert set(METHODS) - set(methods_for(still)) == {"Algorithm 2", "rule reference"}
    scores = context_scores(METHODS["average"](still), still)
    assert scores.flicker is None
    assert "flicker" not in all_scores(METHODS["average"](still), still)


def test_the_truth_itself_is_perfect(case):
    scores = truth_scores(case.truth, case)
    assert scores.psnr_inside == scores.psnr_outside == inf
    assert scores.ssim_inside == pytest.approx(1)
    assert scores.fidelity_inside == pytest.approx(1)
    assert scores.fidelity_outside == pytest.approx(1)
    context = context_scores(case.truth, case)
    assert context.ghosting_outside < 0.01
    assert context.halo < 0.01
    assert context.colour_shift < 0.01
    assert context.flicker < 0.01
    assert all(value == 0 for value in halo(case.truth, case).deviation.tolist())


def test_known_failures_are_seen(case):
    truth = case.truth
    averaged = context_scores(METHODS["average"](case), case)
    assert averaged.ghosting_inside == pytest.approx(0.5, abs=0.02)
    assert averaged.ghosting_outside > 0.3
    pasted = torch.where(case.movers[:, None], (truth + 0.3).clamp(0, 1), truth)
    assert context_scores(pasted, case).seam_energy > context_scores(truth, case).seam_energy + 5
    tinted = (truth + torch.tensor([0.1, 0.0, 0.0]).view(3, 1, 1)).clamp(0, 1)
    assert context_scores(tinted, case).colour_shift > 2
    breathing = truth + 0.02 * (torch.arange(NUM_FRAMES) % 2).view(-1, 1, 1, 1)
    assert context_scores(breathing, case).flicker == pytest.approx(5.1, abs=0.1)


def test_night_is_its_own_ghost_and_day_is_in_no_mover(case):
    assert context_scores(case.night, case).ghosting_inside < 1e-6
    assert context_scores(case.day.expand_as(case.night).clone(), case).ghosting_inside == pytest.approx(1)


def test_thinned_frames_measure_the_same_kind_of_thing(case):
    every_frame = all_scores(case.fusion.image, case)
    thinned = all_scores(case.fusion.image, case, every=3)
    assert list(thinned) == list(every_frame) == list(MEASURES)
    assert thinned["flicker"] == every_frame["flicker"]
    assert thinned["psnr_outside"] == pytest.approx(every_frame["psnr_outside"], abs=1)


def test_measures_are_named_and_described():
    assert list(MEASURES) == TRUTH_NAMES + CONTEXT_NAMES
    assert len({measure.name for measure in MEASURES.values()}) == len(MEASURES)
    assert all(";" in measure.protocol for measure in MEASURES.values())


def test_bad_requests_are_refused(case):
    unknown = replace(case, truth=None)
    with pytest.raises(SpecError, match="has none"):
        truth_scores(case.night, unknown)
    with pytest.raises(SpecError, match="no measure"):
        some_scores(case.night, case, ["beauty"])
    with pytest.raises(ShapeError, match="night's shape"):
        context_scores(case.night[:2], case)
    with pytest.raises(ShapeError):
        case_of_still(case.night[0], case.day[..., 1:])


def test_a_picture_fused_with_itself_stays(case):
    assert identity_error(case.day) < 0.1


def test_the_fit_is_what_shift_before_and_after_compares(case):
    before, after = shift_before_and_after(algorithm_2, case, VideoSettings())
    assert after == pytest.approx(context_scores(case.fusion.image, case).colour_shift)
    assert before != after


def test_time_per_frame_is_positive(case):
    assert 0 < time_per_frame(case.night, case.day, settings=VideoSettings(susan_passes=1), num_frames=2) < 60


def test_the_timed_night_has_the_papers_size():
    night, day = timing_night()
    assert tuple(night.shape[1:]) == tuple(day.shape) == (3, 240, 320)


def test_scores_agree_on_each_device(scene, device):
    here, there = case_of_scene(scene), case_of_scene(on_device(scene, device))
    ours, theirs = all_scores(here.fusion.image, here), all_scores(there.fusion.image, there)
    for name, value in ours.items():
        assert theirs[name] == pytest.approx(value, rel=0.02, abs=0.02), name


def test_compare_methods_averages_a_seeds_cases(case):
    alone = compare_methods([[case], [case]], every=6)
    together = compare_methods([[case, case]], every=6)
    assert list(alone) == [*METHODS, NIGHT]
    assert alone["average"]["seam_energy"] == together["average"]["seam_energy"] * 2
    assert mean_of(alone, "Algorithm 2", "psnr_outside") == alone["Algorithm 2"]["psnr_outside"][0]


def test_scores_become_a_table_and_entries_of_a_record(case):
    scores = compare_methods([[case], [case]], every=6)
    shown = repr(score_table(scores, TRUTH_NAMES))
    assert "PSNR inside (dB) ↑" in shown
    night_line = next(line for line in shown.splitlines() if line.startswith(NIGHT))
    assert "*" not in night_line, "the night takes no part in the ranking"
    entries = score_entries(scores, table="t", data="d")
    assert len(entries) == len(MEASURES) * len(scores)
    first = entries[0]
    assert first["interval"] == pytest.approx((first["value"], first["value"]))
    assert score_entries({"a": {"halo": [1.0]}}, table="t", data="d")[0]["interval"] is None


def test_shift_table_has_a_row_for_each_of_our_methods(case):
    lines = repr(shift_table([[case]], every=6)).splitlines()
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "Algorithm 2",
        "rule max",
        "rule threshold",
        "rule reference",
    ]


def test_the_darkened_clip_claims_no_truth():
    scene = street_night(seed=0, num_frames=13, height_px=64)
    case = case_without_truth(scene)
    assert case.truth is None
    assert set(results_of(case, frame_idx=6)) == {"night", "day", *METHODS}
    assert set(all_scores(case.fusion.image, case)) == set(CONTEXT_NAMES)


def test_a_camera_folder_is_compared_and_none_is_no_error(case, tmp_path):
    assert compare_on_cameras("", height_px=64) == []
    for part, picture in (("night", case.night[5]), ("day", case.day)):
        (tmp_path / "roof" / part).mkdir(parents=True)
        write_image(tmp_path / "roof" / part / "a.png", picture)
    found = compare_on_cameras(str(tmp_path), height_px=64)
    assert [one.name for one in found] == ["roof"]
    assert "rule threshold" in found[0].scores
    assert found[0].origin.kind == "sample"
    with pytest.raises(DataMissing):
        compare_on_cameras(str(tmp_path / "nothing"), height_px=64)
