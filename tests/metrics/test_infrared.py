"""Contrast of small targets against the stored numbers and a picture whose statistics are known; detections counted."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from skimage.measure import label, regionprops
from torch import Tensor

from lib.errors import DataMissing, ShapeError, SpecError
from lib.metrics import (
    FA,
    PD,
    SCR,
    DetectionCounts,
    background_suppression_factor,
    contrast_gain,
    count_detections,
    local_contrast,
    scr,
    scr_gain,
    snr_db,
)


@pytest.mark.parametrize(("stage", "key"), [("ir_frame", "in"), ("ir_L11_U", "U11"), ("ir_L11_M_2x2", "M11_2x2")])
def test_agrees_with_the_stored_numbers(golden: Callable[[str], Any], stage: str, key: str) -> None:
    stored, measures = golden("tracking/tracking.npz"), golden("tracking/tracking.json")["ir_measures"]
    frame, box = torch.from_numpy(stored[stage]), torch.tensor(measures["target_box_xywh"])
    found, expected = local_contrast(frame, box, ring_px=measures["ring_d"]), measures[key]
    assert found.target_mean == pytest.approx(expected["mu_t"], rel=1e-9)
    assert found.target_peak == pytest.approx(expected["peak_t"], rel=1e-9)
    assert found.background_mean == pytest.approx(expected["mu_b"], rel=1e-9)
    assert found.background_deviation == pytest.approx(expected["sigma_b"], rel=1e-9)
    assert scr(frame, box) == pytest.approx(expected["scr"], rel=1e-5)
    assert snr_db(frame, box) == pytest.approx(expected["scr_db"], abs=1e-5)


def test_gains_agree_with_the_stored_numbers(golden: Callable[[str], Any]) -> None:
    stored, measures = golden("tracking/tracking.npz"), golden("tracking/tracking.json")["ir_measures"]
    before, after = (torch.from_numpy(stored[name]) for name in ("ir_frame", "ir_L11_M_2x2"))
    box = torch.tensor(measures["target_box_xywh"])
    assert scr_gain(before, after, box) == pytest.approx(measures["scrg_M"], rel=1e-5)
    assert background_suppression_factor(before, after, box) == pytest.approx(measures["bsf_M"], rel=1e-5)
    assert contrast_gain(before, after, box) == pytest.approx(measures["cg_M"], rel=1e-5)


def chessboard(device: torch.device | str = "cpu") -> Tensor:
    """Values 90 and 110 in turn, and a target of 3x3 pixels at 160 in the middle."""
    rows, columns = torch.meshgrid(torch.arange(61), torch.arange(61), indexing="ij")
    frame = 90.0 + 20 * ((rows + columns) % 2)
    frame[29:32, 29:32] = 160
    return frame.to(device)


def test_contrast_by_hand(device: torch.device) -> None:
    found = local_contrast(chessboard(device)[None], torch.tensor([29.0, 29, 3, 3]))
    assert found.target_mean == 160
    assert found.background_mean == pytest.approx(100, abs=0.01)
    assert found.background_deviation == pytest.approx(10, abs=0.01)
    assert found.scr == pytest.approx(6, abs=0.01)
    dark = scr(200 - chessboard(device), torch.tensor([29.0, 29, 3, 3]))
    assert dark == pytest.approx(found.scr)


def test_pixels_whose_middle_is_inside_belong_to_the_box() -> None:
    frame, exact = chessboard(), local_contrast(chessboard(), torch.tensor([29.0, 29, 3, 3]))
    assert local_contrast(frame, torch.tensor([28.6, 29.4, 3, 3])) == exact
    assert local_contrast(frame, torch.tensor([28.4, 29, 3, 3])) != exact


def test_a_ring_at_the_border_is_clipped() -> None:
    frame = torch.zeros(30, 30)
    frame[:, 10:] = 1000
    frame[:4, :4] = torch.arange(16.0).reshape(4, 4)
    found = local_contrast(frame, torch.tensor([0, 0, 2, 2]), ring_px=2)
    ring = frame[:4, :4].double().flatten()[[2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]]
    assert found.background_mean == ring.mean().item()
    assert found.background_deviation == pytest.approx(ring.std(correction=0).item())
    # a target that is half outside counts with what is inside
    assert local_contrast(frame, torch.tensor([-2, -2, 4, 4]), ring_px=2) == found


def test_a_guard_and_other_targets_are_no_background() -> None:
    frame, box = chessboard(), torch.tensor([29.0, 29, 3, 3])
    exact = local_contrast(frame, box)
    blurred = frame.clone()
    blurred[28:33, 28:33] = 130
    blurred[29:32, 29:32] = 160
    assert local_contrast(blurred, box, guard_px=1).background_deviation == pytest.approx(10, abs=0.01)
    assert local_contrast(blurred, box).background_deviation > 10.2
    other = torch.zeros(61, 61, dtype=torch.bool)
    other[20:23, 40:44] = True
    crowded = torch.where(other, 250, frame)
    assert local_contrast(crowded, box, ignored=other).background_deviation == pytest.approx(10, abs=0.01)
    assert local_contrast(crowded, box).background_deviation > 12
    # what is ignored inside the box counts all the same
    assert local_contrast(frame, box, ignored=torch.zeros_like(other)) == exact
    covering = torch.zeros_like(other)
    covering[29:32, 29:32] = True
    assert local_contrast(frame, box, ignored=covering) == exact
    with pytest.raises(SpecError, match="above guard_px"):
        local_contrast(frame, box, guard_px=20)
    with pytest.raises(ShapeError, match="ignored must be bool"):
        local_contrast(frame, box, ignored=frame)
    with pytest.raises(ShapeError, match="leave some background"):
        local_contrast(frame, box, ignored=torch.ones_like(other))


def test_flat_surroundings_give_the_cap_and_no_target_gives_nothing() -> None:
    frame, box = torch.zeros(40, 40), torch.tensor([20, 20, 3, 3])
    assert scr(frame, box) == 0
    assert snr_db(frame, box) == -math.inf
    flat = frame.clone()
    flat[20:23, 20:23] = 9
    assert scr(flat, box) == SCR.best
    assert background_suppression_factor(chessboard(), torch.zeros(61, 61), box) == SCR.best
    assert background_suppression_factor(frame, flat, box) == 0


@pytest.mark.parametrize(
    ("frame", "box", "message"),
    [
        (torch.zeros(2, 9, 9), (1, 1, 2, 2), "measure frame by frame"),
        (torch.zeros(9, 9), (1, 1, 0, 2), "some width and height"),
        (torch.zeros(9, 9), (1, math.nan, 1, 2), "some width and height"),
        (torch.zeros(9, 9), (20, 20, 2, 2), "must cover the middle of a pixel"),
        (torch.zeros(9, 9), (0, 0, 9, 9), "leave some background around it"),
        (torch.full((9, 9), math.nan), (1, 1, 2, 2), "finite numbers around the box"),
    ],
)
def test_wrong_frames_and_boxes_are_refused(frame: Tensor, box: tuple[float, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        scr(frame, torch.tensor(box))


def test_other_mistakes_are_refused() -> None:
    with pytest.raises(ShapeError, match="one size"):
        scr_gain(torch.zeros(9, 9), torch.zeros(9, 8), torch.tensor([1, 1, 2, 2]))
    with pytest.raises(SpecError, match="ring_px must be at least 1"):
        scr(torch.zeros(9, 9), torch.tensor([1, 1, 2, 2]), ring_px=0)
    with pytest.raises(ShapeError, match="bool"):
        count_detections(torch.zeros(9, 9), torch.zeros(1, 2))
    with pytest.raises(ShapeError, match=r"\(N, 2\)"):
        count_detections(torch.zeros(9, 9) > 0, torch.zeros(2))
    with pytest.raises(DataMissing, match="no target to find"):
        _ = DetectionCounts(0, 0, 3, 100).pd


def test_detections_by_hand() -> None:
    detected = torch.zeros(30, 40, dtype=torch.bool)
    detected[10:13, 20:23] = True  # centre (21, 11)
    detected[20, 5] = detected[21, 6] = True  # one patch over the corner, centre (5.5, 20.5)
    detected[2:4, 30:34] = True  # false
    centres = torch.tensor([[21.0, 14.0], [21, 11], [5, 20], [38, 28]])
    counts = count_detections(detected, centres)
    # the first target, 3 px away, takes the patch; the second finds none free
    assert counts == DetectionCounts(4, 2, 8, 1200)
    assert counts.pd == 0.5
    assert counts.fa == 8 / 1200
    assert count_detections(detected, centres, match_px=2.9).num_found == 2
    assert count_detections(detected, torch.zeros(0, 2)) == DetectionCounts(0, 0, 19, 1200)
    assert count_detections(torch.zeros_like(detected), centres) == DetectionCounts(4, 0, 0, 1200)
    both = counts + DetectionCounts(1, 1, 0, 1200)
    assert (both.pd, both.fa) == (3 / 5, 8 / 2400)
    assert (PD.better, FA.better) == ("higher", "lower")


def test_patches_are_those_of_scikit_image() -> None:
    generator = torch.Generator().manual_seed(3)
    detected = torch.rand(60, 80, generator=generator) > 0.93
    centres = torch.rand(12, 2, generator=generator) * 60
    patches = regionprops(label(detected.numpy(), connectivity=2))
    free, found = list(patches), 0
    for x, y in centres.tolist():
        near = sorted(free, key=lambda patch: math.dist(patch.centroid, (y, x)))
        if near and math.dist(near[0].centroid, (y, x)) <= 3:
            free.remove(near[0])
            found += 1
    counts = count_detections(detected, centres)
    assert counts == DetectionCounts(12, found, int(sum(patch.area for patch in free)), 4800)
    assert 0 < found < 12
