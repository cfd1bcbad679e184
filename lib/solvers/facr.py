"""Direct Neumann Poisson solver for the CPU: one step of cyclic reduction, then a cosine transform (FACR(1)).

With T = (second difference along x) - 2, row i of the system reads u[i-1] + T u[i] + u[i+1] = b[i]; the first and the
last row hold T + 1 instead of T. The four steps are

1. `_reduce_rows`: eliminate the odd rows, which halves the work of all that follows;
2. a cosine transform along x (Makhoul's single real FFT), in which T becomes a number t for each frequency;
3. `_solve_columns`: a tridiagonal (Thomas) solve along y for each frequency;
4. `_restore_rows`: transform back, and recover the odd rows from T u[i] = b[i] - u[i-1] - u[i+1].

Source: Hockney, J. ACM 12 (1965); Swarztrauber, SIAM Review 19 (1977); Makhoul, IEEE Trans. ASSP 28 (1980).
"""

import math
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.checks import check_planes

Array = NDArray[np.floating]

# frequencies that the tridiagonal solve takes at a time: all rows of such a strip stay in the second-level cache
STRIP = 64
# frequencies solved in float64: the lowest ones have condition numbers up to 1e6 at 1080p
LOW = 16
# numbers of the reduced system transformed at a time: small pictures share a transform, large ones stay in the cache
BATCH = 1 << 18
# Loops vectorise where indices are unsigned (no wraparound of negative ones) and where no array is both read and
# written at different rows; rows are indexed in place, because a call with slices costs as much as 200 pixels.
ONE, TWO = np.uint64(1), np.uint64(2)


# sums may be reordered (they vectorise then); NaN and infinity keep their meaning
kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})

_scratch = threading.local()


@dataclass(frozen=True)
class Plan:
    """What a grid size needs once: kept rows, twiddle factors and the factorised tridiagonal systems.

    pivots, couplings: for the real parts of the spectrum, then for its imaginary ones. settled: for each strip the row
    from which its pivots stay the same (the last two apart), so that they stay in the cache.
    """

    kept: NDArray[np.intp]
    cosine: Array
    sine: Array
    pivots: Array
    low_pivots: Array
    settled: NDArray[np.intp]
    couplings: Array
    upwards: NDArray[np.intp]


