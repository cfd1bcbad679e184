"""Spectral bipartition: the second-smallest eigenpair of (D - W) x = lambda D x, for a dense or a two-valued W.

With M = D^-1/2 W D^-1/2 the pair is the second-largest of M: lambda = 1 - theta, x = D^-1/2 v. The largest, theta = 1
with v = D^1/2 1, is known and taken out, and block Lanczos finds the next two. Their gap tells whether the wanted one
stands alone. Where it is small, as on a graph in many parts, float32 gets the angle right and a third of the signs
wrong, so that the work is finished in float64.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lib.checks import check_planes
from lib.errors import ShapeError, SpecError
from lib.solvers.lanczos import Product, largest_two

Method = Literal["auto", "lanczos", "dense"]
METHODS = ("auto", "lanczos", "dense")
SMALL = 64  # up to here a decomposition of the whole matrix is as quick
ALWAYS_EXACT = 1024  # nodes up to which float64 costs little
SAFE_GAP = 0.02  # between theta2 and theta3; below it float32 is not trusted with the signs
REPEATED_GAP = 1e-9  # of values around 1: rounding of float64 after some hundred operations
TOLERANCE = {torch.float32: 3e-6, torch.float64: 1e-11}
SPARSE_BELOW = 0.05  # share of edges below which lists of neighbours beat the matrix on a CPU
ASYMMETRY = 1e-5


@dataclass(frozen=True, eq=False)
class SecondEigenpair:
    """eigenvalue: scalar float64, or (B,) of a batch. eigenvector: (N,) float64, or (B, N), x' D x = 1, its largest
    entry by size positive. repeated: bool, or (B,): the eigenvalue occurs more than once, so that the vector is one of
    many as good. method: what ran, `lanczos` or `dense`."""

    eigenvalue: Tensor
    eigenvector: Tensor
    repeated: Tensor
    method: str


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
        if self.edges.is_cpu:  # thirteen times faster than torch's count
            return torch.from_numpy(np.count_nonzero(self.edges.numpy(), axis=1))
        return torch.count_nonzero(self.edges, dim=1)

    def degrees(self) -> Tensor:
        """Row sums of W, (N,) float64."""
        return self.epsilon * len(self) + (1 - self.epsilon) * self.num_neighbours.double()

    def dense(self) -> Tensor:
        """W itself, (N, N) float32."""
        return torch.where(self.edges, 1.0, self.epsilon)

    @property
    def is_sparse(self) -> bool:
        """Whether lists of neighbours are multiplied, on a CPU, instead of the whole matrix."""
        return self.edges.is_cpu and int(self.num_neighbours.sum()) < SPARSE_BELOW * len(self) ** 2

    def product(self, dtype: torch.dtype) -> Product:
        """Function that multiplies rows (k, N) of a dtype by W."""
        epsilon = self.epsilon
        joined = self._by_lists(dtype) if self.is_sparse else _by_matrix(self.edges.view(torch.uint8).to(dtype))
        return lambda rows: epsilon * rows.sum(1, keepdim=True) + (1 - epsilon) * joined(rows)

    def _by_lists(self, dtype: torch.dtype) -> Product:
        from scipy.sparse import csr_array

        count = len(self)
        neighbours = np.flatnonzero(self.edges.numpy()) % count
        ends = np.concatenate([[0], np.cumsum(self.num_neighbours.numpy())])
        ones = torch.ones(len(neighbours), dtype=dtype).numpy()
        lists = csr_array((ones, neighbours, ends), shape=(count, count))
        return lambda rows: torch.from_numpy((lists @ rows.numpy().T).T)


def second_eigenvector(affinity: Tensor | TwoValued, *, method: Method = "auto") -> SecondEigenpair:
    """Second-smallest eigenpair of (D - W) x = lambda D x, D = diag(row sums of W), on W's device.

    affinity: W, (N, N) or (B, N, N), float, symmetric, entries at least 0, row sums above 0; or a `TwoValued` graph.
    method: `dense` decomposes the whole matrix in float64, `lanczos` only multiplies by it; `auto` takes lanczos from
    65 nodes on. Both give the same sides x > mean(x) unless the eigenvalue is repeated.
    Source: Shi and Malik 2000, eq. 6; FODVid sec. 2.1 (whose "eigenvector of W" is a slip).
    Raises ShapeError for another form, entries that are negative or not finite, an empty row, or a single node;
    SpecError for an unknown method; LabError when the iteration does not converge.
    """
    if method not in METHODS:
        raise SpecError(f"method must be one of {', '.join(METHODS)}: got {method!r}")
    if isinstance(affinity, Tensor):
        check_planes("affinity", affinity)
        if affinity.ndim == 3:
            return _batch([second_eigenvector(one, method=method) for one in affinity])
        _check_graph(affinity)
    if len(affinity) < 2:
        raise ShapeError("a graph needs at least two nodes to be cut: got one")
    if method == "dense" or (method == "auto" and len(affinity) <= SMALL):
        return _by_decomposition(affinity.dense() if isinstance(affinity, TwoValued) else affinity)
    return _by_lanczos(affinity)


def _check_graph(affinity: Tensor) -> None:
    if affinity.ndim != 2 or affinity.shape[0] != affinity.shape[1]:
        raise ShapeError(f"affinity must be (N, N) or (B, N, N): got {tuple(affinity.shape)}")
    largest = float(affinity.max())
    if float(affinity.min()) < 0 or float(affinity.sum(1).min()) <= 0:
        raise ShapeError("affinity must have entries of at least 0 and no empty row; add a small weight to every pair")
    if float((affinity - affinity.T).abs().max()) > ASYMMETRY * largest:
        raise ShapeError("affinity must be symmetric: take (W + W.T) / 2")


def _batch(pairs: list[SecondEigenpair]) -> SecondEigenpair:
    return SecondEigenpair(
        torch.stack([pair.eigenvalue for pair in pairs]),
        torch.stack([pair.eigenvector for pair in pairs]),
        torch.stack([pair.repeated for pair in pairs]),
        pairs[0].method,
    )


def _by_decomposition(affinity: Tensor) -> SecondEigenpair:
    """All eigenpairs of M, in float64; the known one is moved to the far end by subtracting it twice."""
    weights = affinity.double()
    root = weights.sum(1).sqrt()
    known = root / root.norm()
    values, vectors = torch.linalg.eigh(weights / root[:, None] / root[None] - 2 * torch.outer(known, known))
    values = torch.cat([values, values.new_full((1,), -torch.inf)]).roll(1)  # two nodes have no third value
    return _pair(values[-1], vectors[:, -1], root, values[-1] - values[-2], "dense")


def _by_lanczos(affinity: Tensor | TwoValued) -> SecondEigenpair:
    """The two largest of M without the known one: in float32, and from there in float64 where they lie close."""
    two_valued = isinstance(affinity, TwoValued)
    root = (affinity.degrees() if two_valued else affinity.double().sum(1)).sqrt()
    start = torch.randn(2, len(root), generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(root.device)
    # lists of neighbours cost the same in float64, and a graph that has few edges tends to fall apart
    cheap = len(root) <= ALWAYS_EXACT or (two_valued and affinity.is_sparse)
    for dtype in (torch.float64,) if cheap else (torch.float32, torch.float64):
        weights = affinity.product(dtype) if two_valued else _by_matrix(affinity.to(dtype))
        top = largest_two(_deflated(weights, root.to(dtype)), start.to(dtype), tolerance=TOLERANCE[dtype])
        gap = top.values[0] - top.values[1]
        if gap > SAFE_GAP:
            break
        start = top.vectors.double()
    return _pair(top.values[0].to(root.device), top.vectors[0].double(), root, gap, "lanczos")


def _by_matrix(matrix: Tensor) -> Product:
    return lambda rows: rows @ matrix


def _deflated(weights: Product, root: Tensor) -> Product:
    """Multiplies by M - u u' with u = D^1/2 1 / |D^1/2 1|, whose eigenvalue is 1."""
    inverse = 1 / root
    known = (root / root.norm())[None]
    return lambda rows: inverse * weights(inverse * rows) - (rows @ known.T) * known


def _pair(value: Tensor, vector: Tensor, root: Tensor, gap: Tensor, method: str) -> SecondEigenpair:
    """Back from v to x = D^-1/2 v, with the sign that makes its largest entry positive."""
    scaled = vector / root
    oriented = scaled * torch.sign(scaled[scaled.abs().argmax()])
    return SecondEigenpair(1 - value, oriented, (gap < REPEATED_GAP).to(root.device), method)
