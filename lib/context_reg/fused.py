"""Compiled CPU form of the context loss: value and all gradients in one pass, two rows at a time and class by class.

Of a column of four pixels d0 to d3, in, over and under the two rows, a kernel's three taps g0 to g2 make two responses.
What the responses' pulls p and q do to the pixels and to the taps are the transposes of that, and need four products in
place of six (Winograd's minimal filter F(2, 3), transposed): with t = p + q and u = p - q

    on the pixels  (n0, n1 - n2 - n3, n1 + n2 - n0, n3),  n = (g0 p, (g0 + g1 + g2)/2 t, (g0 - g1 + g2)/2 u, g2 q)
    on the taps    (e0 + (e1 + e2)/2, (e1 - e2)/2, (e1 + e2)/2 + e3),
                   e = (p (d0 - d2), t (d1 + d2), u (d2 - d1), q (d3 - d1)).

The responses themselves are computed directly: a rounding error there could turn the sign of what is exactly 0. So is
everything in a block of pixels, `Lanes` of both rows, where an ignored pixel has a neighbour that is not.
Every tap is multiplied, so that learned kernels take no longer than the first ones. Of a tile of the picture, the pulls
of all kernels and what the taps' sums are made of stay in the nearest caches, and within a loop all is in registers.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from lib.context_reg.lanes import FLAGS, WIDTH, fill, load, magnitude, prefetch, store, total, with_sign

Array = NDArray[np.float32]

kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=set(FLAGS))

TILE = 640  # columns done at a time: what belongs to them fits into the nearer caches
BAND = 16  # rows of one class in turn, an even number
CENTRE = 4
TWO = 2 * WIDTH  # numbers of a block
PRODUCTS = 12  # four of three columns
SUMS = PRODUCTS * WIDTH
SIGNS, SQUARES, PULL = 0, 1, 2  # rules of `sweep`


@kernel
def sweep(
    planes: Array,
    weights: Array,
    coefficients: Array,
    taps: Array,
    known: Array,
    gradient: Array,
    on_coefficients: NDArray[np.float64],
    rule: int,
) -> float:
    """One picture's planes (C, H, W), all float32 and C-contiguous; gives back the loss, or 0.

    weights: (J, H, W). Rule SIGNS: they come in as W, not negative, and go out as the loss's shares, W x the sum of
    |response| over the planes; the loss is their sum. Rule SQUARES: they come out as minus the sum of squared
    responses, and nothing is pulled. Rule PULL: they are the shares, through which the planes and kernels behind
    W = exp(minus that sum) are pulled.
    coefficients, taps: (J, 9), filled up with kernels of zeros to an even number. known: (H, W), 1 and where a pixel is
    ignored 0, with weights of 0; or empty. gradient: (C, H, W), written. on_coefficients: (J, 9), added to. An empty
    one of these is left out.
    """
    channels, height, width = planes.shape
    num_kernels, padded = len(taps), _padded(width)
    line = WIDTH + padded + WIDTH
    # of four rows in turn, each at y % 4: the pixels, and what left, middle and right taps give
    rows, spread = np.zeros(4 * line, np.float32), np.zeros(4 * 3 * line, np.float32)
    pulls = np.zeros(2 * TILE * num_kernels, np.float32)
    sums = np.zeros(len(on_coefficients) * SUMS, np.float32)
    direct_sums = np.zeros(len(on_coefficients) * 9 * WIDTH, np.float32)
    window = np.zeros(PRODUCTS * TILE if len(on_coefficients) else 0, np.float32)
    factors = np.zeros(BAND * padded * num_kernels, np.float32)
    magnitudes = np.zeros(BAND * padded * num_kernels, np.float32)
    known_rows = np.ones((BAND // 2, 4 * line if len(known) else 0), np.float32)
    mixed = np.zeros((BAND // 2, padded // WIDTH), np.bool_)
    products, of_kernels, all_taps = _products_of(taps), coefficients.reshape(-1), taps.reshape(-1)
    flat, flat_gradient, result = planes.reshape(-1), gradient.reshape(-1), 0.0
    for top in range(0, height, BAND):
        bottom = min(top + BAND, height)
        if rule != SQUARES:
            _start_band(weights, top, bottom, num_kernels, factors)
        if len(known):
            _find_mixed(known, top, bottom, line, known_rows, mixed)
        magnitudes[:] = np.float32(0)
        for c in range(channels):
            spread[:] = np.float32(0)
            _take_row(planes[c], top - 1, line, rows)
            _take_row(planes[c], top, line, rows)
            for y in range(top, bottom, 2):
                _take_row(planes[c], y + 1, line, rows)
                _take_row(planes[c], y + 2, line, rows)
                of_next = (min(c + 1, channels - 1) * height + y) * width
                _prefetch_rows(flat, of_next, 2 * width)
                if len(gradient):
                    _prefetch_rows(flat_gradient, of_next, 2 * width)
                pair = (y - top) // 2
                for start in range(0, padded, TILE):
                    length = min(TILE, padded - start)
                    tile = (y, start, length, line)
                    place, blocks = 2 * (pair * padded + start) * num_kernels, mixed[pair, start // WIDTH :]
                    _respond(
                        of_kernels,
                        tile,
                        place,
                        rows,
                        known_rows[pair],
                        blocks,
                        factors,
                        magnitudes,
                        pulls,
                        rule,
                        window,
                    )
                    if len(gradient):
                        _spread(products, all_taps, tile, known_rows[pair], blocks, pulls, spread)
                    if len(on_coefficients):
                        if len(known):
                            _correlate_mixed(num_kernels, tile, rows, known_rows[pair], blocks, pulls, direct_sums)
                        _correlate(num_kernels, length, window, pulls, sums)
                if len(gradient):
                    _give_row(spread, y - 1, top, line, gradient[c])
                    _give_row(spread, y, top, line, gradient[c])
            if len(gradient):
                after = top + (bottom - top + 1) // 2 * 2
                _give_row(spread, after - 1, top, line, gradient[c])
                _give_row(spread, after, top, line, gradient[c])
            if len(on_coefficients):
                _add_sums(sums, direct_sums, on_coefficients)
        if rule != PULL:
            result += _end_band(weights, top, bottom, num_kernels, magnitudes, rule)
    return result


@kernel
def _products_of(taps: Array) -> Array:
    """What p, t, u and q are multiplied by, of three columns each: (J * 12)."""
    result, half = np.empty(PRODUCTS * len(taps), np.float32), np.float32(0.5)
    for j in range(len(taps)):
        for column in range(3):
            upper, middle, lower = taps[j, column], taps[j, 3 + column], taps[j, 6 + column]
            at = PRODUCTS * j + column
            result[at], result[at + 9] = upper, lower
            result[at + 3], result[at + 6] = half * (upper + middle + lower), half * (upper - middle + lower)
    return result


@kernel
def _start_band(weights: Array, top: int, bottom: int, num_kernels: int, factors: Array) -> None:
    """Factors become the weights (J, H, W) of rows top to bottom, block by block; 0 beyond the picture."""
    width = weights.shape[2]
    whole = width // WIDTH * WIDTH
    factors[:] = np.float32(0)
    for y in range(top, bottom):
        for j in range(len(weights)):
            row, at = weights[j, y], _place_in_band(y - top, j, width, num_kernels)
            for x in range(0, whole, WIDTH):
                store(factors, at + 2 * x * num_kernels, load(row, x))
            for x in range(whole, width):
                factors[at + 2 * whole * num_kernels + x - whole] = row[x]


@kernel
def _end_band(weights: Array, top: int, bottom: int, num_kernels: int, magnitudes: Array, rule: int) -> float:
    """Weights of a band are multiplied by the magnitudes, and summed up, or become minus them."""
    width, result = weights.shape[2], 0.0
    whole, minus = width // WIDTH * WIDTH, fill(np.float32(-1))
    for y in range(top, bottom):
        for j in range(len(weights)):
            row, at = weights[j, y], _place_in_band(y - top, j, width, num_kernels)
            rest, part = at + 2 * whole * num_kernels - whole, fill(np.float32(0))
            if rule == SIGNS:
                for x in range(0, whole, WIDTH):
                    share = load(row, x) * load(magnitudes, at + 2 * x * num_kernels)
                    store(row, x, share)
                    part = part + share
                for x in range(whole, width):
                    row[x] *= magnitudes[rest + x]
                    result += float(row[x])
                result += float(total(part))
            else:
                for x in range(0, whole, WIDTH):
                    store(row, x, minus * load(magnitudes, at + 2 * x * num_kernels))
                for x in range(whole, width):
                    row[x] = -magnitudes[rest + x]
    return result


@kernel
def _place_in_band(row: int, j: int, width: int, num_kernels: int) -> int:
    """Where a row of kernel j begins in factors and magnitudes: pair of rows, column block, kernel, row, column."""
    return row // 2 * 2 * _padded(width) * num_kernels + j * TWO + row % 2 * WIDTH


@kernel
def _padded(width: int) -> int:
    """The next multiple of WIDTH."""
    return (width + WIDTH - 1) // WIDTH * WIDTH


@kernel
def _find_mixed(known: Array, top: int, bottom: int, line: int, known_rows: Array, mixed: NDArray[np.bool_]) -> None:
    """The lines of each pair of rows in a band, and which blocks have a pixel that counts beside one that does not."""
    for y in range(top, bottom, 2):
        rows, blocks = known_rows[(y - top) // 2], mixed[(y - top) // 2]
        for i in range(y - 1, y + 3):
            _take_row(known, i, line, rows)
        first, second, third, fourth = _row_starts(y, 0, line)
        for block in range(len(blocks)):
            x = block * WIDTH
            uncounted = _uncounted(rows, first + x, second + x, third + x)
            blocks[block] = total(uncounted + _uncounted(rows, second + x, third + x, fourth + x)) > 0


@kernel
def _uncounted(rows: Array, over: int, here: int, under: int) -> Any:
    """How many neighbours don't count, of pixels that do."""
    counted = fill(np.float32(0))
    for place in (over, here, under):
        counted = counted + load(rows, place - 1) + load(rows, place) + load(rows, place + 1)
    return load(rows, here) * (fill(np.float32(9)) - counted)


