"""Direct Neumann Poisson solver for the CPU: one step of cyclic reduction, then a cosine transform (FACR(1)).

With T = (second difference along x) - 2, row i of the system reads u[i-1] + T u[i] + u[i+1] = b[i]; the first and the
last row hold T + 1 instead of T. The four steps are

1. `_reduce_rows`: eliminate the odd rows, which halves the work of all that follows;
2. a cosine transform along x (Makhoul's single real FFT), in which T becomes a number t for each frequency;
3. `_solve_columns`: a tridiagonal (Thomas) solve along y for each frequency;
4. `_restore_rows`: transform back, and recover the odd rows from T u[i] = b[i] - u[i-1] - u[i+1].

Source: Hockney, J. ACM 12 (1965); Swarztrauber, SIAM Review 19 (1977); Makhoul, IEEE Trans. ASSP 28 (1980).
"""

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.floating]

# floats of one row that the tridiagonal solve handles at a time: such a strip stays in the second-level cache
STRIP = 64
# coefficients solved in float64: the lowest frequencies have condition numbers up to 1e6 at 1080p
LOW = 32
# numbers of the reduced system transformed at a time: small pictures share a transform, large ones stay in the cache
BATCH = 1 << 18


# sums may be reordered (they vectorise then); NaN and infinity keep their meaning
kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})

_scratch = threading.local()


@dataclass(frozen=True)
class Plan:
    """What a grid size needs once: kept rows, twiddle factors and the factorised tridiagonal systems."""

    kept: NDArray[np.intp]
    cosine: Array
    sine: Array
    pivots: Array
    settled: NDArray[np.intp]
    low_pivots: Array
    last_coupling: Array


