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
WORD = 8  # bytes that are read at once


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
        if self.is_sparse:
            return torch.from_numpy(graph_kernels.label_parts_of_lists(*self.lists))
        return torch.from_numpy(graph_kernels.label_parts(self._bytes()))

    @cached_property
    def is_sparse(self) -> bool:
        """Whether lists of neighbours are multiplied on a CPU."""
        return self.edges.is_cpu and int(self.num_neighbours.sum()) < SPARSE_BELOW * len(self) ** 2

    def product(self, scale: Tensor) -> Product:
        """Function that multiplies rows (k, N) by S W S, S = diag(scale), in scale's (N,) dtype.

        On a CPU that must be float64, which costs no more than float32 there.
        """
        if self.edges.is_cpu:
            return self._by_lists(scale) if self.is_sparse else self._by_pairs(scale)
        joined, epsilon = self.edges.to(scale.dtype), self.epsilon

        def multiply(rows: Tensor) -> Tensor:
            scaled = scale * rows
            return scale * (epsilon * scaled.sum(1, keepdim=True) + (1 - epsilon) * (scaled @ joined))

        return multiply

    def _by_lists(self, scale: Tensor) -> Product:
        (ends, others), weight, epsilon = self.lists, scale.numpy(), self.epsilon

        def multiply(rows: Tensor) -> Tensor:
            result = torch.empty_like(rows)
            graph_kernels.multiply_lists(ends, others, rows.numpy(), weight, epsilon, result.numpy())
            return result

        return multiply

    def _by_pairs(self, scale: Tensor) -> Product:
        edges, weight, epsilon = self._bytes(), scale.numpy(), self.epsilon

        def multiply(rows: Tensor) -> Tensor:
            result = torch.empty_like(rows)
            graph_kernels.multiply(edges, rows.numpy(), weight, epsilon, result.numpy())
            return result

        return multiply

    @cached_property
    def lists(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Lists of neighbours, (N + 1,) and (edges,) int64: where each node's begin, and all of them; on a CPU."""
        ends = np.concatenate([[0], np.cumsum(self.num_neighbours.numpy())])
        flat = self._bytes().reshape(-1)
        whole = len(flat) // WORD * WORD
        return ends, graph_kernels.list_neighbours(flat[:whole].view(np.uint64), flat[whole:], ends)

    def _bytes(self) -> NDArray[np.uint8]:
        return self.edges.cpu().contiguous().numpy().view(np.uint8)


def by_matrix(matrix: Tensor, scale: Tensor) -> Product:
    """Multiplies rows by S matrix S, S = diag(scale)."""
    return lambda rows: scale * ((scale * rows) @ matrix)


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
