"""Compiled CPU forms of the steps that touch every pixel; a tensor form of each stands beside its caller.

All arrays are C-contiguous: pictures (C, H, W), planes (H, W), float32 or float64 alike within one call.
"""

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

Array = NDArray[np.floating]

# contraction only: re-association would undo the rounding trick of `_exp2`
kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
summing_kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})

LOG2_E = math.log2(math.e)
# adding 1.5 * 2^23 rounds a small float32 to an integer, which is then in the low bits of the sum
ROUNDING = np.float32(1.5 * 2**23)
# 2^f on -1/2..1/2 by Chebyshev interpolation of degree 5: relative error below 2e-7
EXP2 = tuple(Chebyshev.interpolate(np.exp2, 5, [-0.5, 0.5]).convert(kind=Polynomial).coef.astype(np.float32))


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
def _exp2(power: np.float32) -> np.float32:
    """2^power of a float32 that is not positive; what is below 2^-126 becomes 2^-126."""
    bounded = max(power, np.float32(-126))
    rounded = bounded + ROUNDING
    rest = bounded - (rounded - ROUNDING)
    series = EXP2[3] + rest * (EXP2[4] + rest * EXP2[5])
    series = EXP2[0] + rest * (EXP2[1] + rest * (EXP2[2] + rest * series))
    return series * _power_of_two(rounded)


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
    """SUSAN weights of all pixel pairs between two padded frames `lag` apart, added to the sums of both (float32).

    The sums of the border of one pixel, which only lends its values, are left alone.
    """
    _, height, width = later.shape
    # the weights of dx = -1, 0, 1 at each pixel of a row of `later`; 0 where there is no pair
    weights = np.zeros((3, width), np.float32)
    for y in range(height):
        for dy in range(0 if lag == 0 else -1, 2):
            if y + dy < 0 or y + dy >= height:
                continue
            for dx in range(-1, 2):
                if lag == 0 and dy == 0 and dx < 1:
                    weights[dx + 1] = 0  # the pixel itself, and a pair that its left neighbour has counted
                else:
                    power = np.float32(-LOG2_E * spatial_rate * (dx**2 + dy**2 + lag**2))
                    _weigh(later, y, earlier, y + dy, dx, np.float32(-LOG2_E * brightness_rate), power, weights)
            if 0 < y < height - 1:
                _add_weighted(later_sum, later_weight, y, earlier, y + dy, weights, 1)
            if 0 < y + dy < height - 1:
                _add_weighted(earlier_sum, earlier_weight, y + dy, later, y, weights, -1)


@kernel
def _weigh(
    later: Array, y: int, earlier: Array, other_y: int, dx: int, rate: float, power: float, weights: Array
) -> None:
    """weights[dx + 1, x] = 2^(rate |later(x, y) - earlier(x + dx, other_y)|^2 + power) where both pixels exist."""
    num_channels, _, width = later.shape
    # unsigned indices: without Python's wraparound the loops vectorise
    start, other, length = np.uint64(max(-dx, 0)), np.uint64(max(dx, 0)), np.uint64(width - abs(dx))
    if num_channels == 3:  # the common case without a detour through memory
        for x in range(length):
            red = later[0, y, start + x] - earlier[0, other_y, other + x]
            green = later[1, y, start + x] - earlier[1, other_y, other + x]
            blue = later[2, y, start + x] - earlier[2, other_y, other + x]
            weights[dx + 1, start + x] = _exp2((red * red + green * green + blue * blue) * rate + power)
        return
    for x in range(length):
        weights[dx + 1, start + x] = power
    for channel in range(num_channels):
        for x in range(length):
            difference = later[channel, y, start + x] - earlier[channel, other_y, other + x]
            weights[dx + 1, start + x] += difference * difference * rate
    for x in range(length):
        weights[dx + 1, start + x] = _exp2(weights[dx + 1, start + x])


@kernel
def _add_weighted(
    sums: Array, totals: Array, y: int, source: Array, source_y: int, weights: Array, direction: int
) -> None:
    """Adds three neighbours in a row of the source to each pixel inside row y.

    The weights of the neighbours at x - 1, x, x + 1 are those of dx = -1, 0, 1 at x (direction 1), or those of
    dx = 1, 0, -1 at the neighbour (direction -1).
    """
    num_channels, _, width = sums.shape
    before, after = 1 - direction, 1 + direction
    one, two, inner = np.uint64(1), np.uint64(2), np.uint64(max(width - 2, 0))
    left, right = (one, one) if direction == 1 else (np.uint64(0), two)
    for x in range(inner):
        totals[y, one + x] += weights[before, left + x] + weights[1, one + x] + weights[after, right + x]
    for channel in range(num_channels):
        for x in range(inner):
            sums[channel, y, one + x] += (
                weights[before, left + x] * source[channel, source_y, x]
                + weights[1, one + x] * source[channel, source_y, one + x]
                + weights[after, right + x] * source[channel, source_y, two + x]
            )


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
