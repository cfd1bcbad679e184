"""Filter and peak on frames whose targets are known, and on SIRST's where it is."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lib.data.infrared import SIRST
from lib.errors import DataMissing, SpecError
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.stills import exceeds, score_stills, target_pixels


@dataclass
class Made:
    picture: Tensor
    boxes: Tensor

    def image(self) -> Tensor:
        return self.picture[None]

    def mask(self) -> Tensor:
        return target_pixels(torch.zeros(self.picture.shape, dtype=torch.bool), self.boxes, guard_px=0)


def made(seed: int, *places: tuple[int, int], clutter: bool = False) -> Made:
    """A slope with noise, 3x3 targets at (x, y), and a bright patch that is none."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.linspace(60, 120, 90).expand(70, 90) + torch.randn(70, 90, generator=generator)
    for x, y in places:
        picture[y : y + 3, x : x + 3] += 60
    if clutter:
        picture[5:8, 70:73] += 90
    boxes = torch.tensor([[x, y, 3, 3] for x, y in places], dtype=torch.float32).view(-1, 4)
    return Made(picture / 255, boxes)


def test_targets_stand_out_more_and_are_found() -> None:
    scores = score_stills([made(0, (20, 20)), made(1, (40, 50), (50, 50)), made(2, (30, 30), clutter=True)])
    assert scores.num_frames == 3
    assert len(scores.targets) == 4
    assert scores.strongest_hits == 2  # the third frame's strongest is the patch
    before, after = scores.median_snr_db
    assert before < 25 < after
    assert scores.gains_db == sorted(scores.gains_db)
    counts = scores.detections[8.0]
    assert (counts.num_targets, counts.num_found) == (4, 4)
    assert counts.false_px == 9
    assert counts.num_px == 3 * 70 * 90


def test_a_neighbour_is_no_clutter() -> None:
    alone, crowded = score_stills([made(3, (20, 20))]), score_stills([made(3, (20, 20), (32, 20))])
    assert crowded.targets[0].before.background_deviation == pytest.approx(
        alone.targets[0].before.background_deviation, rel=0.1
    )


def test_pixels_of_targets() -> None:
    mask = torch.zeros(9, 12, dtype=torch.bool)
    mask[0, 0] = True
    pixels = target_pixels(mask, torch.tensor([[5.0, 4, 2, 2], [10, -2, 4, 3]]), guard_px=1)
    expected = torch.zeros_like(mask)
    expected[:2, :2] = expected[3:7, 4:8] = expected[:2, 9:] = True
    assert torch.equal(pixels, expected)


def test_a_flat_response_exceeds_nothing() -> None:
    assert not exceeds(torch.zeros(5, 5, dtype=torch.uint8), 5.0).any()


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataMissing, match="at least one"):
        score_stills([])
    with pytest.raises(SpecError, match="thresholds"):
        score_stills([made(0, (5, 5))], thresholds=(0.0,))


def test_real_frames_gain_ten_decibels(reference: Path) -> None:
    root = reference / "realdata" / "infrared" / "sirst"
    if not root.is_dir():
        pytest.skip("no SIRST frames in the reference material")
    scores = score_stills(SIRST(root), settings=FilterSettings(directions=8))
    gains = scores.gains_db
    assert gains[len(gains) // 2] > 10
    assert scores.strongest_hits >= 57
    # ten in eleven are found at less than three false pixels in ten thousand
    assert scores.detections[12.0].pd > 0.9
    assert scores.detections[12.0].fa < 3e-4
