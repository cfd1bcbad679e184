"""Compiled CPU forms of what vectors that are constant on the parts of a graph, times each node's entry, are used for.

rows: (k, N); labels: (N,), the part of each node; entries: (N,), so that each part's vector has length 1.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


@kernel
def sum_row(row: Floats, entries: Floats, labels: Labels, sums: Floats) -> None:
    """sums (parts) = inner products of a row (N,) with the parts' vectors."""
    sums[:] = 0
    for node in range(len(labels)):
        sums[labels[node]] += row[node] * entries[node]


@kernel
def remove(rows: Floats, entries: Floats, labels: Labels, num_parts: int) -> Floats:
    """Rows less what they have in the space of the parts' vectors."""
    result = np.empty_like(rows)
    sums = np.empty(num_parts)
    for number in range(len(rows)):
        sum_row(rows[number], entries, labels, sums)
        for node in range(len(labels)):
            result[number, node] = rows[number, node] - sums[labels[node]] * entries[node]
    return result


@kernel
def correct(
    rows: Floats,
    values: Floats,
    chosen: NDArray[np.int64],
    levels: Floats,
    link: Floats,
    entries: Floats,
    labels: Labels,
    smallest: float,
) -> Floats:
    """The chosen rows with their part c in the parts' space replaced by (diag(levels) - link link' - value)^-1 c.

    By Sherman and Morrison; what would be divided by and is shorter than `smallest` becomes it.
    """
    result = np.empty((len(chosen), rows.shape[1]))
    sums, solved, linked = np.empty_like(levels), np.empty_like(levels), np.empty_like(levels)
    for place in range(len(chosen)):
        row, value = rows[chosen[place]], values[chosen[place]]
        sum_row(row, entries, labels, sums)
        reached, bound = 0.0, 1.0
        for part in range(len(levels)):
            shifted = levels[part] - value
            if abs(shifted) < smallest:
                shifted = smallest
            solved[part] = sums[part] / shifted
            linked[part] = link[part] / shifted
            reached += solved[part] * link[part]
            bound -= linked[part] * link[part]
        if abs(bound) < smallest:
            bound = smallest
        for part in range(len(levels)):
            solved[part] += linked[part] * (reached / bound) - sums[part]
        for node in range(len(labels)):
            result[place, node] = row[node] + solved[labels[node]] * entries[node]
    return result
