"""What the walkthrough says of scans whose truth is known: parts add up, lines make the filter, targets are kept."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib.data.images import write_image
from lib.data.origin import Origin
from lib.errors import DataMissing, SpecError
from lib.ir_tracking import scan_parts
from lib.ir_tracking import walkthrough as walk
from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.evaluate import Result
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.simulator import Scan
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.weights import load_network
from lib.metrics import TrackingScores, mean_of_tracks
from lib.metrics.infrared import LocalContrast, Suppression
from tests.ir_tracking.moving_spots import spot_clip, straight

SMALL = walk.scan_settings("clouds", scr=4.0, oversampling=[2, 2], height_px=72, num_frames=20)


@pytest.fixture(scope="module")
def scan():
    return walk.make_scan(SMALL, seed=3)


def two_spots() -> Scan:
    """Spots that come within 2 pixels of one another in the middle of 21 frames, on scans of their own."""
    clips = [spot_clip(straight(21, start=start, step=step), noise=0.2) for start, step in (
        ((40.0, 30.0), (0.0, 1.0)), ((30.0, 42.0), (1.0, 0.0)))]  # fmt: skip
    frames = clips[0].frames + clips[1].frames - 100
    boxes = torch.stack([clip.boxes for clip in clips], dim=1)
    visible = torch.ones(21, 2, dtype=torch.bool)
    return Scan(frames, frames, boxes, visible, visible.float(), Origin("spots", "simulated", "MIT", "", "test"))


def test_scans_are_wide_and_keep_their_targets_until_asked_otherwise(scan):
    assert scan.frames.shape == (20, 1, 72, 96)
    assert scan.visible.all()
    hidden, crossing = walk.hidden(SMALL), walk.crossing(SMALL)
    assert (hidden.num_targets, crossing.num_targets, crossing.crossing) == (1, 2, True)
    for seed in range(4):
        long = walk.make_scan(walk.hidden(replace(SMALL, num_frames=60)), seed=seed)
        assert float(long.scr.min()) < 0.3 * float(long.scr.max())
        assert not long.visible.all()


@pytest.mark.parametrize("oversampling", [[2], [2, 2, 2], [2.5, 2], [0, 1]])
def test_a_scanner_needs_two_whole_numbers(oversampling):
    with pytest.raises(SpecError, match="oversampling must be"):
        walk.scan_settings("sky", scr=4.0, oversampling=oversampling, height_px=72, num_frames=20)


def test_parts_of_a_frame_add_up_to_it(device, scan):
    parts = scan_parts.formation(SMALL, seed=3, frame=5, device=device)
    total = torch.stack(list(parts.values())).sum(0)
    assert total.device.type == device.type
    again = walk.make_scan(SMALL, seed=3, device=device)
    assert torch.equal(total, again.frames[5, 0])
    noise, rows = parts["shot and read noise"], parts["gains and offsets of the rows"]
    assert abs(float(noise.mean())) < 1
    # 100 electrons of read noise and the root of 30 000 are 200 electrons, of 16 383 levels for 100 000
    assert float(noise.std()) == pytest.approx(200 * 16_383 / 1e5, rel=0.1)
    # what belongs to a row is alike along it
    assert float(rows.mean(dim=1).std()) > 0.6 * float(rows.std())
    assert len(scan_parts.formation_table(parts, SMALL).rows) == 5


def test_targets_are_what_the_last_part_holds(scan):
    parts = scan_parts.formation(SMALL, seed=3, frame=5)
    x, y = (int(value) for value in (scan.boxes[5, 0, :2] + scan.boxes[5, 0, 2:] / 2))
    target = parts["targets"]
    assert target.argmax() == target[y - 1 : y + 2, x - 1 : x + 2].max().eq(target).flatten().nonzero()[0, 0]
    far = target.clone()
    far[max(y - 8, 0) : y + 9, max(x - 8, 0) : x + 9] = 0
    assert not far.any()


def test_samples_of_a_point_hold_its_energy():
    for oversampling in ((1, 1), (2, 2), (3, 2)):
        samples = scan_parts.point_samples(oversampling, SMALL, place=(0.2, -0.1))
        assert samples.shape == (7 * oversampling[1], 7 * oversampling[0])
        # each detector sees all of its pitch, so that a point is seen once for each sample a pitch
        assert float(samples.sum()) == pytest.approx(oversampling[0] * oversampling[1], rel=1e-3)
    middle = scan_parts.point_radiance(SMALL, place=(0.0, 0.0))
    assert torch.equal(middle, middle.flip(0, 1))
    assert 0.98 < float(middle.max()) <= 1


def test_the_best_and_the_worst_place_of_a_point():
    rows = scan_parts.sampling_table([(1, 1), (2, 2)], SMALL).rows
    best, worst = (
        float(scan_parts.point_samples((1, 1), SMALL, place=place).max()) for place in ((0.0, 0.0), (0.5, 0.5))
    )
    assert rows[0][2:] == (f"{100 * best:.0f}", f"{100 * worst:.0f}", f"{100 * worst / best:.0f}")
    # seven pitches of two samples have their middle between samples
    assert float(scan_parts.point_samples((2, 2), SMALL, place=(0.25, 0.25)).max()) == pytest.approx(
        float(rows[1][2]) / 100, abs=0.005
    )
    assert float(scan_parts.point_samples((2, 2), SMALL, place=(0.0, 0.0)).max()) == pytest.approx(
        float(rows[1][3]) / 100, abs=0.005
    )


@pytest.mark.parametrize(
    "settings", [FilterSettings(), FilterSettings(7, 8), FilterSettings(polarity="dark")], ids=["4", "8", "dark"]
)
def test_the_background_is_made_of_the_openings(scan, settings):
    frame = scan.frames[2, 0]
    openings = walk.line_openings(frame, settings)
    assert list(openings)[:4] == ["0°", "45°", "90°", "135°"]
    assert len(openings) == settings.directions
    stack = torch.stack(list(openings.values()))
    joined = stack.amax(0) if settings.polarity == "bright" else stack.amin(0)
    assert torch.equal(joined, suppress_background(frame, settings=settings).background)


def test_stages_are_in_order_and_say_so_when_they_are_not(scan):
    stages = walk.filter_stages(scan.frames[2, 0], FilterSettings())
    assert list(stages) == ["I", "E", "U = I - E", "M"]
    assert walk.is_ordered(stages)
    assert not walk.is_ordered(stages | {"E": stages["I"] + 1})
    box = scan.boxes[2, 0]
    rest = {"one": stages["U = I - E"]}
    assert not walk.beats_each_line(rest, stages, box)
    assert walk.beats_each_line({"one": 2 * stages["U = I - E"]}, stages, box)


def test_contrast_by_hand():
    plane = torch.zeros(40, 40)
    plane[::2] = 2.0
    plane[19:22, 19:22] = 7.0
    plane[18, 18] = 900.0  # next to the box: neither target nor background
    found = walk.contrasts({"plane": plane}, torch.tensor([19.0, 19, 3, 3]))
    assert found["plane"].target_mean == 7
    assert found["plane"].background_mean == pytest.approx(1, abs=0.05)
    assert found["plane"].background_deviation == pytest.approx(1, abs=0.01)
    (row,) = walk.contrast_table(found).rows
    assert row[0] == "plane"
    assert float(row[3]) == pytest.approx(6, abs=0.1)
    assert float(row[4]) == pytest.approx(15.6, abs=0.2)


def test_gains_are_medians_in_decibels():
    def at(scr: float) -> LocalContrast:
        return LocalContrast(scr, scr, 0.0, 1.0)

    found = [Suppression(at(1), at(10)), Suppression(at(2), at(20)), Suppression(at(1), at(1000))]
    assert [(one.row, round(one.value, 2)) for one in walk.gain_findings(found)] == [
        ("frame", 0.0),
        ("filtered", 26.02),
        ("gain", 20.0),
    ]
    assert all(one.measure.unit == "dB" for one in walk.gain_findings(found))
    shown = walk.gain_table(found)
    assert shown.rows[2] == ("gain", "20.0", "20.0", "60.0")
    assert "3 frames, in 0 of them" in shown.caption
    flat = LocalContrast(1.0, 1.0, 0.0, 0.0)
    assert "in 1 of them" in walk.gain_table([*found, Suppression(at(1), flat)]).caption


def test_gains_count_frames_in_which_the_target_can_be_seen(scan):
    visible = scan.visible.clone()
    visible[3:7] = False
    assert len(walk.gains(replace(scan, visible=visible), FilterSettings())) == 16


def test_crops_stay_inside_and_keep_their_size():
    plane = torch.arange(600.0).view(20, 30)
    for corner in ((13.0, 8.0), (0.0, 0.0), (27.5, 17.5)):
        part, box = walk.crop_around(plane, torch.tensor([*corner, 2, 2]), reach_px=4)
        assert part.shape == (9, 9)
        x, y = (int(value) for value in box[:2])
        assert part[y, x] == plane[int(corner[1]), int(corner[0])]
    small, _ = walk.crop_around(plane, torch.tensor([5.0, 5, 2, 2]), reach_px=50)
    assert small.shape == plane.shape


def test_two_targets_are_followed_with_their_windows():
    scan = two_spots()
    followed = walk.follow_scan(load_network(), scan)
    assert followed.boxes.shape == followed.truths.shape == (21, 2, 4)
    assert float(followed.errors.max()) < 2
    # what is expected is told before the frame is looked at
    assert torch.equal(followed.expected[0], followed.truths[0, :, :2] + followed.truths[0, :, 2:] / 2)
    assert float((followed.expected[10] - followed.truths[10, :, :2] - 1.5).norm(dim=1).max()) < 1
    assert float(followed.spreads.min()) >= TrackerSettings().window_px
    distance = (scan.boxes[:, 0] - scan.boxes[:, 1]).norm(dim=1)
    before = walk.before_crossing(scan, apart_px=5.0)
    assert distance[before] >= 5 > distance[before + 1]
    assert walk.before_crossing(scan, apart_px=100.0) == 0


def test_what_was_hidden_is_told_with_its_end():
    assert walk.spans(torch.tensor([0, 1, 1, 0, 1], dtype=torch.bool)) == [(1, 2), (4, 4)]
    assert walk.spans(torch.zeros(3, dtype=torch.bool)) == []
    boxes = torch.tensor([0.0, 0, 3, 3]).expand(6, 1, 4).double()
    truths = boxes + torch.tensor([0.0, 0, 1, 2, 1, 4])[:, None, None] * torch.tensor([1.0, 0, 0, 0])
    visible, seen = (torch.ones(6, 1, dtype=torch.bool) for _ in range(2))
    visible[2:4], seen[3:5] = False, False
    followed = walk.Follow(boxes, truths, visible, seen, torch.ones(6, 1), boxes[..., :2], torch.ones(6, 1))
    assert walk.event_table(followed).rows == (
        ("weaker than half, or hidden", "2-3", "2.0"),
        ("not seen by the tracker", "3-4", "4.0"),
        ("last frame", "5", "4.0"),
    )
    assert walk.return_frame(followed) == 5
    seen[1] = False
    assert walk.return_frame(followed) == 5  # the longer absence
    seen[2:] = False
    assert walk.return_frame(followed) == 5  # never
    seen[2] = True
    assert walk.return_frame(followed) == 2


def test_frame_numbers():
    assert walk.evenly(80, 5) == [0, 20, 40, 59, 79]
    assert walk.evenly(3, 10) == [0, 1, 2]
    assert walk.around(10, 80, step=4, shown=4) == [6, 10, 14, 18]
    assert walk.around(0, 6, step=4, shown=4) == [0, 4]


def test_results_by_sequence(scan):
    (case,) = walk.cases_of({"clouds": scan})
    assert (case.name, case.origin, len(case.sequence.boxes)) == ("clouds", scan.origin, 20)
    scores = TrackingScores(0.5, 0.4, 0.75, 1.0, 1.0, 0.3)
    results = {"ours": Result(mean_of_tracks([scores]), {"clouds": scores}, 50.0)}
    shown = walk.result_table(results)
    assert shown.columns == ("", "clouds: 3 px (%)", "clouds: AOR")
    assert shown.rows == (("ours", "75", "0.50"),)
    assert [(one.row, one.measure.name, one.value) for one in walk.result_findings(results)] == [
        ("ours, clouds", "precision at 3 px", 75.0),
        ("ours, clouds", "AOR", 0.5),
    ]


def test_own_sequences(tmp_path: Path):
    assert walk.real_sequence("") is None
    with pytest.raises(DataMissing):
        walk.real_sequence(str(tmp_path))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_image(tmp_path / name / "0.png", torch.zeros(3, 8, 8))
        (tmp_path / name / "groundtruth_rect.txt").write_text("1,1,3,3\n", encoding="utf-8")
    own = walk.real_sequence(str(tmp_path / "a"))
    assert own is not None
    assert own.boxes.tolist() == [[1, 1, 3, 3]]
    with pytest.raises(SpecError, match="holds a, b"):
        walk.real_sequence(str(tmp_path))