def solve(divergence: Tensor, *, overwrite: bool = False) -> Tensor:
    """Zero-mean solution of the Neumann problem for planes (P, H, W) on the CPU, float32 or float64, contiguous.

    A right-hand side with a mean has no solution; its mean is taken off first (the least-squares solution).
    With `overwrite` the solution takes the place of the right-hand side. Raises ShapeError for NaN or infinity.
    """
    num_planes, height, width = divergence.shape
    plan = _plan(height, width, divergence.dtype)
    solution = divergence if overwrite else torch.empty_like(divergence)
    # arrays from here on: a slice of a tensor takes as long as a row of the solve
    source, result = divergence.numpy(), solution.numpy()
    batch = max(1, min(num_planes, BATCH // (len(plan.kept) * width)))
    for first in range(0, num_planes, batch):
        _solve_batch(source[first : first + batch], plan, result[first : first + batch])
    return solution


def _solve_batch(divergence: Array, plan: Plan, solution: Array) -> None:
    num_planes, height, width = divergence.shape
    row_sums = np.empty((num_planes, height))
    reduced = _workspace((num_planes, len(plan.kept), width), divergence.dtype)
    total = _reduce_rows(divergence, plan.kept, reduced, row_sums)
    if not math.isfinite(total):
        check_planes("div", torch.from_numpy(divergence))
    spectrum = torch.fft.rfft(torch.from_numpy(reduced))  # with out=... torch would copy the result, at twice the time
    parts = spectrum.numpy().view(divergence.dtype)
    _solve_columns(
        parts, plan.cosine, plan.sine, plan.pivots, plan.low_pivots, plan.settled, plan.couplings, plan.upwards
    )
    _set_row_sums(row_sums, plan.kept, parts)
    kept_rows = torch.fft.irfft(spectrum, n=width).numpy()
    num_doublings = 4 if divergence.dtype == np.float32 else 6
    _restore_rows(divergence, row_sums, kept_rows, plan.kept, num_doublings, solution)


def _workspace(shape: tuple[int, int, int], dtype: "np.dtype[Any]") -> Array:
    """Scratch memory for the reduced rows, one set for each thread: fresh pages cost as much time as the reduction."""
    rows = getattr(_scratch, "rows", None)
    if rows is None or rows.shape != shape or rows.dtype != dtype:
        _scratch.rows = rows = np.empty(shape, dtype)
    return rows


@lru_cache(maxsize=16)
def _plan(height: int, width: int, torch_dtype: torch.dtype) -> Plan:
    dtype = np.dtype(str(torch_dtype).removeprefix("torch."))
    kept = np.arange(0, height, 2)
    if height % 2 == 0:
        # the last row of an even height is odd, but T + 1 has no polynomial elimination: keep it too
        kept = np.append(kept, height - 1)
    frequency = np.arange(width // 2 + 1)
    # the spectrum holds frequency k in its real and width - k in its imaginary parts
    t = 2 * np.cos(np.pi * np.stack([frequency, width - frequency]) / width) - 4
    t[0, 0] = -4  # row sums are solved apart: any regular number will do
    pivots, couplings = _factorise(height, kept, t)
    angle = np.pi * frequency / (2 * width)
    return Plan(
        kept=kept,
        cosine=np.cos(angle).astype(dtype),
        sine=np.sin(angle).astype(dtype),
        pivots=pivots.astype(dtype),
        low_pivots=np.ascontiguousarray(pivots[..., :LOW]),
        settled=_settled_rows(pivots.astype(dtype)),
        couplings=couplings.astype(dtype),
        upwards=np.arange(len(kept))[::-1].copy(),
    )


def _factorise(height: int, kept: NDArray[np.intp], t: Array) -> tuple[Array, Array]:
    """Reciprocal pivots (2, kept rows, frequencies) of the reduced systems, couplings (2, frequencies) of the last row.

    A kept row times -T, plus its eliminated neighbours, has the diagonal (eliminated neighbours) - t (t + borders),
    couples with 1 to a kept row at distance two and with -t to one at distance one, which only the last two can be.
    """
    borders = (kept == 0).astype(int) + (kept == height - 1)
    is_kept = np.zeros(height + 2, bool)
    is_kept[kept + 1] = True
    is_kept[[0, -1]] = True  # beyond the border there is nothing to eliminate
    eliminated = (~is_kept[kept]).astype(int) + ~is_kept[kept + 2]
    diagonal = eliminated[:, None] - t[:, None] * (t[:, None] + borders[:, None])
    last_coupling = -t if height % 2 == 0 else np.ones_like(t)
    pivots = np.empty_like(diagonal)
    pivots[:, 0] = 1 / diagonal[:, 0]
    for row in range(1, len(kept)):
        coupling = last_coupling if row == len(kept) - 1 else 1.0
        pivots[:, row] = 1 / (diagonal[:, row] - coupling**2 * pivots[:, row - 1])
    return pivots, last_coupling


def _settled_rows(pivots: Array) -> NDArray[np.intp]:
    """For each strip the row from which its pivots stay the same, the last two apart."""
    changes = np.any(np.diff(pivots[:, :-2], axis=1) != 0, axis=0)
    strips = [changes[:, start : start + STRIP].any(axis=1) for start in range(LOW, changes.shape[1], STRIP)]
    return np.array([max(np.flatnonzero(strip) + 1, default=0) for strip in strips], dtype=np.intp)


@kernel
def _reduce_rows(divergence: Array, kept: NDArray[np.intp], reduced: Array, row_sums: Array) -> float:
    """Right-hand side of the kept rows, -T b[i] + (eliminated neighbours), in Makhoul's order.

    Makhoul's order is the even columns, then the odd ones reversed. Notes the sum of every row, gives back the total.
    """
    num_planes, height, width = divergence.shape
    row = np.empty(width, divergence.dtype)
    four = divergence.dtype.type(4)  # a plain 4 would turn the loop into one of float64
    last = np.uint64(width - 1)
    for plane in range(num_planes):
        b = divergence[plane]
        for r in range(len(kept)):
            i = kept[r]
            total = 0.0
            for x in range(width):
                total += b[i, x]
            row_sums[plane, i] = total
            row[0] = four * b[i, 0] - b[i, 0] - b[i, min(1, width - 1)]
            row[width - 1] = four * b[i, width - 1] - b[i, width - 1] - b[i, max(width - 2, 0)]
            for x in range(1, width - 1):
                row[x] = four * b[i, x] - b[i, x - 1] - b[i, x + 1]
            if i > 0 and kept[r - 1] < i - 1:
                for x in range(width):
                    row[x] += b[i - 1, x]
            if i + 1 < height and kept[r + 1] > i + 1:
                total = 0.0
                for x in range(width):
                    total += b[i + 1, x]
                row_sums[plane, i + 1] = total
                for x in range(width):
                    row[x] += b[i + 1, x]
            for x in range(np.uint64((width + 1) // 2)):
                reduced[plane, r, x] = row[TWO * x]
            for x in range(np.uint64(width // 2)):
                reduced[plane, r, last - x] = row[TWO * x + ONE]
    return row_sums.sum()


@kernel
def _solve_columns(
    spectra: Array,
    cosine: Array,
    sine: Array,
    pivots: Array,
    low_pivots: Array,
    settled: NDArray[np.intp],
    couplings: Array,
    upwards: NDArray[np.intp],
) -> None:
    """Tridiagonal solve along y for every coefficient of the spectra (P, R, 2 K), in place."""
    num_planes, num_rows, _ = spectra.shape
    num_frequencies = len(cosine)
    low_buffer, buffer = np.empty((2, num_rows, LOW)), np.empty((2, num_rows, STRIP), spectra.dtype)
    low = min(LOW, num_frequencies)
    for plane in range(num_planes):
        rows = spectra[plane]
        _solve_strip(rows, 0, low, cosine, sine, low_pivots, num_rows, couplings, upwards, low_buffer)
        for strip in range(len(settled)):
            first = LOW + strip * STRIP
            count = min(STRIP, num_frequencies - first)
            _solve_strip(rows, first, count, cosine, sine, pivots, settled[strip], couplings, upwards, buffer)


@kernel
def _solve_strip(
    rows: Array,
    first: int,
    count: int,
    cosine: Array,
    sine: Array,
    pivots: Array,
    settled: int,
    couplings: Array,
    upwards: NDArray[np.intp],
    buffer: Array,
) -> None:
    """Frequencies first..first + count: twiddle and eliminate down into the buffer, substitute and twiddle back up.

    The systems are symmetric and coupled by 1, apart from the last two rows.
    """
    last = len(rows) - 1
    offset, number = np.uint64(first), np.uint64(count)
    real, imaginary = buffer[0], buffer[1]
    p, q = np.zeros(count, buffer.dtype), np.zeros(count, buffer.dtype)
    for r in range(last + 1):
        own = r if r >= last - 1 else min(r, settled)
        if r == last:
            for k in range(number):
                p[k] *= couplings[0, offset + k]
                q[k] *= couplings[1, offset + k]
        for k in range(number):
            f = offset + k
            a, b = rows[r, TWO * f], rows[r, TWO * f + ONE]
            p[k] = (a * cosine[f] + b * sine[f] - p[k]) * pivots[0, own, f]
            q[k] = (b * cosine[f] - a * sine[f] - q[k]) * pivots[1, own, f]
        for k in range(number):
            real[r, k] = p[k]
        for k in range(number):
            imaginary[r, k] = q[k]
    for k in range(number):
        p[k] = q[k] = 0
    for r in upwards:  # a loop that counts down would have its checks for overlap hoisted out, where they fail
        own = r if r >= last - 1 else min(r, settled)
        if r == last - 1:
            for k in range(number):
                p[k] *= couplings[0, offset + k]
                q[k] *= couplings[1, offset + k]
        for k in range(number):
            f = offset + k
            a = real[r, k] - p[k] * pivots[0, own, f]
            b = imaginary[r, k] - q[k] * pivots[1, own, f]
            p[k] = a
            q[k] = b
            rows[r, TWO * f] = a * cosine[f] - b * sine[f]
            rows[r, TWO * f + ONE] = b * cosine[f] + a * sine[f]


@kernel
def _set_row_sums(row_sums: Array, kept: NDArray[np.intp], spectra: Array) -> None:
    """Frequency 0 of the kept rows: the Neumann problem in one dimension, summed up twice, with zero mean."""
    num_planes, height = row_sums.shape
    sums = np.empty(height)
    for plane in range(num_planes):
        mean = row_sums[plane].mean()
        slope, value, total = 0.0, 0.0, 0.0
        for i in range(height):
            sums[i] = value
            total += value
            slope += row_sums[plane, i] - mean
            value += slope
        for r in range(len(kept)):
            spectra[plane, r, 0] = sums[kept[r]] - total / height


@kernel
def _restore_rows(
    divergence: Array, row_sums: Array, reduced: Array, kept: NDArray[np.intp], num_doublings: int, solution: Array
) -> None:
    """Kept rows back in natural order, and the odd rows between them from T u[i] = b[i] - u[i-1] - u[i+1].

    -T = 4 - c with c = (shift left) + (shift right); 1 / (4 - c) = (4 + c)(14 + c2)(194 + c4)... / constant, where c2,
    c4, ... shift by 2, 4, ...: after 4 (6) factors the remainder is below 2e-9 (1e-18). Rows continue by reflection.
    The solution may be the divergence itself: each of its rows is read for the last time before it is written.
    """
    num_planes, _, width = divergence.shape
    factors = np.empty(num_doublings, divergence.dtype)
    constant, scale = 4.0, 0.25
    for step in range(num_doublings):
        factors[step] = 1 / constant
        scale *= constant**2 / (constant**2 - 2)
        constant = constant**2 - 2
    scaling = divergence.dtype.type(scale)
    margin = (1 << num_doublings) - 1
    row = np.empty(width + 2 * margin, divergence.dtype)
    doubled = np.empty_like(row)
    last = np.uint64(width - 1)
    for plane in range(num_planes):
        b, u = divergence[plane], solution[plane]
        mean = divergence.dtype.type(row_sums[plane].mean() / width)
        for r in range(len(kept)):
            i = kept[r]
            for x in range(np.uint64(width // 2)):
                u[i, TWO * x] = reduced[plane, r, x]
                u[i, TWO * x + ONE] = reduced[plane, r, last - x]
            if width % 2:
                u[i, width - 1] = reduced[plane, r, width // 2]
            if i == 0 or kept[r - 1] == i - 1:
                continue
            for x in range(width):
                row[margin + x] = (u[i - 2, x] + u[i, x] + mean - b[i - 1, x]) * scaling
            for x in range(margin):  # each copy extends by one pixel a row that is already reflected up to there
                row[margin - 1 - x] = row[margin + x]
                row[margin + width + x] = row[margin + width - 1 - x]
            length = len(row)
            for step in range(0, num_doublings, 2):  # to and fro: two factors at a time
                near, far = np.uint64(1 << step), np.uint64(2 << step)
                factor, next_factor = factors[step], factors[step + 1]
                length -= 2 << step
                for x in range(np.uint64(length)):
                    doubled[x] = row[x + near] + factor * (row[x] + row[x + TWO * near])
                length -= 4 << step
                for x in range(np.uint64(length)):
                    row[x] = doubled[x + far] + next_factor * (doubled[x] + doubled[x + TWO * far])
            for x in range(width):
                u[i - 1, x] = row[x]
