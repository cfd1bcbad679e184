"""Cases, methods by name and their measures: what the truth scores, what known failures score, what is refused."""

from dataclasses import replace
from math import inf
from statistics import fmean

import pytest
import torch

from lib.errors import DataMissing, ShapeError, SpecError
from lib.metrics import uciqe, uiqm
from lib.zero_tig import Settings, ZeroIG, ZeroTIG
from lib.zero_tig.comparison import (
    INPUT,
    beside_published,
    compare_methods,
    frame_grid,
    mabd_lines,
    score_entries,
    score_table,
    sheet,
    sheet_table,
)
from lib.zero_tig.evaluate import (
    MEASURES,
    PERCEPTUAL_NAMES,
    TABLE_NAMES,
    at_brightness,
    channel_gap,
    measures_for,
    noise_kept,
    scores_of,
    why_no_lpips,
)
from lib.zero_tig.methods import METHODS, Recipe, play, reflectances, start_model, train_on_case
from lib.zero_tig.scenes import (
    dark_clip,
    darkened_films,
    origin_of_all,
    pictures_of,
    still_areas,
    wet_clip,
)
from lib.zero_tig.zero_dce import DCESettings

QUICK = Recipe(Settings(epochs=1), weights="", dce=DCESettings(steps=2, longest_px=32))


@pytest.fixture(scope="module")
def case():
    return dark_clip("walk", seed=1, num_frames=4, height_px=40)


def test_a_dark_clip_is_dark_has_its_truth_and_follows_the_seed(case):
    assert case.video.shape == case.truth.shape == (4, 3, 40, 94)
    assert float(case.video.mean()) < 0.6 * float(case.truth.mean())
    assert case.origin.kind == "simulated"
    assert "walk" in case.origin.source
    again, other = (dark_clip("walk", seed=seed, num_frames=4, height_px=40) for seed in (1, 2))
    assert torch.equal(again.video, case.video)
    assert not torch.equal(other.video, case.video)
    assert torch.equal(other.truth, case.truth)
    darker = dark_clip("walk", seed=1, num_frames=4, height_px=40, level="10 %")
    assert float(darker.video.mean()) < float(case.video.mean())
    with pytest.raises(SpecError, match="level"):
        dark_clip("walk", seed=1, num_frames=4, height_px=40, level="5 %")


def test_water_takes_the_red():
    case = wet_clip("walk", seed=0, num_frames=2, height_px=32)
    red, _, blue = case.video.mean((0, 2, 3)).tolist()
    assert case.underwater
    assert red < 0.7 * blue
    assert channel_gap(case.video) > 3 * channel_gap(case.truth)
    assert {"uiqm", "uciqe", "channel_gap"} <= set(measures_for(case))


def test_still_areas_are_those_that_do_not_change():
    truth = torch.full((4, 3, 24, 40), 0.5)
    truth[2:, :, :, 20:] = 0.7  # the right half steps between frame 1 and 2
    still = still_areas(truth)
    assert still[:, :, :16].all()
    assert not still[1:3, :, 24:].any()
    assert still[0, :, 24:].all()
    assert still[3, :, 24:].all()


def test_the_truth_itself_is_perfect(case):
    scores = scores_of(case.truth, case)
    assert scores["psnr"] == scores["psnr_hm"] == inf
    assert scores["ssim"] == scores["ssim_hm"] == pytest.approx(1)
    assert scores["mabd_error"] == pytest.approx(0)
    assert scores["colour_cast"] == pytest.approx(0)
    assert scores["mabd_still"] < 2


