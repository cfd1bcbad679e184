"""Baselines keep an easy target, say when they lose it, and take and refuse the same input as ours."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lib.errors import DataMissing, ShapeError, SpecError, Unavailable
from lib.ir_tracking.baselines import AnyTracker, NormalisedCorrelation, Still, TopHatKalman, mil, nano_track
from lib.ir_tracking.evaluate import run_tracker, score_run
from tests.ir_tracking.moving_spots import Clip, spot_clip, straight

TRACKERS: dict[str, Callable[[], AnyTracker]] = {"top-hat": TopHatKalman, "correlation": NormalisedCorrelation}


@pytest.mark.parametrize("name", TRACKERS)
def test_an_easy_target_is_kept(name: str) -> None:
    clip = spot_clip(straight(30))
    run = run_tracker(TRACKERS[name](), clip)
    scores = score_run(run, clip)
    assert scores.precision_3 == 1
    assert scores.aor > 0.6
    assert bool(run.seen.all())


def test_a_box_that_stands_still_loses_what_moves() -> None:
    clip = spot_clip(straight(30))
    scores = score_run(run_tracker(Still(), clip), clip)
    assert scores.precision_3 < 0.15


@pytest.mark.parametrize("name", TRACKERS)
def test_a_hidden_target_is_said(name: str) -> None:
    clip = spot_clip(straight(20))
    hidden = clip.frames.clone()
    hidden[10:] = 100  # a flat frame, where neither has anything to find
    run = run_tracker(TRACKERS[name](), Clip(hidden, clip.boxes, clip.visible))
    assert bool(run.seen[:10].all())
    assert not bool(run.seen[10:].any())
    assert bool(run.boxes.isfinite().all())


def test_top_hat_goes_on_straight_while_the_target_is_hidden() -> None:
    clip = spot_clip(straight(30), noise=0.01)
    frames = clip.frames.clone()
    frames[15:20] = 100
    run = run_tracker(TopHatKalman(), Clip(frames, clip.boxes, clip.visible))
    assert score_run(run, clip).precision_3 == 1
    assert bool(run.seen[20:].all())


@pytest.mark.parametrize("make", [TopHatKalman, NormalisedCorrelation, mil])
def test_bad_input_is_refused_as_ours_does(make: Callable[[], AnyTracker]) -> None:
    clip = spot_clip(straight(3))
    tracker = make()
    with pytest.raises(SpecError, match="wider and higher than 0"):
        tracker.start(clip.frames[0], (10, 10, 0, 3))
    with pytest.raises(SpecError, match="centre in the frame"):
        tracker.start(clip.frames[0], (500, 10, 3, 3))
    tracker.start(clip.frames[0], clip.boxes[0])
    with pytest.raises(ShapeError, match="keep their size"):
        tracker.step(clip.frames[1][:, :20])
    with pytest.raises(ShapeError, match="NaN"):
        tracker.step(torch.full_like(clip.frames[1], torch.nan))
    tracker.step(clip.frames[1])


def test_mil_follows_a_large_bright_target() -> None:
    frames = torch.full((6, 1, 80, 90), 40, dtype=torch.uint8)
    boxes = []
    for number in range(6):
        frames[number, 0, 20 + number : 40 + number, 30 + 2 * number : 52 + 2 * number] = 220
        boxes.append([30.0 + 2 * number, 20.0 + number, 22.0, 20.0])
    clip = Clip(frames, torch.tensor(boxes), torch.ones(6, dtype=torch.bool))
    assert score_run(run_tracker(mil(), clip), clip).aor > 0.5


def test_nano_track_needs_its_two_files(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no ONNX file"):
        nano_track(tmp_path / "backbone.onnx", tmp_path / "head.onnx")
    for name in ("backbone", "head"):
        (tmp_path / f"{name}.onnx").write_bytes(b"no network")
    broken = nano_track(tmp_path / "backbone.onnx", tmp_path / "head.onnx")
    with pytest.raises(Unavailable, match="cannot use"):
        broken.start(torch.zeros(1, 50, 50), (10, 10, 20, 20))


def test_nano_track_with_the_reference_weights(reference: Path) -> None:
    folder = reference / "realdata" / "weights"
    files = [folder / f"nanotrack_v2_{part}.onnx" for part in ("backbone", "head")]
    if not all(path.is_file() for path in files):
        pytest.skip("realdata/weights has no NanoTrack; set NOCTURNE_REFERENCE to a complete copy")
    clip = spot_clip(straight(3))
    run = run_tracker(nano_track(*files), clip)
    assert run.boxes.shape == (3, 4)
    assert bool(run.boxes.isfinite().all())
