"""The colour wheel: known directions, and the golden pictures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.flow import flow_to_rgb
from lib.flow.colour import colour_wheel


def colour_of(x: float, y: float, *, max_magnitude: float = 1.0) -> Tensor:
    return (
        (flow_to_rgb(torch.tensor([[[[x]], [[y]]]], dtype=torch.float32), max_magnitude=max_magnitude) * 255)
        .round()
        .flatten()
    )


def test_agrees_with_golden_pictures(golden: Callable[[str], Any]) -> None:
    stored = golden("graphcut/flow_colour.npz")
    np.testing.assert_allclose(colour_wheel().numpy() * 255, stored["wheel"], atol=1e-9)
    for index in range(4):
        flow = torch.from_numpy(stored[f"flow{index}"]).permute(2, 0, 1)[None]
        levels = (flow_to_rgb(flow)[0].permute(1, 2, 0) * 255).round().numpy()
        assert np.abs(levels - stored[f"rgb{index}_wheel0based"]).max() <= 1


def test_directions_have_their_colours() -> None:
    assert colour_of(0, 0).tolist() == [255, 255, 255]
    right, down, left, up = colour_of(1, 0), colour_of(0, 1), colour_of(-1, 0), colour_of(0, -1)
    assert right[0] == 255
    assert max(right[1:]) <= 1
    assert down[0] == 255
    assert down[1] > 200
    assert down[2] <= 1
    assert left[0] <= 1
    assert min(left[1:]) > 200
    assert up[2] == 255
    assert up[1] <= 1


def test_short_vectors_are_pale_and_long_ones_dark() -> None:
    assert colour_of(0.5, 0).tolist() == [255, 127, 127]
    assert colour_of(3, 0).tolist() == [191, 0, 0]


def test_each_field_of_a_batch_has_its_own_maximum(device: torch.device) -> None:
    flow = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(0)).to(device)
    together = flow_to_rgb(torch.cat((flow, 10 * flow)))
    torch.testing.assert_close(together[0], flow_to_rgb(flow)[0])
    # EPSILON_PX moves a colour by a level at most
    assert (together[0] - together[1]).abs().max() <= 1.01 / 255
    assert together.device == flow.device
    assert together.shape == (2, 3, 6, 8)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ShapeError, match="channels x and y"):
        flow_to_rgb(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ShapeError, match="finite"):
        flow_to_rgb(torch.full((1, 2, 4, 4), float("nan")))
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SpecError, match="above 0 pixels"):
            flow_to_rgb(torch.zeros(1, 2, 4, 4), max_magnitude=bad)
