"""The ablation changes one choice at a time, runs nothing twice, pairs sequences, and its exercises can be solved."""

import math

import pytest
import torch

from lib.errors import SpecError
from lib.ir_tracking import ablation_exercises, oversampling
from lib.ir_tracking.ablation import (
    ABLATION_NAMES,
    NEVER,
    Bench,
    SomeAnchors,
    Variant,
    anchor_axis,
    anchor_kinds,
    effects_table,
    filter_axes,
    floor_table,
    network_axis,
    scan_axis,
    sweep_entries,
    sweep_figure,
    sweep_table,
    tracking_axes,
    weights_of,
    with_noise,
)
from lib.ir_tracking.baselines import Still
from lib.ir_tracking.claims import ablation_floor
from lib.ir_tracking.contrast import contrast_entries, contrast_figure, contrast_scores, contrast_table
from lib.ir_tracking.evaluate import SimulatedSet, case_settings, siamese, simulated_cases
from lib.ir_tracking.measures import MEASURES
from lib.ir_tracking.oversampling import energy_of_scr, pitch_error, rescaled, same_target, same_target_sweep
from lib.ir_tracking.scan_settings import ScanSettings
from lib.ir_tracking.scan_targets import point_response
from lib.ir_tracking.scenes import ablation_scans
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.weights import load_network
from lib.metrics import local_contrast
from lib.show.sweeps import Axis

TINY = SimulatedSet(num_sequences=2, num_frames=6, scr=(6.0, 6.0), settings=ScanSettings(height_px=48, width_px=64))
BASE = Variant(TINY)


def all_axes() -> list[Axis[Variant]]:
    one = [scan_axis(BASE, [(1, 1), (4, 2)]), anchor_axis(BASE), network_axis(TINY)]
    return [*one, *filter_axes(BASE, [5, 21]).values(), *tracking_axes(BASE).values()]


@pytest.mark.parametrize("axis", all_axes(), ids=lambda axis: axis.name)
def test_an_axis_changes_one_choice_around_its_default(axis: Axis[Variant]) -> None:
    default = axis.settings[axis.default]
    assert default == (BASE if axis.name != "parts" else Variant(TINY, weights="ir_siamese_short"))
    assert len(set(axis.settings.values())) == len(axis.settings) > 1
    fields = ("scans", "tracker", "weights", "anchors")
    for one in axis.settings.values():
        assert sum(getattr(one, field) != getattr(default, field) for field in fields) <= 1
    assert axis.published in ("", *axis.settings)


def test_anchors_that_are_ruled_out_are_never_chosen(device: torch.device) -> None:
    network = load_network().to(device)
    kinds = anchor_kinds(network.settings)
    assert kinds[:3] == [(0.5, 2.5), (0.5, 8), (1, 2.5)]
    kept = anchor_axis(BASE).settings["1 small square"].anchors
    assert [kinds[number] for number in kept] == [(1, 2.5)]
    generator = torch.Generator().manual_seed(0)
    crops = [
        torch.randn(1, 3, side, side, generator=generator).to(device)
        for side in (network.settings.template_px, network.settings.search_px)
    ]
    some = SomeAnchors(network, kept).folded()
    with torch.no_grad():
        whole = network.search(network.template(crops[0]), crops[1])
        maps = some.search(some.template(crops[0]), crops[1])
    num = len(kinds)
    ruled_out = [number for number in range(num) if number not in kept]
    assert (maps.classes[:, [num + number for number in ruled_out]] == NEVER).all()
    rest = [*range(num), *(num + number for number in kept)]
    torch.testing.assert_close(maps.classes[:, rest], whole.classes[:, rest], atol=1e-3, rtol=1e-3)
    with pytest.raises(SpecError, match=r"within 0\.\.5"):
        SomeAnchors(network, [6])


