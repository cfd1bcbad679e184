"""End-point error and outliers, by hand."""

import pytest
import torch

from lib.errors import ShapeError
from lib.flow import endpoint_error, endpoint_error_map, outlier_fraction

TRUTH = torch.zeros(1, 2, 2, 2)
# lengths 5, 0, 13, 1
FLOW = torch.tensor([[[[3.0, 0.0], [5.0, -1.0]], [[4.0, 0.0], [12.0, 0.0]]]])


def test_errors_by_hand(device: torch.device) -> None:
    flow, truth = FLOW.to(device), TRUTH.to(device)
    assert endpoint_error_map(flow, truth).tolist() == [[[5.0, 0.0], [13.0, 1.0]]]
    assert endpoint_error(flow, truth) == 19 / 4
    assert outlier_fraction(flow, truth) == 0.5
    assert outlier_fraction(flow, truth, threshold_px=5.0) == 0.25
    assert endpoint_error(flow, flow) == 0


def test_only_valid_pixels_count() -> None:
    valid = torch.tensor([[True, True], [False, True]])
    unknown = TRUTH.clone()
    unknown[..., 1, 0] = float("nan")
    assert endpoint_error(FLOW, unknown, valid=valid) == 2
    assert endpoint_error(FLOW, unknown, valid=valid[None]) == 2
    assert outlier_fraction(FLOW, unknown, valid=valid) == pytest.approx(1 / 3)


def test_mask_of_one_picture_serves_a_batch() -> None:
    valid = torch.tensor([[True, False], [False, False]])
    assert endpoint_error(FLOW.repeat(3, 1, 1, 1), TRUTH.repeat(3, 1, 1, 1), valid=valid) == 5


def test_same_offset_on_both_changes_nothing() -> None:
    assert endpoint_error(FLOW + 8, TRUTH + 8) == endpoint_error(FLOW, TRUTH)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ShapeError, match="finite"):
        endpoint_error(FLOW / 0, TRUTH)
    with pytest.raises(ShapeError, match="at least one pixel: got none"):
        endpoint_error(FLOW, TRUTH, valid=torch.zeros(2, 2, dtype=torch.bool))
    with pytest.raises(ShapeError, match="valid must be bool"):
        endpoint_error(FLOW, TRUTH, valid=torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ShapeError, match="valid must be bool"):
        endpoint_error(FLOW, TRUTH, valid=torch.ones(2, 2))
    with pytest.raises(ShapeError, match=r"\(B, 2, H, W\)"):
        endpoint_error(FLOW[:, :1], TRUTH[:, :1])
    with pytest.raises(ShapeError, match="share a grid"):
        endpoint_error(FLOW, TRUTH[..., :1])
