"""Kernels at the start, and the loss that holds them: golden values, the minimum of both forms."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lib.context_reg.directional import initial_kernels, kernel_loss
from lib.errors import ShapeError, SpecError

INITIALISATIONS = ["differences", "kirsch", "random"]
PAPER = {"norm_weight": 1000.0, "sum_weight": 1000.0}


@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_kernels_have_norm_one_and_sum_zero(initialisation) -> None:
    kernels = initial_kernels(initialisation)
    assert torch.allclose(kernels.square().sum(dim=(1, 2)), torch.ones(len(kernels), dtype=torch.float64))
    assert kernels.sum(dim=(1, 2)).abs().max() < 1e-15
    assert kernel_loss(kernels, form="recommended", **PAPER).item() < 1e-20


def test_numbers_of_kernels() -> None:
    assert [len(initial_kernels(name)) for name in INITIALISATIONS] == [8, 9, 8]
    assert initial_kernels("random", num_kernels=13).shape == (13, 3, 3)
    four = initial_kernels("differences", num_kernels=4)
    both = torch.cat([four, four.flip(1, 2)])
    assert len(torch.unique(both, dim=0)) == 8
    with pytest.raises(SpecError, match=r"kirsch has 9 kernels: got num_kernels=10"):
        initial_kernels("kirsch", num_kernels=10)


def test_random_kernels_follow_their_seed() -> None:
    assert torch.equal(initial_kernels("random", seed=3), initial_kernels("random", seed=3))
    assert not torch.equal(initial_kernels("random", seed=3), initial_kernels("random", seed=4))


def test_both_initialisations_are_the_golden_ones(golden: Callable[[str], Any]) -> None:
    stored = golden("segmentation/segmentation.npz")
    for case, initialisation in ((0, "differences"), (1, "kirsch")):
        expected = torch.from_numpy(stored[f"ctx{case}_kernels"])
        assert torch.allclose(initial_kernels(initialisation), expected, atol=1e-15)


@pytest.mark.parametrize("case", range(4))
def test_kernel_losses_and_gradients_are_the_golden_ones(case: int, golden: Callable[[str], Any]) -> None:
    stored, numbers = golden("segmentation/segmentation.npz"), golden("segmentation/segmentation.json")
    for form, name in (("printed", "printed"), ("recommended", "zero_sum")):
        kernels = torch.from_numpy(stored[f"ctx{case}_kernels"]).requires_grad_()
        loss = kernel_loss(kernels, form=form, **PAPER)
        loss.backward()
        assert loss.item() == pytest.approx(numbers["context"][case][f"l_k_{name}"], rel=1e-9, abs=1e-20)
        expected = torch.from_numpy(stored[f"ctx{case}_grad_lk_{name}"])
        assert torch.allclose(kernels.grad, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("form", "energy"), [("recommended", 1.0), ("printed", 0.5)])
def test_where_the_minimum_lies(form, energy: float) -> None:
    """The printed form pulls the squared norm to 1 - beta / (2 alpha)."""
    kernels = 0.8 * initial_kernels("differences")
    for _ in range(60):
        kernels.requires_grad_()
        (slope,) = torch.autograd.grad(kernel_loss(kernels, form=form, **PAPER), kernels)
        kernels = kernels.detach() - 1e-4 * slope
    assert torch.allclose(kernels.square().sum(dim=(1, 2)), torch.full((8,), energy, dtype=torch.float64))


def test_shape_is_checked() -> None:
    with pytest.raises(ShapeError, match=r"\(J, 3, 3\): got \(8, 9\)"):
        kernel_loss(torch.zeros(8, 9), form="printed", **PAPER)