def solve(divergence: Tensor) -> Tensor:
    """Zero-mean solution of the Neumann problem for planes (P, H, W) on the CPU, float32 or float64, contiguous.

    A right-hand side with a mean has no solution; its mean is taken off first (the least-squares solution).
    """
    num_planes, height, width = divergence.shape
    plan = _plan(height, width, divergence.dtype)
    solution = torch.empty_like(divergence)
    batch = max(1, min(num_planes, BATCH // (len(plan.kept) * width)))
    for first in range(0, num_planes, batch):
        _solve_batch(divergence[first : first + batch], plan, solution[first : first + batch])
    return solution


def _solve_batch(divergence: Tensor, plan: Plan, solution: Tensor) -> None:
    num_planes, height, width = divergence.shape
    reduced, spectrum = _workspace(num_planes, len(plan.kept), width, divergence.dtype)
    sources, results, scratch = divergence.numpy(), solution.numpy(), reduced.numpy()
    row_sums = np.empty((num_planes, height))
    for plane in range(num_planes):
        _reduce_rows(sources[plane], plan.kept, scratch[plane], row_sums[plane])
    means = row_sums.mean(axis=1) / width
    torch.fft.rfft(reduced, out=spectrum)
    parts = torch.view_as_real(spectrum).flatten(-2).numpy()
    for plane in range(num_planes):
        _solve_columns(
            parts[plane], plan.cosine, plan.sine, plan.pivots, plan.settled, plan.low_pivots, plan.last_coupling
        )
        _set_row_sums(row_sums[plane], means[plane] * width, plan.kept, parts[plane])
    torch.fft.irfft(spectrum, n=width, out=reduced)
    num_factors = 4 if divergence.dtype == torch.float32 else 5
    for plane in range(num_planes):
        mean = parts.dtype.type(means[plane])
        _restore_rows(sources[plane], mean, scratch[plane], plan.kept, num_factors, results[plane])


def _workspace(num_planes: int, num_kept: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Scratch memory, one set for each thread: fresh pages would cost as much time as the transform."""
    shape = (num_planes, num_kept, width, dtype)
    if getattr(_scratch, "shape", None) != shape:
        reduced = torch.empty((num_planes, num_kept, width), dtype=dtype)
        spectrum = torch.empty((num_planes, num_kept, width // 2 + 1), dtype=dtype.to_complex())
        _scratch.shape, _scratch.arrays = shape, (reduced, spectrum)
    return _scratch.arrays


@lru_cache(maxsize=16)
def _plan(height: int, width: int, torch_dtype: torch.dtype) -> Plan:
    dtype = np.dtype(str(torch_dtype).removeprefix("torch."))
    kept = np.arange(0, height, 2)
    if height % 2 == 0:
        # the last row of an even height is odd, but T + 1 has no polynomial elimination: keep it too
        kept = np.append(kept, height - 1)
    frequency = np.arange(width // 2 + 1)
    # the spectrum interleaves frequency k (real part) and width - k (imaginary part)
    t = 2 * np.cos(np.pi * np.stack([frequency, width - frequency], axis=-1).ravel() / width) - 4
    t[0] = -4  # row sums are solved apart: any regular number will do
    pivots, last_coupling = _factorise(height, kept, t)
    angle = np.pi * frequency / (2 * width)
    pivots, low_pivots = pivots.astype(dtype), np.ascontiguousarray(pivots[:, :LOW])
    return Plan(
        kept=kept,
        cosine=np.cos(angle).astype(dtype),
        sine=np.sin(angle).astype(dtype),
        pivots=pivots,
        settled=_settled_rows(pivots),
        low_pivots=low_pivots,
        last_coupling=last_coupling.astype(dtype),
    )


def _factorise(height: int, kept: NDArray[np.intp], t: Array) -> tuple[Array, Array]:
    """Reciprocal pivots (kept rows, coefficients) of the reduced systems and the coupling of their last two rows.

    A kept row times -T, plus its eliminated neighbours, has the diagonal (eliminated neighbours) - t (t + borders),
    couples with 1 to a kept row at distance two and with -t to one at distance one, which only the last two can be.
    """
    borders = (kept == 0).astype(int) + (kept == height - 1)
    is_kept = np.zeros(height + 2, bool)
    is_kept[kept + 1] = True
    is_kept[[0, -1]] = True  # beyond the border there is nothing to eliminate
    eliminated = (~is_kept[kept]).astype(int) + ~is_kept[kept + 2]
    diagonal = eliminated[:, None] - t * (t + borders[:, None])
    last_coupling = -t if height % 2 == 0 else np.ones_like(t)
    pivots = np.empty_like(diagonal)
    pivots[0] = 1 / diagonal[0]
    for row in range(1, len(kept)):
        coupling = last_coupling if row == len(kept) - 1 else 1.0
        pivots[row] = 1 / (diagonal[row] - coupling**2 * pivots[row - 1])
    return pivots, last_coupling


def _settled_rows(pivots: Array) -> NDArray[np.intp]:
    """For each strip the row from which its pivots stay the same (the last two apart), so that they stay in cache."""
    settled = []
    for start in range(0, pivots.shape[1], STRIP):
        changes = np.any(np.diff(pivots[:-2, start : start + STRIP], axis=0) != 0, axis=1)
        settled.append(int(np.flatnonzero(changes)[-1]) + 1 if changes.any() else 0)
    return np.array(settled)


@kernel
def _reduce_rows(divergence: Array, kept: NDArray[np.intp], reduced: Array, row_sums: Array) -> None:
    """Right-hand side of the kept rows, -T b[i] + (eliminated neighbours), in Makhoul's order.

    Makhoul's order is the even columns, then the odd ones reversed. The sum of every row is noted on the way.
    """
    height, width = divergence.shape
    row = np.empty(width, divergence.dtype)
    for r in range(len(kept)):
        i = kept[r]
        b = divergence[i]
        row_sums[i] = _sum(b)
        if width == 1:
            row[0] = 2 * b[0]
        else:
            row[0] = 3 * b[0] - b[1]
            row[width - 1] = 3 * b[width - 1] - b[width - 2]
            left, middle, right, inner = b[:-2], b[1:-1], b[2:], row[1:-1]
            for x in range(width - 2):
                inner[x] = 4 * middle[x] - left[x] - right[x]
        if i > 0 and kept[r - 1] < i - 1:
            _add(divergence[i - 1], row)
        if i + 1 < height and kept[r + 1] > i + 1:
            _add(divergence[i + 1], row)
            row_sums[i + 1] = _sum(divergence[i + 1])
        evens, odds = reduced[r, : (width + 1) // 2], reduced[r, ::-1]
        for x in range((width + 1) // 2):
            evens[x] = row[2 * x]
        for x in range(width // 2):
            odds[x] = row[2 * x + 1]


@kernel
def _sum(row: Array) -> float:
    total = 0.0
    for x in range(len(row)):
        total += row[x]
    return total


@kernel
def _add(row: Array, result: Array) -> None:
    for x in range(len(result)):
        result[x] += row[x]


@kernel
def _solve_columns(
    rows: Array,
    cosine: Array,
    sine: Array,
    pivots: Array,
    settled: NDArray[np.intp],
    low_pivots: Array,
    last_coupling: Array,
) -> None:
    """Tridiagonal solve along y for every coefficient of the spectrum (R, 2 K), in place."""
    num_rows, num_coefficients = rows.shape
    low = low_pivots.shape[1]
    buffer = np.empty((num_rows, low))
    for start in range(0, num_coefficients, STRIP):
        stop = min(start + STRIP, num_coefficients)
        first, last = start // 2, stop // 2
        for r in range(num_rows):
            _rotate(rows[r, start:stop], cosine[first:last], sine[first:last])
        if start == 0:
            buffer[:] = rows[:, :low]
            _thomas(buffer, low_pivots, num_rows, last_coupling, 0, low)
            rows[:, :low] = buffer
            _thomas(rows, pivots, settled[0], last_coupling, low, stop)
        else:
            _thomas(rows, pivots, settled[start // STRIP], last_coupling, start, stop)
        for r in range(num_rows):
            _rotate_back(rows[r, start:stop], cosine[first:last], sine[first:last])


@kernel
def _set_row_sums(row_sums: Array, mean: float, kept: NDArray[np.intp], rows: Array) -> None:
    """Frequency 0 of the kept rows: the Neumann problem in one dimension, summed up twice, with zero mean."""
    height = len(row_sums)
    sums = np.empty(height)
    slope, value, total = 0.0, 0.0, 0.0
    for i in range(height):
        sums[i] = value
        total += value
        slope += row_sums[i] - mean
        value += slope
    for r in range(len(kept)):
        rows[r, 0] = sums[kept[r]] - total / height


@kernel
def _rotate(row: Array, cosine: Array, sine: Array) -> None:
    """Complex product with exp(-i angle) of interleaved (real, imaginary) pairs, in place."""
    for k in range(len(cosine)):
        real, imaginary = row[2 * k], row[2 * k + 1]
        row[2 * k] = real * cosine[k] + imaginary * sine[k]
        row[2 * k + 1] = imaginary * cosine[k] - real * sine[k]


@kernel
def _rotate_back(row: Array, cosine: Array, sine: Array) -> None:
    """Complex product with exp(i angle) of interleaved (real, imaginary) pairs, in place."""
    for k in range(len(cosine)):
        real, imaginary = row[2 * k], row[2 * k + 1]
        row[2 * k] = real * cosine[k] - imaginary * sine[k]
        row[2 * k + 1] = imaginary * cosine[k] + real * sine[k]


@kernel
def _thomas(rows: Array, pivots: Array, settled: int, last_coupling: Array, start: int, stop: int) -> None:
    """Elimination and back substitution in columns start..stop of symmetric systems coupled by 1, in place."""
    num_rows = len(rows)
    first, pivot = rows[0, start:stop], pivots[0, start:stop]
    for x in range(stop - start):
        first[x] *= pivot[x]
    if num_rows == 1:
        return
    for r in range(1, num_rows - 1):
        own = r if r == num_rows - 2 else min(r, settled)
        previous, current, pivot = rows[r - 1, start:stop], rows[r, start:stop], pivots[own, start:stop]
        for x in range(stop - start):
            current[x] = (current[x] - previous[x]) * pivot[x]
    coupling, pivot = last_coupling[start:stop], pivots[num_rows - 1, start:stop]
    previous, current = rows[num_rows - 2, start:stop], rows[num_rows - 1, start:stop]
    for x in range(stop - start):
        current[x] = (current[x] - coupling[x] * previous[x]) * pivot[x]
        previous[x] -= coupling[x] * pivots[num_rows - 2, start + x] * current[x]
    for r in range(num_rows - 3, -1, -1):
        current, following, pivot = rows[r, start:stop], rows[r + 1, start:stop], pivots[min(r, settled), start:stop]
        for x in range(stop - start):
            current[x] -= pivot[x] * following[x]


@kernel
def _restore_rows(
    divergence: Array, mean: float, reduced: Array, kept: NDArray[np.intp], num_factors: int, solution: Array
) -> None:
    """Kept rows back in natural order, and the odd rows between them from T u[i] = b[i] - u[i-1] - u[i+1].

    -T = 4 - c with c = (shift left) + (shift right); 1 / (4 - c) = (4 + c)(14 + c2)(194 + c4)... / constant, where c2,
    c4, ... shift by 2, 4, ...: after 4 (5) factors the remainder is below 2e-9 (1e-18). Rows continue by reflection.
    """
    width = divergence.shape[1]
    factors = np.empty(num_factors, divergence.dtype)
    constant, scale = 4.0, 0.25
    for step in range(num_factors):
        factors[step] = 1 / constant
        scale *= constant**2 / (constant**2 - 2)
        constant = constant**2 - 2
    scaling = divergence.dtype.type(scale)
    margin = (1 << num_factors) - 1
    ping = np.empty(width + 2 * margin, divergence.dtype)
    pong = np.empty_like(ping)
    for r in range(len(kept)):
        i = kept[r]
        packed, row = reduced[r], solution[i]
        for x in range(width // 2):
            row[2 * x] = packed[x]
            row[2 * x + 1] = packed[width - 1 - x]
        if width % 2:
            row[width - 1] = packed[width // 2]
        if i == 0 or kept[r - 1] == i - 1:
            continue
        inner = ping[margin : margin + width]
        _subtract_neighbours(divergence[i - 1], solution[i - 2], row, mean, scaling, inner)
        for x in range(margin):  # each copy extends by one pixel a row that is already reflected up to there
            ping[margin - 1 - x] = ping[margin + x]
            ping[margin + width + x] = ping[margin + width - 1 - x]
        source, target = ping, pong
        length = len(ping)
        for step in range(num_factors - 1):
            length -= 2 << step
            _add_shifted(source[: length + (2 << step)], 1 << step, factors[step], target[:length])
            source, target = target, source
        _add_shifted(source[:length], 1 << (num_factors - 1), factors[num_factors - 1], solution[i - 1])


@kernel
def _subtract_neighbours(b: Array, above: Array, below: Array, mean: float, scaling: float, result: Array) -> None:
    for x in range(len(result)):
        result[x] = (above[x] + below[x] + mean - b[x]) * scaling


@kernel
def _add_shifted(row: Array, shift: int, factor: float, result: Array) -> None:
    """row[x] + factor (row[x - shift] + row[x + shift]) where both neighbours exist."""
    length = len(result)
    left, middle, right = row[:length], row[shift : shift + length], row[2 * shift : 2 * shift + length]
    for x in range(length):
        result[x] = middle[x] + factor * (left[x] + right[x])
