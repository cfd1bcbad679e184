"""The fused end of IE-Net's block against torch's batch norm in float64, and when it stays torch's."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.zero_tig.residual import add_normalised


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def norm():
    generator = torch.Generator().manual_seed(1)
    layer = nn.BatchNorm2d(5)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(5, generator=generator))
        layer.bias.copy_(torch.randn(5, generator=generator))
    return layer


def pictures(shape, *, offset=0.0):
    generator = torch.Generator().manual_seed(0)
    features, convolved, of_result = (torch.randn(shape, generator=generator) for _ in range(3))
    return features, convolved + offset, of_result


def expression(features, convolved, norm, _):
    return features + F.relu(norm(convolved))


def everything(function, features, convolved, of_result, norm):
    """Result, gradients and running statistics after one pass."""
    leaves = [each.clone().requires_grad_() for each in (features, convolved)]
    result = function(*leaves, norm, norm)
    result.backward(of_result)
    gradients = [leaf.grad for leaf in leaves] + [norm.weight.grad, norm.bias.grad]
    return [result, *gradients, norm.running_mean, norm.running_var, norm.num_batches_tracked]


@pytest.mark.parametrize("shape", [(1, 5, 1, 2), (3, 5, 1, 1), (2, 5, 37, 45), (1, 5, 64, 33)])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_one_pass_equals_batch_norm_in_float64(shape, offset, norm):
    features, convolved, of_result = pictures(shape, offset=offset)
    exact = everything(
        expression, features.double(), convolved.double(), of_result.double(), copy.deepcopy(norm).double()
    )
    found = everything(add_normalised, features, convolved, of_result, norm)
    # float32 rounds values near 100 at 4e-6, which a deviation of 1 leaves as it is; two values can be closer
    tolerance = (1e-5 if offset == 0 else 1e-3) * (10 if convolved[:, 0].numel() < 4 else 1)
    for value, exact_value in zip(found, exact, strict=True):
        torch.testing.assert_close(value.double(), exact_value.double(), rtol=tolerance, atol=tolerance)


def test_hand_made_values():
    norm = nn.BatchNorm2d(1, eps=0.0)
    convolved = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)
    result = add_normalised(torch.full((1, 1, 1, 2), 10.0), convolved, norm, norm)
    assert result.flatten().tolist() == [10, 11]
    assert norm.running_mean.tolist() == pytest.approx([0.2])
    assert norm.running_var.tolist() == pytest.approx([0.9 + 0.1 * 2])


def test_in_training_on_one_thread_it_is_the_compiled_form(norm):
    features, convolved, _ = pictures((1, 5, 4, 4))
    features.requires_grad_()
    assert type(add_normalised(features, convolved, norm, norm).grad_fn).__name__ == "_NormalisedBackward"


def test_evaluation_float64_and_more_threads_are_torchs_own(norm):
    features, convolved, _ = pictures((1, 5, 4, 4))
    features.requires_grad_()
    double = copy.deepcopy(norm).double()
    names = [type(add_normalised(features.double(), convolved.double(), double, double).grad_fn).__name__]
    names.append(type(add_normalised(features, convolved, *[copy.deepcopy(norm).eval()] * 2).grad_fn).__name__)
    torch.set_num_threads(2)
    names.append(type(add_normalised(features, convolved, norm, norm).grad_fn).__name__)
    assert names == ["AddBackward0"] * 3


def test_one_value_a_channel_is_refused_as_torch_does(norm):
    with pytest.raises(ValueError, match="more than 1 value"):
        add_normalised(torch.zeros(1, 5, 1, 1), torch.zeros(1, 5, 1, 1), norm, norm)


def test_nan_stays_in_its_channel(norm):
    features, convolved, _ = pictures((1, 5, 4, 4))
    convolved[0, 2, 1, 1] = torch.nan
    result = add_normalised(features, convolved, norm, norm)
    assert result[0, [0, 1, 3, 4]].isfinite().all()
    assert result[0, 2].isnan().all()
