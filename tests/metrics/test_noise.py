"""The noise estimate on noise of known strength."""

import pytest
import torch
from torch import Tensor

from lib.data.samples import sample_image
from lib.errors import ShapeError
from lib.metrics import noise_level


def noise(sigma: float, *shape: int, seed: int = 0) -> Tensor:
    return sigma / 255 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sigma", [0.5, 2.0, 10.0])
def test_finds_the_sigma_of_noise_on_a_smooth_picture(device: torch.device, sigma: float) -> None:
    ramp = torch.linspace(0.3, 0.7, 200).expand(3, 150, 200)
    # 30 000 pixels a channel: the median of their absolute values is known within 1 %
    assert noise_level((ramp + noise(sigma, 3, 150, 200)).to(device)) == pytest.approx(sigma, rel=0.03)


def test_eight_bit_pictures_are_read_to_a_quarter_grey_level() -> None:
    picture = 0.5 + noise(3, 3, 150, 200)
    assert noise_level((255 * picture).round() / 255) == pytest.approx(3, abs=0.26)


def test_structure_counts_little() -> None:
    picture = 0.1 + 0.8 * sample_image("rocket").image
    clean = noise_level(picture)
    assert clean < 2
    assert noise_level(picture + noise(10, *picture.shape)) == pytest.approx(10, rel=0.15)


def test_a_gain_is_a_gain_of_the_noise_and_an_offset_is_none() -> None:
    picture = 0.5 + noise(4, 3, 40, 50)
    assert noise_level(0.5 + 2 * (picture - 0.5)) == pytest.approx(2 * noise_level(picture), rel=1e-4)
    assert noise_level(picture + 0.2) == pytest.approx(noise_level(picture), rel=1e-4)


def test_clipped_parts_do_not_hide_the_noise() -> None:
    picture = 0.5 + noise(5, 3, 120, 120)
    picture[:, :, 40:] = 0
    assert noise_level(picture) == pytest.approx(5, rel=0.05)


def test_flat_and_black_pictures_have_none() -> None:
    for level in (0.0, 0.4, 1.0):
        assert noise_level(torch.full((3, 5, 6), level)) == pytest.approx(0, abs=1e-4)
    ramp = torch.arange(48.0).view(6, 8) / 64 + 0.1
    assert noise_level(ramp.expand(3, 6, 8)) == pytest.approx(0, abs=1e-3)


def test_a_video_gives_the_mean_of_its_frames() -> None:
    video = torch.stack([0.5 + noise(sigma, 3, 30, 40) for sigma in (2, 6)])
    assert noise_level(video) == pytest.approx((noise_level(video[0]) + noise_level(video[1])) / 2)


def test_bad_input_is_answered_in_one_sentence() -> None:
    picture = 0.5 + noise(5, 3, 8, 9)
    with pytest.raises(ShapeError, match="at least 3 pixels"):
        noise_level(picture[..., :2])
    with pytest.raises(ShapeError, match="finite"):
        noise_level(picture * float("inf"))
    with pytest.raises(ShapeError, match="RGB"):
        noise_level(picture[:2])
    with pytest.raises(ShapeError, match="at least one pixel"):
        noise_level(picture[..., :0])
