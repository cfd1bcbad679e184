"""The rest of IE-Net's block, features + ReLU(batch norm(convolved)), in one pass a channel where that is faster."""

from typing import Any

import numba
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lib.zero_tig.convolution import runs_kernels

Array = NDArray[np.float32]

# sums may be reordered (they vectorise then)
kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
ZERO = np.float32(0)


def add_normalised(features: Tensor, convolved: Tensor, norm: nn.BatchNorm2d, statistics: nn.BatchNorm2d) -> Tensor:
    """features + ReLU(normalised convolved), all (B, C, H, W).

    norm: weight, bias, eps and momentum. statistics: its running mean and variance are what evaluation divides by and
    what training moves; `norm` itself, or another one.
    Choice: in training, where the convolutions run as compiled kernels, so does this; elsewhere it is the expression.
    """
    mean, variance, seen = statistics.running_mean, statistics.running_var, statistics.num_batches_tracked
    if mean is None or variance is None or seen is None or norm.momentum is None:
        raise ValueError("batch norm must track its running statistics with a momentum")
    if norm.training:
        seen.add_(1)
    if not _fits(features, convolved, norm):
        normalised = F.batch_norm(
            convolved, mean, variance, norm.weight, norm.bias, norm.training, norm.momentum, norm.eps
        )
        return features + F.relu(normalised)
    result, batch_mean, batch_variance = _Normalised.apply(features, convolved, norm.weight, norm.bias, norm.eps)
    count = convolved.numel() // convolved.shape[1]
    with torch.no_grad():
        mean.lerp_(batch_mean, norm.momentum)
        variance.lerp_(batch_variance * (count / (count - 1)), norm.momentum)
    return result


def _fits(features: Tensor, convolved: Tensor, norm: nn.BatchNorm2d) -> bool:
    return (
        norm.training
        and features.shape == convolved.shape
        and convolved.numel() > convolved.shape[1]  # torch refuses one value a channel
        and all(runs_kernels(each) for each in (features, convolved))
    )


class _Normalised(torch.autograd.Function):
    """Result, and mean and variance of each channel of this batch; once differentiable."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, convolved: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        features, convolved = features.contiguous(), convolved.contiguous()
        mean, variance = torch.empty_like(weight), torch.empty_like(weight)
        result = torch.empty_like(features)
        _normalise(
            *(each.numpy() for each in (features.flatten(2), convolved.flatten(2), weight, bias)), eps,
            *(each.numpy() for each in (mean, variance, result.flatten(2))),
        )  # fmt: skip
        ctx.save_for_backward(convolved, weight, bias, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return result, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_result: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        convolved, weight, bias, mean, variance = ctx.saved_tensors
        of_result = of_result.contiguous()
        of_convolved, of_weight, of_bias = (torch.empty_like(each) for each in (convolved, weight, bias))
        _gradients(
            *(each.numpy() for each in (of_result.flatten(2), convolved.flatten(2), weight, bias, mean, variance)),
            ctx.eps, *(each.numpy() for each in (of_convolved.flatten(2), of_weight, of_bias)),
        )  # fmt: skip
        return of_result, of_convolved, of_weight, of_bias, None


@kernel
def _normalise(
    features: Array,
    convolved: Array,
    weight: Array,
    bias: Array,
    eps: float,
    means: Array,
    variances: Array,
    result: Array,
) -> None:
    """Per channel of (B, C, P): mean, then variance about it, then the result; its pixels stay in the cache."""
    batch, channels, size = convolved.shape
    for c in range(channels):
        total = 0.0
        for b in range(batch):
            total += _sum(convolved, b, c)
        mean = np.float32(total / (batch * size))
        total = 0.0
        for b in range(batch):
            total += _sum_of_squares(convolved, b, c, mean)
        variance = total / (batch * size)
        scale = np.float32(weight[c] / np.sqrt(variance + eps))
        shift = bias[c] - mean * scale
        for b in range(batch):
            for p in range(size):
                result[b, c, p] = features[b, c, p] + max(convolved[b, c, p] * scale + shift, ZERO)
        means[c], variances[c] = mean, variance


@kernel
def _gradients(
    of_result: Array,
    convolved: Array,
    weight: Array,
    bias: Array,
    means: Array,
    variances: Array,
    eps: float,
    of_convolved: Array,
    of_weight: Array,
    of_bias: Array,
) -> None:
    """Per channel of (B, C, P): sums of what passes the ReLU and of its product with the values, then the gradient."""
    batch, channels, size = convolved.shape
    for c in range(channels):
        deviation = np.float32(1 / np.sqrt(variances[c] + eps))
        mean, scale = means[c], weight[c] * deviation
        shift = bias[c] - mean * scale
        passed, product = 0.0, 0.0
        for b in range(batch):
            passed_here, product_here = _sums_of_passed(of_result, convolved, b, c, scale, shift, mean)
            passed += passed_here
            product += product_here
        product = product * float(deviation)
        of_bias[c], of_weight[c] = passed, product
        count = batch * size
        common, slope = np.float32(passed / count), np.float32(product / count) * deviation
        for b in range(batch):
            for p in range(size):
                value, arriving = convolved[b, c, p], of_result[b, c, p]  # both always: a loop with branches is slow
                g = arriving if value * scale + shift > ZERO else ZERO
                of_convolved[b, c, p] = scale * (g - common - (value - mean) * slope)


# float32 sums of this many pixels are added up in float64
RUN = 512


@kernel
def _sum(values: Array, b: int, c: int) -> float:
    total = 0.0
    for start in range(0, values.shape[2], RUN):
        part = ZERO
        for p in range(start, min(start + RUN, values.shape[2])):
            part += values[b, c, p]
        total += float(part)
    return total


@kernel
def _sum_of_squares(values: Array, b: int, c: int, mean: np.float32) -> float:
    total = 0.0
    for start in range(0, values.shape[2], RUN):
        part = ZERO
        for p in range(start, min(start + RUN, values.shape[2])):
            difference = values[b, c, p] - mean
            part += difference * difference
        total += float(part)
    return total


@kernel
def _sums_of_passed(
    of_result: Array, convolved: Array, b: int, c: int, scale: np.float32, shift: np.float32, mean: np.float32
) -> tuple[float, float]:
    """Sums of the gradient where the ReLU passes it, and of that times (value - mean)."""
    passed, product = 0.0, 0.0
    for start in range(0, convolved.shape[2], RUN):
        part, part_product = ZERO, ZERO
        for p in range(start, min(start + RUN, convolved.shape[2])):
            value, arriving = convolved[b, c, p], of_result[b, c, p]
            g = arriving if value * scale + shift > ZERO else ZERO
            part += g
            part_product += g * (value - mean)
        passed += float(part)
        product += float(part_product)
    return passed, product
