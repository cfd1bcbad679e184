"""The second eigenpair of a graph in many parts, by Davidson's method with the parts as its coarse space.

Patches without neighbours and small islands make hundreds of eigenvalues within N epsilon of each other, through which
any method that only multiplies by W gropes for hundreds of steps. Their eigenvectors are almost constant on each part,
and on vectors that are constant on parts W is diagonal plus rank one: the coarse problem is solved exactly, and
Davidson's method (1975) adds what is missing within the parts, where eigenvalues lie far apart. It only sees what its
first directions hold, so that they include what Lanczos finds within the parts: one may nearly fall apart by itself.
"""

import torch
from torch import Tensor

from lib.solvers.lanczos import FLOOR, TopPair, largest_two, orthonormal_to
from lib.solvers.two_valued import TwoValued

BLOCK = 4  # pairs that are followed
WITHIN = 1e-4  # residual of the vectors within parts; a random start has a hundred times more of each
MAX_COARSE = 256  # coarse vectors; the parts beyond share one
MAX_ROWS = 64  # directions that are kept before the space is cut back to the best of them
KEPT_ROWS = 2 * BLOCK
MAX_ROUNDS = 150


def largest_two_by_parts(graph: TwoValued, labels: Tensor, *, tolerance: float) -> TopPair | None:
    """As `lanczos.largest_two` of M = D^-1/2 W D^-1/2 without its known pair; None where it does not converge.

    graph: on the CPU. labels: (N,) int64, the part of each node. tolerance: of the first vector. Raises LabError when
    Lanczos does not converge within the parts.
    """
    root = graph.degrees().sqrt()
    weights = graph.product(torch.float64)
    coarse = _Coarse(graph, labels, root)
    start = torch.randn(2, len(root), generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def within_parts(rows: Tensor) -> Tensor:
        return coarse.without(weights(coarse.without(rows) / root) / root)

    within = largest_two(within_parts, coarse.without(start), tolerance=0, enough=WITHIN)
    directions = torch.cat([coarse.lowest(BLOCK), within.vectors])
    space = root.new_empty(1 + MAX_ROWS, len(root))
    space[:1] = root / root.norm()  # the known vector, which all others are kept orthogonal to
    basis, image = space[1:], space.new_empty(MAX_ROWS, len(root))
    overlap = space.new_empty(MAX_ROWS, MAX_ROWS)
    count = 0
    for number in range(1, MAX_ROUNDS + 1):
        new, old, count = slice(count, count + len(directions)), count, count + len(directions)
        basis[new] = orthonormal_to(directions, space[: 1 + old])
        # 1 - M, whose smallest values are wanted: their differences keep more digits than those of values near 1
        image[new] = basis[new] - weights(basis[new] / root) / root
        overlap[new, :count] = image[new] @ basis[:count].T
        values, vectors = torch.linalg.eigh(overlap[:count, :count])  # reads the lower half
        values, pairs = values[:BLOCK], vectors[:, :BLOCK].T
        best = pairs @ basis[:count]
        residual = pairs @ image[:count] - values[:, None] * best
        is_open = residual.norm(dim=1) > _wanted(values, tolerance)
        if not is_open.any():
            return TopPair(1 - values[:2], best[:2], number)
        directions = coarse.correct(residual[is_open], values[is_open])
        if count + len(directions) >= len(root):
            return None
        if count + len(directions) > MAX_ROWS:
            kept = vectors[:, :KEPT_ROWS].T
            basis[:KEPT_ROWS], image[:KEPT_ROWS] = kept @ basis[:count], kept @ image[:count]
            count = KEPT_ROWS
            overlap[:count, :count] = image[:count] @ basis[:count].T
    return None


def _wanted(values: Tensor, tolerance: float) -> Tensor:
    """Residuals that are small enough: of the first as the gap asks, of the others so that their values are settled.

    A value is off by about the residual's square; it must be a tenth of the distance to the first value or less.
    """
    first, *others = values.tolist()
    wanted = [tolerance * (others[0] - first), *((0.1 * (value - first)) ** 0.5 for value in others)]
    return torch.tensor(wanted, dtype=torch.float64).clamp_min(FLOOR[torch.float64])


class _Coarse:
    """Vectors D^1/2 1_part / |D^1/2 1_part|, on which 1 - M is diag(levels) - link link'.

    Nodes that stand alone are alike and share one vector, with the parts of the highest levels beyond MAX_COARSE.
    """

    def __init__(self, graph: TwoValued, labels: Tensor, root: Tensor) -> None:
        self.labels = _joined(graph, labels)
        volumes = self._summed(root.square()[None])[0]
        sizes = torch.bincount(self.labels).double()
        self.levels = graph.epsilon * len(graph) * sizes / volumes
        self.link = graph.epsilon**0.5 * sizes / volumes.sqrt()
        self.entries = root / volumes.sqrt()[self.labels]

    def lowest(self, count: int) -> Tensor:
        """The eigenvectors (k, N) of the coarse problem that follow the known one, at most count - 1."""
        matrix = torch.diag(self.levels) - torch.outer(self.link, self.link)
        return self._spread(torch.linalg.eigh(matrix).eigenvectors[:, 1:count].T)

    def correct(self, residual: Tensor, values: Tensor) -> Tensor:
        """Rows (k, N) with their coarse part divided by (coarse problem - value), by Sherman and Morrison."""
        coarse = self._summed(residual * self.entries)
        shifted = _not_zero(self.levels - values[:, None])
        solved, linked = coarse / shifted, self.link / shifted
        solved = solved + linked * ((solved @ self.link) / _not_zero(1 - linked @ self.link))[:, None]
        return residual + self._spread(solved - coarse)

    def without(self, rows: Tensor) -> Tensor:
        """Rows (k, N) less their coarse part."""
        return rows - self._spread(self._summed(rows * self.entries))

    def _spread(self, rows: Tensor) -> Tensor:
        """Rows (k, N) that have these parts (k, parts) and nothing within them."""
        return rows.index_select(1, self.labels) * self.entries

    def _summed(self, rows: Tensor) -> Tensor:
        """Sums (k, parts) of rows (k, N) over each part."""
        count = int(self.labels.max()) + 1
        return rows.new_zeros(len(rows), count).index_add_(1, self.labels, rows)


def _not_zero(numbers: Tensor) -> Tensor:
    return torch.where(numbers.abs() < FLOOR[torch.float64], FLOOR[torch.float64], numbers)


def _joined(graph: TwoValued, labels: Tensor) -> Tensor:
    """Labels from 0 on, after nodes that stand alone, and parts of low mean degree beyond MAX_COARSE, became one."""
    sizes = torch.bincount(labels)
    mean_degree = torch.bincount(labels, weights=graph.num_neighbours.double()) / sizes
    merged = sizes == 1
    merged[mean_degree.argsort(descending=True)[MAX_COARSE - 1 :]] = True
    number = torch.where(merged, -1, torch.arange(len(sizes)))
    return torch.unique(number[labels], return_inverse=True)[1]
