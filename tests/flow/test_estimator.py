"""What every estimator shares: padding and cropping, forms, devices, options and what goes into records."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lib.data.weights
from lib.errors import LabError, ShapeError, SpecError, Unavailable
from lib.flow import FlowEstimator, estimate_downscaled, load_flow
from lib.flow.estimator import NAMES


class Recorder(nn.Module):
    """Gives the position of each pixel as its flow, and keeps what it was shown."""

    multiple = 8
    smallest_px = 32

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        self.seen = a, b
        x = torch.arange(a.shape[-1], device=a.device).expand(a.shape[-2:])
        y = torch.arange(a.shape[-2], device=a.device)[:, None].expand(a.shape[-2:])
        return torch.stack((x, y)).float().expand(len(a), 2, *a.shape[-2:])


def pictures(*size: int) -> tuple[Tensor, Tensor]:
    first, second = torch.rand(2, *size, generator=torch.Generator().manual_seed(0))
    return first, second


@pytest.mark.parametrize(
    ("size", "padded", "corner"),
    [
        ((40, 32), (40, 32), (0, 0)),
        ((41, 50), (48, 56), (3, 3)),
        ((1, 3), (32, 32), (15, 14)),
        ((32, 39), (32, 40), (0, 0)),
    ],
)
def test_pictures_are_padded_on_both_sides_and_the_flow_is_cropped_back(
    device: torch.device, size: tuple[int, int], padded: tuple[int, int], corner: tuple[int, int]
) -> None:
    first, second = (picture.to(device) for picture in pictures(2, 3, *size))
    network = Recorder()
    flow = FlowEstimator("recorder", network)(first, second)
    seen = network.seen[0]
    assert seen.shape == (2, 3, *padded)
    top, left = corner
    assert torch.equal(seen[..., top : top + size[0], left : left + size[1]], first)
    assert torch.equal(seen[..., 0, 0], first[..., 0, 0])
    assert torch.equal(seen[..., -1, -1], first[..., -1, -1])
    assert flow.shape == (2, 2, *size)
    assert flow[0, :, 0, 0].tolist() == [left, top]
    assert flow.device == first.device


def test_single_pictures_make_a_batch_of_one_in_float32() -> None:
    first, second = pictures(3, 9, 9)
    flow = FlowEstimator("recorder", Recorder())(first.double(), second.double())
    assert flow.shape == (1, 2, 9, 9)
    assert flow.dtype == torch.float32


def test_no_gradient_passes() -> None:
    first, second = pictures(1, 3, 33, 33)
    assert not FlowEstimator("recorder", Recorder())(first.requires_grad_(), second).requires_grad


def test_flow_that_is_not_finite_is_an_error() -> None:
    class Broken(Recorder):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return super().forward(a, b) / 0

    with pytest.raises(LabError, match=r"broken gave a flow that is not finite; its weights \(x\.pth\)"):
        FlowEstimator("broken", Broken(), "x.pth")(*pictures(3, 8, 8))


def test_bad_pictures_are_named() -> None:
    estimator = FlowEstimator("recorder", Recorder())
    first, second = pictures(2, 3, 8, 9)
    bad: list[tuple[Any, Any, str]] = [
        (first, second[..., 1:], "share a grid"),
        (first, second[:1], "as many pictures: got 2 and 1"),
        (first[0], second, "b must have 3 axes"),
        (first[:, :1], second[:, :1], "RGB with 3 channels"),
        (first * 2, second, r"within 0\.\.1"),
        (first, second * float("nan"), "finite"),
        (first, second.double(), "share dtype"),
        (first.numpy(), second, "torch tensor"),
        (first[..., :0], second[..., :0], "at least one pixel"),
    ]
    for a, b, message in bad:
        with pytest.raises(ShapeError, match=message):
            estimator(a, b)


def test_options_are_checked() -> None:
    with pytest.raises(SpecError, match=", ".join(NAMES)):
        load_flow("farneback")
    for name in ("dis", "gmflow"):
        with pytest.raises(SpecError, match="iterations is a whole number above 0 for raft and raft_small"):
            load_flow(name, iterations=3)
    for iterations in (0, 2.5):
        with pytest.raises(SpecError, match="above 0"):
            load_flow("raft", iterations=iterations)


def test_missing_weights_name_the_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lib.data.weights, "weights_folders", lambda: [tmp_path])
    with pytest.raises(Unavailable, match="nocturne weights raft_small --download"):
        load_flow("raft_small")


def test_dis_needs_no_weights() -> None:
    estimator = load_flow("dis")
    assert (estimator.name, estimator.weights) == ("dis", "")


def test_random_start_is_the_same_each_time_and_leaves_the_global_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = load_flow("raft_small", weights=None).network.state_dict()
    assert torch.equal(torch.rand(1), expected)
    second = load_flow("raft_small", weights=None)
    assert second.weights == "random start (seed 0)"
    assert all(torch.equal(first[key], value) for key, value in second.network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in second.network.parameters())
    assert not second.network.training


@pytest.mark.parametrize("name", ["arflow", "gmflow", "gmflow_refine"])
def test_networks_written_here_run_on_odd_sizes(name: Any) -> None:
    pytest.importorskip(f"lib.flow.{name.removesuffix('_refine')}", reason="this network is not written yet")
    assert load_flow(name, weights=None)(*pictures(3, 37, 65)).shape == (1, 2, 37, 65)


def test_downscaled_estimation_follows_the_paper(device: torch.device) -> None:
    first, second = (picture.to(device) for picture in pictures(1, 3, 31, 50))
    seen: list[Tensor] = []

    def estimator(a: Tensor, b: Tensor) -> Tensor:
        seen.extend((a, b))
        return torch.ones_like(a[:, :2])

    flow = estimate_downscaled(estimator, first, second)
    small = F.interpolate(first, size=(10, 16), mode="bilinear", align_corners=False, antialias=False)
    assert torch.equal(seen[0], small)
    assert seen[1].shape == (1, 3, 10, 16)
    assert flow.shape == (1, 2, 31, 50)
    # one small pixel is 50 / 16 wide and 31 / 10 high
    torch.testing.assert_close(flow[0, :, 5, 7].cpu(), torch.tensor([50 / 16, 3.1]))


def test_downscaling_by_one_is_the_estimate_itself() -> None:
    first, second = pictures(3, 40, 32)
    estimator = FlowEstimator("recorder", Recorder())
    assert torch.equal(estimate_downscaled(estimator, first, second, factor=1), estimator(first, second))
    for factor in (0, 33, 1.5):
        with pytest.raises(SpecError, match="factor must be a whole number from 1 to"):
            estimate_downscaled(estimator, first, second, factor=factor)
