"""Forward-backward occlusion."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lib.errors import ShapeError
from lib.flow import occlusion


def test_consistent_shift_hides_only_what_leaves_the_picture(device: torch.device) -> None:
    flow = torch.zeros(1, 2, 10, 20, device=device)
    flow[:, 0] = 3
    expected = torch.zeros(1, 10, 20, dtype=torch.bool, device=device)
    expected[..., -3:] = True
    assert torch.equal(occlusion(flow, -flow), expected)


def test_threshold_by_hand() -> None:
    # |f + b|^2 = 1 against 0.01 (|f|^2 + |b|^2) + 0.5: 0.5 for a still way back, 1.31 for vectors of 5 and 8 px
    there, back = torch.zeros(1, 2, 3, 30), torch.zeros(1, 2, 3, 30)
    back[:, 0] = 1
    assert occlusion(there, back).all()
    there[:, 0], back[:, 0] = 8, -7
    assert not occlusion(there, back)[..., :20].any()


def test_agrees_with_golden_mask(golden: Callable[[str], Any]) -> None:
    stored = golden("flow/unsup_flow_losses.npz")
    forward, backward = (torch.from_numpy(stored[name])[None] for name in ("flow_fw", "flow_bw"))
    np.testing.assert_array_equal(occlusion(forward, backward)[0].numpy(), stored["occ_bidirectional"].astype(bool))


def test_bad_arguments_are_named() -> None:
    flow = torch.zeros(1, 2, 4, 5)
    with pytest.raises(ShapeError, match="share a grid"):
        occlusion(flow, flow[..., 1:])
    with pytest.raises(ShapeError, match="one shape"):
        occlusion(flow, flow.repeat(2, 1, 1, 1))
    with pytest.raises(ShapeError, match="finite"):
        occlusion(flow, flow / 0)
    with pytest.raises(ShapeError, match="finite"):
        occlusion(flow / 0, flow)
