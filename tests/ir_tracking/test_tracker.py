"""The tracker around a network that needs no training: paths kept, several targets, loss, bad input."""

import pytest
import torch
from torch import Tensor

from lib.errors import LabError, ShapeError, SpecError
from lib.ir_tracking.kalman import MotionSettings
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.tracker import Track, Tracker
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.weights import load_network
from tests.ir_tracking.moving_spots import Brightest, spot_clip, straight


def tracker(settings: TrackerSettings | None = None, network: Brightest | None = None) -> Tracker:
    return Tracker(network or Brightest(), settings, folded=False)  # type: ignore[arg-type]


def centre(track: Track) -> Tensor:
    x, y, w, h = track.box
    return torch.tensor([x + w / 2, y + h / 2])


def errors(tracks: list[Track], path: Tensor) -> Tensor:
    return (torch.stack([centre(track) for track in tracks]) - path).norm(dim=1)


@pytest.mark.parametrize("motion_prior", [True, False])
def test_a_spot_on_a_line_is_kept(motion_prior: bool) -> None:
    path = straight(30)
    clip = spot_clip(path)
    tracking = tracker(TrackerSettings(motion_prior=motion_prior))
    first = tracking.start(clip.frames[0], clip.boxes[0])
    assert first == Track(tuple(clip.boxes[0].tolist()), 1.0, True)  # type: ignore[arg-type]
    tracks = [tracking.step(frame) for frame in clip.frames[1:]]
    assert all(track.seen and track.score > 0.9 for track in tracks)
    # cells lie 4/143 of a window of 43 pixels apart
    assert float(errors(tracks, path[1:]).max()) < 1.2


def test_frames_of_all_kinds_give_one_track() -> None:
    path = straight(6)
    clip = spot_clip(path)
    boxes = []
    for frames in (clip.frames, clip.frames.double(), clip.frames.to(torch.uint8), (clip.frames * 64).to(torch.int16),
                   (clip.frames * 256).to(torch.int32).to(torch.uint16), clip.frames[:, 0]):  # fmt: skip
        tracking = tracker()
        tracking.start(frames[0], clip.boxes[0])
        boxes.append([tracking.step(frame).box for frame in frames[1:]])
    for other in boxes[1:]:
        torch.testing.assert_close(torch.tensor(other), torch.tensor(boxes[0]), atol=0.6, rtol=0)


def test_several_targets_are_each_alone() -> None:
    paths = [straight(8), straight(8, start=(80.0, 20.0), step=(-0.5, 1.0))]
    clips = [spot_clip(path, noise=0.0) for path in paths]
    frames = clips[0].frames + clips[1].frames - 100
    network = Brightest()
    together = tracker(network=network)
    together.start_many(frames[0], [clip.boxes[0] for clip in clips])
    found = [together.step_many(frame) for frame in frames[1:]]
    assert network.num_templates == 2
    for idx, path in enumerate(paths):
        alone = tracker()
        alone.start(frames[0], clips[idx].boxes[0])
        for tracks, frame in zip(found, frames[1:], strict=True):
            expected = alone.step(frame)
            assert tracks[idx].box == pytest.approx(expected.box, abs=1e-3)
            assert tracks[idx].score == pytest.approx(expected.score, abs=1e-3)
        assert float(errors([tracks[idx] for tracks in found], path[1:]).max()) < 1.2


@pytest.mark.parametrize(("rise", "stronger"), [(0.5, 0.0), (0.15, 6.0)], ids=["equal", "slow, one is stronger"])
def test_targets_that_meet_go_on_each_its_way(rise: float, stronger: float) -> None:
    half = 79 / 2 * rise
    paths = [straight(80, start=(20.0, 45.0 - side * half), step=(0.7, side * rise)) for side in (1, -1)]
    clips = [spot_clip(path, height=20 + idx * stronger) for idx, path in enumerate(paths)]
    frames = clips[0].frames + clips[1].frames - 100
    tracking = Tracker(load_network())
    tracking.start_many(frames[0], [clip.boxes[0] for clip in clips])
    for frame in frames[1:]:
        tracks = tracking.step_many(frame)
    for track, path in zip(tracks, paths, strict=True):
        assert float((centre(track) - path[-1]).norm()) < 1


@pytest.mark.parametrize("height", [20.0, 30.0])
def test_a_target_is_kept_where_it_meets_another_that_nobody_named(height: float) -> None:
    # at a small angle: they overlap for sixteen frames, and the other one may be the brighter
    path, other = straight(70, start=(20.0, 52.0), step=(1.1, -0.2)), straight(70, start=(20.0, 35.0), step=(1.1, 0.3))
    frames = spot_clip(path).frames + spot_clip(other, height=height, noise=0).frames - 100
    errors_by_setting = {}
    for companions in (True, False):
        tracking = tracker(TrackerSettings(companions=companions))
        tracking.start(frames[0], spot_clip(path).boxes[0])
        tracks = [tracking.step(frame) for frame in frames[1:]]
        errors_by_setting[companions] = float(errors(tracks, path[1:])[-10:].max())
    assert errors_by_setting[True] < 1.2
    if height == 30:
        assert errors_by_setting[False] > 5


def test_a_hidden_target_is_not_found_on_the_spot_beside_it() -> None:
    path, other = straight(50, step=(0.9, 0.0)), straight(50, start=(30.0, 50.0), step=(0.9, 0.0))
    hidden = spot_clip(path).frames
    hidden[20:38] = spot_clip(path, height=0.0).frames[20:38]
    frames = hidden + spot_clip(other, noise=0).frames - 100
    tracking = tracker()
    tracking.start(frames[0], spot_clip(path).boxes[0])
    tracks = [tracking.step(frame) for frame in frames[1:]]
    assert not any(track.seen for track in tracks[20:37])
    assert float(errors(tracks, path[1:])[-8:].max()) < 1.2


