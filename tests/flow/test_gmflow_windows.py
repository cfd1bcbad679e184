"""Windows: the rolled and masked form as oracle, any window size, positions by hand."""

import math

import pytest
import torch

from lib.flow.gmflow_windows import add_window_position, sine_position, window_attention


def tokens(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_pairs(query, key, value, splits, shifted):
    """Attention among all tokens with a mask of who may see whom, from the rolled form's definition."""
    height, width, channels = query.shape[1:]
    window = height // splits, width // splits
    shift = tuple(side // 2 if shifted else 0 for side in window)
    rows, columns = torch.arange(height), torch.arange(width)
    groups = []
    for position, side, offset, length in zip((rows, columns), window, shift, (height, width), strict=True):
        rolled = (position - offset) % length
        # the rolled last window holds both ends of the axis, which are no neighbours
        groups.append(rolled // side + length * (position < offset))
    group = (groups[0][:, None] * 10_000 + groups[1]).flatten()
    query, key, value = (planes.flatten(1, 2) for planes in (query, key, value))
    scores = (query @ key.mT / math.sqrt(channels)).masked_fill(group[:, None] != group, -torch.inf)
    return (scores.softmax(-1) @ value).view(-1, height, width, channels)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(("size", "splits"), [((4, 8), 2), ((6, 10), 2), ((12, 9), 3), ((2, 4), 2), ((2, 2), 2)])
def test_equals_attention_with_a_mask(size, splits, shifted, device):
    planes = [tokens(2, *size, 5, seed=seed) for seed in range(3)]
    found = window_attention(*(plane.to(device) for plane in planes), splits=splits, shifted=shifted)
    torch.testing.assert_close(found.cpu(), by_pairs(*planes, splits, shifted), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shifted", [False, True])
def test_one_window_is_plain_attention(shifted):
    planes = [tokens(1, 3, 4, 5, seed=seed) for seed in range(3)]
    found = window_attention(*planes, splits=1, shifted=shifted)
    torch.testing.assert_close(found, by_pairs(*planes, 1, False), rtol=1e-10, atol=1e-10)


def test_gradients():
    planes = [tokens(1, 4, 4, 2, seed=seed).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(lambda q, k, v: window_attention(q, k, v, splits=2, shifted=True), planes)


def test_sine_position_by_hand():
    position = sine_position(2, 3, 8, like=torch.zeros(1))
    assert position.shape == (2, 3, 8)
    for row, column in [(0, 0), (1, 2)]:
        y, x = (row + 1) / 2 * 2 * math.pi, (column + 1) / 3 * 2 * math.pi
        expected = [
            wave(angle / wavelength) for angle in (y, x) for wavelength in (1, 100) for wave in (math.sin, math.cos)
        ]
        torch.testing.assert_close(position[row, column], torch.tensor(expected), rtol=0, atol=1e-5)


def test_every_window_counts_its_own_positions():
    added = add_window_position(torch.zeros(1, 4, 6, 8), splits=2)[0]
    assert torch.equal(added[:2, :3], sine_position(2, 3, 8, like=added))
    for window in (added[2:, :3], added[:2, 3:], added[2:, 3:]):
        assert torch.equal(window, added[:2, :3])
