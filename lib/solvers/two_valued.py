"""Graphs whose affinity has two values: which nodes are joined, and how to multiply by them quickly."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.solvers import graph_kernels
from lib.solvers.lanczos import Product

SPARSE_BELOW = 0.05  # share of edges below which lists of neighbours beat a look at every pair on a CPU


@dataclass(frozen=True, eq=False)
class TwoValued:
    """The affinity W = epsilon 11' + (1 - epsilon) B: 1 where two nodes are joined, epsilon elsewhere.

    edges: B, (N, N) bool, symmetric, self-edges included as they are. Raises ShapeError and SpecError for other forms.
    """

    edges: Tensor
    epsilon: float

    def __post_init__(self) -> None:
        if self.edges.dtype != torch.bool or self.edges.ndim != 2 or len(set(self.edges.shape)) != 1:
            raise ShapeError(
                f"edges must be a square bool matrix: got {self.edges.dtype} {tuple(self.edges.shape)}; "
                "give one graph at a time"
            )
        if not 0 < self.epsilon < 1:
            raise SpecError(f"epsilon must be above 0, so that the graph holds together, and below 1: {self.epsilon}")

    def __len__(self) -> int:
        return len(self.edges)

    @cached_property
    def num_neighbours(self) -> Tensor:
        """Edges of each node, (N,) int64."""
        if self.edges.is_cpu:
            return torch.from_numpy(graph_kernels.count_neighbours(self._bytes()))
        return torch.count_nonzero(self.edges, dim=1)

    def degrees(self) -> Tensor:
        """Row sums of W, (N,) float64."""
        return self.epsilon * len(self) + (1 - self.epsilon) * self.num_neighbours.double()

    def dense(self) -> Tensor:
        """W itself, (N, N) float32."""
        return torch.where(self.edges, 1.0, self.epsilon)

    def parts(self) -> Tensor:
        """Number of the part of each node that its edges connect it with, (N,) int64 on the CPU, from 0 on."""
        return torch.from_numpy(graph_kernels.label_parts(self._bytes()))

    @property
    def is_sparse(self) -> bool:
        """Whether lists of neighbours are multiplied on a CPU."""
        return self.edges.is_cpu and int(self.num_neighbours.sum()) < SPARSE_BELOW * len(self) ** 2

    def product(self, dtype: torch.dtype) -> Product:
        """Function that multiplies rows (k, N) of a dtype by W; on a CPU the sums are float64 whatever the dtype."""
        if not self.edges.is_cpu:
            joined = by_matrix(self.edges.to(dtype))
        else:
            joined = self._by_lists() if self.is_sparse else self._by_pairs()
        epsilon = self.epsilon
        return lambda rows: epsilon * rows.sum(1, keepdim=True) + (1 - epsilon) * joined(rows).to(dtype)

    def _by_lists(self) -> Product:
        from scipy.sparse import csr_array

        count = len(self)
        neighbours = np.flatnonzero(self.edges.numpy()) % count
        ends = np.concatenate([[0], np.cumsum(self.num_neighbours.numpy())])
        lists = csr_array((np.ones(len(neighbours)), neighbours, ends), shape=(count, count))
        return lambda rows: torch.from_numpy((lists @ rows.double().numpy().T).T)

    def _by_pairs(self) -> Product:
        edges = self._bytes()

        def multiply(rows: Tensor) -> Tensor:
            result = np.empty(rows.shape)
            graph_kernels.multiply(edges, rows.double().contiguous().numpy(), result)
            return torch.from_numpy(result)

        return multiply

    def _bytes(self) -> NDArray[np.uint8]:
        return self.edges.cpu().contiguous().numpy().view(np.uint8)


def by_matrix(matrix: Tensor) -> Product:
    """Multiplies rows by a matrix."""
    return lambda rows: rows @ matrix


def as_two_valued(affinity: Tensor, low: float, high: float) -> TwoValued | None:
    """The graph with W = high times it, where every entry (N, N) is `low` or `high`; else None."""
    if not 0 < low < high:
        return None
    if affinity.is_cpu:
        edges = np.empty(affinity.shape, np.uint8)
        if not graph_kernels.split_values(affinity.contiguous().numpy(), low, high, edges):
            return None
        return TwoValued(torch.from_numpy(edges.view(np.bool_)), low / high)
    is_high = affinity == high
    return TwoValued(is_high, low / high) if bool((is_high | (affinity == low)).all()) else None
