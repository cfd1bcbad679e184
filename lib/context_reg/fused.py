"""Compiled CPU form of the context loss: value and all gradients in one pass, row by row and class by class.

A strip of pixels is turned into the nine values of their windows (see `block_form`); responses, what they pull with,
and both gradients follow while all of that lies in the nearest caches. Each of the three is a small matrix product,
done for two or four kernels at a time so that loads don't limit it. Every tap is multiplied, so that learned kernels
take no longer than the first ones.

What belongs to a strip lies in one array, `scratch`: the window (nine rows), the sums of `_spread` (nine), the pulls of
all kernels, and for each strip of a band the factors and magnitudes of all kernels. Before each loop the compiled code
makes sure that what it writes overlaps nothing else, which takes as long as a short loop: hence strips are long.
"""

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

# sums may be reordered and contracted; NaN keeps its meaning
kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})

STRIP = 640  # pixels of a wide row, or of several narrow rows: what is done before and after each loop pays off
LANES = 64  # rows are filled up with zeros to a multiple of it, so that no loop is left with single pixels
BAND = 8  # rows of one class in turn: memory is read ahead
CENTRE = 4
EDGE = 16  # zeros before and behind each row of sums
ROW = EDGE + STRIP + EDGE
SUMS = 9 * STRIP
PULLS = SUMS + 9 * ROW
# offsets are unsigned: without Python's wraparound of negative ones the loops vectorise
U = np.uint64
ONE = U(1)
S1, S2, S3, S4 = U(STRIP), U(2 * STRIP), U(3 * STRIP), U(4 * STRIP)
S5, S6, S7, S8 = U(5 * STRIP), U(6 * STRIP), U(7 * STRIP), U(8 * STRIP)
R1, R2 = U(ROW), U(2 * ROW)
SIGNS, SQUARES, PULL = 0, 1, 2  # rules of `sweep`


@kernel
def sweep(
    planes: Array,
    weights: Array,
    coefficients: Array,
    taps: Array,
    counted: Array,
    gradient: Array,
    on_coefficients: NDArray[np.float64],
    rule: int,
) -> float:
    """One picture's planes (C, H, W), all C-contiguous and of one float type; gives back the sum of `weights` after it.

    weights: (J, H, W). Rule SIGNS: they come in as W and go out as the loss's shares, W x the sum of |response| over
    the planes. Rule SQUARES: they come out as minus the sum of squared responses. Rule PULL: they are the shares,
    through which the planes and kernels behind W = exp(minus that sum) are pulled.
    coefficients, taps: (J, 9), filled up with kernels of zeros to a multiple of 4. counted: (9, H, W), 1 where a
    neighbour counts, or empty. gradient: (C, H, W), on_coefficients: (J, 9), added to; an empty one is left out.
    """
    channels, height, width = planes.shape
    num_kernels, strips, rows = len(taps), (width + STRIP - 1) // STRIP, _rows_at_once(width)
    size = (BAND + rows - 1) // rows * strips * num_kernels * STRIP
    factors = PULLS + num_kernels * STRIP
    magnitudes = factors + size
    scratch = np.zeros(magnitudes + size, planes.dtype)
    total = 0.0
    for top in range(0, height, BAND):
        bottom = min(top + BAND, height)
        _start_band(weights, top, bottom, num_kernels, scratch[factors:magnitudes], scratch[magnitudes:])
        for c in range(channels):
            place = 0
            for first in range(top, bottom, rows):
                after = min(first + rows, bottom)
                for start in range(0, width, STRIP):
                    length = min(STRIP, width - start)
                    padded = _padded(length)
                    for y in range(first, after):
                        _fill_window(planes, c, counted, y, start, length, (y - first) * padded, scratch)
                    filled = (after - first) * padded
                    for j in range(0, len(weights), 2):
                        at = place + j * STRIP
                        if rule == SIGNS:
                            _take_signs(coefficients, j, filled, factors + at, magnitudes + at, scratch)
                        else:
                            _take_squares(coefficients, j, filled, factors + at, magnitudes + at, scratch)
                    if len(on_coefficients):
                        _correlate(len(weights), filled, scratch, on_coefficients)
                    if len(gradient):
                        for y in range(first, after):
                            _spread(taps, counted, y, start, length, (y - first) * padded, scratch, gradient[c])
                    place += num_kernels * STRIP
        total += _end_band(weights, top, bottom, num_kernels, scratch[magnitudes:], rule)
    return total


