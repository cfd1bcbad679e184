"""The pair down-sampler."""

import pytest
import torch

from lib.errors import ShapeError
from lib.zero_tig import pair_downsample


def test_diagonals_of_one_block() -> None:
    anti, main = pair_downsample(torch.tensor([[1.0, 2.0], [4.0, 8.0]]))
    assert anti.item() == 3.0  # top right, bottom left
    assert main.item() == 4.5  # top left, bottom right


def test_noise_of_the_halves_is_independent_and_half_as_strong(device: torch.device) -> None:
    noise = torch.randn(3, 400, 401, generator=torch.Generator().manual_seed(0)).to(device)
    first, second = pair_downsample(noise)
    assert first.shape == second.shape == (3, 200, 200)
    assert first.var().item() == pytest.approx(0.5, rel=0.02)
    assert abs((first * second).mean().item()) < 0.01  # 120 000 products of deviation 0.5


def test_golden(golden) -> None:  # type: ignore[no-untyped-def]
    stored = golden("zero_tig/helpers.npz")
    halves = pair_downsample(torch.from_numpy(stored["img_a"]).permute(2, 0, 1))
    for half, name in zip(halves, ("G1_a", "G2_a"), strict=True):
        torch.testing.assert_close(half.float(), torch.from_numpy(stored[name]), rtol=1e-6, atol=1e-7)


def test_one_pixel_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least 2 pixels a side: got 9x1"):
        pair_downsample(torch.zeros(3, 1, 9))
