"""The compiled loops over pairs of nodes, each against NumPy or SciPy."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from lib.solvers import graph_kernels
from lib.solvers.two_valued import TwoValued


def random_edges(count: int, density: float) -> NDArray[np.uint8]:
    lower = np.tril(np.random.default_rng(count).random((count, count)) < density)
    return (lower | lower.T).astype(np.uint8)


def lists_of(edges: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    graph = TwoValued(torch.from_numpy(edges.view(np.bool_)), 0.5)
    return graph.lists


@pytest.mark.parametrize("num_rows", [1, 2, 3, 4])
def test_products_and_count(num_rows: int) -> None:
    edges = random_edges(37, 0.3)
    rows = np.random.default_rng(0).standard_normal((num_rows, 37))
    scale = np.random.default_rng(1).random(37)
    expected = rows * scale @ (0.2 + 0.8 * edges) * scale
    by_pairs, by_lists = np.empty_like(rows), np.empty_like(rows)
    graph_kernels.multiply(edges, rows, scale, 0.2, by_pairs)
    graph_kernels.multiply_lists(*lists_of(edges), rows, scale, 0.2, by_lists)
    assert np.allclose(by_pairs, expected, rtol=0, atol=1e-13)
    assert np.allclose(by_lists, expected, rtol=0, atol=1e-13)
    assert np.array_equal(graph_kernels.count_neighbours(edges), edges.sum(1))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 24, 90])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_lists_hold_every_edge_in_order(count: int, density: float) -> None:
    edges = random_edges(count, density)
    ends, others = lists_of(edges)
    assert np.array_equal(np.diff(ends), edges.sum(1))
    assert np.array_equal(others, np.flatnonzero(edges) % count)


@pytest.mark.parametrize("density", [0.0, 0.01, 0.03, 0.5, 1.0])
def test_parts_are_those_of_scipy(density: float) -> None:
    edges = random_edges(90, density)
    count, expected = connected_components(edges)
    for labels in (graph_kernels.label_parts(edges), graph_kernels.label_parts_of_lists(*lists_of(edges))):
        assert labels.min() == 0
        assert labels.max() + 1 == count
        assert len(set(zip(labels.tolist(), expected.tolist(), strict=True))) == count


@pytest.mark.parametrize("count", [1, graph_kernels.TILE, 3 * graph_kernels.TILE + 5])
def test_mirror_and_symmetry(count: int) -> None:
    edges = random_edges(count, 0.4)
    half = edges.copy()
    half[np.triu_indices(count, 1)] = 7
    graph_kernels.mirror_lower(half)
    assert np.array_equal(half, edges)
    assert graph_kernels.is_symmetric(edges)
    if count > 1:
        edges[0, -1] ^= 1
        assert not graph_kernels.is_symmetric(edges)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_values_are_told_from_three(dtype: type) -> None:
    edges = random_edges(20, 0.4)
    matrix = np.where(edges, 2.0, 1e-5).astype(dtype)
    found = np.empty_like(edges)
    assert graph_kernels.split_values(matrix, float(matrix.min()), float(matrix.max()), found)
    assert np.array_equal(found, edges)
    matrix[19, 19] = 1
    assert not graph_kernels.split_values(matrix, float(matrix.min()), float(matrix.max()), found)
