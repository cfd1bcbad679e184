"""CIELab and the colour shift."""

import numpy as np
import pytest
import torch

from lib.errors import ShapeError
from lib.metrics import colour_shift, rgb_to_lab


def test_lab_agrees_with_scikit_image(device: torch.device) -> None:
    from skimage.color import rgb2lab

    rgb = np.random.default_rng(0).random((9, 11, 3))
    rgb[0, :4] = [[0, 0, 0], [1, 1, 1], [0.02, 0.02, 0.02], [1, 0, 0]]
    lab = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1).to(device))
    np.testing.assert_allclose(lab.permute(1, 2, 0).cpu().numpy(), rgb2lab(rgb), atol=1e-3)


def test_colour_shift_is_0_for_equal_colours_and_blind_to_fine_structure(device: torch.device) -> None:
    flat = torch.full((3, 32, 40), 0.5, device=device)
    checks = torch.where((torch.arange(32)[:, None] + torch.arange(40)) % 2 == 0, 0.05, -0.05).to(device)
    assert colour_shift(flat, flat) == 0.0
    assert colour_shift(flat + checks, flat) < 0.01


def test_colour_shift_sees_a_missing_colour_fit(device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    wanted = (0.3 + 0.5 * torch.rand(3, 37, 45, generator=generator)).to(device)
    tint = torch.tensor([1.2, 1.0, 0.7], device=device).view(3, 1, 1)
    unfitted = wanted - wanted.mean((-2, -1), keepdim=True)
    assert colour_shift(wanted * tint, wanted) > 10
    assert colour_shift(unfitted, wanted) > 30
    assert colour_shift(wanted * 0.99, wanted) < 2


def test_mask_chooses_the_pixels(device: torch.device) -> None:
    wanted = torch.full((3, 30, 30), 0.5, device=device)
    result = wanted.clone()
    result[0, :, 13:] = 0.9
    left = torch.zeros(30, 30, dtype=torch.bool, device=device)
    left[:, :13] = True
    assert colour_shift(result, wanted, mask=left) == pytest.approx(0.0, abs=1e-9)
    inside = colour_shift(result, wanted, mask=~left)
    assert inside == pytest.approx(colour_shift(result[..., 13:], wanted[..., 13:]), rel=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (5, 3)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    picture = torch.full((3, *size), 0.4)
    assert colour_shift(picture, picture) == 0.0
    with pytest.raises(ShapeError, match="share a grid"):
        colour_shift(picture, torch.zeros(3, 2, 2))