def test_nothing_runs_twice_and_changes_are_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Variant] = []
    monkeypatch.setattr(Bench, "make", lambda self, variant: made.append(variant) or Still())
    bench = Bench()
    axes = [*filter_axes(BASE, [5]).values(), scan_axis(BASE, [(1, 1)])]
    bench.measure(axes, floors=[BASE])
    variants = {one for axis in axes for one in axis.settings.values()}
    assert len(made) == TINY.num_sequences * (len(variants) + 1)
    bench.measure(axes, floors=[BASE])
    assert len(made) == TINY.num_sequences * (len(variants) + 1)
    sweep = bench.sweep(axes[0], [*ABLATION_NAMES, "gain"])
    assert set(sweep.scores) == {*ABLATION_NAMES, "gain"}
    assert all(len(values) == TINY.num_sequences for held in sweep.scores.values() for values in held.values())
    # a box that stays where it is doesn't see the filter, its target does
    assert sweep.changes()["aor"]["5 px"] == [0, 0]
    assert all(change > 3 for change in sweep.changes()["gain"]["5 px"])
    floor = bench.noise_floor(BASE)
    assert floor["aor"] == 0 < floor["gain"]
    assert "gain" in repr(floor_table(floor))
    with pytest.raises(SpecError, match="window has not been measured"):
        bench.sweep(tracking_axes(BASE)["window"])
    with pytest.raises(SpecError, match="no noise floor"):
        bench.noise_floor(BASE.but(anchors=(0,)))


def test_scores_enter_a_record_with_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "make", lambda self, variant: Still())
    bench = Bench()
    axis = network_axis(TINY)
    bench.measure([axis])
    sweep = bench.sweep(axis)
    entries = sweep_entries(sweep, data="scans")
    assert {entry["weights"] for entry in entries} == set(weights_of([sweep]))
    assert len(weights_of([sweep])) == 4
    assert {entry["table"] for entry in entries} == {"ablation, parts"}
    assert all(math.isfinite(entry["value"]) for entry in entries)
    assert [row[0] for row in sweep_table(sweep).rows] == list(axis.settings)
    floor = dict.fromkeys(MEASURES, 0.0)
    assert effects_table([sweep], floor).rows[0] == ("parts", ".", ".", ".")
    assert len(sweep_figure(sweep, floor).axes) == len(ABLATION_NAMES)


def test_a_noisier_take_shows_the_same_target() -> None:
    case = next(simulated_cases(TINY))
    again = with_noise(case, TINY, seed=0)
    assert torch.equal(again.sequence.boxes, case.sequence.boxes)
    added = again.sequence.frames - case.sequence.frames
    wanted = 16383 * math.sqrt((100.0**2 + 0.3e5) / 2) / 1e5
    # dead pixels at the ends of the range are clipped
    assert float(added.std()) == pytest.approx(wanted, rel=0.05)
    assert torch.equal(again.sequence.frames, again.sequence.frames.round())
    assert torch.equal(with_noise(case, TINY, seed=0).sequence.frames, again.sequence.frames)


def test_the_tracker_of_a_variant_has_its_settings() -> None:
    bench = Bench()
    tracker = bench.make(BASE.but(tracker=TrackerSettings(motion_prior=False)))
    assert not tracker.settings.motion_prior
    assert isinstance(bench.make(BASE.but(anchors=(0,))).looker.network, SomeAnchors)
    assert bench.make(BASE.but(weights="ir_siamese_no_filter")).network_settings.inputs == "frame"


def test_rescaling_keeps_the_field_of_view() -> None:
    base = ScanSettings(height_px=48, width_px=64, speed_px=(0.4, 1.0), electrons=1e5)
    finer = rescaled(base, (4, 2))
    assert (finer.width_px, finer.height_px) == (128, 48)
    assert finer.electrons == 5e4
    assert finer.speed_px == pytest.approx((0.4 * 2**0.5, 2**0.5))
    assert rescaled(base, base.oversampling) == base


def test_the_same_target_has_the_same_energy_under_each_sampling() -> None:
    scans = TINY.but(settings=ScanSettings(height_px=96, width_px=128, fades=0, occlusions=0))
    wanted = 6.0 * energy_of_scr(case_settings(scans, 0), torch.Generator().manual_seed(scans.seed))
    for factors in ((1, 1), (2, 2), (4, 2)):
        sampled = same_target(scans, 0, factors)
        assert sampled.energy == pytest.approx(wanted, rel=0.15)
        # the frame shows it: what its box has more than the surroundings, over a detector's area
        box = sampled.scan.boxes[0]
        contrast = local_contrast(sampled.scan.frames[0, 0], box, guard_px=2)
        held = (contrast.target_mean - contrast.background_mean) * float(box[2] * box[3]) / (factors[0] * factors[1])
        assert 0.5 < held / sampled.energy < 1.2, factors


