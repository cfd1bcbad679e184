"""The losses: what each is zero for, what brightness aims at, gradients by finite differences."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.zero_tig import LossWeights, Settings, ZeroIG, brightness
from lib.zero_tig import losses as public
from lib.zero_tig.filters import noise_energy
from lib.zero_tig.losses import (
    NAMES,
    Brightness,
    colour_loss,
    crossed_loss,
    inter_loss,
    neighbour_loss,
    over_loss,
    paired_loss,
    pix_loss,
    total_variation,
)


def picture(seed: int = 0, size: tuple[int, int] = (24, 26)) -> Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_names_are_the_eleven_of_the_paper() -> None:
    model = ZeroIG()
    assert tuple(public(model.training_pass(picture().float()), model.settings)) == NAMES
    assert len(NAMES) == 11


def test_brightness_brings_the_mean_luma_to_the_target() -> None:
    dark = 0.1 * picture()
    level = brightness(dark, Settings())
    luma = (dark[0] * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=0).mean()
    assert level.alpha.shape == (1, 1, 1, 1)
    assert (level.alpha.squeeze() * luma).item() == pytest.approx(0.5, rel=1e-6)
    torch.testing.assert_close(level.beta, 0.7**-level.alpha / level.alpha)


def test_brightness_under_water_is_per_channel_and_never_darkens() -> None:
    reddish = torch.stack([0.05 * picture()[0, 0], 0.3 * picture()[0, 1], 0.9 * picture()[0, 2]])[None]
    level = brightness(reddish, Settings(underwater=True))
    lifted = (level.alpha * reddish).mean(dim=(2, 3))[0]
    assert lifted[0].item() == pytest.approx(0.3, rel=1e-6)
    assert lifted[1].item() == pytest.approx(0.3, rel=1e-6)
    assert level.alpha[0, 2].item() == 1  # brighter than 0.3 already
    assert brightness(reddish, Settings(underwater=True, exposure=0.6)).alpha[0, 2] > 1


def test_brightness_of_black_is_limited() -> None:
    black = torch.full((1, 3, 4, 4), 1e-4)
    assert brightness(black, Settings()).alpha.item() == 25
    under_water = brightness(black, Settings(underwater=True, largest_factor=4))
    assert under_water.alpha.flatten().tolist() == [4, 4, 4]
    torch.testing.assert_close(under_water.beta, torch.full((1, 3, 1, 1), 0.7**-4 / 4))


def test_the_power_of_the_brightness_curve_asks_for_more_light_than_alpha_where_it_is_dark() -> None:
    """Why single pictures under water go without eq. 9: L / S of its S against alpha L, eq. 8."""
    dark = torch.tensor([0.01, 0.03, 0.06]).view(1, 1, 1, 3).expand(1, 3, 4, 3)
    level = brightness(torch.full((1, 3, 4, 4), 0.1), Settings(underwater=True))  # alpha = 3
    wanted = (level.beta * (level.alpha * dark) ** level.alpha).clamp(1e-9, 1)
    assert pix_loss(dark, wanted, level, Settings(underwater=True)).item() == 0
    assert (dark / wanted > 10 * level.alpha * dark).all()


def test_golden_brightness_under_water(golden: Any, model: Any, frames: Any) -> None:
    under = golden("zero_tig/zero_tig_losses.json")["sets"]["proc"]["float64"][0]["info"]["underwater"]
    net = model("tig", "proc")
    full = net.training_pass(frames("tig")[0]).full
    settings = replace(net.settings, underwater=True)
    level = brightness(full.denoised, settings)
    assert level.alpha.flatten().tolist() == pytest.approx(under["alpha"], rel=1e-9)
    dark = full.denoised.detach()
    assert over_loss(dark, full.illumination, level, settings).item() == pytest.approx(under["over"], rel=1e-9)
    assert pix_loss(dark, full.illumination, level, settings).item() == pytest.approx(under["pix"], rel=1e-9)


def test_losses_are_zero_where_they_should_be() -> None:
    dark = 0.05 + 0.1 * picture()
    level = Brightness(torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 0.7**-2 / 2))
    flat = torch.full_like(dark, 0.5)  # 1 / alpha
    for reading in ("reflectance", "illumination"):
        assert over_loss(dark, flat, level, Settings(over=reading)).item() < 1e-20  # type: ignore[arg-type]
    assert pix_loss(dark, level.beta * (2 * dark) ** 2, level, Settings()).item() < 1e-20
    halves = torch.cat([dark, 2 * dark])
    assert crossed_loss(halves, torch.cat([2 * dark, dark])).item() == 0
    assert paired_loss(halves, halves).item() == 0
    assert colour_loss((dark / flat), dark, flat).item() < 1e-20
    assert inter_loss(flat, Settings()).item() < 1e-20


DARK = 0.05 + 0.1 * picture(1)
LEVEL = Brightness(
    torch.full((1, 1, 1, 1), 2.0, dtype=torch.float64), torch.full((1, 1, 1, 1), 0.7**-2 / 2, dtype=torch.float64)
)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: over_loss(DARK, 0.3 + 0.4 * x, LEVEL, Settings()),
        lambda x: over_loss(DARK, x, LEVEL, Settings(over="illumination")),
        lambda x: pix_loss(DARK, x, LEVEL, Settings()),
        lambda x: neighbour_loss(x, DARK, Settings(neighbour_sigma=0.1)),
        total_variation,
        lambda x: crossed_loss(torch.cat([x, 2 * x]), torch.cat([DARK, x])),
        lambda x: paired_loss(torch.cat([x, 2 * x]), torch.cat([DARK, x])),
        lambda x: inter_loss(x, Settings()),
        lambda x: noise_energy(x).square().sum(),
        lambda x: colour_loss(x, DARK, DARK + 0.3),
    ],
    ids=["over", "over as printed", "pix", "neighbours", "variation", "crossed", "paired", "inter", "var", "color"],
)
def test_gradients_are_the_slopes(loss: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(loss, picture(2).requires_grad_(), eps=1e-6, atol=1e-7)


def test_a_weight_of_zero_switches_a_loss_off() -> None:
    model = ZeroIG(Settings(weights=LossWeights(color=0.0, smooth_neighbours=0.0, smooth_variation=0.0)))
    terms = public(model.training_pass(picture().float()), model.settings)
    assert terms["color"].item() == terms["smooth"].item() == 0
    assert terms["over"].item() > 0


def test_a_channel_that_is_bright_enough_is_left_alone() -> None:
    red_missing = torch.stack([0.05 * picture()[0, 0], 0.9 * picture()[0, 1], 0.9 * picture()[0, 2]])[None]
    settings = Settings(underwater=True)
    level = brightness(red_missing, settings)
    light = (level.beta * (level.alpha * red_missing) ** level.alpha).clamp(1e-9, 1)
    light[:, 1:] = 1  # green and blue have alpha = 1
    assert pix_loss(red_missing, light, level, settings).item() < 1e-20
    published = replace(settings, reference_quirks=True)
    assert pix_loss(red_missing, light, level, published).item() > 0.01
