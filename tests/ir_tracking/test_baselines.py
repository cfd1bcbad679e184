"""Baselines keep an easy target, say when they lose it, and take and refuse the same input as ours."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.errors import DataMissing, ShapeError, SpecError, Unavailable
from lib.ir_tracking.baselines import (
    AnyTracker,
    NormalisedCorrelation,
    OpenCvTracker,
    Still,
    TopHatKalman,
    mil,
    nano_track,
)
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


class Moving:
    """Stands for one of OpenCV's trackers: notes what it gets and moves its box by (2, 1), until it has lost it."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.pictures: list[np.ndarray] = []

    def init(self, picture: np.ndarray, box: tuple[int, int, int, int]) -> None:
        self.box = box
        self.pictures.append(picture)

    def update(self, picture: np.ndarray) -> tuple[bool, tuple[int, int, int, int]]:
        self.pictures.append(picture)
        self.left -= 1
        self.box = (self.box[0] + 2, self.box[1] + 1, *self.box[2:])
        return self.left >= 0, self.box


def test_opencv_gets_grown_boxes_and_grey_levels_and_its_answer_is_shrunk_again() -> None:
    made = Moving(steps=1)
    tracker = OpenCvTracker(lambda: made, least_px=16)
    frame = torch.linspace(100, 900, 80 * 90).view(1, 80, 90)
    assert tracker.start(frame, (40, 30, 4, 6)).box == (40, 30, 4, 6)
    assert made.box == (34, 25, 16, 16)
    assert tracker.step(frame).box == (42, 31, 4, 6)
    lost = tracker.step(frame)
    assert (lost.box, lost.seen) == ((42, 31, 4, 6), False)
    assert {picture.shape for picture in made.pictures} == {(80, 90, 3)}
    assert (made.pictures[0].min(), made.pictures[0].max()) == (0, 255)


def test_mil_answers_with_a_box_of_the_size_that_it_was_given() -> None:
    frames = torch.full((2, 1, 80, 90), 40, dtype=torch.uint8)
    for number, frame in enumerate(frames):
        frame[0, 20 + number : 40 + number, 30 + 2 * number : 52 + 2 * number] = 220
    tracker = mil()
    tracker.start(frames[0], (30, 20, 22, 20))
    x, y, width, height = tracker.step(frames[1]).box
    assert (width, height) == (22, 20)
    # it looks 25 pixels around; where in there it lands is drawn at random
    assert (x - 30) ** 2 + (y - 20) ** 2 <= 25**2


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
