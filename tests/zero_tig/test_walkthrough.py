"""What the walkthrough measures, on cases whose answer is known, and its figures."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Generator

from lib.data.origin import Origin
from lib.data.simulate.lowlight_clip import darkened
from lib.errors import ShapeError
from lib.zero_tig import Settings, load_weights
from lib.zero_tig.evaluate import channel_gap, noise_kept
from lib.zero_tig.figures import (
    channels_figure,
    decomposition_figure,
    flow_figure,
    halves_figure,
    loss_figure,
    noise_figure,
)
from lib.zero_tig.losses import NAMES, brightness
from lib.zero_tig.methods import Recipe, play, reflectances, train_on_case
from lib.zero_tig.scenes import LEVELS, Pictures, dark_clip, wet_clip
from lib.zero_tig.walkthrough import (
    ALIGNMENT,
    LOSS_GROUPS,
    aligned_by,
    alignment_error,
    alignment_findings,
    brightness_of,
    channel_counts,
    channel_table,
    enhance_pictures,
    finding_table,
    halves_correlation,
    loss_lines,
    loss_table,
    score_findings,
    target_lines,
)

RECIPE = Recipe(Settings(epochs=1), weights="")


@pytest.fixture(scope="module")
def case():
    return dark_clip("walk", seed=0, num_frames=3, height_px=48)


@pytest.fixture(scope="module")
def trained(case):
    return train_on_case("zero_tig", case, RECIPE, seed=0)


@pytest.fixture(scope="module")
def found(case, trained):
    return list(play(trained.model, case.video))


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.images]


def test_halves_share_the_picture_and_not_the_noise(case):
    clean = darkened(case.truth[0], settings=LEVELS["20 %"])
    correlation = halves_correlation(case.video[0], clean)
    assert correlation["picture"] > 0.9
    assert abs(correlation["noise"]) < 0.1


def test_target_curves_are_those_of_the_loss():
    dark = torch.full((1, 3, 4, 4), 0.1)
    level, ours = brightness(dark, Settings()), brightness_of(0.1)
    assert float(ours.alpha) == pytest.approx(float(level.alpha), rel=1e-3)
    assert float(ours.beta) == pytest.approx(float(level.beta), rel=1e-3)
    x, y = target_lines([0.1])["mean 0.1, alpha 5.0"]
    assert len(x) == len(y) == 101
    assert all(a <= b for a, b in pairwise(y))


def test_loss_groups_hold_every_loss_once(trained):
    assert sorted(name for names in LOSS_GROUPS.values() for name in names) == sorted(NAMES)
    lines = loss_lines(trained.steps)
    assert sum(values[0] for _, values in lines.values()) == pytest.approx(trained.steps[0].total, rel=1e-4)
    rows = loss_table(trained.steps).rows
    assert [row[0] for row in rows] == [*NAMES, "total"]
    assert loss_figure(trained.steps).axes[0].get_yscale() == "log"


def test_a_world_that_stands_still_is_warped_by_nothing(case, found):
    past = aligned_by(Settings(), found[0].reflectance, found[1].denoised, moves=False)
    assert torch.equal(past.warped, found[0].reflectance)
    assert float(past.flow.abs().max()) == 0


def test_the_alignment_error_without_motion_is_the_plain_difference(case, found):
    plain = float((case.truth[1:] - case.truth[:-1]).abs().mean() * 255)
    assert alignment_error(case, found, Settings(), moves=False) == pytest.approx(plain, rel=1e-5)
    findings = alignment_findings(case, found, Settings())
    assert [one.row for one in findings] == [
        "nothing moves",
        "flow of L as it is",
        "flow of L equalised",
        "flow of both equalised",
    ]
    assert finding_table(findings, title="flow").columns == ("flow", f"{ALIGNMENT.name} (grey levels)")
    with pytest.raises(ShapeError, match="truth"):
        alignment_error(replace(case, truth=None), found, Settings())


def test_scores_become_findings(case):
    findings = score_findings({"input": case.video}, case, ["psnr", "noise_kept"])
    assert [(one.row, one.measure.name) for one in findings] == [("input", "PSNR"), ("input", "noise kept")]
    assert findings[1].value == pytest.approx(1)


def test_channels_are_counted_apart():
    video = torch.tensor([0.1, 0.5, 0.8]).view(1, 3, 1, 1).expand(2, 3, 8, 8)
    assert channel_table({"flat": video}).rows == (("flat", "26", "128", "204"),)
    levels, shares = channel_counts(video)["red"]
    assert sum(shares) == pytest.approx(100, abs=1e-3)
    assert levels[max(range(64), key=lambda idx: shares[idx])] == pytest.approx(25.5, abs=3)


def test_pictures_are_enhanced_one_by_one(case):
    pictures = Pictures({"a": case.video[0], "b": case.video[1, :, :30]}, case.origin)
    shown = enhance_pictures(pictures, steps=1, underwater=True)
    assert list(shown) == ["gamma to mean 0.5", "Zero-IG"]
    assert shown["Zero-IG"]["b"].shape == (3, 30, case.video.shape[-1])
    alone = Pictures({"b": pictures.by_name["b"]}, case.origin)
    again = enhance_pictures(alone, steps=1, underwater=True)
    assert torch.equal(again["Zero-IG"]["b"], shown["Zero-IG"]["b"])  # nothing is left of the picture before
    untrained = enhance_pictures(pictures, steps=0, underwater=False)
    assert torch.equal(untrained["Zero-IG"]["a"], reflectances(load_weights("zero_ig"), case.video[:1])[0])
    assert not torch.equal(untrained["Zero-IG"]["a"], shown["Zero-IG"]["a"])


def test_a_picture_under_water_gets_its_red_back_and_keeps_its_noise_down():
    scene = F.interpolate(torch.rand(1, 3, 8, 8, generator=Generator().manual_seed(0)), size=(64, 64), mode="bicubic")
    water = torch.tensor([0.15, 0.6, 0.65]).view(3, 1, 1)  # red to a quarter, green and blue bright
    wet = (2 * water * scene[0] + 0.01 * torch.randn(3, 64, 64, generator=Generator().manual_seed(1))).clamp(0, 1)
    pictures = Pictures({"wet": wet}, Origin("drawn", "simulated", "", "", "this test"))
    result = enhance_pictures(pictures, underwater=True)["Zero-IG"]["wet"]
    gap = channel_gap(wet)
    assert channel_gap(result) < 0.8 * gap
    assert result[0].mean() > 1.5 * wet[0].mean()
    assert noise_kept(result, wet) < 1


def test_figures_have_a_panel_for_each_step(case, found):
    frame = case.video[1]
    assert len(titles(decomposition_figure(frame, found[1]))) == 6
    assert titles(noise_figure(frame, found[1], frame)) == ["what LD-Net takes away", "what truly is noise"]
    assert titles(halves_figure(frame)) == ["G1", "G2", "G1 - G2, around grey"]
    past = aligned_by(Settings(), found[0].reflectance, found[1].denoised)
    assert len(titles(flow_figure(found[0].reflectance[0], frame, past))) == 4
    wet = wet_clip("walk", seed=0, num_frames=1, height_px=24)
    assert len(channels_figure({"dark": case.video, "under water": wet.video}).axes) == 2
