"""Compiled CPU forms of the steps that touch every pixel; a tensor form of each stands beside its caller.

All arrays are C-contiguous: pictures (C, H, W), planes (H, W), float32 or float64 alike within one call.
"""

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

Array = NDArray[np.floating]

# contraction only: re-association would undo the rounding trick of `_exp_row`
kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
summing_kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})

LOG2_E = np.float32(math.log2(math.e))
# adding 1.5 * 2^23 rounds a small float32 to an integer, which is then in the low bits of the sum
ROUNDING = np.float32(1.5 * 2**23)
# Taylor coefficients of 2^f on -1/2..1/2, degree 6: relative error below 2e-8
EXP2 = tuple(np.float32(math.log(2) ** power / math.factorial(power)) for power in range(7))


def _power_of_two_in_llvm(typing_context: Any, rounded: Any) -> Any:
    """2^n where n is in the low bits of `rounded`, a float32 made by adding ROUNDING."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(32)
        bits = builder.bitcast(arguments[0], integer)
        exponent = builder.add(builder.shl(bits, ir.Constant(integer, 23)), ir.Constant(integer, 127 << 23))
        return builder.bitcast(exponent, ir.FloatType())

    return numba.float32(numba.float32), generate


_power_of_two: Any = intrinsic(_power_of_two_in_llvm)


@kernel
def _exp_row(values: Array, offset: float) -> None:
    """exp(-(value + offset)) of non-negative float32 values, in place; what is below 2^-126 becomes 2^-126."""
    for x in range(len(values)):
        power = max(-(values[x] + offset) * LOG2_E, np.float32(-126))
        rounded = power + ROUNDING
        rest = power - (rounded - ROUNDING)
        series = EXP2[5] + rest * EXP2[6]
        series = EXP2[3] + rest * (EXP2[4] + rest * series)
        series = EXP2[0] + rest * (EXP2[1] + rest * (EXP2[2] + rest * series))
        values[x] = series * _power_of_two(rounded)


@kernel
def exchange(
    later: Array,
    later_sum: Array,
    later_weight: Array,
    earlier: Array,
    earlier_sum: Array,
    earlier_weight: Array,
    lag: int,
    spatial_rate: float,
    brightness_rate: float,
) -> None:
    """SUSAN weights of all pixel pairs between two padded frames `lag` apart, added to the sums of both (float32)."""
    num_channels, height, width = later.shape
    buffer = np.empty(width, np.float32)
    brightness = np.float32(brightness_rate)
    for y in range(height):
        for dy in range(0 if lag == 0 else -1, 2):
            if y + dy < 0 or y + dy >= height:
                continue
            for dx in range(1 if lag == 0 and dy == 0 else -1, 2):
                length = width - abs(dx)
                start, other = max(-dx, 0), max(dx, 0)
                weight = buffer[:length]
                for channel in range(num_channels):
                    here = later[channel, y, start : start + length]
                    there = earlier[channel, y + dy, other : other + length]
                    if channel == 0:
                        for x in range(length):
                            weight[x] = (here[x] - there[x]) ** 2 * brightness
                    else:
                        for x in range(length):
                            weight[x] += (here[x] - there[x]) ** 2 * brightness
                _exp_row(weight, np.float32((dx**2 + dy**2 + lag**2) * spatial_rate))
                _add_weighted(later, later_sum, later_weight, y, start, earlier, y + dy, other, weight)
                _add_weighted(earlier, earlier_sum, earlier_weight, y + dy, other, later, y, start, weight)


@kernel
def _add_weighted(
    target: Array,
    sums: Array,
    weights: Array,
    y: int,
    x: int,
    source: Array,
    source_y: int,
    source_x: int,
    weight: Array,
) -> None:
    length = len(weight)
    total = weights[y, x : x + length]
    for k in range(length):
        total[k] += weight[k]
    for channel in range(len(target)):
        accumulated, values = sums[channel, y, x : x + length], source[channel, source_y, source_x : source_x + length]
        for k in range(length):
            accumulated[k] += weight[k] * values[k]


@kernel
def mixed_divergence(night: Array, day: Array, importance: Array, result: Array) -> None:
    """Divergence of W grad N + (1 - W) grad D, both gradients by forward differences, in one pass over the pictures."""
    num_channels, height, width = night.shape
    mixed_x = np.zeros(width, night.dtype)
    for channel in range(num_channels):
        above = np.zeros(width, night.dtype)
        for y in range(height):
            n, d, w, divergence = night[channel, y], day[channel, y], importance[y], result[channel, y]
            n_next, d_next = n[1:], d[1:]
            for x in range(width - 1):
                slope = d_next[x] - d[x]
                mixed_x[x] = slope + w[x] * (n_next[x] - n[x] - slope)
            for x in range(width):
                divergence[x] = mixed_x[x] - above[x]
            before = divergence[1:]
            for x in range(width - 1):
                before[x] -= mixed_x[x]
            if y + 1 < height:
                n_below, d_below = night[channel, y + 1], day[channel, y + 1]
                for x in range(width):
                    slope = d_below[x] - d[x]
                    mixed_y = slope + w[x] * (n_below[x] - n[x] - slope)
                    divergence[x] += mixed_y
                    above[x] = mixed_y


@kernel
def luma_gradient_energy(image: Array, coefficients: Array, result: Array) -> None:
    """Squared length of the luma's forward gradient, zero differences at the last column and row, (H, W)."""
    _, height, width = image.shape
    current = np.empty(width, image.dtype)
    following = np.empty(width, image.dtype)
    _luma_row(image, coefficients, 0, current)
    for y in range(height):
        energy = result[y]
        if y + 1 < height:
            _luma_row(image, coefficients, y + 1, following)
        else:
            following[:] = current
        for x in range(width):
            energy[x] = (following[x] - current[x]) ** 2
        beside = current[1:]
        for x in range(width - 1):
            energy[x] += (beside[x] - current[x]) ** 2
        current, following = following, current


@kernel
def _luma_row(image: Array, coefficients: Array, y: int, result: Array) -> None:
    red, green, blue = image[0, y], image[1, y], image[2, y]
    for x in range(len(result)):
        result[x] = coefficients[0] * red[x] + coefficients[1] * green[x] + coefficients[2] * blue[x]


@summing_kernel
def moments(first: Array, second: Array) -> tuple[float, float, float, float]:
    """Means of two rows of pixels, the variance of the first and their covariance, in float64."""
    sum_first, sum_second, sum_square, sum_product = 0.0, 0.0, 0.0, 0.0
    shift_first, shift_second = np.float64(first[0]), np.float64(second[0])
    for x in range(len(first)):
        a, b = first[x] - shift_first, second[x] - shift_second
        sum_first += a
        sum_second += b
        sum_square += a * a
        sum_product += a * b
    count = len(first)
    mean_first, mean_second = sum_first / count, sum_second / count
    variance = sum_square / count - mean_first**2
    return (
        mean_first + shift_first,
        mean_second + shift_second,
        variance,
        sum_product / count - mean_first * mean_second,
    )
