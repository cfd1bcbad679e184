"""Colour fit: reference values, least squares, guard."""

import numpy as np
import pytest
import torch

from lib.context_fusion import apply_colour, fit_colour, fit_offset
from lib.errors import ShapeError


@pytest.mark.parametrize("case", range(5))
def test_agrees_with_the_reference_cases(golden, case):
    data, numbers = golden("fusion/fusion.npz"), golden("fusion/fusion.json")["fit"][case]
    c1, c2 = fit_colour(torch.from_numpy(data[f"fit{case}_I"]), torch.from_numpy(data[f"fit{case}_T"]))
    assert float(c1) == pytest.approx(numbers["guarded_c1"], rel=1e-9)
    assert float(c2) == pytest.approx(numbers["guarded_c2"], rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_numpy_least_squares_for_each_plane(dtype):
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(2, 3, 9, 11, generator=generator, dtype=torch.float64).to(dtype)
    target = 0.7 * picture + 0.1 + 0.05 * torch.rand(2, 3, 9, 11, generator=generator, dtype=torch.float64).to(dtype)
    c1, c2 = fit_colour(picture, target)
    assert c1.shape == c2.shape == (2, 3)
    slope, offset = np.polyfit(picture[1, 2].flatten().numpy(), target[1, 2].flatten().numpy(), 1)
    assert float(c1[1, 2]) == pytest.approx(slope, rel=1e-4)
    assert float(c2[1, 2]) == pytest.approx(offset, abs=1e-4)


def test_tensor_form_agrees_with_the_compiled_one():
    picture, target = torch.rand(3, 9, 11, dtype=torch.float64), torch.rand(3, 9, 11, dtype=torch.float64)
    tensor_form = fit_colour(picture.clone().requires_grad_(), target)
    for ours, theirs in zip(fit_colour(picture, target), tensor_form, strict=True):
        torch.testing.assert_close(ours, theirs.detach())


def test_flat_or_opposed_pictures_keep_slope_one():
    ramp = torch.linspace(0, 1, 12).view(3, 4)
    assert [float(value) for value in fit_colour(torch.zeros(3, 4), ramp)] == pytest.approx([1, 0.5])
    assert [float(value) for value in fit_colour(ramp, 1 - ramp)] == pytest.approx([1, 0], abs=1e-6)


def test_offset_and_clipping():
    c1, c2 = fit_offset(torch.zeros(3, 4, 4), torch.full((3, 4, 4), 0.25))
    assert torch.equal(apply_colour(torch.zeros(3, 4, 4), c1, c2), torch.full((3, 4, 4), 0.25))
    assert apply_colour(torch.full((1, 2, 2), 9.0), torch.ones(1), torch.zeros(1)).max() == 1


def test_applied_in_place_the_colours_are_the_same():
    reconstruction = torch.linspace(-1, 2, 3 * 5 * 7).view(3, 5, 7)
    c1, c2 = torch.tensor([1.0, 0.5, 2.0]), torch.tensor([0.0, 0.2, -0.1])
    before = reconstruction.clone()
    expected = torch.addcmul(c2[:, None, None], c1[:, None, None], reconstruction).clamp(0, 1)
    torch.testing.assert_close(apply_colour(reconstruction, c1, c2), expected)
    assert torch.equal(reconstruction, before)
    torch.testing.assert_close(apply_colour(reconstruction, c1, c2, overwrite=True), expected)


def test_moments_of_a_long_bright_plane_keep_their_digits():
    first = 0.9 + 0.01 * torch.rand(1, 480, 640, generator=torch.Generator().manual_seed(0))
    slope, offset = fit_colour(first, 0.5 * first + 0.1)
    torch.testing.assert_close(slope, torch.tensor([0.5]), rtol=0, atol=1e-4)
    torch.testing.assert_close(slope * 0.9 + offset, torch.tensor([0.55]), rtol=0, atol=1e-6)


def test_bad_input_is_one_sentence():
    with pytest.raises(ShapeError, match="share a grid"):
        fit_colour(torch.zeros(3, 4, 4), torch.zeros(3, 4, 5))
