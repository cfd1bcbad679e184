"""The permutohedral lattice (Adams, Baek and Davis 2010): Gaussian filtering in many dimensions in linear time."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Array = NDArray[np.float64]


class PermutohedralLattice:
    """Filters values at points by a Gaussian of standard deviation 1 between them; approximate, see `exact_filter`.

    points: (N, d), already divided by the standard deviations. Each point lies in a simplex of the lattice and is
    shared out to its d + 1 corners; the corners are blurred along d + 1 directions and read back.
    """

    def __init__(self, points: Array) -> None:
        count, dims = points.shape
        corners, shares = _simplex(_elevate(points))
        keys, places = _unique(corners.reshape(-1, dims + 1))
        rows = np.repeat(np.arange(count), dims + 1)
        self.read = csr_array((shares.ravel(), (rows, places)), shape=(count, len(keys)))
        self.blurs = [_blur(keys, direction) for direction in range(dims + 1)]

    def __call__(self, values: Array) -> Array:
        """Filtered values (N, k), up to one factor that is the same everywhere."""
        spread = self.read.T @ values
        for blur in self.blurs:
            spread = blur @ spread
        return np.asarray(self.read @ spread)


def exact_filter(points: Array, values: Array) -> Array:
    """The same by all pairs of points, (N, k), in memory of N x N: for small pictures and tests."""
    squares = (points**2).sum(1)
    distances = squares[:, None] + squares[None] - 2 * points @ points.T
    return np.asarray(np.exp(-0.5 * distances.clip(0)) @ values)


def _elevate(points: Array) -> Array:
    """Points on the hyperplane where d + 1 coordinates sum to 0, scaled so that the blur has variance 1."""
    dims = points.shape[1]
    axes = np.arange(1, dims + 1)
    scaled = points * (math.sqrt(2 / 3) * (dims + 1) / np.sqrt(axes * (axes + 1)))
    below = np.cumsum(scaled[:, ::-1], axis=1)[:, ::-1]  # sum of coordinates from this one on
    zero = np.zeros((len(points), 1))
    return np.concatenate([below, zero], axis=1) - np.concatenate([zero, axes * scaled], axis=1)


def _simplex(elevated: Array) -> tuple[NDArray[np.int64], Array]:
    """Corners (N, d + 1, d + 1) of each point's simplex, and the point's share in each, (N, d + 1)."""
    count, size = elevated.shape
    nearest = np.round(elevated / size).astype(np.int64) * size
    rest = elevated - nearest
    order = np.argsort(-rest, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(size)[None], axis=1)
    # rounding leaves the hyperplane by a few steps: the coordinates that are nearest to the next one give way
    excess = nearest.sum(axis=1, keepdims=True) // size
    rank = rank + excess
    nearest = nearest + size * (rank < 0) - size * (rank >= size)
    rank = rank % size
    rest = (elevated - nearest) / size
    by_rank = np.empty_like(rest)
    np.put_along_axis(by_rank, rank, rest, axis=1)
    shares = np.empty((count, size))
    # corner k is k steps along the coordinates of lowest rank
    shares[:, 1:] = (by_rank[:, :-1] - by_rank[:, 1:])[:, ::-1]
    shares[:, 0] = 1 - shares[:, 1:].sum(axis=1)
    steps = np.arange(size)[None, :, None]
    offsets = np.where(rank[:, None, :] < size - steps, steps, steps - size)
    return nearest[:, None, :] + offsets, shares


def _unique(corners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Different corners, sorted, and the place of each given one among them."""
    keys = _packed(corners, corners.min(axis=0), corners.max(axis=0))
    _, first, places = np.unique(keys, return_index=True, return_inverse=True)
    return corners[first], places


def _packed(corners: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number per corner; the last coordinate follows from the others."""
    spans = (high - low + 1)[:-1]
    strides = np.concatenate([[1], np.cumprod(spans[:-1])])
    return ((corners - low)[:, :-1] * strides).sum(axis=1)


def _blur(keys: NDArray[np.int64], direction: int) -> csr_array:
    """Matrix that gives each corner half of itself and a quarter of either neighbour along a direction."""
    count, size = keys.shape
    step = np.ones(size, dtype=np.int64)
    step[direction] -= size
    low, high = keys.min(axis=0) - size, keys.max(axis=0) + size
    packed = _packed(keys, low, high)
    order = np.argsort(packed)
    rows, columns, values = [np.arange(count)], [np.arange(count)], [np.full(count, 0.5)]
    for sign in (1, -1):
        wanted = _packed(keys + sign * step, low, high)
        found = order[np.searchsorted(packed, wanted, sorter=order).clip(max=count - 1)]
        is_there = packed[found] == wanted
        rows.append(np.flatnonzero(is_there))
        columns.append(found[is_there])
        values.append(np.full(len(rows[-1]), 0.25))
    place = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((np.concatenate(values), place), shape=(count, count))