@kernel
def _take_row(plane: Array, y: int, line: int, rows: Array) -> None:
    """Copies row y of a plane, or the nearest, into its line of four, with its ends repeated."""
    height, width = plane.shape
    row, first = plane[min(max(y, 0), height - 1)], (y + 4) % 4 * line + WIDTH
    into = rows[first : first + width]
    for x in range(width):
        into[x] = row[x]
    rows[first - 1], rows[first + width] = row[0], row[width - 1]


@kernel
def _prefetch_rows(flat: Array, place: int, length: int) -> None:
    for x in range(0, length, WIDTH):
        prefetch(flat, place + x)


@kernel
def _row_starts(y: int, start: int, step: int) -> tuple[int, int, int, int]:
    """Where rows y - 1 to y + 2 have column `start`, of four lines (or groups of lines) `step` apart."""
    first = WIDTH + start
    return (y + 3) % 4 * step + first, y % 4 * step + first, (y + 1) % 4 * step + first, (y + 2) % 4 * step + first


@kernel
def _respond(
    coefficients: Array,
    tile: Any,
    place: int,
    rows: Array,
    known: Array,
    mixed: NDArray[np.bool_],
    factors: Array,
    magnitudes: Array,
    pulls: Array,
    rule: int,
    window: Array,
) -> None:
    """Magnitudes, or squares, of the responses of both rows are added up; pulls are what each response pulls with.

    A response of 0 pulls with 0, the sub-gradient in the middle of -1..1. place: of the tile, in factors.
    window, if not empty, takes what the taps' sums are made of, for each block: d0 - d2, d1 + d2, d2 - d1, d3 - d1 of
    three columns each. Of d1 + d2, left and right are the differences to the middle: summed up, large numbers that are
    nearly alike would cancel badly.
    """
    y, start, length, line = tile
    first, second, third, fourth = _row_starts(y, start, line)
    num_kernels, minus = len(coefficients) // 9, fill(np.float32(-2))
    for x in range(0, length, WIDTH):
        a0, a1, a2 = load(rows, first + x - 1), load(rows, first + x), load(rows, first + x + 1)
        b0, v, b2 = load(rows, second + x - 1), load(rows, second + x), load(rows, second + x + 1)
        c0, w, c2 = load(rows, third + x - 1), load(rows, third + x), load(rows, third + x + 1)
        d0, d1, d2 = load(rows, fourth + x - 1), load(rows, fourth + x), load(rows, fourth + x + 1)
        if len(window):
            at, middle = PRODUCTS * x, v + w
            _store_six(window, at, a0 - c0, a1 - w, a2 - c2, b0 + c0 - middle, middle, b2 + c2 - middle)
            _store_six(window, at + 6 * WIDTH, c0 - b0, w - v, c2 - b2, d0 - b0, d1 - v, d2 - b2)
        v0, v1, v2, v3, v5, v6, v7, v8 = a0 - v, a1 - v, a2 - v, b0 - v, b2 - v, c0 - v, w - v, c2 - v
        w0, w1, w2, w3, w5, w6, w7, w8 = b0 - w, v - w, b2 - w, c0 - w, c2 - w, d0 - w, d1 - w, d2 - w
        if mixed[x // WIDTH]:
            v0, v1, v2, v3, v5, v6, v7, v8 = _only_counted(
                known, first + x, second + x, third + x, v0, v1, v2, v3, v5, v6, v7, v8
            )
            w0, w1, w2, w3, w5, w6, w7, w8 = _only_counted(
                known, second + x, third + x, fourth + x, w0, w1, w2, w3, w5, w6, w7, w8
            )
        at = 2 * x * num_kernels
        for j in range(num_kernels):
            k = 9 * j
            a, b, c = fill(coefficients[k]), fill(coefficients[k + 1]), fill(coefficients[k + 2])
            p, q = a * v0 + b * v1 + c * v2, a * w0 + b * w1 + c * w2
            a, b, c = fill(coefficients[k + 3]), fill(coefficients[k + CENTRE]), fill(coefficients[k + 5])
            p, q = p + a * v3 + b * v + c * v5, q + a * w3 + b * w + c * w5
            a, b, c = fill(coefficients[k + 6]), fill(coefficients[k + 7]), fill(coefficients[k + 8])
            p, q = p + a * v6 + b * v7 + c * v8, q + a * w6 + b * w7 + c * w8
            here = place + at + j * TWO
            there = here + WIDTH
            if rule == SIGNS:
                store(magnitudes, here, load(magnitudes, here) + magnitude(p))
                store(magnitudes, there, load(magnitudes, there) + magnitude(q))
                p, q = with_sign(load(factors, here), p), with_sign(load(factors, there), q)
            elif rule == SQUARES:
                store(magnitudes, here, load(magnitudes, here) + p * p)
                store(magnitudes, there, load(magnitudes, there) + q * q)
            else:
                p, q = minus * load(factors, here) * p, minus * load(factors, there) * q
            store(pulls, at + j * TWO, p)
            store(pulls, at + j * TWO + WIDTH, q)


@kernel
def _only_counted(
    known: Array, over: int, here: int, under: int, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any
) -> Any:
    """What belongs to the eight neighbours, 0 where such a neighbour is ignored."""
    return (
        a * load(known, over - 1),
        b * load(known, over),
        c * load(known, over + 1),
        d * load(known, here - 1),
        e * load(known, here + 1),
        f * load(known, under - 1),
        g * load(known, under),
        h * load(known, under + 1),
    )


@kernel
def _correlate_mixed(
    num_kernels: int, tile: Any, rows: Array, known: Array, mixed: NDArray[np.bool_], pulls: Array, sums: Array
) -> None:
    """Adds the pulls times the differences of mixed blocks to `sums`: kernel, tap, lane. Then clears those pulls."""
    y, start, length, line = tile
    starts, zero, differences = _row_starts(y, start, line), fill(np.float32(0)), np.empty(2 * 9 * WIDTH, np.float32)
    for x in range(0, length, WIDTH):
        if not mixed[x // WIDTH]:
            continue
        for row in range(2):
            here = starts[row + 1] + x
            for tap in range(9):
                there = starts[row + tap // 3] + x + tap % 3 - 1
                difference = (load(rows, there) - load(rows, here)) * load(known, there)
                store(differences, (9 * row + tap) * WIDTH, load(rows, here) if tap == CENTRE else difference)
        for j in range(num_kernels):
            at = 2 * x * num_kernels + j * TWO
            p, q = load(pulls, at), load(pulls, at + WIDTH)
            for tap in range(9):
                into = (9 * j + tap) * WIDTH
                of_both = p * load(differences, tap * WIDTH) + q * load(differences, (9 + tap) * WIDTH)
                store(sums, into, load(sums, into) + of_both)
            store(pulls, at, zero)
            store(pulls, at + WIDTH, zero)


@kernel
def _correlate(num_kernels: int, length: int, window: Array, pulls: Array, sums: Array) -> None:
    """Adds e of two kernels at a time, lane by lane, to `sums`: kernel, product, column, lane."""
    for j in range(0, num_kernels, 2):
        s, r = SUMS * j, SUMS * (j + 1)
        a0, a1, a2, a3, a4, a5 = _load_six(sums, s)
        a6, a7, a8, a9, a10, a11 = _load_six(sums, s + 6 * WIDTH)
        b0, b1, b2, b3, b4, b5 = _load_six(sums, r)
        b6, b7, b8, b9, b10, b11 = _load_six(sums, r + 6 * WIDTH)
        for x in range(0, length, WIDTH):
            at, w = 2 * x * num_kernels + j * TWO, PRODUCTS * x
            p, q, m, n = load(pulls, at), load(pulls, at + WIDTH), load(pulls, at + TWO), load(pulls, at + TWO + WIDTH)
            d0, d1, d2, d3, d4, d5 = _load_six(window, w)
            t, u = p + q, m + n
            a0, a1, a2, b0, b1, b2 = a0 + p * d0, a1 + p * d1, a2 + p * d2, b0 + m * d0, b1 + m * d1, b2 + m * d2
            a3, a4, a5, b3, b4, b5 = a3 + t * d3, a4 + t * d4, a5 + t * d5, b3 + u * d3, b4 + u * d4, b5 + u * d5
            d0, d1, d2, d3, d4, d5 = _load_six(window, w + 6 * WIDTH)
            t, u = p - q, m - n
            a6, a7, a8, b6, b7, b8 = a6 + t * d0, a7 + t * d1, a8 + t * d2, b6 + u * d0, b7 + u * d1, b8 + u * d2
            a9, a10, a11 = a9 + q * d3, a10 + q * d4, a11 + q * d5
            b9, b10, b11 = b9 + n * d3, b10 + n * d4, b11 + n * d5
        _store_six(sums, s, a0, a1, a2, a3, a4, a5)
        _store_six(sums, s + 6 * WIDTH, a6, a7, a8, a9, a10, a11)
        _store_six(sums, r, b0, b1, b2, b3, b4, b5)
        _store_six(sums, r + 6 * WIDTH, b6, b7, b8, b9, b10, b11)


@kernel
def _load_six(array: Array, place: int) -> Any:
    return (
        load(array, place),
        load(array, place + WIDTH),
        load(array, place + 2 * WIDTH),
        load(array, place + 3 * WIDTH),
        load(array, place + 4 * WIDTH),
        load(array, place + 5 * WIDTH),
    )


@kernel
def _store_six(array: Array, place: int, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> None:
    store(array, place, a)
    store(array, place + WIDTH, b)
    store(array, place + 2 * WIDTH, c)
    store(array, place + 3 * WIDTH, d)
    store(array, place + 4 * WIDTH, e)
    store(array, place + 5 * WIDTH, f)


@kernel
def _add_sums(sums: Array, direct_sums: Array, result: NDArray[np.float64]) -> None:
    """Adds what the sums say of the coefficients (J, 9) to `result`, and clears them.

    A coefficient other than the centre's is that of a difference to the centre, whose own e1 is therefore taken off.
    """
    e = np.empty((4, 3))
    for j in range(len(result)):
        for k in range(PRODUCTS):
            e[k // 3, k % 3] = total(load(sums, SUMS * j + WIDTH * k))
        of_centre, e[1, 1] = e[1, 1], 0.0
        for column in range(3):
            half = (e[1, column] + e[2, column] + e[2, 1]) / 2
            result[j, column] += e[0, column] + half
            result[j, 3 + column] += half - e[2, column]
            result[j, 6 + column] += e[3, column] + half
        result[j, CENTRE] += (of_centre - e[2, 1]) / 2
        for tap in range(9):
            result[j, tap] += total(load(direct_sums, (9 * j + tap) * WIDTH))
    sums[:], direct_sums[:] = np.float32(0), np.float32(0)


@kernel
def _spread(
    products: Array, taps: Array, tile: Any, known: Array, mixed: NDArray[np.bool_], pulls: Array, spread: Array
) -> None:
    """What the pulls do to the pixels: added to rows y - 1 and y, written to the next two; not yet in their columns."""
    y, start, length, line = tile
    first, second, third, fourth = _row_starts(y, start, 3 * line)
    zero, num_kernels = fill(np.float32(0)), len(products) // PRODUCTS
    for x in range(0, length, WIDTH):
        at = 2 * x * num_kernels
        if mixed[x // WIDTH]:
            over, here, under, below = _row_starts(y, start + x, line)
            a0, a1, a2, a3, a4, a5, a6, a7, a8 = _spread_row(taps, known, over, here, under, pulls, at)
            b0, b1, b2, b3, b4, b5, b6, b7, b8 = _spread_row(taps, known, here, under, below, pulls, at + WIDTH)
            _add_three(spread, first + x, line, a0, a1, a2)
            _add_three(spread, second + x, line, a3 + b0, a4 + b1, a5 + b2)
            _store_three(spread, third + x, line, a6 + b3, a7 + b4, a8 + b5)
            _store_three(spread, fourth + x, line, b6, b7, b8)
            continue
        n00, n01, n02, n10, n11, n12 = zero, zero, zero, zero, zero, zero
        n20, n21, n22, n30, n31, n32 = zero, zero, zero, zero, zero, zero
        for j in range(num_kernels):
            k = PRODUCTS * j
            p, q = load(pulls, at + j * TWO), load(pulls, at + j * TWO + WIDTH)
            t, u = p + q, p - q
            g, h, i = fill(products[k]), fill(products[k + 1]), fill(products[k + 2])
            n00, n01, n02 = n00 + g * p, n01 + h * p, n02 + i * p
            g, h, i = fill(products[k + 3]), fill(products[k + 4]), fill(products[k + 5])
            n10, n11, n12 = n10 + g * t, n11 + h * t, n12 + i * t
            g, h, i = fill(products[k + 6]), fill(products[k + 7]), fill(products[k + 8])
            n20, n21, n22 = n20 + g * u, n21 + h * u, n22 + i * u
            g, h, i = fill(products[k + 9]), fill(products[k + 10]), fill(products[k + 11])
            n30, n31, n32 = n30 + g * q, n31 + h * q, n32 + i * q
        _add_three(spread, first + x, line, n00, n01, n02)
        _add_three(spread, second + x, line, n10 - n20 - n30, n11 - n21 - n31, n12 - n22 - n32)
        _store_three(spread, third + x, line, n10 + n20 - n00, n11 + n21 - n01, n12 + n22 - n02)
        _store_three(spread, fourth + x, line, n30, n31, n32)


@kernel
def _spread_row(taps: Array, known: Array, over: int, here: int, under: int, pulls: Array, place: int) -> Any:
    """Of one row of a mixed block, for all nine taps; what would go to an ignored neighbour goes to the centre."""
    zero = fill(np.float32(0))
    n0, n1, n2, n3, n4, n5, n6, n7, n8 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for j in range(len(taps) // 9):
        k, p = 9 * j, load(pulls, place + j * TWO)
        n0, n1, n2 = n0 + fill(taps[k]) * p, n1 + fill(taps[k + 1]) * p, n2 + fill(taps[k + 2]) * p
        n3, n4, n5 = n3 + fill(taps[k + 3]) * p, n4 + fill(taps[k + 4]) * p, n5 + fill(taps[k + 5]) * p
        n6, n7, n8 = n6 + fill(taps[k + 6]) * p, n7 + fill(taps[k + 7]) * p, n8 + fill(taps[k + 8]) * p
    whole = n0 + n1 + n2 + n3 + n4 + n5 + n6 + n7 + n8
    n0, n1, n2, n3, n5, n6, n7, n8 = _only_counted(known, over, here, under, n0, n1, n2, n3, n5, n6, n7, n8)
    return n0, n1, n2, n3, whole - n0 - n1 - n2 - n3 - n5 - n6 - n7 - n8, n5, n6, n7, n8


@kernel
def _add_three(array: Array, place: int, step: int, a: Any, b: Any, c: Any) -> None:
    _store_three(
        array,
        place,
        step,
        load(array, place) + a,
        load(array, place + step) + b,
        load(array, place + 2 * step) + c,
    )


@kernel
def _store_three(array: Array, place: int, step: int, a: Any, b: Any, c: Any) -> None:
    store(array, place, a)
    store(array, place + step, b)
    store(array, place + 2 * step, c)


@kernel
def _give_row(spread: Array, y: int, top: int, line: int, gradient: Array) -> None:
    """Writes the sum of the three lines of row y to the gradient (H, W); a band begins at `top`.

    What belongs beyond the border is for the nearest pixel. A row that has got something before is added to: those at
    the beginning of a band from the band above, the outermost from beyond the border.
    """
    height, width = gradient.shape
    row, whole = gradient[min(max(y, 0), height - 1)], width // WIDTH * WIDTH
    left = (y + 4) % 4 * 3 * line + WIDTH
    middle, right = left + line, left + 2 * line
    if y == -1 or top < y < height:
        row[:] = np.float32(0)
    for x in range(0, whole, WIDTH):
        here = load(spread, left + x + 1) + load(spread, middle + x) + load(spread, right + x - 1)
        store(row, x, load(row, x) + here)
    for x in range(whole, width):
        row[x] += spread[left + x + 1] + spread[middle + x] + spread[right + x - 1]
    row[0] += spread[left]
    row[width - 1] += spread[right + width - 1]
