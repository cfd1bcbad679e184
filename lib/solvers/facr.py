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
# numbers of the reduced system solved at a time: with their spectrum they stay in the cache
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
    reduced, spectrum, row_sums = _workspace(num_planes, len(plan.kept), height, width, divergence.dtype)
    _reduce_rows(divergence.numpy(), plan.kept, reduced.numpy(), row_sums)
    means = row_sums.sum(axis=1) / (height * width)
    torch.fft.rfft(reduced, out=spectrum)
    parts = torch.view_as_real(spectrum).flatten(-2).numpy()
    _solve_columns(parts, plan.cosine, plan.sine, plan.pivots, plan.settled, plan.low_pivots, plan.last_coupling)
    _set_row_sums(row_sums, means * width, plan.kept, parts)
    torch.fft.irfft(spectrum, n=width, out=reduced)
    num_factors = 4 if divergence.dtype == torch.float32 else 5
    _restore_rows(
        divergence.numpy(), means.astype(parts.dtype), reduced.numpy(), plan.kept, num_factors, solution.numpy()
    )


def _workspace(
    num_planes: int, num_kept: int, height: int, width: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, NDArray[np.float64]]:
    """Scratch memory, one set for each thread: fresh pages would cost as much time as the transform."""
    shape = (num_planes, num_kept, height, width, dtype)
    if getattr(_scratch, "shape", None) != shape:
        reduced = torch.empty((num_planes, num_kept, width), dtype=dtype)
        spectrum = torch.empty((num_planes, num_kept, width // 2 + 1), dtype=reduced.dtype.to_complex())
        _scratch.shape, _scratch.arrays = shape, (reduced, spectrum, np.empty((num_planes, height)))
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
    """Right-hand side of the kept rows, -T b[i] + (eliminated neighbours), in Makhoul's order: evens, odds reversed."""
    num_planes, height, width = divergence.shape
    row = np.empty(width, divergence.dtype)
    for plane in range(num_planes):
        for i in range(height):
            total = 0.0
            source = divergence[plane, i]
            for x in range(width):
                total += source[x]
            row_sums[plane, i] = total
        for r in range(len(kept)):
            i = kept[r]
            b = divergence[plane, i]
            if width == 1:
                row[0] = 2 * b[0]
            else:
                row[0] = 3 * b[0] - b[1]
                row[width - 1] = 3 * b[width - 1] - b[width - 2]
                left, middle, right, inner = b[:-2], b[1:-1], b[2:], row[1:-1]
                for x in range(width - 2):
                    inner[x] = 4 * middle[x] - left[x] - right[x]
            if i > 0 and (r == 0 or kept[r - 1] < i - 1):
                above = divergence[plane, i - 1]
                for x in range(width):
                    row[x] += above[x]
            if i + 1 < height and kept[r + 1] > i + 1:
                below = divergence[plane, i + 1]
                for x in range(width):
                    row[x] += below[x]
            evens, odds = reduced[plane, r, : (width + 1) // 2], reduced[plane, r, ::-1]
            for x in range((width + 1) // 2):
                evens[x] = row[2 * x]
            for x in range(width // 2):
                odds[x] = row[2 * x + 1]


@kernel
def _solve_columns(
    parts: Array,
    cosine: Array,
    sine: Array,
    pivots: Array,
    settled: NDArray[np.intp],
    low_pivots: Array,
    last_coupling: Array,
) -> None:
    """Tridiagonal solve along y for every coefficient of the spectrum (P, R, 2 K), in place."""
    num_planes, num_rows, num_coefficients = parts.shape
    low = low_pivots.shape[1]
    buffer = np.empty((num_rows, low))
    for plane in range(num_planes):
        rows = parts[plane]
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
def _set_row_sums(row_sums: Array, means: Array, kept: NDArray[np.intp], parts: Array) -> None:
    """Frequency 0 of the kept rows: the Neumann problem in one dimension, summed up twice, with zero mean."""
    num_planes, height = row_sums.shape
    sums = np.empty(height)
    for plane in range(num_planes):
        slope, value, total = 0.0, 0.0, 0.0
        for i in range(height):
            sums[i] = value
            total += value
            slope += row_sums[plane, i] - means[plane]
            value += slope
        for r in range(len(kept)):
            parts[plane, r, 0] = sums[kept[r]] - total / height


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
    divergence: Array, plane_means: Array, reduced: Array, kept: NDArray[np.intp], doublings: int, solution: Array
) -> None:
    """Kept rows back in natural order, odd rows from T u[i] = b[i] - u[i-1] - u[i+1].

    -T = 4 - c with c = (shift left) + (shift right); 1 / (4 - c) = (4 + c)(14 + c2)(194 + c4)... / constant, where c2,
    c4, ... shift by 2, 4, ...: after 4 (5) factors the remainder is below 2e-9 (1e-18). Rows continue by reflection.
    """
    num_planes, height, width = divergence.shape
    factors = np.empty(doublings, divergence.dtype)
    constant, scale = 4.0, 0.25
    for step in range(doublings):
        factors[step] = 1 / constant
        scale *= constant**2 / (constant**2 - 2)
        constant = constant**2 - 2
    scaling = divergence.dtype.type(scale)
    margin = (1 << doublings) - 1
    ping = np.empty(width + 2 * margin, divergence.dtype)
    pong = np.empty_like(ping)
    for plane in range(num_planes):
        for r in range(len(kept)):
            packed, row = reduced[plane, r], solution[plane, kept[r]]
            for x in range(width // 2):
                row[2 * x] = packed[x]
                row[2 * x + 1] = packed[width - 1 - x]
            if width % 2:
                row[width - 1] = packed[width // 2]
        for i in range(1, height - 1, 2):
            inner = ping[margin : margin + width]
            _subtract_neighbours(
                divergence[plane, i], solution[plane, i - 1], solution[plane, i + 1], plane_means[plane], scaling, inner
            )
            for x in range(margin):  # each copy extends by one pixel a row that is already reflected up to there
                ping[margin - 1 - x] = ping[margin + x]
                ping[margin + width + x] = ping[margin + width - 1 - x]
            source, target = ping, pong
            length = len(ping)
            for step in range(doublings - 1):
                length -= 2 << step
                _add_shifted(source[: length + (2 << step)], 1 << step, factors[step], target[:length])
                source, target = target, source
            _add_shifted(source[:length], 1 << (doublings - 1), factors[doublings - 1], solution[plane, i])


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
