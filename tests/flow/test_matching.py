"""Matching, propagation and up-sampling: known shifts, slow oracles, torchvision's convex up-sampling."""

import math

import pytest
import torch

from lib.flow.matching import FlowPropagation, attend, match_globally, match_locally, upsample_convex
from lib.flow.sampling import pixel_grid


def features(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def window_pixels(y, x, height, width, radius):
    """Displacements and places of a window, dy outermost."""
    steps = range(-radius, radius + 1)
    return [(dx, dy, y + dy, x + dx, 0 <= y + dy < height and 0 <= x + dx < width) for dy in steps for dx in steps]


def test_attend_is_a_softmax_mean(device):
    query, key, planes = features(2, 6, 3, 5), features(2, 6, 3, 5, seed=1), features(2, 2, 3, 5, seed=2)
    scores = torch.einsum("bcn,bcm->bnm", query.flatten(2), key.flatten(2)) / math.sqrt(6)
    expected = torch.einsum("bnm,bkm->bkn", scores.softmax(-1), planes.flatten(2)).view(2, 2, 3, 5)
    found = attend(query.to(device), key.to(device), planes.to(device))
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("match", [match_globally, lambda a, b: match_locally(a, b, radius=4)])
def test_sharp_features_give_their_shift(match, device):
    first = 8 * features(1, 64, 10, 12).sign().to(device)
    second = torch.roll(first, (1, -2), dims=(-2, -1))  # what is at (x, y) goes to (x - 2, y + 1)
    flow = match(first, second)[..., 4:-4, 4:-4]
    expected = torch.tensor([-2.0, 1.0], dtype=torch.float64, device=device).view(1, 2, 1, 1).expand_as(flow)
    torch.testing.assert_close(flow, expected, rtol=0, atol=1e-6)


def test_global_match_of_flat_features_is_the_middle():
    flat = torch.ones(1, 4, 3, 5)
    grid = pixel_grid(flat)
    expected = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1) - grid
    torch.testing.assert_close(match_globally(flat, flat), expected)


def test_local_match_equals_the_slow_loop():
    first, second = features(1, 3, 4, 6), features(1, 3, 4, 6, seed=1)
    found = match_locally(first, second, radius=2)
    for y in range(4):
        for x in range(6):
            places = [place for place in window_pixels(y, x, 4, 6, 2) if place[4]]
            scores = torch.stack([first[0, :, y, x] @ second[0, :, v, u] / math.sqrt(3) for _, _, v, u, _ in places])
            steps = torch.tensor([place[:2] for place in places], dtype=torch.float64)
            torch.testing.assert_close(found[0, :, y, x], scores.softmax(0) @ steps)


@pytest.fixture
def propagation():
    torch.manual_seed(0)
    return FlowPropagation(6).double().requires_grad_(False)


def test_global_propagation_keeps_a_constant_flow_and_projects_the_query_twice(propagation):
    image, flow = features(2, 6, 3, 5), features(2, 2, 3, 5, seed=1)
    constant = torch.full_like(flow, 3.5)
    torch.testing.assert_close(propagation(image, constant, radius=None), constant)
    pixels = image.flatten(2).mT
    query = propagation.q_proj(pixels)
    weights = (query @ propagation.k_proj(query).mT / math.sqrt(6)).softmax(-1)
    expected = (weights @ flow.flatten(2).mT).mT.view_as(flow)
    torch.testing.assert_close(propagation(image, flow, radius=None), expected)


def test_local_propagation_equals_the_slow_loop(propagation):
    image, flow = features(1, 6, 3, 4), features(1, 2, 3, 4, seed=1)
    query = propagation.q_proj(image[0].permute(1, 2, 0))
    key = propagation.k_proj(image[0].permute(1, 2, 0))
    found = propagation(image, flow, radius=1)
    for y in range(3):
        for x in range(4):
            mean, total = torch.zeros(2, dtype=torch.float64), 0.0
            for _, _, v, u, inside in window_pixels(y, x, 3, 4, 1):
                weight = math.exp(query[y, x] @ key[v, u] / math.sqrt(6)) if inside else 1.0
                mean += weight * flow[0, :, v, u] if inside else 0
                total += weight
            torch.testing.assert_close(found[0, :, y, x], mean / total)


@pytest.mark.parametrize("factor", [4, 8])
def test_convex_upsampling_equals_torchvisions(factor, device):
    from torchvision.models.optical_flow._utils import upsample_flow

    flow, logits = features(2, 2, 3, 5).to(device), features(2, 9 * factor**2, 3, 5, seed=1).to(device)
    expected = upsample_flow(flow, logits, factor)
    torch.testing.assert_close(upsample_convex(flow, logits, factor=factor), expected)


def test_convex_upsampling_by_the_centre_alone_repeats():
    flow = features(1, 2, 3, 4)
    logits = torch.zeros(1, 9, 4, 3, 4, dtype=torch.float64)
    logits[:, 4] = 100
    found = upsample_convex(flow, logits.flatten(1, 2), factor=2)
    torch.testing.assert_close(found, 2 * flow.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_gradients():
    first, second = (features(1, 3, 3, 4, seed=seed).requires_grad_() for seed in (0, 1))
    for match in (match_globally, lambda a, b: match_locally(a, b, radius=1)):
        assert torch.autograd.gradcheck(match, (first, second), fast_mode=True)
