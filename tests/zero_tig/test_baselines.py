"""What users reach for first: hand-made cases, OpenCV as oracle, frame by frame, bad input."""

import cv2
import numpy as np
import pytest
import torch

from lib.errors import ShapeError, SpecError
from lib.metrics.planes import luma
from lib.zero_tig.baselines import brighten_to_mean, clahe, equalise_luma, gamma, gamma_to_mean

ALL = [gamma, gamma_to_mean, brighten_to_mean, clahe, equalise_luma]


@pytest.fixture
def dark(device):
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0.02, 0.25, 40).expand(3, 3, 24, 40)
    return (ramp + 0.02 * torch.randn(ramp.shape, generator=generator)).clamp(0, 1).to(device)


@pytest.mark.parametrize("method", ALL)
def test_each_frame_stands_for_itself(method, dark):
    whole = method(dark)
    assert whole.shape == dark.shape
    assert whole.dtype == dark.dtype
    assert whole.device == dark.device
    assert 0 <= float(whole.min()) <= float(whole.max()) <= 1
    assert float(whole.mean()) > float(dark.mean())
    torch.testing.assert_close(whole[1], method(dark[1]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_black_or_white_frame_stays_without_harm(method, level, device):
    frame = torch.full((3, 16, 20), level, device=device)
    shown = method(frame)
    assert torch.isfinite(shown).all()
    # CLAHE lifts the one bin of a flat tile; all else has nothing to spread
    if method not in (clahe, brighten_to_mean):
        torch.testing.assert_close(shown, frame)


@pytest.mark.parametrize("method", ALL)
def test_odd_sizes_and_one_pixel_pass(method):
    for height, width in ((1, 1), (1, 7), (13, 5)):
        assert method(torch.full((3, height, width), 0.1)).shape == (3, height, width)


@pytest.mark.parametrize("method", ALL)
def test_wrong_pictures_are_refused(method):
    for wrong in (torch.zeros(1, 8, 8), torch.full((3, 8, 8), 7.0), torch.full((3, 8, 8), torch.nan)):
        with pytest.raises(ShapeError):
            method(wrong)


def test_gamma_is_the_power_by_hand():
    frame = torch.full((3, 2, 2), 0.25)
    assert torch.allclose(gamma(frame, exponent=0.5), torch.full((3, 2, 2), 0.5))
    assert torch.allclose(gamma(frame), frame ** (1 / 2.2))
    with pytest.raises(SpecError, match="exponent"):
        gamma(frame, exponent=0)


def test_gamma_to_mean_hits_the_mean_of_each_frame(dark):
    darker = torch.stack([dark[0], dark[1] / 3, dark[2].clamp_min(0.2)])
    shown = gamma_to_mean(darker)
    assert luma(shown).mean((-2, -1)).cpu().numpy() == pytest.approx([0.5] * 3, abs=1e-4)
    assert luma(gamma_to_mean(darker, mean=0.3)).mean((-2, -1)).cpu().numpy() == pytest.approx([0.3] * 3, abs=1e-4)
    with pytest.raises(SpecError, match="mean"):
        gamma_to_mean(dark, mean=1.0)


def test_gamma_to_mean_keeps_the_order_of_values(dark):
    order = dark[0].flatten().argsort()
    assert (gamma_to_mean(dark[0]).flatten()[order].diff() >= 0).all()


def test_one_gain_for_all_channels(dark):
    shown = brighten_to_mean(dark, mean=0.3)
    gain = 0.3 / luma(dark).mean((-2, -1))
    assert torch.allclose(shown, (dark * gain.view(-1, 1, 1, 1)).clamp(0, 1))
    with pytest.raises(SpecError, match="mean"):
        brighten_to_mean(dark, mean=0.0)


def test_clahe_and_equalisation_are_those_of_opencv():
    bytes8 = np.random.default_rng(0).integers(0, 90, (48, 64, 3), np.uint8)
    frame = torch.from_numpy(bytes8.transpose(2, 0, 1)) / 255
    lab = cv2.cvtColor(bytes8, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lab[..., 0].copy())
    wanted = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    np.testing.assert_array_equal((clahe(frame) * 255).round().numpy().transpose(1, 2, 0), wanted)
    planes = cv2.cvtColor(bytes8, cv2.COLOR_RGB2YCrCb)
    planes[..., 0] = cv2.equalizeHist(planes[..., 0].copy())
    wanted = cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB)
    np.testing.assert_array_equal((equalise_luma(frame) * 255).round().numpy().transpose(1, 2, 0), wanted)


def test_equalisation_spreads_grey_over_the_whole_range():
    ramp = (torch.arange(64.0) / 255).expand(3, 8, 64).contiguous()
    shown = equalise_luma(ramp)
    assert float(shown.min()) == 0
    assert float(shown.max()) == 1
    assert (shown.diff(dim=-1) >= 0).all()


def test_settings_that_opencv_cannot_take_are_named():
    frame = torch.zeros(3, 8, 8)
    with pytest.raises(SpecError, match="clip_limit"):
        clahe(frame, clip_limit=0)
    with pytest.raises(SpecError, match="tiles"):
        clahe(frame, tiles=0)
