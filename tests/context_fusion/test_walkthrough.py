"""Curl, solver errors, failures and scenes of the walkthrough."""

import re

import pytest
import torch
from torch import Generator

from lib.bench.schema import read_cells
from lib.context_fusion import feather, larger_gradient, mix_gradients, strong_gradient_or_light
from lib.context_fusion.scenes import camera_pair, chosen_pair, staged_clip, staged_pair
from lib.context_fusion.settings import ImageSettings
from lib.context_fusion.walkthrough import (
    bleeding,
    colour_edges,
    curl,
    densest,
    errors_by_cycle,
    failure_findings,
    failures,
    fuse_by,
    halo_share,
    identity_error,
    relative_residual,
    solver_findings,
    video_findings,
)
from lib.data.images import write_image
from lib.errors import DataMissing, ShapeError, SpecError
from lib.paths import paths
from lib.solvers.poisson import divergence, gradient, solve_poisson


@pytest.fixture(scope="module")
def pair():
    return staged_pair("pagoda", height_px=120, generator=Generator().manual_seed(0))


@pytest.fixture(scope="module")
def cases(pair):
    return failures(pair.night, pair.day, lights(pair), pair.matte)


def lights(pair):
    return feather(strong_gradient_or_light(pair.night, ImageSettings(gradient_threshold=20)), sigma_px=1.0)


def noise(*shape):
    return torch.rand(*shape, generator=Generator().manual_seed(1), dtype=torch.float64)


def test_curl_by_hand_and_zero_for_gradients():
    gx, gy = torch.tensor([[1.0, 0], [3.0, 0]]), torch.tensor([[2.0, 5.0], [0, 0]])
    assert curl(gx, gy).tolist() == [[1.0]]  # right 1, down 5, back left -3, up -2
    assert curl(*gradient(noise(3, 6, 9))).abs().max() < 1e-15


def test_curl_of_the_mixed_field_is_on_the_border_of_w_only(pair):
    weight = torch.zeros_like(pair.day[0])
    weight[40:80, 30:90] = 1
    spins = curl(*mix_gradients(pair.night, pair.day, weight)).abs().amax(dim=0) > 1e-6
    assert spins.any()
    assert not spins[41:78, 31:88].any()
    assert not spins[:38].any()


def test_residual_is_zero_for_the_solution_and_one_for_nothing():
    div = divergence(*noise(2, 3, 20, 30))
    assert relative_residual(solve_poisson(div), div) < 1e-12
    assert relative_residual(torch.zeros_like(div), div) == pytest.approx(1)


def test_full_multigrid_is_ahead_of_v_cycles_and_both_of_sweeps(pair):
    div = divergence(*mix_gradients(pair.night, pair.day, larger_gradient(pair.night, pair.day)))
    errors = errors_by_cycle(div[:1], cycles=3)
    full, cycled, swept = errors.values()
    assert [len(history) for history in errors.values()] == [3, 3, 3]
    assert all(a < b < c for a, b, c in zip(full, cycled, swept, strict=True))
    assert full[2] < 1


def test_what_is_all_night_or_all_day_comes_back(pair):
    assert identity_error(pair.night, pair.day) < 0.1


def test_each_failure_is_seen_by_its_measure(cases):
    assert [case.name.split(":")[0] for case in cases] == ["ghosting", "halo", "fringes", "colour shift", "bleeding"]
    assert all(case.is_seen for case in cases)
    assert all(case.measure.better == "lower" for case in cases)
    assert all(case.wrong.shape == case.right.shape for case in cases)


def test_the_pixel_blend_is_all_halo_and_the_night_half_of_the_average(pair, cases):
    scores = {case.name.split(":")[0]: case for case in cases}
    assert scores["halo"].wrong_score == pytest.approx(1, abs=1e-3)
    assert scores["ghosting"].wrong_score == pytest.approx(0.5, abs=1e-6)
    assert halo_share(fuse_by(pair.night, pair.day, lights(pair)), pair.night, pair.day, lights(pair)) < 0.3


