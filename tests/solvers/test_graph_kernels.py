"""The compiled loops over pairs of nodes, each against NumPy or SciPy."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from lib.solvers import graph_kernels


def random_edges(count: int, density: float) -> NDArray[np.uint8]:
    lower = np.tril(np.random.default_rng(count).random((count, count)) < density)
    return (lower | lower.T).astype(np.uint8)


@pytest.mark.parametrize("num_rows", [1, 2, 3, 4])
def test_product_and_count(num_rows: int) -> None:
    edges = random_edges(37, 0.3)
    rows = np.random.default_rng(0).standard_normal((num_rows, 37))
    result = np.empty_like(rows)
    graph_kernels.multiply(edges, rows, result)
    assert np.allclose(result, rows @ edges, rtol=0, atol=1e-13)
    assert np.array_equal(graph_kernels.count_neighbours(edges), edges.sum(1))


@pytest.mark.parametrize("density", [0.0, 0.01, 0.03, 0.5, 1.0])
def test_parts_are_those_of_scipy(density: float) -> None:
    edges = random_edges(90, density)
    labels = graph_kernels.label_parts(edges)
    count, expected = connected_components(edges)
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
