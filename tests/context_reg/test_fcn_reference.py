"""FCN-32s at full width against the reference; in a file of its own, because its 134 million weights take a while."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lib.context_reg.fcn import FCN32s
from tests.context_reg.network_reference import CASES, STORED, assert_within, numbers, picture


@pytest.mark.slow
@torch.no_grad()
def test_fcn_agrees_with_the_reference(golden: Callable[[str], Any]) -> None:
    stored, case = golden(STORED), golden(CASES)["fcn"]
    network = FCN32s(40).eval()
    weights = numbers(golden("segmentation/fcn32s_procedural.json"))
    network.load_state_dict(weights)
    prepared = network.input(picture(stored["fcn_rgb"])) * case["input_scale"]
    pooled = network.pool5(prepared)
    assert_within(pooled[0, :8], stored["fcn_pool5_first8"], 1e-3)
    scores = network.score(prepared)
    assert_within(scores[0], stored["fcn_score_fr"], 1e-3)
    fine = network.upscore(scores)
    assert list(fine.shape[-2:]) == case["upscore_size"]
    result = network.cropped(fine, tuple(case["size"]))
    assert_within(result[0, :, ::8, ::8], stored["fcn_upscore_stride8"], 1e-3)
    # the two best classes are at least 1e-4 apart, ten times what float32 leaves
    assert torch.equal(result[0].argmax(0), torch.from_numpy(stored["fcn_argmax"]).long())
    label = torch.from_numpy(stored["fcn_label"]).long()[None]
    loss = F.cross_entropy(result.double(), label, ignore_index=255, reduction="sum").item()
    assert loss == pytest.approx(case["softmax_loss_sum"], rel=1e-5)
