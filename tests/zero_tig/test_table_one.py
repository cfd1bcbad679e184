"""Table I's protocol on a tiny data set of BVI-RLV's layout."""

import pytest
import torch

from lib.data.images import write_image
from lib.errors import DataMissing
from lib.zero_tig import Settings
from lib.zero_tig.evaluate import scores_of
from lib.zero_tig.methods import METHODS, Recipe
from lib.zero_tig.scenes import dark_clip
from lib.zero_tig.table_one import NEEDS, frame_scores, table_one
from lib.zero_tig.zero_dce import DCESettings

RECIPE = Recipe(Settings(epochs=1), weights="", dce=DCESettings(steps=1, longest_px=32))


@pytest.fixture(scope="module")
def case():
    return dark_clip("walk", seed=0, num_frames=2, height_px=32)


@pytest.fixture(scope="module")
def root(case, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rlv")
    for level in (10, 20):
        for part, video in (("input/S01/low_light", case.video), ("gt/S01/normal_light", case.truth)):
            frames = folder / f"{part}_{level}"
            frames.mkdir(parents=True)
            for idx, frame in enumerate(video):
                write_image(frames / f"{idx:05d}.png", frame)
    (folder / "test_list.txt").write_text("S01\n", encoding="utf-8")
    return str(folder)


def test_every_method_is_scored_over_all_frames(root, case):
    found = table_one(root, RECIPE)
    assert list(found.scores) == list(METHODS)
    assert (found.num_scenes, found.num_frames) == (2, 4)
    assert (found.origin.name, found.origin.kind) == ("BVI-RLV", "benchmark")
    assert len(found.origin.sha256) == 64
    # the stored frames are 8 bits of the case's, and its truth is 8 bits already
    wanted = scores_of(METHODS["CLAHE"](case, RECIPE, 0), case, ["psnr", "ssim_hm"])
    assert found.scores["CLAHE"]["psnr"] == [pytest.approx(wanted["psnr"], abs=0.02)]
    assert found.scores["CLAHE"]["ssim_hm"] == [pytest.approx(wanted["ssim_hm"], abs=0.002)]
    assert ("lpips" in found.scores["CLAHE"]) is (found.why_no_lpips == "")


def test_one_frame_scores_as_one_frame(case):
    scores = frame_scores(case.truth[0], case.truth[0], ["psnr_hm", "ssim"])
    assert scores == {"psnr_hm": float("inf"), "ssim": pytest.approx(1)}


def test_without_data_it_says_what_is_missing(tmp_path):
    assert table_one("", RECIPE) is None
    assert "rlv_root" in NEEDS
    with pytest.raises(DataMissing, match="BVI-RLV"):
        table_one(str(tmp_path / "none"), RECIPE)
    assert torch.is_grad_enabled()
