"""Compiled CPU forms of what touches every pair of nodes of a graph.

Edges are a C-contiguous (N, N) uint8 array of 0 and 1, symmetric where nothing else is said. Lists of neighbours are
`others`, those of the first node, then those of the second and so on, and `ends` (N + 1): where each node's begin.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Edges = NDArray[np.uint8]

kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})

TILE = 16  # rows of it do not drive each other out of the nearest cache, also where N is a power of two


@kernel
def weigh(scaled: NDArray[np.float64], scale: NDArray[np.float64], epsilon: float, result: NDArray[np.float64]) -> None:
    """result: from sums over neighbours to scale * (epsilon * sum over all + (1 - epsilon) * sum over neighbours)."""
    for row in range(len(result)):
        whole = epsilon * scaled[row].sum()
        for node in range(len(scale)):
            result[row, node] = scale[node] * (whole + (1 - epsilon) * result[row, node])


@kernel
def multiply(
    edges: Edges, rows: NDArray[np.float64], scale: NDArray[np.float64], epsilon: float, result: NDArray[np.float64]
) -> None:
    """result = S W S rows for rows (k, N), S = diag(scale), W = epsilon 11' + (1 - epsilon) edges.

    In float64 a quarter of the time of a float32 matrix.
    """
    scaled = rows * scale
    count = edges.shape[0]
    for node in range(count):
        joined = edges[node]
        for first in range(0, len(rows) - 1, 2):
            sum0, sum1 = 0.0, 0.0
            for other in range(count):
                weight = np.float64(joined[other])
                sum0 += weight * scaled[first, other]
                sum1 += weight * scaled[first + 1, other]
            result[first, node] = sum0
            result[first + 1, node] = sum1
        if len(rows) % 2:
            last = len(rows) - 1
            sum0 = 0.0
            for other in range(count):
                sum0 += np.float64(joined[other]) * scaled[last, other]
            result[last, node] = sum0
    weigh(scaled, scale, epsilon, result)


@kernel
def count_neighbours(edges: Edges) -> NDArray[np.int64]:
    """Edges of each node."""
    counts = np.empty(len(edges), np.int64)
    for node in range(len(edges)):
        found = np.uint32(0)
        for joined in edges[node]:
            found += np.uint32(joined)
        counts[node] = found
    return counts


@kernel
def list_neighbours(words: NDArray[np.uint64], tail: Edges, ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """`others` of the lists with these ends.

    words: the edges' bytes, eight at a time, most of which hold no edge; tail: the bytes that are left over.
    """
    others = np.empty(ends[-1] + 1, np.int64)  # the last place takes what is written ahead of the next edge
    num_found = 0
    for place in range(len(words)):
        word = words[place]
        if word:
            for byte in range(8):
                others[num_found] = 8 * place + byte
                num_found += int(word & np.uint64(1))
                word >>= np.uint64(8)
    for place in range(len(tail)):
        others[num_found] = 8 * len(words) + place
        num_found += tail[place]
    count = len(ends) - 1
    for node in range(count):
        for place in range(ends[node], ends[node + 1]):
            others[place] -= node * count
    return others[:-1]


@kernel
def multiply_lists(
    ends: NDArray[np.int64],
    others: NDArray[np.int64],
    rows: NDArray[np.float64],
    scale: NDArray[np.float64],
    epsilon: float,
    result: NDArray[np.float64],
) -> None:
    """As `multiply`, by the lists of neighbours."""
    scaled = rows * scale
    for first in range(0, len(rows) - 1, 2):
        for node in range(rows.shape[1]):
            sum0, sum1 = 0.0, 0.0
            for place in range(ends[node], ends[node + 1]):
                sum0 += scaled[first, others[place]]
                sum1 += scaled[first + 1, others[place]]
            result[first, node] = sum0
            result[first + 1, node] = sum1
    if len(rows) % 2:
        last = len(rows) - 1
        for node in range(rows.shape[1]):
            sum0 = 0.0
            for place in range(ends[node], ends[node + 1]):
                sum0 += scaled[last, others[place]]
            result[last, node] = sum0
    weigh(scaled, scale, epsilon, result)


@kernel
def label_parts_of_lists(ends: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """As `label_parts`, by the lists of neighbours."""
    count = len(ends) - 1
    labels = np.full(count, -1)
    queue = np.empty(count, np.int64)
    num_parts = 0
    for start in range(count):
        if labels[start] >= 0:
            continue
        queue[0] = start
        labels[start] = num_parts
        head, tail = 0, 1
        while head < tail:
            node = queue[head]
            head += 1
            for place in range(ends[node], ends[node + 1]):
                other = others[place]
                if labels[other] < 0:
                    labels[other] = num_parts
                    queue[tail] = other
                    tail += 1
        num_parts += 1
    return labels


@kernel
def label_parts(edges: Edges) -> NDArray[np.int64]:
    """Number of the connected part of each node, from 0 on; each node only looks at those not yet reached."""
    count = edges.shape[0]
    labels = np.empty(count, np.int64)
    waiting = np.arange(count)
    num_waiting = count
    queue = np.empty(count, np.int64)
    num_parts = 0
    while num_waiting > 0:
        num_waiting -= 1
        queue[0] = waiting[num_waiting]
        labels[queue[0]] = num_parts
        head, tail = 0, 1
        while head < tail:
            joined = edges[queue[head]]
            head += 1
            kept = 0
            for place in range(num_waiting):
                node = waiting[place]
                if joined[node]:
                    labels[node] = num_parts
                    queue[tail] = node
                    tail += 1
                else:
                    waiting[kept] = node
                    kept += 1
            num_waiting = kept
        num_parts += 1
    return labels


@kernel
def split_values(matrix: NDArray[np.floating], low: float, high: float, edges: Edges) -> bool:
    """Whether every entry is `low` or `high`; `edges` becomes 1 where it is `high`."""
    count = matrix.shape[0]
    for row in range(count):
        num_others = 0
        for column in range(count):
            value = matrix[row, column]
            is_high = value == high
            num_others += not (is_high or value == low)
            edges[row, column] = is_high
        if num_others:
            return False
    return True


@kernel
def is_symmetric(edges: Edges) -> bool:
    """Whether all pairs are joined in both directions or in none."""
    count = edges.shape[0]
    for top in range(0, count, TILE):
        bottom = min(top + TILE, count)
        num_different = 0
        for left in range(0, top + 1, TILE):
            for row in range(top, bottom):
                for column in range(left, min(left + TILE, count)):
                    num_different += edges[row, column] != edges[column, row]
        if num_different:
            return False
    return True


@kernel
def mirror_lower(edges: Edges) -> None:
    """Copies what is below the diagonal to above it."""
    count = edges.shape[0]
    for top in range(0, count, TILE):
        bottom = min(top + TILE, count)
        for left in range(0, top + 1, TILE):
            for column in range(left, min(left + TILE, count)):
                for row in range(max(top, column + 1), bottom):
                    edges[column, row] = edges[row, column]
