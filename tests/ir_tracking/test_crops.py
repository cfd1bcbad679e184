"""Windows cut at fractions of a pixel: exact on ramps, against grid_sample, at the border, scaled."""

import pytest
import torch
import torch.nn.functional as F

from lib.ir_tracking.crops import (
    Window,
    context_side,
    crops_of,
    input_planes,
    rounded_crop,
    standardised,
    subpixel_crops,
)
from lib.ir_tracking.network_settings import NetworkSettings


def ramp(height: int = 40, width: int = 50) -> torch.Tensor:
    """Plane 0: x of the pixel's middle, plane 1: y."""
    x, y = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)])


def test_subpixel_crop_of_a_ramp_is_where_its_window_is(device: torch.device) -> None:
    windows = torch.tensor([[20.3, 17.8, 12.5], [25.0, 20.0, 8.0]])
    crops = subpixel_crops(ramp().to(device), windows, 10)
    for crop, (x, y, side) in zip(crops.cpu(), windows.tolist(), strict=True):
        steps = (torch.arange(10) + 0.5) / 10 * side - side / 2
        torch.testing.assert_close(crop[0], (x + steps).expand(10, -1), atol=1e-4, rtol=0)
        torch.testing.assert_close(crop[1], (y + steps)[:, None].expand(-1, 10), atol=1e-4, rtol=0)


def test_one_window_or_several_and_one_frame_or_several_agree() -> None:
    planes = torch.rand(3, 30, 31)
    windows = torch.tensor([[10.2, 12.9, 9.0], [3.0, 28.0, 14.0]])
    together = subpixel_crops(planes, windows, 15)
    for idx in range(2):
        torch.testing.assert_close(together[idx : idx + 1], subpixel_crops(planes, windows[idx : idx + 1], 15))
    torch.testing.assert_close(together, subpixel_crops(planes.expand(2, -1, -1, -1), windows, 15))


def test_subpixel_crop_is_grid_sample(device: torch.device) -> None:
    planes, out = torch.rand(3, 24, 32, device=device), 11
    x, y, side = 15.7, 12.2, 9.4
    steps = (torch.arange(out, device=device) + 0.5) / out * side - side / 2
    grid = torch.stack(torch.meshgrid((x + steps) / 16 - 1, (y + steps) / 12 - 1, indexing="xy"), dim=-1)
    expected = F.grid_sample(planes[None], grid[None], align_corners=False)
    found = subpixel_crops(planes, torch.tensor([[x, y, side]]), out)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_outside_a_frame_lie_its_means() -> None:
    planes = torch.rand(2, 20, 20)
    crop = subpixel_crops(planes, torch.tensor([[-30.0, 10.0, 10.0]]), 8)[0]
    torch.testing.assert_close(crop, planes.mean(dim=(1, 2)).view(2, 1, 1).expand(2, 8, 8))
    far = rounded_crop(planes * 100, Window(-30, 10, 10), 8)
    torch.testing.assert_close(far, (planes * 100).mean(dim=(1, 2)).trunc().view(2, 1, 1).expand(2, 8, 8))


def test_rounded_crop_at_its_own_size_copies_pixels() -> None:
    planes = torch.rand(1, 20, 20)
    # 7 pixels around the middle of pixel (10, 8), one up and left, as published
    assert torch.equal(rounded_crop(planes, Window(10.5, 8.5, 7), 7), planes[:, 4:11, 6:13])


def test_context_of_a_point_has_a_floor() -> None:
    assert context_side(3, 3) == pytest.approx(6)
    assert context_side(3, 3, floor_px=24) == 24
    assert context_side(60, 40) == pytest.approx(context_side(60, 40, floor_px=24))


def test_standardised_crops_forget_gain_and_level() -> None:
    crops = torch.rand(2, 3, 9, 9)
    once = standardised(crops)
    torch.testing.assert_close(once, standardised(5 * crops + 100), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(once.mean(dim=(2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    assert torch.equal(standardised(torch.full((1, 3, 5, 5), 7.0)), torch.zeros(1, 3, 5, 5))


def test_planes_by_quantile_span_0_to_255() -> None:
    frame = torch.rand(1, 50, 60) * 4000 + 900
    planes = input_planes(frame, frame * 0.1, frame * 0.01, inputs="filtered", scaling="frame")
    assert torch.equal(planes[0], planes[2])
    assert float(planes.min()) == 0
    assert float(planes.max()) == 255
    share = float((planes[0] == 255).float().mean())
    assert 0.0005 < share < 0.003
    constant = input_planes(*(torch.full((1, 5, 5), 3.0),) * 3, scaling="frame")
    assert torch.equal(constant, torch.zeros(3, 5, 5))


def test_crops_as_published_or_exact_differ_by_half_a_pixel_and_the_rounding() -> None:
    planes = ramp().repeat(2, 1, 1)[:3]
    window = torch.tensor([[20.3, 17.8, 12.0]])
    plain = NetworkSettings().but(scaling="frame")
    exact, published = (crops_of(planes, window, 12, plain.but(subpixel=value)) for value in (True, False))
    difference = float((exact - published).abs().max())
    assert 0.5 <= difference <= 1.5