def test_a_hidden_target_goes_on_and_is_found_again() -> None:
    path = straight(40)
    clip = spot_clip(path)
    empty = spot_clip(path, height=0.0).frames
    frames = torch.cat([clip.frames[:20], empty[20:24], clip.frames[24:]])
    tracking = tracker()
    tracking.start(frames[0], clip.boxes[0])
    tracks = [tracking.step(frame) for frame in frames[1:]]
    hidden = tracks[19:23]
    assert not any(track.seen for track in hidden)
    assert float(errors(hidden, path[20:24]).max()) < 3
    assert all(track.seen for track in tracks[25:])
    assert float(errors(tracks[25:], path[26:]).max()) < 1.2


def test_a_target_that_jumps_is_found_by_the_filter() -> None:
    path = straight(30)
    path[12:] += torch.tensor([0.0, 25.0])
    clip = spot_clip(path)
    settings = TrackerSettings(motion=MotionSettings(acceleration_px=1.5), lost_after=3)
    tracking = tracker(settings)
    tracking.start(clip.frames[0], clip.boxes[0])
    tracks = [tracking.step(frame) for frame in clip.frames[1:]]
    assert not any(track.seen for track in tracks[11:13])
    assert float(errors(tracks[17:], path[18:]).max()) < 1.2
    never = tracker(settings.but(lost_after=0))
    never.start(clip.frames[0], clip.boxes[0])
    assert not any(track.seen for track in [never.step(frame) for frame in clip.frames[1:]][11:])


def test_a_target_that_leaves_the_frame_is_held_at_its_border() -> None:
    path = straight(40, start=(80.0, 40.0), step=(2.0, 0.0))
    clip = spot_clip(path)
    tracking = tracker()
    tracking.start(clip.frames[0], clip.boxes[0])
    tracks = [tracking.step(frame) for frame in clip.frames[1:]]
    assert not any(track.seen for track in tracks[-10:])
    assert all(0 <= float(centre(track)[0]) <= 112 and 0 <= float(centre(track)[1]) <= 96 for track in tracks)


def test_a_refused_frame_leaves_the_state() -> None:
    clip = spot_clip(straight(8))
    tracking, other = tracker(), tracker()
    for one in (tracking, other):
        one.start(clip.frames[0], clip.boxes[0])
        one.step(clip.frames[1])
    dead_row = clip.frames[2].clone()
    dead_row[0, 5] = float("nan")
    for bad, words in (
        (dead_row, "NaN or infinity"),
        (clip.frames[2][:, :50], "frames must keep their size"),
        (clip.frames[2].expand(3, -1, -1), "one plane"),
        (clip.frames[2][:, :0], "at least one pixel"),
    ):
        with pytest.raises(ShapeError, match=words):
            tracking.step(bad)
    assert tracking.step(clip.frames[2]) == other.step(clip.frames[2])


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((5, 5, 0, 3), "wider and higher than 0"),
        ((5, 5, 3, -1), "wider and higher than 0"),
        ((200, 5, 3, 3), "centre in the frame of 112 x 96"),
        ((5, -9, 3, 3), "centre in the frame"),
        ((5, 5, float("nan"), 3), "four finite numbers"),
        ((5, 5, 3), "four finite numbers"),
    ],
)
def test_boxes_that_cannot_be(box: tuple[float, ...], words: str) -> None:
    clip = spot_clip(straight(2))
    tracking = tracker()
    tracking.start(clip.frames[0], clip.boxes[0])
    with pytest.raises(SpecError, match=words):
        tracking.start(clip.frames[0], box)
    tracking.step(clip.frames[1])  # the target before is still there


def test_steps_need_a_start_and_a_start_a_box() -> None:
    clip = spot_clip(straight(2))
    with pytest.raises(LabError, match="call start"):
        tracker().step(clip.frames[0])
    with pytest.raises(SpecError, match="at least one box"):
        tracker().start_many(clip.frames[0], [])


@pytest.mark.parametrize(
    "changes", [{"penalty_strength": -1}, {"window_influence": 2}, {"lost_after": -1}, {"num_candidates": 0}]
)
def test_settings_that_cannot_be(changes: dict[str, float]) -> None:
    with pytest.raises(SpecError):
        TrackerSettings().but(**changes)


@pytest.mark.parametrize("paper", [True, False])
def test_a_real_network_steps_on_every_device(paper: bool, device: torch.device) -> None:
    torch.manual_seed(0)
    small = NetworkSettings.small()
    if paper:
        small = small.but(subpixel=False, inputs="filtered", scaling="frame", context_floor_px=0, head="up_channel")
    network = SiameseNetwork(small).to(device)
    clip = spot_clip(straight(4))
    tracking = Tracker(network, TrackerSettings.paper() if paper else None)
    tracking.start(clip.frames[0], clip.boxes[0])
    for frame in clip.frames[1:]:
        track = tracking.step(frame)
        assert 0 <= track.score <= 1
        assert track.box[2] >= (10 if paper else 2)


def test_filtering_only_what_the_window_needs_changes_nothing() -> None:
    network = SiameseNetwork(NetworkSettings.small())
    clip = spot_clip(straight(4))
    tracking = Tracker(network)
    tracking.start(clip.frames[0], clip.boxes[0])
    windows = torch.tensor([[50.2, 40.3, 41.0]], dtype=torch.float64)
    part = tracking.looker.crops(tracking.looker.view(clip.frames[0], windows), windows, 143)
    both = windows.repeat(2, 1)
    whole = tracking.looker.crops(tracking.looker.view(clip.frames[0], both), both, 143)[:1]
    torch.testing.assert_close(part, whole, atol=1e-4, rtol=1e-4)
