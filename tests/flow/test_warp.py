"""Backward warp and flow resizing: exact shifts, agreement of both forms and of other calculations, gradients."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.flow import resize_flow, warp
from lib.flow.warp import PADDINGS, Padding, _warp_tensor

SIZES = [(7, 9), (2, 2), (3, 1100), (1, 5), (5, 1), (1, 1)]


def random_pair(
    *size: int, length_px: float = 2.0, batch: int = 2, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch, 3, *size, generator=generator, dtype=dtype)
    return image, length_px * torch.randn(batch, 2, *size, generator=generator, dtype=dtype)


def constant_flow(image: Tensor, x: float, y: float) -> Tensor:
    return image.new_tensor([x, y]).view(1, 2, 1, 1).expand(len(image), 2, *image.shape[-2:])


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_zero_flow_gives_the_image_bit_for_bit(device: torch.device, dtype: torch.dtype, padding: Padding) -> None:
    image, _ = random_pair(31, 53)
    image = image.to(device, dtype)
    result = warp(image, constant_flow(image, 0, 0), padding=padding)
    assert result.dtype == dtype
    assert torch.equal(result, image)


@pytest.mark.parametrize(("x", "y"), [(3, 0), (0, -2), (-4, 5)])
def test_whole_pixel_flow_equals_a_roll(device: torch.device, x: int, y: int) -> None:
    image = random_pair(20, 30)[0].to(device)
    expected = torch.roll(image, (-y, -x), dims=(-2, -1))
    inside = (..., slice(5, -5), slice(5, -5))
    assert torch.equal(warp(image, constant_flow(image, x, y))[inside], expected[inside])


def test_half_a_pixel_by_hand(device: torch.device) -> None:
    image = torch.tensor([[[[0.0, 1.0, 3.0], [4.0, 6.0, 8.0]]]], device=device)
    half = constant_flow(image, 0.5, 0)
    assert warp(image, half)[0, 0].tolist() == [[0.5, 2.0, 3.0], [5.0, 7.0, 8.0]]
    assert warp(image, half, padding="zeros")[0, 0].tolist() == [[0.5, 2.0, 1.5], [5.0, 7.0, 4.0]]
    up = constant_flow(image, 0, -0.25)
    assert warp(image, up)[0, 0].tolist() == [[0.0, 1.0, 3.0], [3.0, 4.75, 6.75]]
    assert warp(image, up, padding="zeros")[0, 0, 0].tolist() == [0.0, 0.75, 2.25]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("length_px", [0.3, 5.0, 300.0, 1e12])
def test_both_forms_agree(size: tuple[int, int], length_px: float, padding: Padding) -> None:
    image, flow = random_pair(*size, length_px=length_px)
    for some_flow in (flow, flow.round()):
        difference = warp(image, some_flow, padding=padding) - _warp_tensor(image, some_flow, padding)
        assert difference.abs().max() < 1e-6


@pytest.mark.parametrize("padding", PADDINGS)
def test_agrees_with_grid_sample(device: torch.device, padding: Padding) -> None:
    image, flow = (tensor.to(device) for tensor in random_pair(40, 60, length_px=8.0, dtype=torch.float64))
    x = torch.arange(60, device=device) + flow[:, 0]
    y = torch.arange(40, device=device)[:, None] + flow[:, 1]
    grid = torch.stack((2 * x / 59 - 1, 2 * y / 39 - 1), dim=-1)
    expected = F.grid_sample(image, grid, padding_mode=padding, align_corners=True)
    torch.testing.assert_close(warp(image, flow, padding=padding), expected, rtol=0, atol=1e-12)
    if device.type == "cpu":  # the compiled form
        narrow = warp(image.float(), flow.float(), padding=padding)
        torch.testing.assert_close(narrow.double(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("result", "sign"), [("corrected_backwardflow_x+F", 1), ("corrected_forwardflow_x-F", -1)])
def test_agrees_with_golden_warps_of_small_flow(golden: Callable[[str], Any], result: str, sign: int) -> None:
    stored = golden("zero_tig/warp.npz")
    for sample, kind in itertools.product(range(3), ("zero", "const", "smooth")):
        image = torch.from_numpy(stored[f"s{sample}_img"]).permute(2, 0, 1)[None].float() / 255
        flow = resize_flow(torch.from_numpy(stored[f"s{sample}_{kind}_flow"])[None], (image.shape[-2], image.shape[-1]))
        warped = warp(image, sign * flow, padding="zeros")[0].numpy()
        np.testing.assert_allclose(warped, stored[f"s{sample}_{kind}_{result}"], atol=1e-5)


def test_agrees_with_golden_warp_of_arflow(golden: Callable[[str], Any]) -> None:
    stored = golden("flow/unsup_flow_losses.npz")
    image = torch.from_numpy(stored["img2"]).permute(2, 0, 1)[None].double() / 255
    warped = warp(image, torch.from_numpy(stored["flow_fw"])[None])
    np.testing.assert_allclose(warped[0].numpy(), stored["warp_img2"], atol=1e-6)


@pytest.mark.parametrize("padding", PADDINGS)
def test_gradients_in_both_arguments(padding: Padding) -> None:
    image, flow = random_pair(4, 5, length_px=1.3, batch=1, dtype=torch.float64)
    inputs = (image.requires_grad_(), flow.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: warp(a, b, padding=padding), inputs)


def test_gradient_form_gives_the_same_numbers_and_inputs_stay() -> None:
    image, flow = random_pair(17, 23)
    kept = image.clone(), flow.clone()
    plain = warp(image, flow)
    with_gradient = warp(image, flow.clone().requires_grad_())
    assert with_gradient.requires_grad
    assert not plain.requires_grad
    torch.testing.assert_close(plain, with_gradient.detach(), rtol=0, atol=1e-6)
    assert torch.equal(image, kept[0])
    assert torch.equal(flow, kept[1])


def test_strided_inputs_and_many_channels() -> None:
    generator = torch.Generator().manual_seed(1)
    wide = torch.rand(2, 20, 30, 7, generator=generator).permute(0, 3, 1, 2)
    flow = torch.randn(2, 20, 30, 2, generator=generator).permute(0, 3, 1, 2)
    expected = warp(wide.contiguous(), flow.contiguous())
    assert torch.equal(warp(wide, flow), expected)
    assert torch.equal(warp(wide[:, 2:5], flow), expected[:, 2:5])


def test_flip_of_picture_and_flow_flips_the_result() -> None:
    image, flow = random_pair(16, 21)
    mirrored = warp(image.flip(-1), (flow * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1)).flip(-1))
    torch.testing.assert_close(mirrored.flip(-1), warp(image, flow), rtol=0, atol=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_flow_that_is_not_finite_is_refused(device: torch.device, dtype: torch.dtype, bad: float) -> None:
    image, flow = (tensor.to(device, dtype) for tensor in random_pair(6, 7))
    flow[1, 1, 2, 3] = bad
    with pytest.raises(ShapeError, match="flow must hold finite numbers"):
        warp(image, flow)


def test_nan_in_the_picture_stays_near_its_pixel() -> None:
    image, flow = random_pair(9, 9, length_px=0.4)
    image[0, 0, 4, 4] = float("nan")
    assert warp(image, flow)[0, 0].isfinite().sum() >= 81 - 9


def test_bad_arguments_are_named() -> None:
    image, flow = random_pair(6, 8)
    with pytest.raises(ShapeError, match=r"share a grid and a batch: .*resize_flow"):
        warp(image, flow[..., :-1])
    with pytest.raises(ShapeError, match="share a grid and a batch"):
        warp(image, flow[:1])
    with pytest.raises(ShapeError, match="channels x and y"):
        warp(image, image)
    with pytest.raises(ShapeError, match="image must have 4 axes"):
        warp(image[0], flow)
    with pytest.raises(ShapeError, match="at least one pixel"):
        warp(image[..., :0], flow[..., :0])
    with pytest.raises(ShapeError, match="float tensor"):
        warp((image * 255).byte(), flow)
    with pytest.raises(SpecError, match="border, zeros: got 'reflect'"):
        warp(image, flow, padding="reflect")


def test_resized_flow_is_the_same_motion(device: torch.device) -> None:
    image = torch.zeros(1, 3, 12, 20, device=device)
    grown = resize_flow(constant_flow(image, 1.5, -2.0), (36, 50))
    assert grown.shape == (1, 2, 36, 50)
    torch.testing.assert_close(grown[0, 0], torch.full_like(grown[0, 0], 1.5 * 2.5))
    torch.testing.assert_close(grown[0, 1], torch.full_like(grown[0, 1], -2.0 * 3))


def test_resized_expansion_keeps_its_centre() -> None:
    # flow that points away from the middle of the picture; half-pixel centres keep it there at every size
    def expansion(height: int, width: int) -> Tensor:
        x = (torch.arange(width) + 0.5 - width / 2).expand(height, width)
        y = (torch.arange(height) + 0.5 - height / 2)[:, None].expand(height, width)
        return 0.1 * torch.stack((x, y))[None].double()

    inside = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(resize_flow(expansion(10, 14), (30, 42))[inside], expansion(30, 42)[inside])


def test_resize_to_the_same_size_changes_nothing() -> None:
    _, flow = random_pair(7, 9)
    assert torch.equal(resize_flow(flow, (7, 9)), flow)
    with pytest.raises(ShapeError, match="at least one pixel"):
        resize_flow(flow, (0, 9))
