"""Filters and masks of the losses, against the published code and against plain loops."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lib.zero_tig import Settings, filters
from lib.zero_tig.losses import NEIGHBOURS, neighbour_loss, total_variation

QUIRKS = Settings(reference_quirks=True)


@pytest.fixture
def stored(golden: Any) -> Any:
    return golden("zero_tig/helpers.npz")


def picture(stored: Any, name: str) -> Tensor:
    return torch.from_numpy(stored[f"img_{name}"]).permute(2, 0, 1)[None]


def same(ours: Tensor, expected: Any) -> None:
    torch.testing.assert_close(
        ours.detach().squeeze(0).float(), torch.as_tensor(expected).float(), rtol=1e-5, atol=1e-8
    )


def test_windows_are_the_published_ones(stored: Any) -> None:
    a, b = picture(stored, "a"), picture(stored, "b")
    same(filters.local_mean(a), stored["m5_a"])
    same(filters.noise_energy(a), stored["V_a"])
    same(filters.blur(a), stored["blur_a"])
    same(filters.local_deviation(filters.weighted_sum(a, filters.QUIRK_LUMA)), stored["texture_local_std_a"])
    assert torch.equal(
        filters.texture_mask(a, b, luma=filters.QUIRK_LUMA)[0].to(torch.uint8),
        torch.from_numpy(stored["texture_mask_ab"]),
    )
    assert torch.equal(
        filters.texture_mask(a, b)[0].to(torch.uint8), torch.from_numpy(stored["texture_mask_ab_corrected_luma"])
    )


def test_colours_are_the_published_ones(stored: Any) -> None:
    a = picture(stored, "a")
    same(filters.quirk_ycbcr(a), stored["ycc_a_quirk"])
    same(filters.ycbcr(a), stored["ycc_a_corrected"])


@pytest.mark.parametrize("sigma", [10, 1, 0.1, 0.02])
def test_neighbour_smoothness_for_every_sigma(sigma: float, stored: Any) -> None:
    a, b = picture(stored, "a"), picture(stored, "b")
    settings = Settings(neighbour_sigma=sigma)
    expected = float(stored[f"N24_corrected_sigma{sigma}"])
    assert neighbour_loss(b, a, settings).item() == pytest.approx(expected, rel=1e-9)


def test_smoothness_and_its_gradient_are_the_published_ones(stored: Any) -> None:
    a, b = picture(stored, "a"), picture(stored, "b").requires_grad_()
    assert neighbour_loss(b, a, QUIRKS).item() == pytest.approx(float(stored["N24_S=b_L=a"]), rel=1e-12)
    (gradient,) = torch.autograd.grad(neighbour_loss(b, a, QUIRKS), b)
    same(gradient, stored["grad_N24_S=b_L=a"])
    assert total_variation(b).item() == pytest.approx(float(stored["TV_b"]), rel=1e-12)
    (gradient,) = torch.autograd.grad(total_variation(b), b)
    same(gradient, stored["grad_TV_b"])


def test_the_twelve_offsets_are_half_of_the_neighbourhood() -> None:
    both = {*NEIGHBOURS, *((-dy, -dx) for dy, dx in NEIGHBOURS)}
    assert both == {(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)} - {(0, 0)}


def test_texture_is_what_two_noisy_versions_share() -> None:
    generator = torch.Generator().manual_seed(0)
    stripes = (torch.arange(64) // 4 % 2 * 0.6 + 0.2).repeat(3, 64, 1)[None]
    flat = torch.full_like(stripes, 0.5)
    for clean, expected in ((stripes, 1.0), (flat, 0.0)):
        noisy = [clean + 0.02 * torch.randn(clean.shape, generator=generator) for _ in range(2)]
        inside = filters.texture_mask(*noisy)[..., 4:-4, 4:-4]
        assert abs(inside.mean().item() - expected) < 0.2


def test_blur_keeps_a_constant(device: torch.device) -> None:
    constant = torch.full((1, 3, 30, 41), 0.3, device=device)
    torch.testing.assert_close(filters.blur(constant), constant)
