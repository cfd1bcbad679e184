"""The 3x3 convolution: both compiled forms against float64, and everything that must stay torch's own."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.zero_tig import winograd
from lib.zero_tig.convolution import Conv3x3

# one pixel, fewer pixels than a tile, no multiple of a tile, rows of several chunks; batches
SIZES = [(1, 1, 1), (2, 3, 2), (1, 1, 50), (3, 5, 1), (1, 37, 45), (2, 10, 641)]
WINOGRAD = [(32, 32), (48, 40), (64, 64)]
WINDOWS = [(3, 64), (1, 65), (64, 3), (70, 31), (9, 64)]
# largest error as a part of the largest value: float32 rounds at 6e-8 and direct sums reach 1e-6; Winograd's transforms
# cancel numbers up to 10 times as large on either side, and each step of a tile works on their products
TOLERANCE = 2e-5


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def random(device):
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator).to(device)


def with_gradients(convolve, image, of_result):
    """Result and the gradients of image, weight and bias."""
    image = image.detach().clone().requires_grad_()
    convolve.zero_grad()
    result = convolve(image)
    result.backward(of_result)
    return {"result": result, "image": image.grad, "weight": convolve.weight.grad, "bias": convolve.bias.grad}


def plain_copy(layer, dtype=torch.float64):
    plain = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1).to(layer.weight.device)
    plain.load_state_dict(layer.state_dict())
    return plain.to(dtype)


def is_compiled(result):
    return type(result.grad_fn).__name__ == "_CompiledConvolutionBackward"


def assert_near(found, exact):
    for name, value in exact.items():
        error = (found[name].double() - value).abs().max() / value.abs().max().clamp_min(1e-3)
        assert error < TOLERANCE, f"{name}: {error:.1e}"


@pytest.mark.parametrize("channels", WINOGRAD + WINDOWS)
@pytest.mark.parametrize("size", SIZES)
def test_results_and_gradients_are_those_of_float64(channels, size, random, device):
    batch, height, width = size
    layer = Conv3x3(*channels).to(device)
    image, of_result = random(batch, channels[0], height, width), random(batch, channels[1], height, width)
    exact = with_gradients(plain_copy(layer), image.double(), of_result.double())
    assert_near(with_gradients(layer, image, of_result), exact)


@pytest.mark.parametrize("channels", [(64, 64), (3, 64), (64, 3)])
def test_the_wide_layers_really_take_the_compiled_form(channels):
    result = Conv3x3(*channels)(torch.zeros(1, channels[0], 8, 8))
    assert is_compiled(result)


@pytest.mark.parametrize("channels", [(64, 64), (3, 64), (64, 3)])
def test_a_single_tap_moves_the_picture_and_leaves_zeros(channels, random):
    layer = Conv3x3(*channels)
    image = random(1, channels[0], 9, 11)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(0.5)
        layer.weight[2, 1, 0, 2] = 1  # the pixel above and to the right
        result = layer(image)[0, 2] - 0.5
    torch.testing.assert_close(result[1:, :-1], image[0, 1, :-1, 1:], atol=1e-5, rtol=0)
    assert float(result[0].abs().max()) < 1e-5
    assert float(result[:, -1].abs().max()) < 1e-5


@pytest.mark.parametrize("channels", [(64, 64), (3, 64), (64, 3)])
def test_views_of_other_memory_order_pass(channels, random):
    layer = Conv3x3(*channels)
    image, of_result = random(2, 12, 7, channels[0]), random(2, 12, 7, channels[1])
    image, of_result = (each.permute(0, 3, 1, 2)[..., ::2] for each in (image, of_result))
    assert not image.is_contiguous()
    exact = with_gradients(plain_copy(layer), image.double(), of_result.double())
    assert_near(with_gradients(layer, image, of_result), exact)


@pytest.mark.parametrize("channels", [(64, 64), (3, 64), (64, 3)])
@pytest.mark.parametrize("needed", ["image", "weight", "bias"])
def test_only_the_gradients_asked_for_are_made(channels, needed, random):
    layer = Conv3x3(*channels)
    image, of_result = random(1, channels[0], 9, 9), random(1, channels[1], 9, 9)
    exact = with_gradients(plain_copy(layer), image.double(), of_result.double())[needed]
    leaves = {"image": image, "weight": layer.weight, "bias": layer.bias}
    for name, leaf in leaves.items():
        leaf.requires_grad_(name == needed)
    layer(image).backward(of_result)
    assert_near({needed: leaves[needed].grad}, {needed: exact})
    assert all(leaf.grad is None for name, leaf in leaves.items() if name != needed)


def test_memory_does_not_depend_on_the_height():
    """All workspaces of a tall picture together are those of a low one."""
    sizes = {}
    for height in (64, 256):
        chunks = list(winograd._chunks(torch.zeros(1, 32, height, 64), 32))
        sizes[height] = max(chunk.inputs.untyped_storage().nbytes() for chunk in chunks)
    assert sizes[64] == sizes[256]


def test_nan_spreads_to_the_windows_that_see_it(random):
    image = random(1, 32, 24, 24)
    image[0, 0, 13, 13] = torch.nan
    with torch.no_grad():
        result = Conv3x3(32, 32)(image)
    assert result[..., 12:15, 12:15].isnan().all()
    assert result[..., :8, :].isfinite().all()


def test_float64_autocast_and_more_threads_are_torchs_own(random):
    layer, image = Conv3x3(64, 64), random(1, 64, 8, 8)
    assert not is_compiled(plain_result := copy.deepcopy(layer).double()(image.double()))
    assert plain_result.dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lowered = layer(image)
    assert lowered.dtype == torch.bfloat16
    assert not is_compiled(lowered)
    torch.set_num_threads(2)
    assert not is_compiled(layer(image))


def test_under_torch_compile_it_is_torchs_own(random, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not is_compiled(Conv3x3(64, 64)(random(1, 64, 8, 8)))


def test_narrow_layers_are_torchs_own(random):
    layer, image = Conv3x3(3, 48), random(1, 3, 8, 8)
    torch.testing.assert_close(layer(image), F.conv2d(image, layer.weight, layer.bias, padding=1), atol=0, rtol=0)


def test_state_dict_is_that_of_a_plain_convolution():
    assert list(Conv3x3(64, 64).state_dict()) == list(nn.Conv2d(64, 64, 3, padding=1).state_dict())


def test_wrong_pictures_get_torchs_message():
    layer = Conv3x3(64, 64)
    with pytest.raises(RuntimeError, match="channels"):
        layer(torch.zeros(1, 3, 8, 8))
    assert layer(torch.zeros(64, 8, 8)).shape == (64, 8, 8)
    assert layer(torch.zeros(0, 64, 8, 8)).shape == (0, 64, 8, 8)


def test_second_derivatives_are_refused(random):
    image = random(1, 64, 8, 8).requires_grad_()
    (first,) = torch.autograd.grad(Conv3x3(64, 64)(image).square().sum(), image, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