@kernel
def _rows_at_once(width: int) -> int:
    """How many rows of a picture fit into a strip."""
    return min(max(STRIP // _padded(width), 1), BAND)


@kernel
def _start_band(weights: Array, top: int, bottom: int, num_kernels: int, factors: Array, magnitudes: Array) -> None:
    """Factors become the weights (J, H, W) of rows top to bottom, strip by strip; magnitudes 0."""
    width = weights.shape[2]
    rows, place = _rows_at_once(width), 0
    for first in range(top, bottom, rows):
        for start in range(0, width, STRIP):
            length = min(STRIP, width - start)
            for y in range(first, min(first + rows, bottom)):
                for j in range(len(weights)):
                    row = weights[j, y, start:]
                    into = U(place + j * STRIP + (y - first) * _padded(length))
                    for x in range(U(length)):
                        factors[into + x] = row[x]
            place += num_kernels * STRIP
    magnitudes[:] = magnitudes.dtype.type(0)


@kernel
def _end_band(weights: Array, top: int, bottom: int, num_kernels: int, magnitudes: Array, rule: int) -> float:
    """Weights of a band are multiplied by the magnitudes, or become minus them, or stay; gives back their sum."""
    width = weights.shape[2]
    rows, place, total = _rows_at_once(width), 0, 0.0
    for first in range(top, bottom, rows):
        for start in range(0, width, STRIP):
            length = min(STRIP, width - start)
            for y in range(first, min(first + rows, bottom)):
                for j in range(len(weights)):
                    row, part = weights[j, y, start:], weights.dtype.type(0)
                    at = U(place + j * STRIP + (y - first) * _padded(length))
                    if rule == SIGNS:
                        for x in range(U(length)):
                            row[x] *= magnitudes[at + x]
                    elif rule == SQUARES:
                        for x in range(U(length)):
                            row[x] = -magnitudes[at + x]
                    for x in range(U(length)):
                        part += row[x]
                    total += float(part)
            place += num_kernels * STRIP
    return total


@kernel
def _padded(length: int) -> int:
    """The next multiple of LANES."""
    return (length + LANES - 1) // LANES * LANES


@kernel
def _fill_window(
    planes: Array, c: int, counted: Array, y: int, start: int, length: int, offset: int, scratch: Array
) -> None:
    """Differences of a strip of plane c to its eight neighbours, in the middle the strip itself; then zeros.

    offset: where in the strip of `scratch` the row begins.
    """
    _, height, width = planes.shape
    flat = planes.reshape(-1)
    here = U((c * height + y) * width + start)
    for line in range(3):
        there = U((c * height + min(max(y + line - 1, 0), height - 1)) * width + start)
        into = U(3 * line * STRIP + offset)
        # at a border the neighbour is a pixel of another row at first; only before and behind all there is none
        first, last = U(there == U(0)), U(length - (there + U(length) == U(flat.size)))
        for x in range(first, last):
            value = flat[here + x]
            scratch[into + x] = flat[there + x - ONE] - value
            scratch[into + S1 + x] = flat[there + x] - value
            scratch[into + S2 + x] = flat[there + x + ONE] - value
        if first:
            scratch[into + S1] = flat[there] - flat[here]
            scratch[into + S2] = flat[there + U(width > 1)] - flat[here]
        end = U(length - 1)
        if last == end:
            scratch[into + end] = flat[there + end - U(width > 1)] - flat[here + end]
            scratch[into + S1 + end] = flat[there + end] - flat[here + end]
        if start == 0:
            scratch[into] = flat[there] - flat[here]
        if start + length == width:
            scratch[into + S2 + end] = flat[there + end] - flat[here + end]
    into = U(CENTRE * STRIP + offset)
    for x in range(U(length)):
        scratch[into + x] = flat[here + x]
    if len(counted):
        for tap in range(9):
            factor, values = counted[tap, y, start:], scratch[tap * STRIP + offset :]
            for x in range(U(length)):
                values[x] *= factor[x]
    if length % LANES:
        for tap in range(9):
            scratch[tap * STRIP + offset + length : tap * STRIP + offset + _padded(length)] = planes.dtype.type(0)


@kernel
def _take_signs(coefficients: Array, j: int, length: int, factors: int, magnitudes: int, scratch: Array) -> None:
    """Of kernels j and j + 1: magnitudes of the responses added up; pulls are the factors with the responses' signs.

    A response of 0 pulls with 0, the sub-gradient in the middle of -1..1. factors, magnitudes: where kernel j's are.
    """
    zero = scratch.dtype.type(0)
    flat, row = coefficients.reshape(-1), U(9 * j)
    a, b, c, d, e = flat[row], flat[row + U(1)], flat[row + U(2)], flat[row + U(3)], flat[row + U(4)]
    f, g, h, i = flat[row + U(5)], flat[row + U(6)], flat[row + U(7)], flat[row + U(8)]
    row += U(9)
    k, l, m, n, o = flat[row], flat[row + U(1)], flat[row + U(2)], flat[row + U(3)], flat[row + U(4)]  # noqa: E741
    p, q, r, s = flat[row + U(5)], flat[row + U(6)], flat[row + U(7)], flat[row + U(8)]
    into, factor, magnitude = U(PULLS + j * STRIP), U(factors), U(magnitudes)
    for x in range(U(length)):
        w0, w1, w2, w3, w4 = scratch[x], scratch[S1 + x], scratch[S2 + x], scratch[S3 + x], scratch[S4 + x]
        w5, w6, w7, w8 = scratch[S5 + x], scratch[S6 + x], scratch[S7 + x], scratch[S8 + x]
        first = a * w0 + b * w1 + c * w2 + d * w3 + e * w4 + f * w5 + g * w6 + h * w7 + i * w8
        second = k * w0 + l * w1 + m * w2 + n * w3 + o * w4 + p * w5 + q * w6 + r * w7 + s * w8
        scratch[magnitude + x] += abs(first)
        scratch[magnitude + S1 + x] += abs(second)
        scratch[into + x] = math.copysign(scratch[factor + x], first) if first != zero else zero
        scratch[into + S1 + x] = math.copysign(scratch[factor + S1 + x], second) if second != zero else zero


@kernel
def _take_squares(coefficients: Array, j: int, length: int, factors: int, magnitudes: int, scratch: Array) -> None:
    """Of kernels j and j + 1: squared responses added up; pulls are the factors times -2 times the response."""
    twice = scratch.dtype.type(-2)
    flat, row = coefficients.reshape(-1), U(9 * j)
    a, b, c, d, e = flat[row], flat[row + U(1)], flat[row + U(2)], flat[row + U(3)], flat[row + U(4)]
    f, g, h, i = flat[row + U(5)], flat[row + U(6)], flat[row + U(7)], flat[row + U(8)]
    row += U(9)
    k, l, m, n, o = flat[row], flat[row + U(1)], flat[row + U(2)], flat[row + U(3)], flat[row + U(4)]  # noqa: E741
    p, q, r, s = flat[row + U(5)], flat[row + U(6)], flat[row + U(7)], flat[row + U(8)]
    into, factor, magnitude = U(PULLS + j * STRIP), U(factors), U(magnitudes)
    for x in range(U(length)):
        w0, w1, w2, w3, w4 = scratch[x], scratch[S1 + x], scratch[S2 + x], scratch[S3 + x], scratch[S4 + x]
        w5, w6, w7, w8 = scratch[S5 + x], scratch[S6 + x], scratch[S7 + x], scratch[S8 + x]
        first = a * w0 + b * w1 + c * w2 + d * w3 + e * w4 + f * w5 + g * w6 + h * w7 + i * w8
        second = k * w0 + l * w1 + m * w2 + n * w3 + o * w4 + p * w5 + q * w6 + r * w7 + s * w8
        scratch[magnitude + x] += first * first
        scratch[magnitude + S1 + x] += second * second
        scratch[into + x] = twice * scratch[factor + x] * first
        scratch[into + S1 + x] = twice * scratch[factor + S1 + x] * second


@kernel
def _correlate(num_kernels: int, length: int, scratch: Array, result: NDArray[np.float64]) -> None:
    """Adds the products of every pull with every value of the window, summed over the strip, to (J, 9)."""
    zero = scratch.dtype.type(0)
    for j in range(0, num_kernels, 2):
        pull = U(PULLS + j * STRIP)
        for tap in range(0, 9, 3):
            w = U(tap * STRIP)
            a0 = a1 = a2 = b0 = b1 = b2 = zero
            for x in range(U(length)):
                a, b = scratch[pull + x], scratch[pull + S1 + x]
                left, middle, right = scratch[w + x], scratch[w + S1 + x], scratch[w + S2 + x]
                a0 += a * left
                a1 += a * middle
                a2 += a * right
                b0 += b * left
                b1 += b * middle
                b2 += b * right
            for k, three in ((j, (a0, a1, a2)), (j + 1, (b0, b1, b2))):
                for i in range(3):
                    result[k, tap + i] += three[i]


@kernel
def _spread(
    taps: Array, counted: Array, y: int, start: int, length: int, offset: int, scratch: Array, gradient: Array
) -> None:
    """Adds every pull times its kernel's taps to the pixels of its window, those beyond the border to the nearest."""
    height, width = gradient.shape
    # all sums first: reading them displaced by a pixel right after they were written would wait for the memory
    for j in range(0, len(taps), 4):
        for tap in range(0, 9, 3):
            _combine(taps, j, tap, _padded(length), offset, scratch)
    for line in range(3):
        if len(counted):
            _return_uncounted(counted, y, start, length, 3 * line, scratch, gradient)
        first = SUMS + 3 * line * ROW + EDGE
        row = gradient[min(max(y + line - 1, 0), height - 1)]
        target, sums = row[start:], U(first)
        for x in range(U(length)):
            target[x] += scratch[sums + x + ONE] + scratch[sums + R1 + x] + scratch[sums + R2 + x - ONE]
        row[max(start - 1, 0)] += scratch[first]
        row[min(start + length, width - 1)] += scratch[first + 2 * ROW + length - 1]


@kernel
def _return_uncounted(
    counted: Array, y: int, start: int, length: int, tap: int, scratch: Array, gradient: Array
) -> None:
    """What would go to an ignored neighbour goes to the centre; three taps from `tap` on."""
    centre = gradient[y, start:]
    for k in range(tap, tap + 3):
        factor, part = counted[k, y, start:], scratch[SUMS + k * ROW + EDGE :]
        for x in range(U(length)):
            kept = part[x] * factor[x]
            centre[x] += part[x] - kept
            part[x] = kept


@kernel
def _combine(taps: Array, j: int, tap: int, length: int, offset: int, scratch: Array) -> None:
    """Sums of pull times tap, kernels j to j + 3 added to those before, for three taps, each in its row of sums."""
    a0, a1, a2 = taps[j, tap], taps[j, tap + 1], taps[j, tap + 2]
    b0, b1, b2 = taps[j + 1, tap], taps[j + 1, tap + 1], taps[j + 1, tap + 2]
    c0, c1, c2 = taps[j + 2, tap], taps[j + 2, tap + 1], taps[j + 2, tap + 2]
    d0, d1, d2 = taps[j + 3, tap], taps[j + 3, tap + 1], taps[j + 3, tap + 2]
    pull, into = U(PULLS + j * STRIP + offset), U(SUMS + tap * ROW + EDGE)
    if j == 0:
        for x in range(U(length)):
            p, q, r, s = scratch[pull + x], scratch[pull + S1 + x], scratch[pull + S2 + x], scratch[pull + S3 + x]
            scratch[into + x] = a0 * p + b0 * q + c0 * r + d0 * s
            scratch[into + R1 + x] = a1 * p + b1 * q + c1 * r + d1 * s
            scratch[into + R2 + x] = a2 * p + b2 * q + c2 * r + d2 * s
    else:
        for x in range(U(length)):
            p, q, r, s = scratch[pull + x], scratch[pull + S1 + x], scratch[pull + S2 + x], scratch[pull + S3 + x]
            scratch[into + x] += a0 * p + b0 * q + c0 * r + d0 * s
            scratch[into + R1 + x] += a1 * p + b1 * q + c1 * r + d1 * s
            scratch[into + R2 + x] += a2 * p + b2 * q + c2 * r + d2 * s