def test_grey_pictures_have_no_colour_edges():
    assert colour_edges(noise(1, 8, 8).expand(3, 8, 8)) == 0


def test_bleeding_needs_a_mover(pair):
    with pytest.raises(ShapeError, match="at least one mover"):
        bleeding(pair.night, pair.day, torch.zeros_like(pair.matte))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (40, 60)])
def test_the_densest_window_lies_inside(size):
    plane = torch.zeros(size)
    plane[-1, -1] = 1
    _, rows, columns = densest(plane)
    assert rows.stop <= size[0]
    assert columns.stop <= size[1]
    assert plane[rows, columns].sum() == 1


def test_findings_are_scores_that_a_run_takes(pair, cases):
    div = divergence(*mix_gradients(pair.night, pair.day, pair.matte))
    errors = {"full multigrid": [3.0, 0.5, 0.1, 0.0]}
    found = solver_findings(pair.night, pair.day, solve_poisson(div), div, errors) + failure_findings(cases)
    still = torch.zeros(2, *pair.matte.shape, dtype=torch.bool)
    found += video_findings({"frozen": pair.night.expand(2, -1, -1, -1)}, still)
    assert len({(finding.row, finding.measure.name) for finding in found}) == len(found) == 16
    assert set(found[0].score("method")) == {"table", "row", "column", "value", "unit", "better", "protocol"}
    assert found[-1].value == 0


def test_the_staged_pair_is_the_same_for_the_same_seed(pair):
    again = staged_pair("pagoda", height_px=120, generator=Generator().manual_seed(0))
    assert torch.equal(pair.night, again.night)
    assert pair.night.shape == pair.day.shape == pair.truth.shape == (3, 120, 180)
    assert [origin.kind for origin in pair.origins] == ["sample", "simulated"]
    assert pair.known_shake == "(1.4, -0.6) px"


def test_the_staged_clip_has_the_frames_asked_for_in_a_real_background():
    clip = staged_clip(num_frames=3, height_px=64, generator=Generator().manual_seed(0)).to(torch.device("cpu"))
    assert clip.scene.video.shape[0] == 3
    assert clip.by_day.shape[0] == 50
    assert clip.background.shape == clip.scene.video.shape[1:]
    assert clip.scene.movers.any()


def test_a_camera_folder_is_registered_and_without_truth(pair, tmp_path):
    for name, picture in (("night", pair.night), ("day", pair.day_as_found)):
        (tmp_path / "square" / name).mkdir(parents=True)
        write_image(tmp_path / "square" / name / "a.png", picture)
    real = camera_pair(str(tmp_path / "square"), 0, height_px=120)
    assert real.name == "square/a"
    assert (real.day - pair.day).abs().mean() < 0.5 * (real.day_as_found - pair.day).abs().mean()
    assert real.truth is None
    assert real.known_shake == "nobody knows how much"
    assert chosen_pair("", 0, pair, height_px=120) is pair
    with pytest.raises(SpecError, match=r"camera_night must be 0\.\.0"):
        camera_pair(str(tmp_path / "square"), 1, height_px=120)
    with pytest.raises(DataMissing):
        chosen_pair(str(tmp_path / "nowhere"), 0, pair, height_px=120)


def choices() -> list[str]:
    """Beginning of each choice that the method's own modules state: its line, up to the full stop."""
    root = paths().root / "lib"
    names = ("settings", "gradients", "importance", "reconstruct", "fit", "still", "susan", "background", "video")
    files = [root / "context_fusion" / f"{name}.py" for name in names] + [root / "solvers" / "multigrid.py"]
    return [line for file in files for line in re.findall(r"Choice: ([^.\n]+)", file.read_text(encoding="utf-8"))]


def test_the_notebook_repeats_the_choices_of_the_code():
    cells = read_cells(paths().notebooks / "context_fusion" / "1_method.ipynb")
    told = " ".join(cell["source"] for cell in cells if cell["kind"] == "markdown")
    assert len(choices()) >= 6
    assert not [sentence for sentence in choices() if sentence not in told]
