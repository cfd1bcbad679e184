"""Simulated scans: response against a numerical integral, contrast against lib.metrics, noise, defects, paths, runs."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.scan_scene import sample_scene, scene_of
from lib.ir_tracking.scan_settings import MANOEUVRES, ScanSettings
from lib.ir_tracking.scan_targets import box_size, draw_flights, point_response
from lib.ir_tracking.simulator import Scan, ScanSimulator
from lib.metrics.infrared import local_contrast, scr, scr_gain

SMALL = ScanSettings(height_px=72, width_px=96, num_frames=24, num_targets=2, fades=0.0, occlusions=0.0)
QUIET = dataclasses.replace(
    SMALL, read_noise=0.0, electrons=1e9, bits=16, stripe_noise=0.0, gain_spread=0.0, dead=0.0, flashing=0.0
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def simulate(settings: ScanSettings, seed: int = 0, **options: Any) -> Scan:
    return ScanSimulator(settings, generator=rng(seed), **options).simulate()


def pair_scr(scan: Scan, frame: int, target: int) -> float:
    """What the target adds to the mean of its box over the deviation around it without the target."""
    box = scan.boxes[frame, target]
    with_target, without = (local_contrast(part[frame], box) for part in (scan.frames, scan.empty))
    return (with_target.target_mean - without.target_mean) / without.background_deviation


@pytest.mark.parametrize("oversampling", [(1, 1), (2, 2), (4, 2), (3, 2)])
def test_point_response_is_the_integral_over_optics_detector_and_way(oversampling: tuple[int, int]) -> None:
    settings = ScanSettings(oversampling=oversampling)
    cells = 400  # a pitch
    line = np.zeros(12 * cells + 1)
    line[6 * cells] = cells
    blurred = gaussian_filter1d(line, settings.psf_sigma * cells, truncate=8)
    detected = uniform_filter1d(blurred, cells)
    moved = uniform_filter1d(detected, cells // oversampling[0])
    away = torch.arange(-3.0, 3.01, 0.25, dtype=torch.float64)  # pitches
    at = (6 * cells + np.round(away.numpy() * cells)).astype(int)
    across = point_response(away * oversampling[1], settings, axis="y")
    along = point_response(away * oversampling[0], settings, axis="x")
    np.testing.assert_allclose(across.numpy(), detected[at], atol=3e-3)
    np.testing.assert_allclose(along.numpy(), moved[at], atol=3e-3)


def test_all_energy_of_a_point_is_collected_once_a_sample_and_pitch() -> None:
    for oversampling in ((1, 1), (2, 2), (3, 2)):
        settings = ScanSettings(oversampling=oversampling)
        for shift in (0.0, 0.3):
            away = torch.arange(-30, 31, dtype=torch.float64) + shift
            for axis, samples in zip(("x", "y"), oversampling, strict=True):
                assert point_response(away, settings, axis=axis).sum().item() == pytest.approx(samples)  # type: ignore[arg-type]


def test_the_box_holds_the_share_and_oversampling_makes_points_three_pixels_wide() -> None:
    settings = ScanSettings()
    width, height = box_size(settings)
    assert 3 < width < 3.6
    assert 3 < height < 3.6
    away = torch.linspace(-20, 20, 8001, dtype=torch.float64)
    for side, axis in ((width, "x"), (height, "y")):
        held = point_response(away, settings, axis=axis)  # type: ignore[arg-type]
        share = held[away.abs() <= side / 2].sum() / held.sum()
        assert share.item() == pytest.approx(math.sqrt(0.8), abs=2e-3)
    assert box_size(ScanSettings.native()) == (3.0, 3.0)


@pytest.mark.parametrize("scenery", ["clouds", "sky", "ground"])
@pytest.mark.parametrize("oversampling", [(1, 1), (2, 2), (3, 2)])
def test_a_target_has_the_contrast_that_was_asked_for(scenery: Any, oversampling: tuple[int, int]) -> None:
    settings = dataclasses.replace(
        SMALL, scenery=scenery, oversampling=oversampling, scr=(4.0, 4.0), dead=0.0, flashing=0.0
    )
    scan = simulate(settings)
    found = [pair_scr(scan, frame, target) for frame in range(0, 24, 4) for target in range(2)]
    assert found == pytest.approx([4.0] * len(found), rel=0.05)
    # before a flat, quiet background the frame alone shows it
    flat = simulate(dataclasses.replace(settings, clutter=0.0))
    frames = [scr(flat.frames[frame], flat.boxes[frame, 0]) for frame in range(24)]
    assert np.median(frames) == pytest.approx(4.0, rel=0.1)


def test_dark_targets_are_darker() -> None:
    scan = simulate(dataclasses.replace(QUIET, polarity="dark", scr=(5.0, 5.0)))
    found = [pair_scr(scan, frame, 0) for frame in range(0, 24, 6)]
    assert found == pytest.approx([-5.0] * len(found), rel=0.05)


def test_defects_do_not_change_a_targets_strength() -> None:
    clean = simulate(dataclasses.replace(QUIET, scenery="sky"))
    broken = simulate(dataclasses.replace(QUIET, scenery="sky", dead=2e-3, flashing=2e-3))
    for frame in range(0, 24, 6):
        box = clean.boxes[frame, 0]
        assert torch.equal(box, broken.boxes[frame, 0])
        x, y = (box[:2] + (box[2:] - 1) / 2).round().long().tolist()
        added = [float((scan.frames - scan.empty)[frame, 0, y, x]) for scan in (clean, broken)]
        if min(added) > 0:  # else the pixel itself is dead
            assert added[1] == pytest.approx(added[0], rel=0.02)


def test_the_target_is_where_the_truth_says() -> None:
    settings = dataclasses.replace(QUIET, clutter=0.01, num_targets=1, misregistration=0.0)
    scan = simulate(settings)
    rows, columns = (torch.arange(length, dtype=torch.float64) for length in (72, 96))
    for added, box in zip((scan.frames - scan.empty)[:, 0].double(), scan.boxes[:, 0].double(), strict=True):
        total = added.sum()
        centre = torch.stack([(added.sum(0) * columns).sum() / total, (added.sum(1) * rows).sum() / total])
        torch.testing.assert_close(centre, box[:2] + (box[2:] - 1) / 2, rtol=0, atol=0.05)


def test_a_staggered_column_that_is_off_sees_the_scene_and_the_target_alike() -> None:
    settings = dataclasses.replace(QUIET, num_targets=1, num_frames=4)
    straight = ScanSimulator(dataclasses.replace(settings, misregistration=0.0), generator=rng()).simulate()
    askew = ScanSimulator(dataclasses.replace(settings, misregistration=0.5), generator=rng()).simulate()
    for part in ("frames", "empty"):
        one, other = getattr(straight, part), getattr(askew, part)
        assert torch.equal(one[:, :, ::2], other[:, :, ::2]) == (part == "empty")
        assert not torch.equal(one[:, :, 1::2], other[:, :, 1::2])


def test_runs_are_the_same_whatever_is_asked_for_and_again() -> None:
    simulator = ScanSimulator(SMALL, generator=rng())
    whole = simulator.simulate()
    part = simulator.render(5, 9)
    assert torch.equal(part.frames, whole.frames[5:9])
    assert torch.equal(part.boxes, whole.boxes[5:9])
    assert torch.equal(torch.stack(list(simulator)), whole.frames)
    assert len(simulator) == len(list(itertools.islice(simulator, 30))) == 24
    assert torch.equal(simulate(SMALL).frames, whole.frames)
    assert not torch.equal(simulate(SMALL, seed=1).frames, whole.frames)
    assert whole.origin.kind == "simulated"
    assert torch.equal(whole.target(1).boxes, whole.boxes[:, 1])


def test_truth_and_scene_do_not_depend_on_the_device(device: torch.device) -> None:
    here, there = simulate(QUIET), simulate(QUIET, device=device)
    assert there.frames.device.type == device.type
    assert torch.equal(there.boxes.cpu(), here.boxes)
    assert torch.equal(there.visible.cpu(), here.visible)
    # two grey levels of 16 bits: the noise that is left
    torch.testing.assert_close(there.empty.cpu(), here.empty, rtol=0, atol=12)


def test_noise_has_the_strength_of_the_settings() -> None:
    settings = dataclasses.replace(SMALL, clutter=0.0, num_targets=0, dead=0.0, flashing=0.0, drift_px=0.0)
    electrons_a_level = settings.electrons / (2**14 - 1)

    def deviation(**changes: float) -> float:
        frames = simulate(dataclasses.replace(settings, **changes)).frames  # type: ignore[arg-type]
        return float((frames - frames.mean()).std()) * electrons_a_level

    assert deviation(stripe_noise=0.0, gain_spread=0.0) == pytest.approx(math.sqrt(0.3e5 + 100**2), rel=0.02)
    alone = {"read_noise": 0.0, "electrons": 1e5}
    stripes = deviation(stripe_noise=3000.0, gain_spread=0.0, **alone)
    assert stripes == pytest.approx(3000, rel=0.1)
    assert deviation(stripe_noise=0.0, gain_spread=0.1, **alone) == pytest.approx(0.1 * 0.3e5, rel=0.2)


def test_stripes_vary_along_rows_less_than_across() -> None:
    settings = dataclasses.replace(QUIET, clutter=0.0, num_targets=0, stripe_noise=1e6)
    frames = simulate(settings).frames
    assert frames.diff(dim=3).std() < 0.3 * frames.diff(dim=2).std()


def test_dead_pixels_stay_and_flashing_ones_go() -> None:
    settings = dataclasses.replace(QUIET, clutter=0.0, num_targets=0, drift_px=0.0, dead=0.01, flashing=0.01)
    frames = simulate(settings).frames[:, 0]
    level = float(frames.median())
    outliers = (frames - level).abs() > 200
    always = outliers.all(dim=0)
    assert always.float().mean().item() == pytest.approx(0.01, rel=0.3)
    assert (frames[:, always] == frames[0, always]).all()
    flashes = outliers & ~always
    assert flashes.float().mean().item() == pytest.approx(0.01, rel=0.15)
    assert (frames[flashes] > level).all()


def test_clutter_has_the_spectrum_that_was_asked_for() -> None:
    settings = ScanSettings(height_px=256, width_px=256, oversampling=(1, 1), psf_sigma=0.05, scenery="sky", slope=2.0)
    scene = scene_of(dataclasses.replace(settings, level=0.0, clutter=1.0), rng())
    power = torch.fft.fft2(scene).abs().square()
    size = scene.shape[0]
    radius = torch.hypot(*torch.meshgrid(torch.fft.fftfreq(size), torch.fft.fftfreq(scene.shape[1]), indexing="ij"))
    means = [float(power[(radius > low) & (radius <= 2 * low)].mean()) for low in (0.005, 0.04)]
    # three octaves lower in power by 2^-2 each
    assert math.log2(means[0] / means[1]) == pytest.approx(6, abs=0.6)
    # the optics take a part of the finest structure
    assert 0.15 < scene.std().item() < 0.2


def test_scenes_are_sampled_between_their_points_and_over_their_edges(device: torch.device) -> None:
    scene = torch.arange(12.0).view(3, 4).to(device)
    rows, columns = torch.tensor([[0.0, 1.5, -1.0]]), torch.tensor([[0.25, 3.5]])
    expected = [[0.25, 1.5], [6.25, 7.5], [8.25, 9.5]]
    assert sample_scene(scene, rows, columns)[0].tolist() == expected


def test_the_background_moves_by_the_drift() -> None:
    settings = dataclasses.replace(QUIET, drift_px=3.0, jitter_px=0.0, scenery="ground", num_targets=0)
    empty = simulate(settings).empty[:, 0]
    ahead = (empty[1, :, :-3] - empty[0, :, 3:]).abs().mean()
    behind = (empty[1, :, 3:] - empty[0, :, :-3]).abs().mean()
    assert min(ahead, behind) < 0.02 * max(ahead, behind)


def test_a_given_background_is_cut_by_whole_pixels() -> None:
    picture = torch.rand(90, 128, generator=rng())
    settings = dataclasses.replace(QUIET, drift_px=2.0, num_targets=0, num_frames=60)
    frames = simulate(settings, background=picture).frames[:, 0]
    levels = picture * (2**16 - 1)
    windows = levels.unfold(0, 72, 1).unfold(1, 96, 1).reshape(-1, 72, 96)
    for frame in frames[::20]:
        assert (windows - frame).abs().amax(dim=(1, 2)).min() < 20


def test_paths_stay_inside_cross_and_do_what_they_should() -> None:
    for seed in range(6):
        settings = dataclasses.replace(SMALL, num_frames=150, num_targets=4, crossing=True)
        simulator = ScanSimulator(settings, generator=rng(seed))
        assert simulator.visible.all()
        centres = simulator.boxes[..., :2] + (simulator.boxes[..., 2:] - 1) / 2
        for first in (0, 2):
            assert (centres[:, first] - centres[:, first + 1]).norm(dim=-1).min() < 0.5
    bounds = torch.tensor([96.0, 72.0])
    leaving = dataclasses.replace(SMALL, num_frames=400, speed_px=(2.0, 2.0), may_leave=True, manoeuvres=("straight",))
    simulator = ScanSimulator(leaving, generator=rng())
    assert simulator.visible[0].all()
    assert not simulator.visible[-1].any()
    assert (simulator.boxes[-1, :, :2] < 0).any() or (simulator.boxes[-1, :, :2] > bounds).any()


@pytest.mark.parametrize("kind", MANOEUVRES)
def test_manoeuvres(kind: Any) -> None:
    settings = ScanSettings(
        height_px=2000, width_px=2000, manoeuvres=(kind,), speed_px=(1.0, 1.0), num_targets=8, num_frames=120
    )
    steps = draw_flights(settings, rng()).centres.diff(dim=0)
    speed, heading = steps.norm(dim=-1), torch.atan2(steps[..., 1], steps[..., 0])
    turns = torch.remainder(heading.diff(dim=0) + math.pi, math.tau) - math.pi
    assert speed.min().item() == pytest.approx(1.0)
    assert speed.max().item() == (pytest.approx(2.5, abs=0.5) if kind == "dash" else pytest.approx(1.0))
    if kind in ("straight", "dash"):
        assert turns.abs().max().item() < 1e-9
    elif kind == "turn":
        total = turns.sum(dim=0).abs()
        assert (total > math.radians(39)).all()
        assert (total < math.radians(161)).all()
    else:
        assert (turns.amax(dim=0) > 0.01).all()
        assert (turns.amin(dim=0) < -0.01).all()


def test_fades_and_occlusions_come_and_go() -> None:
    settings = dataclasses.replace(SMALL, num_frames=200, fades=1.0, occlusions=1.0, scr=(4.0, 4.0))
    simulator = ScanSimulator(settings, generator=rng())
    assert (simulator.scr[:10] == 4).all()
    assert simulator.scr.min() == 0
    assert not simulator.visible[simulator.scr < 1.9].any()
    assert simulator.visible[simulator.scr > 2.1].all()
    hidden = int((simulator.scr[:, 0] == 0).nonzero()[0])
    scan = simulator.render(hidden, hidden + 1)
    box = scan.boxes[0, 0].round().int().tolist()
    assert torch.equal(*(part[0, 0, box[1] : box[1] + 3, box[0] : box[0] + 3] for part in (scan.frames, scan.empty)))
    faded = dataclasses.replace(settings, occlusions=0.0)
    assert ScanSimulator(faded, generator=rng()).scr.min().item() == pytest.approx(0.8, abs=0.05)


def test_no_target_and_a_frame_of_eight_bits() -> None:
    scan = simulate(dataclasses.replace(SMALL, num_targets=0, bits=8))
    assert torch.equal(scan.frames, scan.empty)
    assert scan.boxes.shape == (24, 0, 4)
    assert scan.frames.max() <= 255
    assert torch.equal(scan.frames, scan.frames.round())


def test_oversampling_is_what_lets_a_point_pass_the_filter() -> None:
    def median_gain(oversampling: tuple[int, int]) -> float:
        settings = dataclasses.replace(SMALL, oversampling=oversampling, scr=(5.0, 5.0), num_frames=8, dead=0.0)
        scan = simulate(settings)
        filtered = suppress_background(scan.frames).filtered
        places = itertools.product(range(8), range(2))
        return float(np.median([scr_gain(scan.frames[t], filtered[t], scan.boxes[t, n]) for t, n in places]))

    # a native point is one or two pixels wide, which the opening with 2x2 pixels takes for noise
    assert median_gain((2, 2)) > 2 * median_gain((1, 1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("height_px", 4),
        ("num_frames", 0),
        ("num_targets", -1),
        ("subcells", 1),
        ("oversampling", (0, 1)),
        ("oversampling", (2,)),
        ("bits", 7),
        ("bits", 14.0),
        ("psf_sigma", 0.0),
        ("level", 1.5),
        ("clutter", -1.0),
        ("clutter", math.nan),
        ("misregistration", 1.0),
        ("dead", 0.9),
        ("scr", (8.0, 2.0)),
        ("speed_px", (-1.0, 2.0)),
        ("scenery", "sea"),
        ("polarity", "both"),
        ("manoeuvres", ()),
        ("manoeuvres", ("loop",)),
    ],
)
def test_settings_out_of_range_are_refused(field: str, value: Any) -> None:
    with pytest.raises(SpecError, match=field):
        ScanSettings(**{field: value})


@pytest.mark.parametrize(
    ("background", "message"),
    [
        (torch.zeros(3, 90, 128), "take one channel"),
        (torch.zeros(90, 128, dtype=torch.uint8), "float tensor"),
        (torch.zeros(60, 128), r"at least 72x96 pixels: got 60x128"),
        (torch.full((90, 128), 2.0), "divide 8-bit pictures by 255"),
        (torch.full((90, 128), math.nan), "within 0..1"),
    ],
)
def test_a_wrong_background_is_refused(background: Tensor, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        ScanSimulator(SMALL, generator=rng(), background=background)


@pytest.mark.parametrize("run", [(0, 0), (-1, 3), (3, 99)])
def test_frames_that_are_not_there_are_refused(run: tuple[int, int]) -> None:
    with pytest.raises(SpecError, match=r"run within 0\.\.24"):
        ScanSimulator(SMALL, generator=rng()).render(*run)
