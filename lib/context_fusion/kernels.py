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
    into_later: bool,
    into_earlier: bool,
) -> None:
    """SUSAN weights of all pixel pairs between two padded frames `lag` apart, added to the sums of both (float32).

    The sums of the border of one pixel, which only lends its values, are left alone; so are those of a frame that is
    itself only lent (a mirrored one).
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
            if into_later and 0 < y < height - 1:
                _add_weighted(later_sum, later_weight, y, earlier, y + dy, weights, 1)
            if into_earlier and 0 < y + dy < height - 1:
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
        difference = later[0, y, start + x] - earlier[0, other_y, other + x]
        weights[dx + 1, start + x] = difference * difference * rate + power
    for channel in range(1, num_channels):
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
def copy_with_border(frame: Array, padded: Array) -> None:
    """Copies (C, H, W) into the middle of (C, H + 2, W + 2) and repeats the outermost pixels around it."""
    num_channels, height, width = frame.shape
    for channel in range(num_channels):
        for y in range(height + 2):
            inside = min(max(y - 1, 0), height - 1)
            for x in range(width):
                padded[channel, y, x + 1] = frame[channel, inside, x]
            padded[channel, y, 0], padded[channel, y, width + 1] = frame[channel, inside, 0], frame[channel, inside, -1]


@kernel
def weighted_means(weighted_sum: Array, weight_sum: Array, lowest: float, result: Array) -> int:
    """Quotients inside the border of one pixel, (C, H - 2, W - 2); gives back how many weights are below `lowest`."""
    num_channels, height, width = result.shape
    num_below = 0
    for y in range(height):
        for x in range(width):
            num_below += weight_sum[y + 1, x + 1] < lowest
        for channel in range(num_channels):
            for x in range(width):
                result[channel, y, x] = weighted_sum[channel, y + 1, x + 1] / weight_sum[y + 1, x + 1]
    return num_below


@kernel
def mixed_divergence(night: Array, day: Array, importance: Array, result: Array) -> None:
    """Divergence of W grad N + (1 - W) grad D, both gradients by forward differences, in one pass over the pictures."""
    num_channels, height, width = night.shape
    # fluxes through the left side of each pixel and through its upper side; none comes in at the border
    left, above = np.zeros(width + 1, night.dtype), np.zeros(width, night.dtype)
    for channel in range(num_channels):
        n, d = night[channel], day[channel]
        above[:] = 0
        for y in range(height):
            for x in range(width - 1):
                slope = d[y, x + 1] - d[y, x]
                left[x + 1] = slope + importance[y, x] * (n[y, x + 1] - n[y, x] - slope)
            for x in range(width):
                result[channel, y, x] = left[x + 1] - left[x] - above[x]
            if y + 1 < height:
                for x in range(width):
                    slope = d[y + 1, x] - d[y, x]
                    below = slope + importance[y, x] * (n[y + 1, x] - n[y, x] - slope)
                    above[x] = below
                    result[channel, y, x] += below


@kernel
def luma_and_gradient_energy(image: Array, coefficients: Array, luma: Array, energy: Array) -> None:
    """Luma (H, W), and the squared length of its forward gradient with zero differences at the last column and row."""
    height, width = luma.shape
    for y in range(height):
        for x in range(width):
            luma[y, x] = (
                coefficients[0] * image[0, y, x] + coefficients[1] * image[1, y, x] + coefficients[2] * image[2, y, x]
            )
    for y in range(height):
        below = min(y + 1, height - 1)
        for x in range(width - 1):
            right, down = luma[y, x + 1] - luma[y, x], luma[below, x] - luma[y, x]
            energy[y, x] = right * right + down * down
        energy[y, width - 1] = (luma[below, width - 1] - luma[y, width - 1]) ** 2


@summing_kernel
def moments(first: Array, second: Array) -> tuple[float, float, float, float]:
    """Means of two rows of pixels, the variance of the first and their covariance.

    Sums of a thousand pixels in the rows' precision are added up in float64.
    """
    zero, length, chunk = first.dtype.type(0), len(first), 1024
    shift_first, shift_second = first[0], second[0]
    sum_first, sum_second, sum_square, sum_product = 0.0, 0.0, 0.0, 0.0
    for start in range(0, length, chunk):
        part_first = part_second = part_square = part_product = zero
        some_first, some_second = first[start : start + chunk], second[start : start + chunk]
        for x in range(len(some_first)):
            a, b = some_first[x] - shift_first, some_second[x] - shift_second
            part_first += a
            part_second += b
            part_square += a * a
            part_product += a * b
        sum_first += float(part_first)
        sum_second += float(part_second)
        sum_square += float(part_square)
        sum_product += float(part_product)
    mean_first, mean_second = sum_first / length, sum_second / length
    variance, covariance = sum_square / length - mean_first**2, sum_product / length - mean_first * mean_second
    return mean_first + shift_first, mean_second + shift_second, variance, covariance


@kernel
def apply_colour(planes: Array, slopes: Array, offsets: Array, result: Array) -> None:
    """slope value + offset, clipped to 0..1, of planes (P, pixels)."""
    zero, one = planes.dtype.type(0), planes.dtype.type(1)
    for plane in range(len(planes)):
        slope, offset = slopes[plane], offsets[plane]
        for x in range(planes.shape[1]):
            result[plane, x] = min(max(slope * planes[plane, x] + offset, zero), one)
