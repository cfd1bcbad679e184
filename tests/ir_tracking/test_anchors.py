"""Anchors, overlaps and what each anchor is asked, by hand and against torchvision."""

import pytest
import torch
from torchvision.ops import box_iou

from lib.ir_tracking.anchors import anchor_grid, anchor_targets, overlap, to_centres, to_corners
from lib.ir_tracking.network_settings import NetworkSettings

SMALL = NetworkSettings.small()


def test_grid_is_centred_and_goes_right_then_down() -> None:
    grid = anchor_grid(SMALL, 17)
    assert grid.shape == (4, SMALL.num_anchors, 17, 17)
    assert grid[:2, 0, 8, 8].tolist() == [0, 0]
    assert grid[:2, 0, 8, 9].tolist() == [SMALL.stride, 0]
    assert grid[:2, 0, 9, 8].tolist() == [0, SMALL.stride]


def test_overlap_is_torchvisions(device: torch.device) -> None:
    generator = torch.Generator().manual_seed(2)
    first = torch.rand(20, 2, generator=generator) * 10
    boxes = torch.cat([first, first + 1 + 9 * torch.rand(20, 2, generator=generator)], dim=1).to(device)
    ours = overlap(boxes.T[:, :, None], boxes.T[:, None, :])
    torch.testing.assert_close(ours, box_iou(boxes, boxes))


def test_corners_and_centres_are_inverse() -> None:
    boxes = torch.rand(4, 5) + 1
    torch.testing.assert_close(to_centres(to_corners(boxes)), boxes)


def test_offsets_lead_from_the_anchor_to_the_target() -> None:
    grid = anchor_grid(SMALL, 17)
    target = torch.tensor([5.0, -3.0, 9.0, 12.0])
    found = anchor_targets(grid, target, stride=SMALL.stride)
    back = torch.cat([found.offsets[:2] * grid[2:] + grid[:2], found.offsets[2:].exp() * grid[2:]])
    torch.testing.assert_close(back, target[:, None, None, None].expand_as(grid), atol=1e-4, rtol=1e-4)


def test_a_target_between_cells_teaches_only_with_at_least_best() -> None:
    settings = SMALL.but(scales=(2.5,), ratios=(1,))
    grid = anchor_grid(settings, 17)
    target = torch.tensor([2.0, 2.0, 5.0, 16.0])
    assert int((anchor_targets(grid, target, stride=4).classes == 1).sum()) == 0
    best = anchor_targets(grid, target, stride=4, at_least_best=True)
    assert int((best.classes == 1).sum()) >= 1
    shares = overlap(to_corners(grid), to_corners(target[:, None, None, None]))
    assert bool((shares[best.classes == 1] == shares.max()).all())


def test_a_target_far_outside_teaches_background_only() -> None:
    grid = anchor_grid(SMALL, 17)
    found = anchor_targets(grid, torch.tensor([500.0, 0.0, 9.0, 9.0]), stride=4, at_least_best=True)
    assert int((found.classes == 1).sum()) == 0
    assert float(found.weights.sum()) == 0


def test_draws_follow_the_generator() -> None:
    grid = anchor_grid(SMALL, 17)
    target = torch.tensor([1.0, 2.0, 9.0, 9.0])
    first, again, other = (
        anchor_targets(grid, target, stride=4, generator=torch.Generator().manual_seed(seed)).classes
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert int((first == 0).sum()) == 48


def test_weights_sum_to_one() -> None:
    grid = anchor_grid(NetworkSettings.paper(), 17)
    found = anchor_targets(grid, torch.tensor([0.0, 0.0, 64.0, 64.0]), stride=8)
    assert float(found.weights.sum()) == pytest.approx(1, abs=1e-5)
