"""Overlap and centre error against the published code's numbers, torchvision and counts by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_convert
from torchvision.ops import box_iou as torchvision_iou

from lib.errors import DataMissing, ShapeError, SpecError
from lib.metrics import (
    AOR,
    PRECISION_3,
    average_overlap,
    box_iou,
    centre_error,
    mean_of_tracks,
    precision_curve,
    success_curve,
    tracking_scores,
)

NAN = math.nan


def boxes(*rows: tuple[float, float, float, float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_curves_of_the_published_code(golden: Callable[[str], Any], number: int) -> None:
    stored, expected = golden("tracking/tracking.npz"), golden("tracking/tracking.json")["curves"][number]
    found, truths = (torch.from_numpy(stored[f"curve{number}_{name}"]) for name in ("pred", "gt"))
    assert success_curve(found, truths, protocol="pysot").tolist() == expected["success"]
    assert success_curve(found, truths, protocol="pysot").mean().item() == pytest.approx(expected["auc"], abs=1e-12)
    assert precision_curve(found, truths, protocol="pysot").tolist() == expected["precision"]
    assert average_overlap(found, truths) == pytest.approx(expected["AOR_valid_frames"], abs=1e-12)
    has_size = (truths[:, 2:] > 0).all(dim=1)
    overlap = torch.from_numpy(stored[f"curve{number}_iou"])
    torch.testing.assert_close(box_iou(found, truths)[has_size], overlap[has_size], rtol=0, atol=1e-12)
    scores = tracking_scores(found, truths)
    if not expected["invalid_size"] and not expected["invalid_centre"]:
        assert scores.success_auc == pytest.approx(expected["auc"], abs=1e-12)
        assert scores.precision_3 == expected["precision3"]
        assert scores.precision_5 == expected["precision5"]
        assert scores.precision_20 == expected["precision20"]
    if expected["invalid_centre"]:
        assert scores.precision_3 < expected["precision3"]


SIDES = st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.1, 30), st.floats(0.1, 30))


@given(st.lists(SIDES, min_size=2, max_size=2))
def test_overlap_is_torchvisions(pair: list[tuple[float, float, float, float]]) -> None:
    first, second = boxes(pair[0]), boxes(pair[1])
    corners = [box_convert(one, "xywh", "xyxy") for one in (first, second)]
    torch.testing.assert_close(box_iou(first, second), torchvision_iou(*corners)[0], rtol=1e-9, atol=1e-9)
    assert torch.equal(box_iou(first, second), box_iou(second, first))
    torch.testing.assert_close(box_iou(first, first), torch.ones(1, dtype=torch.float64))


def test_overlap_by_hand(device: torch.device) -> None:
    truths = boxes((0, 0, 4, 4), (0, 0, 4, 4), (0, 0, 4, 4), (0, 0, 0, 0), (1, 1, 2, 2)).float().to(device)
    found = boxes((2, 0, 4, 4), (4, 0, 4, 4), (NAN, 0, 4, 4), (0, 0, 0, 0), (1, 1, 2, -2)).float().to(device)
    assert box_iou(found, truths).tolist() == pytest.approx([8 / 24, 0, 0, 0, 0])


def test_centres_by_hand() -> None:
    # 3x3 at (10, 10) and 5x4 at (13, 13): centres (11, 11) and (15, 14.5)
    assert centre_error(boxes((13, 13, 5, 4)), boxes((10, 10, 3, 3))).item() == pytest.approx(math.hypot(4, 3.5))
    assert centre_error(boxes((NAN, 0, 1, 1)), boxes((0, 0, 1, 1))).item() == math.inf


def test_frames_without_truth_do_not_count_in_the_sound_protocol() -> None:
    truths = boxes((10, 10, 4, 4), (10, 10, 0, 0), (-9, 10, 4, 4), (NAN, NAN, NAN, NAN))
    found = boxes((10, 10, 4, 4), (10, 10, 4, 4), (50, 50, 4, 4), (0, 0, 1, 1))
    assert precision_curve(found, truths).tolist() == [1.0] * 51
    assert precision_curve(found, truths, protocol="pysot")[0].item() == pytest.approx(3 / 4)
    assert success_curve(found, truths)[10].item() == pytest.approx(1 / 2)
    assert success_curve(found, truths, protocol="pysot")[10].item() == pytest.approx(1 / 4)
    assert success_curve(found, truths)[-1].item() == 0
    assert average_overlap(found, truths) == pytest.approx(1 / 2)


def test_a_lost_target_is_a_miss() -> None:
    truths = boxes(*[(10, 10, 3, 3)] * 4)
    found = boxes((10, 10, 3, 3), (13, 10, 3, 3), (NAN, NAN, NAN, NAN), (NAN, NAN, NAN, NAN))
    scores = tracking_scores(found, truths)
    assert scores.precision_3 == 0.5
    assert scores.precision_20 == 0.5
    assert scores.aor == 0.25
    assert precision_curve(found, truths)[[0, 2, 3]].tolist() == [0.25, 0.25, 0.5]


def test_sequences_count_once() -> None:
    truth = boxes((10, 10, 3, 3))
    perfect = tracking_scores(truth, truth)
    lost = tracking_scores(boxes((40, 40, 3, 3)).expand(9, 4), truth.expand(9, 4))
    mean = mean_of_tracks([perfect, lost])
    assert (mean.aor, mean.precision_20) == (0.5, 0.5)
    assert mean.centre_error == pytest.approx(math.hypot(30, 30) / 2)
    # the last threshold is 1 and IoU must be above it
    assert perfect.success_auc == pytest.approx(20 / 21)


def test_wrong_boxes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"one shape: got \(2, 4\) and \(1, 4\)"):
        box_iou(torch.zeros(2, 4), torch.zeros(1, 4))
    with pytest.raises(ShapeError, match=r"x, y, w, h in pixels: got \(2, 5\)"):
        success_curve(torch.zeros(2, 5), torch.zeros(2, 5))
    with pytest.raises(ShapeError, match="target by target"):
        precision_curve(torch.ones(2, 3, 4), torch.ones(2, 3, 4))
    with pytest.raises(ShapeError, match="got list"):
        centre_error([0], torch.zeros(1, 4))  # type: ignore[arg-type]
    with pytest.raises(DataMissing, match="none has a true box"):
        tracking_scores(torch.ones(3, 4), torch.zeros(3, 4))
    with pytest.raises(SpecError, match="valid, pysot: got 'otb'"):
        success_curve(torch.ones(3, 4), torch.ones(3, 4), protocol="otb")  # type: ignore[arg-type]
    with pytest.raises(DataMissing, match="at least one"):
        mean_of_tracks([])


def test_measures_name_their_protocol() -> None:
    assert "mean IoU" in AOR.protocol
    assert "at most 3 px" in PRECISION_3.protocol
    assert PRECISION_3.better == "higher"
