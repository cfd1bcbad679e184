"""Sampling inside the networks: zero flow, whole pixels, borders, one-pixel planes, wide coordinates."""

import pytest
import torch

from lib.errors import ShapeError
from lib.flow.sampling import check_padded, double, pixel_grid, sample_at_flow


def planes(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_pixel_grid_by_hand():
    grid = pixel_grid(torch.zeros(5, 2, 3))
    assert grid[0].tolist() == [[[0, 1, 2], [0, 1, 2]], [[0, 0, 0], [1, 1, 1]]]
    assert pixel_grid(torch.zeros(1, 4000, dtype=torch.float16))[0, 0, 0, 3999] == 3999


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 4)])
def test_zero_flow_gives_the_planes(size, padding, device):
    image = planes(2, 3, *size).to(device)
    found = sample_at_flow(image, image.new_zeros(2, 2, *size), padding=padding)
    torch.testing.assert_close(found, image, rtol=0, atol=1e-6)


def test_whole_pixels_and_both_borders(device):
    image = planes(1, 3, 6, 8).to(device)
    flow = torch.tensor([2.0, -1.0], device=device).view(1, 2, 1, 1).expand(1, 2, 6, 8)
    inside = image[..., :-1, 2:]
    border, zeros = (sample_at_flow(image, flow, padding=padding) for padding in ("border", "zeros"))
    for found in (border, zeros):
        torch.testing.assert_close(found[..., 1:, :-2], inside, rtol=0, atol=1e-5)
    assert (zeros[..., 0, :].abs() < 1e-5).all()
    torch.testing.assert_close(border[..., 0, :-2], image[..., 0, 2:], rtol=0, atol=1e-5)


def test_half_precision_planes_are_read_at_full_precision_positions():
    ramp = torch.arange(1000.0).expand(1, 1, 4, 1000)
    found = sample_at_flow(ramp.half(), torch.full((1, 2, 4, 1000), 0.5), padding="border")
    assert found.dtype == torch.float16
    torch.testing.assert_close(found[..., :-1].float(), ramp[..., :-1] + 0.5, rtol=1e-3, atol=1e-3)


def test_gradients():
    image = planes(1, 1, 4, 5).double().requires_grad_()
    flow = (planes(1, 2, 4, 5).double() * 0.4 + 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda i, f: sample_at_flow(i, f, padding="zeros"), (image, flow))


def test_double_by_hand():
    flow = torch.tensor([0.0, 1.0]).expand(1, 2, 1, 2)
    torch.testing.assert_close(double(flow)[0, 0, 0], torch.tensor([0, 2 / 3, 4 / 3, 2]))


@pytest.mark.parametrize(
    ("a", "b"),
    [((1, 3, 64, 60), (1, 3, 64, 60)), ((1, 3, 64, 64), (1, 3, 64, 128)), ((1, 4, 64, 64), (1, 4, 64, 64))],
)
def test_pictures_of_another_form(a, b):
    with pytest.raises(ShapeError, match="multiples of 64: got"):
        check_padded(torch.zeros(a), torch.zeros(b), multiple=64)
    with pytest.raises(ShapeError, match="a must have 4 axes"):
        check_padded(torch.zeros(3, 64, 64), torch.zeros(3, 64, 64), multiple=64)
