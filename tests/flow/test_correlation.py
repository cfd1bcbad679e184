"""Local correlation: a slow loop as oracle, any size and radius, gradients, half precision of the features."""

import pytest
import torch

from lib.flow.correlation import local_correlation


def by_loop(first, second, radius):
    """One displacement after another, one pixel after another."""
    batch, _, height, width = first.shape
    result = first.new_zeros(batch, (2 * radius + 1) ** 2, height, width)
    for y in range(height):
        for x in range(width):
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        displacement = (dy + radius) * (2 * radius + 1) + dx + radius
                        dots = (first[:, :, y, x] * second[:, :, y + dy, x + dx]).sum(1)
                        result[:, displacement, y, x] = dots
    return result


def features(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 4), (8, 8), (9, 17), (11, 5)])
@pytest.mark.parametrize("radius", [0, 1, 4])
def test_equals_the_slow_loop(size, radius, device):
    first, second = features(2, 3, *size), features(2, 3, *size, seed=1)
    found = local_correlation(first.to(device), second.to(device), radius=radius)
    torch.testing.assert_close(found.cpu(), by_loop(first, second, radius), rtol=1e-12, atol=1e-12)


def test_finds_a_shift_at_its_displacement():
    first = features(1, 16, 12, 20)
    second = torch.roll(first, (2, -3), dims=(-2, -1))  # dy = 2, dx = -3
    best = local_correlation(first, second, radius=4)[..., 4:-4, 4:-4].argmax(1)
    assert (best == (2 + 4) * 9 + (-3 + 4)).all()


def test_gradients():
    first, second = (features(1, 2, 3, 9, seed=seed).requires_grad_() for seed in (0, 1))
    assert torch.autograd.gradcheck(lambda a, b: local_correlation(a, b, radius=2), (first, second), fast_mode=True)


def test_keeps_a_nan_within_its_window():
    first, second = features(1, 2, 20, 20), features(1, 2, 20, 20, seed=1)
    second[0, 0, 10, 10] = torch.nan
    bad = local_correlation(first, second, radius=4).isnan()
    assert bad.sum() == 81
    assert bad[0, :, 6:15, 6:15].sum() == 81


def test_half_precision_features_neither_overflow_nor_underflow(device):
    for size in (40.0, 2.0**-9):
        flat = torch.full((1, 192, 9, 9), size, device=device, dtype=torch.float16)
        with torch.autocast(device.type, dtype=torch.float16):
            found = local_correlation(flat, flat, radius=1)
        assert found.dtype == torch.float32
        assert (found[0, 4] == 192 * size**2).all()
