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
from lib.context_reg.walkthrough import rough_prediction
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
    weights = minimum.pair_weights(image, sigma=0.3) * (2.0 / image[0].numel())
    found = minimum.gradient(logits.detach().softmax(0), start, weights)
    torch.testing.assert_close(found, logits.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [(7, 37), (1, 5), (6, 1), (2, 2), (1, 1)])
def test_the_compiled_step_is_the_same(size: tuple[int, int]) -> None:
    start, found = (random(seed, 3, *size).softmax(0) for seed in (0, 2))
    found[:, :, -1] = found[:, :, 0]  # where no class differs, nothing pulls
    weights = minimum.pair_weights(random(1, 3, *size), sigma=0.3) * (2.0 / (size[0] * size[1]))
    logits, mean, square = found.log(), 0.01 * (random(3, 3, *size) - 0.5), 1e-4 * random(4, 3, *size)
    single = [each.float() for each in (found, start, weights, logits, mean, square)]
    both = [found, start, weights, logits, mean, square]
    minimum._step(*both, rate=0.5, spread=2.0)
    minimum._compiled_step(*single, rate=0.5, spread=2.0)
    assert (both[3] - found.log()).abs().max() > 0.1
    for one, other in zip(single, both, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-6)


def test_both_forms_clean_alike(device: torch.device) -> None:
    """But where rounding decides: in float64 it is the form of torch's operations."""
    room = simulated_rooms(1, seed=3, height_px=48, num_classes=4)[0]
    start = rough_prediction(room.labels, 4, num_blobs=20, seed=0)
    exact = free_minimum(start.double().to(device), room.image.double().to(device)).cpu()
    found = free_minimum(start.to(device), room.image.to(device)).cpu()
    assert (found.argmax(0) != start.argmax(0)).float().mean() > 0.02
    assert (found.argmax(0) != exact.argmax(0)).float().mean() < 0.01


def test_it_comes_near_the_least_of_both_losses() -> None:
    """Which smaller and smaller steps of the same kind find, from another start: the sum is convex."""
    image = torch.full((3, 12, 14), 0.5, dtype=torch.float64)
    image[:, :, 7:] = 0.53
    start = (3 * random(0, 3, 12, 14)).softmax(0)
    found = free_minimum(start, image)
    logits = torch.zeros_like(start).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 300)
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
