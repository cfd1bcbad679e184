"""Cleaning of finished predictions: its gradient, how near the minimum it ends, what it does to rooms."""

import pytest
import torch
from torch import Tensor

from lib.context_reg import minimum
from lib.context_reg.cleaning import cleaned, predictions, scores
from lib.context_reg.context_loss import context_loss
from lib.context_reg.directional import initial_kernels
from lib.context_reg.minimum import free_minimum
from lib.context_reg.networks import load_network
from lib.context_reg.scenes import simulated_rooms
from lib.errors import ShapeError

KERNELS = initial_kernels("differences")


def random(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def both_losses(found: Tensor, start: Tensor, image: Tensor, *, weight: float, sigma: float) -> Tensor:
    """As the paper writes them: mean cross-entropy to `start`, and `weight` times the mean context loss."""
    cross_entropy = -(start * found.log()).sum(0).mean()
    scale = weight / image[0].numel()
    return cross_entropy + context_loss(found[None], image[None], KERNELS, KERNELS, sigma=sigma, scale=scale)


@pytest.mark.parametrize("size", [(7, 9), (1, 5), (6, 1), (2, 2), (1, 1)])
def test_its_gradient_is_that_of_cross_entropy_and_context_loss(size: tuple[int, int], device: torch.device) -> None:
    start, image = random(0, 3, *size).softmax(0).to(device), random(1, 3, *size).to(device)
    logits = random(2, 3, *size).to(device).requires_grad_()
    both_losses(logits.softmax(0), start, image, weight=2.0, sigma=0.3).backward()
    weights = [each * (2.0 / image[0].numel()) for each in minimum.pair_weights(image, sigma=0.3)]
    found = minimum._gradient(logits.detach().softmax(0), start, weights)
    torch.testing.assert_close(found, logits.grad, rtol=1e-9, atol=1e-12)


def test_it_comes_near_the_least_of_both_losses() -> None:
    """Which smaller and smaller steps of the same kind find, from another start: the sum is convex."""
    image = torch.full((3, 12, 14), 0.5)
    image[:, :, 7:] = 0.53
    start = (3 * random(0, 3, 12, 14)).softmax(0).float()
    found = free_minimum(start, image)
    logits = torch.zeros_like(start).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 600)
        optimizer.zero_grad()
        least = both_losses(logits.softmax(0), start, image, weight=minimum.WEIGHT, sigma=minimum.SIGMA)
        least.backward()
        optimizer.step()
    before, after = (
        both_losses(one, start, image, weight=minimum.WEIGHT, sigma=minimum.SIGMA) for one in (start, found)
    )
    assert least < after < least + 0.1 * (before - least)


def test_a_probability_of_0_is_no_trouble() -> None:
    """As of a network that is quite sure: it has no logarithm."""
    start = torch.tensor([1.0, 0.0])[:, None, None].repeat(1, 8, 9)
    start[:, 3, 4] = torch.tensor([0.0, 1.0])
    found = free_minimum(start, torch.full((3, 8, 9), 0.5))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.sum(0), torch.ones(8, 9))


def test_cleaning_rooms_moves_borders_to_the_pictures_edges() -> None:
    shipped = load_network()
    rooms = simulated_rooms(6, seed=7, height_px=shipped.settings.seen_px, num_classes=4)
    found = predictions(shipped.network, rooms)
    before, after = scores(found, rooms), scores(cleaned(found, rooms), rooms)
    assert after["boundary F"] > before["boundary F"] + 1
    assert after["pixel accuracy"] > before["pixel accuracy"]


@pytest.mark.parametrize("shape", [(3, 8, 8), (8, 9)])
def test_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="the image's size"):
        free_minimum(torch.rand(shape), torch.rand(3, 8, 9))
