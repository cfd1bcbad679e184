"""Segmentation scores: the reference's counts, the rule for absent classes, boundaries and small objects by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.errors import DataMissing, ShapeError
from lib.metrics.segmentation import (
    SegmentationMeter,
    boundary_matches,
    confusion_matrix,
    segmentation_scores,
    small_object_overlap,
)


@pytest.mark.parametrize("case", range(4))
def test_agrees_with_the_reference(golden: Callable[[str], Any], case: int, device: torch.device) -> None:
    arrays, expected = golden("segmentation/segmentation.npz"), golden("segmentation/segmentation.json")["confusion"]
    found = expected[case]
    meter = SegmentationMeter(found["classes"], details=False)
    for idx in range(3):
        truth, prediction = (torch.from_numpy(arrays[f"cm{case}_{name}{idx}"]).to(device) for name in ("gt", "pred"))
        meter.add(prediction, truth)
    assert meter.matrix.tolist() == found["hist"]
    scores = segmentation_scores(meter.matrix)
    assert scores.pixel_accuracy == pytest.approx(found["pixel_acc"], rel=1e-12)
    assert scores.mean_accuracy == pytest.approx(found["mean_acc"], rel=1e-12)
    assert scores.mean_iu == pytest.approx(found["mean_iu_fcn_official"], rel=1e-12)
    assert scores.fw_iu == pytest.approx(found["fw_iu"], rel=1e-12)
    for ours, theirs in zip(scores.iu, found["iu"], strict=True):
        assert math.isnan(ours) if theirs is None else ours == pytest.approx(theirs, rel=1e-12)


def test_matrix_agrees_with_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    generator = torch.Generator().manual_seed(0)
    prediction, truth = (torch.randint(0, 5, (9, 11), generator=generator) for _ in range(2))
    truth[2:4] = 255
    ours = confusion_matrix(prediction, truth, num_classes=5)
    assert torch.equal(ours, multiclass_confusion_matrix(prediction, truth, num_classes=5, ignore_index=255))


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    scores = segmentation_scores(torch.tensor([[3, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert scores.mean_iu == pytest.approx((3 / 4 + 0) / 2)
    assert scores.mean_accuracy == pytest.approx(3 / 4)
    assert scores.fw_iu == pytest.approx(3 / 4)
    assert math.isnan(scores.iu[2])


def halves(column: int) -> Tensor:
    """Class 0 left of the column, class 1 from it on, (20, 40)."""
    return (torch.arange(40) >= column).long().expand(20, 40)


def test_boundaries_match_within_the_tolerance_only() -> None:
    diagonal = math.hypot(20, 40)
    for tolerance_px, expected in ((1, 0), (2, 20), (3, 20)):
        found = boundary_matches(halves(20), halves(22), num_classes=2, tolerance=tolerance_px / diagonal)
        assert found.ours.tolist() == found.theirs.tolist() == [20, 20]
        assert found.ours_matched.tolist() == found.theirs_matched.tolist() == [expected, expected]


def test_boundaries_beside_void_are_none() -> None:
    truth = halves(20).clone()
    truth[:, 20:] = 255
    found = boundary_matches(halves(10), truth, num_classes=2)
    assert found.theirs.tolist() == [0, 0]
    assert found.ours.tolist() == [20, 20]  # the prediction's own, inside class 0
    assert boundary_matches(halves(20), truth, num_classes=2).ours.tolist() == [0, 0]


def test_small_objects_by_hand() -> None:
    truth = torch.zeros(40, 50, dtype=torch.long)
    truth[5:8, 5:8] = 1  # 9 of 2000 pixels: small
    truth[20:, 20:] = 1  # large
    prediction = torch.zeros_like(truth)
    prediction[6:9, 5:8] = 1  # 6 of 9, and 3 beside it
    prediction[0, 49] = 1  # far away from it
    found = small_object_overlap(prediction, truth, num_classes=3)
    assert found.intersection.tolist() == [0, 6, 0]
    assert found.union.tolist() == [0, 12, 0]
    truth[8] = 255
    assert small_object_overlap(prediction, truth, num_classes=3).union.tolist() == [0, 9, 0]


def test_the_truth_itself_scores_a_hundred_and_a_shift_less() -> None:
    truth = torch.zeros(40, 50, dtype=torch.long)
    truth[5:8, 5:8], truth[20:, 20:] = 1, 2
    perfect, shifted = SegmentationMeter(3), SegmentationMeter(3)
    perfect.add(truth, truth)
    shifted.add(truth.roll(3, 1), truth)
    assert perfect.scores() == pytest.approx(dict.fromkeys(perfect.scores(), 100.0))
    assert len(perfect.scores()) == 6
    assert all(shifted.scores()[name] < 100 for name in perfect.scores())
    assert shifted.scores()["small-object IU"] == 0


def test_mean_boundary_f_is_over_classes_of_the_set() -> None:
    meter = SegmentationMeter(3)
    meter.add(halves(20), halves(20))
    meter.add(torch.zeros(20, 40, dtype=torch.long), halves(20))
    # each class: precision 1, recall one half; the third is nowhere
    assert meter.scores()["boundary F"] == pytest.approx(100 * 2 / 3)
    assert math.isnan(meter.scores()["small-object IU"])


def test_bad_labels_get_one_sentence() -> None:
    truth = torch.zeros(4, 5, dtype=torch.long)
    with pytest.raises(ShapeError, match="one size"):
        confusion_matrix(truth[1:], truth, num_classes=2)
    with pytest.raises(ShapeError, match=r"truth must hold classes 0\.\.1"):
        confusion_matrix(truth, truth + 2, num_classes=2)
    with pytest.raises(ShapeError, match="prediction must hold"):
        confusion_matrix(truth - 1, truth, num_classes=2)
    with pytest.raises(ShapeError, match="argmax"):
        confusion_matrix(truth.float(), truth, num_classes=2)
    void = confusion_matrix(truth, truth + 255, num_classes=2)
    with pytest.raises(DataMissing, match="void"):
        segmentation_scores(void)
