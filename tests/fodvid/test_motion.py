"""Flow as patch features: the authors' colours, and the descriptor's angles."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lib.errors import ShapeError
from lib.fodvid.motion import flow_picture, motion_descriptor


@pytest.mark.parametrize("idx", range(4))
def test_picture_agrees_with_the_reference(golden: Callable[[str], Any], idx: int) -> None:
    data = golden("graphcut/flow_colour.npz")
    flow = torch.from_numpy(data[f"flow{idx}"]).permute(2, 0, 1)[None]
    picture = flow_picture(flow, (flow.shape[2], flow.shape[3]))[0].permute(1, 2, 0) * 255
    assert np.abs(picture.round().numpy() - data[f"rgb{idx}_wheel0based"]).max() <= 1


def test_picture_scales_with_the_longest_vector_but_not_below_the_floor() -> None:
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0, 4:8, 4:8] = 0.1
    assert flow_picture(flow, (16, 16))[0, 1, 5, 5] < 0.1  # red
    faint = flow_picture(flow, (16, 16), still_px=1.0)
    assert faint[0, 1, 5, 5] > 0.85
    assert torch.all(faint[0, :, 0, 0] == 1)  # what rests is white
    assert flow_picture(flow, (32, 48)).shape == (1, 3, 32, 48)
    assert torch.all(flow_picture(torch.zeros(1, 2, 8, 8), (8, 8)) == 1)


def test_descriptor_by_hand(device: torch.device) -> None:
    flow = torch.zeros(1, 2, 4, 8, device=device)
    flow[:, 0, :2, :2] = 4.0  # right, the longest: on the equator
    flow[:, 1, 2:, 2:4] = -2.0  # up, half as long: halfway
    tokens = motion_descriptor(flow, (2, 4))
    half = 0.5**0.5
    expected = torch.tensor([[1.0, 0, 0]] * 8)
    expected[0] = torch.tensor([0.0, 1, 0])
    expected[5] = torch.tensor([half, 0, -half])
    assert torch.allclose(tokens.cpu(), expected, atol=1e-6)
    assert tokens.norm(dim=1).cpu() == pytest.approx(torch.ones(8), abs=1e-6)


def test_descriptor_turns_with_the_flow_and_ignores_its_scale() -> None:
    flow = torch.randn(1, 2, 12, 16, generator=torch.Generator().manual_seed(0))
    cosines = [tokens @ tokens.T for tokens in (motion_descriptor(f, (6, 8)) for f in (flow, 3 * flow, flow.flip(1)))]
    assert torch.allclose(cosines[0], cosines[1], atol=1e-5)
    assert torch.allclose(cosines[0], cosines[2], atol=1e-5)


def test_descriptor_of_stillness_is_the_pole() -> None:
    pole = torch.tensor([1.0, 0, 0]).expand(12, 3)
    assert torch.equal(motion_descriptor(torch.zeros(1, 2, 6, 8), (3, 4)), pole)
    faint = motion_descriptor(torch.full((1, 2, 6, 8), 1e-3), (3, 4), still_px=0.5)
    assert torch.allclose(faint, pole, atol=0.01)


@pytest.mark.parametrize("flow", [torch.zeros(2, 4, 4), torch.zeros(1, 3, 4, 4), torch.full((1, 2, 4, 4), torch.nan)])
def test_bad_flow(flow: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match="flow must"):
        motion_descriptor(flow, (2, 2))
