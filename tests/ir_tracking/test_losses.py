"""Losses against the published code's values and gradients, and by hand."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lib.ir_tracking.losses import BOX_WEIGHT, BatchTargets, logistic_loss, near_cells, region_loss
from lib.ir_tracking.network import RegionMaps


def test_values_and_gradients_of_the_published_code(golden: Callable[[str], Any]) -> None:
    stored, values = golden("tracking/tracking.npz"), golden("tracking/tracking.json")["loss"]
    classes, offsets = (torch.from_numpy(stored[f"loss_{name}_map"]).requires_grad_() for name in ("cls", "loc"))
    targets = BatchTargets(*(torch.from_numpy(stored[f"loss_{name}"]) for name in ("label", "label_loc", "weight")))
    losses = region_loss(RegionMaps(classes, offsets), targets, box_loss="l1")
    assert losses["classes"].item() == pytest.approx(values["cls"], abs=1e-9)
    assert losses["boxes"].item() == pytest.approx(BOX_WEIGHT * values["loc"], abs=1e-9)
    total = losses["classes"] + losses["boxes"]
    assert total.item() == pytest.approx(values["total_1_0_cls_1_2_loc"], abs=1e-9)
    total.backward()
    assert classes.grad is not None
    assert offsets.grad is not None
    np.testing.assert_allclose(classes.grad, stored["loss_grad_cls"], atol=1e-12)
    # stored for the box loss with its weight or without it
    ratio = float(offsets.grad.abs().max()) / float(np.abs(stored["loss_grad_loc"]).max())
    assert ratio == pytest.approx(1, abs=1e-9) or ratio == pytest.approx(BOX_WEIGHT, abs=1e-9)
    np.testing.assert_allclose(offsets.grad / ratio, stored["loss_grad_loc"], atol=1e-12)


@pytest.mark.parametrize("box_loss", ["l1", "smooth_l1"])
def test_gradients_of_finite_differences(box_loss: Any) -> None:
    torch.manual_seed(0)
    classes, offsets = (torch.randn(2, width, 3, 3, dtype=torch.float64, requires_grad=True) for width in (4, 8))
    labels = torch.randint(-1, 2, (2, 2, 3, 3))
    targets = BatchTargets(labels, torch.randn(2, 4, 2, 3, 3), (labels == 1) / 3)

    def total(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(region_loss(RegionMaps(one, other), targets, box_loss=box_loss).values())).sum()

    assert torch.autograd.gradcheck(total, (classes, offsets))


def test_smooth_l1_by_hand() -> None:
    offsets = torch.zeros(1, 4, 1, 1)
    targets = BatchTargets(
        torch.ones(1, 1, 1, 1, dtype=torch.int64), torch.tensor([0.5, 2.0, 0.0, -1.0]).view(1, 4, 1, 1, 1),
        torch.ones(1, 1, 1, 1),
    )  # fmt: skip
    losses = region_loss(RegionMaps(torch.zeros(1, 2, 1, 1), offsets), targets)
    assert losses["boxes"].item() == pytest.approx(BOX_WEIGHT * (0.125 + 1.5 + 0.5))
    assert losses["classes"].item() == pytest.approx(math.log(2) / 2)


def test_logistic_loss_weighs_both_classes_the_same() -> None:
    classes = torch.tensor([[[1, 0, 0], [0, 0, -1]]])
    responses = torch.tensor([[[2.0, -1.0, 3.0], [0.0, 0.0, 50.0]]])
    softplus = [math.log1p(math.exp(value)) for value in (-2.0, -1.0, 3.0, 0.0, 0.0)]
    expected = softplus[0] / 2 + sum(softplus[1:]) / 4 / 2
    assert logistic_loss(responses, classes).item() == pytest.approx(expected, abs=1e-6)
    nothing = logistic_loss(responses, torch.full_like(classes, -1))
    assert nothing.item() == 0


def test_cells_near_a_target_are_two_strides_in_city_blocks() -> None:
    labels = near_cells(torch.tensor([4.0, 0.0, 9.0, 9.0]), stride=4, num_cells=7)[0]
    assert int(labels.sum()) == 13
    assert labels[3, 4] == labels[3, 6] == labels[1, 4] == labels[2, 5] == 1
    assert labels[1, 5] == 0
