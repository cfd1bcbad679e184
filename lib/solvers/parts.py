"""The second eigenpair of a graph in many parts, by Davidson's method with the parts as its coarse space.

Patches without neighbours and small islands make hundreds of eigenvalues within N epsilon of each other, through which
any method that only multiplies by W gropes for hundreds of steps. Their eigenvectors are almost constant on each part,
and on vectors that are constant on parts W is diagonal plus rank one: the coarse problem is solved exactly, and
Davidson's method (1975) adds what is missing within the parts, where eigenvalues lie far apart. It only sees what its
first directions hold, so that they include what Lanczos finds within the parts: one may nearly fall apart by itself.
"""

import numpy as np
import torch
from torch import Tensor

from lib.solvers import part_kernels
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
    product = graph.product(1 / root)
    coarse = _Coarse(graph, labels, root)
    start = torch.randn(2, len(root), generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def within_parts(rows: Tensor) -> Tensor:
        return coarse.without(product(coarse.without(rows)))

    within = largest_two(within_parts, coarse.without(start), tolerance=0, enough=WITHIN)
    directions = torch.cat([coarse.lowest(BLOCK + 1), within.vectors])
    space = root.new_empty(1 + MAX_ROWS, len(root))
    space[:1] = root / root.norm()  # the known vector, which all others are kept orthogonal to
    basis, image = space[1:], space.new_empty(MAX_ROWS, len(root))
    overlap = space.new_empty(MAX_ROWS, MAX_ROWS)
    count = 0
    for number in range(1, MAX_ROUNDS + 1):
        new, old, count = slice(count, count + len(directions)), count, count + len(directions)
        basis[new] = orthonormal_to(directions, space[: 1 + old])
        # 1 - M, whose smallest values are wanted: their differences keep more digits than those of values near 1
        image[new] = basis[new] - product(basis[new])
        overlap[new, :count] = image[new] @ basis[:count].T
        values, vectors = torch.linalg.eigh(overlap[:count, :count])  # reads the lower half
        values, pairs = values[:BLOCK], vectors[:, :BLOCK].T
        best = pairs @ basis[:count]
        residual = pairs @ image[:count] - values[:, None] * best
        lengths = torch.linalg.vector_norm(residual, dim=1).tolist()
        still_open = [idx for idx, wanted in enumerate(_wanted(values.tolist(), tolerance)) if lengths[idx] > wanted]
        if not still_open:
            return TopPair(1 - values[:2], best[:2], number)
        # within the parts, where nothing is solved, a second step of the same search before the next look at the space
        corrected = coarse.correct(residual, values, still_open)
        directions = torch.cat([corrected, coarse.without(product(corrected))])
        if count + len(directions) >= len(root):
            return None
        if count + len(directions) > MAX_ROWS:
            kept = vectors[:, :KEPT_ROWS].T
            basis[:KEPT_ROWS], image[:KEPT_ROWS] = kept @ basis[:count], kept @ image[:count]
            count = KEPT_ROWS
            overlap[:count, :count] = image[:count] @ basis[:count].T
    return None


def _wanted(values: list[float], tolerance: float) -> list[float]:
    """Residuals that are small enough: of the first as the gap asks, of the others so that their values are settled.

    A value is off by about the residual's square; it must be a tenth of the distance to the first value or less.
    """
    first, *others = values
    wanted = [tolerance * (others[0] - first), *((0.1 * (value - first)) ** 0.5 for value in others)]
    return [max(each, FLOOR[torch.float64]) for each in wanted]


class _Coarse:
    """Vectors D^1/2 1_part / |D^1/2 1_part|, on which 1 - M is diag(levels) - link link'.

    Nodes that stand alone are alike and share one vector, with the parts of the highest levels beyond MAX_COARSE.
    """

    def __init__(self, graph: TwoValued, labels: Tensor, root: Tensor) -> None:
        self.labels = _joined(graph, labels)
        volumes = torch.bincount(self.labels, weights=root.square())
        sizes = torch.bincount(self.labels).double()
        self.levels = graph.epsilon * len(graph) * sizes / volumes
        self.link = graph.epsilon**0.5 * sizes / volumes.sqrt()
        self.entries = root / volumes.sqrt()[self.labels]

    def lowest(self, count: int) -> Tensor:
        """The eigenvectors (k, N) of the coarse problem that follow the known one, at most count - 1."""
        matrix = torch.diag(self.levels) - torch.outer(self.link, self.link)
        return torch.linalg.eigh(matrix).eigenvectors[:, 1:count].T[:, self.labels] * self.entries

    def correct(self, residual: Tensor, values: Tensor, chosen: list[int]) -> Tensor:
        """The chosen rows of (k, N) with their coarse part divided by (coarse problem - value)."""
        given = (residual.numpy(), values.numpy(), np.array(chosen))
        coarse = (self.levels.numpy(), self.link.numpy(), self.entries.numpy(), self.labels.numpy())
        return torch.from_numpy(part_kernels.correct(*given, *coarse, FLOOR[torch.float64]))

    def without(self, rows: Tensor) -> Tensor:
        """Rows (k, N) less their coarse part."""
        given = (rows.numpy(), self.entries.numpy(), self.labels.numpy())
        return torch.from_numpy(part_kernels.remove(*given, len(self.levels)))


def _joined(graph: TwoValued, labels: Tensor) -> Tensor:
    """Labels from 0 on, after nodes that stand alone, and parts of low mean degree beyond MAX_COARSE, became one."""
    sizes = torch.bincount(labels)
    mean_degree = torch.bincount(labels, weights=graph.num_neighbours.double()) / sizes
    merged = sizes == 1
    merged[mean_degree.argsort(descending=True)[MAX_COARSE - 1 :]] = True
    number = torch.where(merged, -1, torch.arange(len(sizes)))
    return torch.unique(number[labels], return_inverse=True)[1]