def test_distances_are_in_pitches() -> None:
    truth = torch.tensor([[10.0, 10, 4, 4], [float("nan")] * 4])
    boxes = truth.clone() + torch.tensor([4.0, 0, 0, 0])
    error = pitch_error(boxes, truth, (4, 2))
    assert error[0] == 1
    assert error[1].isnan()


def test_finer_sampling_lifts_the_same_target() -> None:
    scans = TINY.but(num_frames=4)
    sweep = same_target_sweep(scans, [(1, 1), (2, 2)], Still)
    assert sweep.axis.default == "2 x 2"
    after = {label: sum(values) for label, values in sweep.scores["snr_after"].items()}
    assert after["2 x 2"] > after["1 x 1"] + 5
    assert all(len(values) == 2 for held in sweep.scores.values() for values in held.values())
    assert {entry["table"] for entry in oversampling.sweep_entries(sweep, data="d")} == {
        "ablation, oversampling, same target"
    }
    assert len(oversampling.sweep_table(sweep).rows) == 2
    assert len(oversampling.snr_figure(sweep).axes) == 1


def test_contrast_is_the_only_thing_that_changes_along_its_curve() -> None:
    found = contrast_scores(TINY.but(num_frames=4), [0.5, 8.0], {"still": Still, "ours": siamese(load_network())})
    # the same paths at each contrast
    assert found["still"][0.5] == found["still"][8.0]
    assert found["ours"][8.0]["precision_3"] == [100, 100]
    assert contrast_table(found).columns == ("", "SCR 0.5", "SCR 8")
    assert len(contrast_figure(found).axes) == 1
    assert len(contrast_entries(found, data="d")) == 2 * 2 * 2


def test_floor_falls_with_what_must_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "make", lambda self, variant: Still())
    bench = Bench()
    axes = [filter_axes(BASE, [5, 21])["line length"], anchor_axis(BASE)]
    bench.measure(axes)
    swept = {axis.name: bench.sweep(axis, [*ABLATION_NAMES, "gain"]) for axis in axes}
    sampled = same_target_sweep(TINY.but(num_frames=3), [(1, 1), (2, 2)], Still)
    holds = list(ablation_floor(swept, sampled).values())
    # a box that stays still has no use for small anchors
    assert holds[1:] == [True, False, True]


def test_scans_of_the_ablation_follow_their_parameters() -> None:
    scans = ablation_scans(num_sequences=3, num_frames=12, height_px=96, scr=[1.5, 4], hidden=2.0, seed=1)
    assert (scans.settings.width_px, scans.settings.fades, scans.seed) == (128, 2.0, 2_000)
    with pytest.raises(SpecError, match="lowest and a highest"):
        ablation_scans(num_sequences=3, num_frames=12, height_px=96, scr=[1.5], hidden=2.0)


def loss(samples: int) -> float:
    settings = ScanSettings(oversampling=(1, samples))
    best, worst = point_response(torch.tensor([0.0, 0.5], dtype=torch.float64), settings, axis="y").tolist()
    return 20 * math.log10(best / worst)


def test_exercises_have_solutions_and_name_slips() -> None:
    assert ablation_exercises.check_longest(lambda length: length - 1).solved
    assert "counts as background" in ablation_exercises.check_longest(lambda length: length).says
    assert "px survives" in ablation_exercises.check_longest(lambda length: length - 2).says
    assert ablation_exercises.check_loss(loss).solved
    assert "positive" in ablation_exercises.check_loss(lambda samples: -loss(samples)).says
    assert "amplitudes" in ablation_exercises.check_loss(lambda samples: loss(samples) / 2).says
    assert "are lost" in ablation_exercises.check_loss(lambda samples: 0.5).says


def test_the_better_filter_exists_and_the_erasing_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation_exercises, "UNSEEN", ablation_exercises.UNSEEN.but(num_frames=5))
    check = ablation_exercises.check_better
    assert check(lambda: FilterSettings(7, directions=8)).solved
    assert "doesn't survive" in check(lambda: FilterSettings(5)).says
    assert "is asked for" in check(FilterSettings).says
    assert "FilterSettings" in check(lambda: 7).says