def test_matching_takes_a_curve_out_and_leaves_noise_in(case):
    curved = scores_of(case.truth**0.5, case)
    assert curved["psnr"] < 20
    assert curved["psnr_hm"] > 45
    noisy = (case.truth + 0.05 * torch.randn(case.truth.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    scores = scores_of(noisy, case)
    assert scores["psnr_hm"] < 30
    assert scores["mabd_still"] > 5


def test_darkness_does_not_pass_for_steadiness(case):
    scores = scores_of(case.video / 4, case)
    brighter = scores_of(case.video, case)
    assert scores["mabd_still"] == pytest.approx(brighter["mabd_still"] / 4)
    assert scores["mabd_equal"] == pytest.approx(brighter["mabd_equal"], rel=1e-3)


def test_noise_is_judged_at_equal_brightness(case):
    assert noise_kept(case.video, case.video) == pytest.approx(1)
    assert noise_kept((1.5 * case.video).clamp(0, 1), case.video) == pytest.approx(1, abs=0.02)
    blurred = torch.nn.functional.avg_pool2d(case.video, 3, 1, 1, count_include_pad=False)
    assert noise_kept(blurred, case.video) < 0.4
    with pytest.raises(ShapeError, match="shape"):
        noise_kept(case.video[:2], case.video)


def test_one_gain_gives_the_wanted_brightness(case):
    bright = at_brightness(case.video, case.truth)
    assert float(bright.mean()) == pytest.approx(float(case.truth.mean()), rel=0.1)
    assert channel_gap(torch.tensor([0.2, 0.5, 0.3]).view(3, 1, 1).expand(2, 3, 4, 4)) == pytest.approx(76.5)


def test_a_case_without_truth_or_motion_has_fewer_measures(case):
    blind = replace(case, truth=None, still=None)
    assert measures_for(blind) == ["noise_kept"]
    assert scores_of(case.video, blind) == {"noise_kept": pytest.approx(1)}
    with pytest.raises(SpecError, match="no truth"):
        scores_of(case.video, blind, ["psnr"])
    one = replace(case, video=case.video[:1], truth=case.truth[:1], still=case.still[:1])
    assert not {"mabd_still", "mabd_equal", "mabd_error"} & set(measures_for(one))
    with pytest.raises(SpecError, match="no measure"):
        scores_of(case.video, case, ["sharpness"])
    with pytest.raises(ShapeError, match="shape"):
        scores_of(case.video[:2], case)


def test_lpips_is_left_out_or_measured_but_never_empty(case):
    names = measures_for(case, perceptual=True)
    assert not set(PERCEPTUAL_NAMES) & set(measures_for(case))
    assert bool(set(PERCEPTUAL_NAMES) & set(names)) is (why_no_lpips() == "")
    assert why_no_lpips() == "" or why_no_lpips().startswith("not run: ")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_a_picture_for_each_frame(name, case):
    result = METHODS[name](case, QUICK, 0)
    assert result.shape == case.video.shape
    assert 0 <= float(result.min()) <= float(result.max()) <= 1


def test_both_networks_start_from_the_same_weights(case):
    single, temporal = (start_model(kind, QUICK, seed=3) for kind in ("zero_ig", "zero_tig"))
    assert type(single) is ZeroIG
    assert type(temporal) is ZeroTIG
    frame = case.video[:1]
    torch.testing.assert_close(single(frame).reflectance, temporal(frame).reflectance, atol=1e-5, rtol=0)
    state = torch.get_rng_state()
    other = start_model("zero_ig", QUICK, seed=4)
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(other.denoiser.conv1.weight, single.denoiser.conv1.weight)


def test_training_sees_each_frame_once_an_epoch_and_knows_the_water(case):
    trained = train_on_case("zero_ig", replace(case, underwater=True), QUICK, seed=0)
    assert len(trained.steps) == 4
    assert trained.model.settings.underwater
    assert not trained.model.training


def test_a_cut_drops_the_state(case):
    model = start_model("zero_tig", QUICK, seed=0).eval()
    # weights without a past answer no question about it: give the temporal inputs some
    with torch.no_grad():
        model.reflector.conv1.weight[:, :6] = 0.05
    other = dark_clip("taxi", seed=1, num_frames=1, height_px=40).video
    joined = reflectances(model, torch.cat([case.video[:2], other]))
    alone = reflectances(model, other)
    torch.testing.assert_close(joined[2:], alone)
    assert not torch.equal(joined[1], reflectances(model, case.video[1:2])[0])
    assert len(list(play(model, iter(case.video)))) == 4


def test_a_comparison_keeps_seeds_apart(case):
    names = ["gamma 1/2.2", "CLAHE"]
    cases = [[dark_clip("walk", seed=seed, num_frames=4, height_px=40)] for seed in (0, 1, 2)]
    comparison = compare_methods(cases, QUICK, methods=names)
    assert list(comparison.scores) == [*names, INPUT]
    assert len(comparison.scores["CLAHE"]["psnr"]) == 3
    assert (
        comparison.scores["CLAHE"]["psnr"][1] == scores_of(METHODS["CLAHE"](cases[1][0], QUICK, 0), cases[1][0])["psnr"]
    )
    assert comparison.results[INPUT] is cases[0][0].video
    shown = repr(score_table(comparison.scores, TABLE_NAMES))
    assert "PSNR HM (dB) ↑" in shown
    assert "LPIPS" not in shown
    entries = score_entries({"Zero-TIG": {"psnr": [1.0]}, "CLAHE": {"psnr": [1.0]}}, table="t", data="d", weights="w")
    assert [entry["weights"] for entry in entries] == ["w", ""]
    assert entries[0]["protocol"] == MEASURES["psnr"].protocol
    assert len(frame_grid(comparison.results, cases[0][0], frame_idx=1).axes) == 4


def test_curves_are_smoothed_as_in_the_figure(case):
    lines = mabd_lines({"input": case.video, "truth": case.truth}, still=case.still, window=2)
    frames, values = lines["input"]
    assert frames == [1.5, 2.5]
    assert min(values) > max(lines["truth"][1])


def test_published_rows_stand_above_ours_and_say_where_they_are_from():
    printed = {"Old": {"PSNR": "10.5", "LPIPS": "0.1"}, "Older": {"PSNR": "9.5"}}
    shown = beside_published(printed, {"Zero-TIG": {"psnr": [20.0, 22.0], "noise_kept": [1.0, 1.0]}})
    assert shown.columns == ("", "PSNR", "LPIPS")
    assert shown.rows == (
        ("Old, published", "10.5", "0.1"),
        ("Older, published", "9.5", "-"),
        ("Zero-TIG, here", "21.00", "-"),
    )


def test_a_contact_sheet_shows_each_picture_with_every_result(case):
    pictures = {"a": case.video[0], "b": case.video[1]}
    results = {"twice": {name: (2 * picture).clamp(0, 1) for name, picture in pictures.items()}}
    assert len(sheet(pictures, results).axes) == 6
    shown = sheet_table(pictures, results)
    assert shown.columns[1:] == ("noise kept ↓", "UIQM ↑", "UCIQE ↑", "channel gap (grey levels) ↓")
    before, after = ([float(cell) for cell in row[1:]] for row in shown.rows)
    assert [row[0] for row in shown.rows] == [INPUT, "twice"]
    assert before[0] == 1
    assert after[0] == pytest.approx(1, abs=0.05)
    assert before[1] == pytest.approx(fmean(uiqm(picture) for picture in pictures.values()), abs=1e-3)
    assert after[2] == pytest.approx(fmean(uciqe(picture) for picture in results["twice"].values()), abs=1e-3)
    assert after[3] == pytest.approx(2 * before[3], rel=0.05)


def test_own_material_is_read_and_missing_material_is_named(case, tmp_path):
    from lib.data.images import write_image

    for idx, frame in enumerate(case.truth):
        write_image(tmp_path / f"{idx}.png", frame)
    whole = darkened_films(str(tmp_path), seed=0, num_frames=3, height_px=20)
    assert [one.video.shape for one in whole] == [(3, 3, 20, 47)]
    (tmp_path.parent / "clips").mkdir()
    tmp_path.rename(tmp_path.parent / "clips" / "first")
    tmp_path = tmp_path.parent / "clips" / "first"
    each = darkened_films(str(tmp_path.parent), seed=0, num_frames=3, height_px=20)
    assert [one.origin.name for one in each] == ["first in the dark"]
    assert torch.equal(each[0].video, whole[0].video)
    assert darkened_films("", seed=0, num_frames=3, height_px=20) == []
    pictures = pictures_of(str(tmp_path), height_px=20, num_pictures=2, name="mine")
    assert list(pictures.by_name) == ["0", "1"]
    assert pictures.origin.sha256
    assert pictures_of("", height_px=20, num_pictures=2, name="mine") is None
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataMissing, match="picture"):
        pictures_of(str(tmp_path / "empty"), height_px=20, num_pictures=2, name="mine")
    assert "walk in the dark" in origin_of_all([case, case]).source
