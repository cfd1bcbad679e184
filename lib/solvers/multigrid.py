"""Full multigrid for the Neumann Poisson problem on a cell-centred grid of any size, in tensor form.

The paper names full multigrid (sec. 2.2); the textbook routine needs a Dirichlet border and sides of 2^j + 1.
Choice: cells with their own widths. A coarse cell joins two fine ones, the last of an odd count stays single, and the
five-point operator is the finite-volume one, so every size works and a side of 2^j is the usual special case.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

# cells at which the system is solved with a pseudo-inverse instead of being coarsened further
COARSEST_CELLS = 16
SWEEPS = 2


def solve(divergence: Tensor, *, cycles: int) -> Tensor:
    """Zero-mean approximation for planes (P, H, W) after `cycles` V(2,2) cycles on each level of one full multigrid."""
    level = finest_level(*divergence.shape[-2:], divergence.dtype, divergence.device)
    source = divergence - divergence.mean(dim=(-2, -1), keepdim=True)
    return _full_multigrid(level, source, cycles)


def v_cycle(level: "Level", solution: Tensor, source: Tensor) -> Tensor:
    """One V(2,2) cycle: smooth, correct from the coarser grid, smooth."""
    if level.coarser is None:
        return level.solve_exactly(source)
    solution = level.smooth(solution, source)
    residual = level.restrict(source - level.apply(solution))
    correction = v_cycle(level.coarser, torch.zeros_like(residual), residual)
    return level.smooth(solution + level.prolong(correction), source)


def _full_multigrid(level: "Level", source: Tensor, cycles: int) -> Tensor:
    if level.coarser is None:
        return level.solve_exactly(source)
    solution = level.prolong(_full_multigrid(level.coarser, level.restrict(source), cycles))
    for _ in range(cycles):
        solution = v_cycle(level, solution, source)
    return level.remove_mean(solution)


@dataclass(frozen=True, eq=False)
class Level:
    """One grid: widths of its rows (H,) and columns (W,) in pixels, and the operators that live on it.

    Right-hand sides are integrated over a cell, so that `restrict` is a plain sum over its children.
    """

    row_widths: Tensor
    column_widths: Tensor

    @cached_property
    def coarser(self) -> "Level | None":
        """The grid of half the cells, or None where the system is small enough to be solved directly."""
        if len(self.row_widths) * len(self.column_widths) <= COARSEST_CELLS:
            return None
        return Level(_pair_sum(self.row_widths), _pair_sum(self.column_widths))

    @cached_property
    def couplings(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Face length over centre distance towards up, down, left and right, each (H, W); 0 at the border."""
        vertical = F.pad(1 / _centre_distances(self.row_widths), (1, 1))[:, None] * self.column_widths
        horizontal = F.pad(1 / _centre_distances(self.column_widths), (1, 1)) * self.row_widths[:, None]
        return vertical[:-1], vertical[1:], horizontal[:, :-1], horizontal[:, 1:]

    @cached_property
    def diagonal(self) -> Tensor:
        """Sum of a cell's couplings, (H, W)."""
        return sum(self.couplings, torch.zeros_like(self.couplings[0]))

    @cached_property
    def is_red(self) -> Tensor:
        """Colour of the checkerboard, bool (H, W)."""
        rows = torch.arange(len(self.row_widths), device=self.row_widths.device)
        columns = torch.arange(len(self.column_widths), device=self.row_widths.device)
        return (rows[:, None] + columns) % 2 == 0

    @cached_property
    def pseudo_inverse(self) -> Tensor:
        """Dense pseudo-inverse of the operator, (H W, H W): its null space, the constant, is left out."""
        num_cells = self.diagonal.numel()
        units = torch.eye(num_cells, dtype=self.diagonal.dtype, device=self.diagonal.device)
        matrix = self.apply(units.view(num_cells, *self.diagonal.shape)).view(num_cells, num_cells)
        # float32 couplings leave the constant's singular value at about 1e-8 of the largest, real ones are above 1e-3
        return torch.linalg.pinv(matrix.double().cpu(), rtol=1e-5).to(matrix)

    def neighbours(self, solution: Tensor) -> Tensor:
        """Couplings times the four neighbours, summed, (P, H, W)."""
        up, down, left, right = self.couplings
        padded = F.pad(solution, (1, 1, 1, 1))
        vertical = up * padded[:, :-2, 1:-1] + down * padded[:, 2:, 1:-1]
        return vertical + left * padded[:, 1:-1, :-2] + right * padded[:, 1:-1, 2:]

    def apply(self, solution: Tensor) -> Tensor:
        """The integrated Laplacian."""
        return self.neighbours(solution) - self.diagonal * solution

    def smooth(self, solution: Tensor, source: Tensor) -> Tensor:
        """Two red-black Gauss-Seidel sweeps."""
        for _ in range(SWEEPS):
            for colour in (self.is_red, ~self.is_red):
                solution = torch.where(colour, (self.neighbours(solution) - source) / self.diagonal, solution)
        return solution

    def solve_exactly(self, source: Tensor) -> Tensor:
        """Least-squares solution on the coarsest grid."""
        return self.remove_mean((source.flatten(1) @ self.pseudo_inverse.mT).view_as(source))

    def remove_mean(self, solution: Tensor) -> Tensor:
        """The solution less its mean over the picture's area."""
        area = self.row_widths[:, None] * self.column_widths / (self.row_widths.sum() * self.column_widths.sum())
        return solution - (solution * area).sum(dim=(-2, -1), keepdim=True)

    def restrict(self, source: Tensor) -> Tensor:
        """Integrals over the coarser cells."""
        return _pair_sum(_pair_sum(source).mT).mT

    @cached_property
    def interpolations(self) -> tuple[tuple[Tensor, Tensor, Tensor], ...]:
        """For rows and for columns: the two nearest coarse cells of each fine one and the weight of the second."""
        return _interpolation(self.row_widths), _interpolation(self.column_widths)

    def prolong(self, coarse: Tensor) -> Tensor:
        """Bilinear interpolation between cell centres, constant beyond the outermost ones."""
        (above, below, down_weight), (left, right, right_weight) = self.interpolations
        rows = torch.lerp(coarse[:, above], coarse[:, below], down_weight[:, None])
        return torch.lerp(rows[:, :, left], rows[:, :, right], right_weight)


@lru_cache(maxsize=8)
def finest_level(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Level:
    """The grid of a picture: cells of one pixel."""
    return Level(torch.ones(height, dtype=dtype, device=device), torch.ones(width, dtype=dtype, device=device))


def _pair_sum(values: Tensor) -> Tensor:
    """Sums of neighbours (0, 1), (2, 3), ... along the last axis; an odd last one stays alone."""
    length = values.shape[-1]
    if length == 1:
        return values
    return F.pad(values, (0, length % 2)).unflatten(-1, (-1, 2)).sum(-1)


def _centre_distances(widths: Tensor) -> Tensor:
    return (widths[1:] + widths[:-1]) / 2


def _centres(widths: Tensor) -> Tensor:
    return widths.cumsum(0) - widths / 2


def _interpolation(widths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    fine, coarse = _centres(widths.double()), _centres(_pair_sum(widths).double())
    last = len(coarse) - 1
    first = (torch.searchsorted(coarse, fine, right=True) - 1).clamp(0, max(last - 1, 0))
    second = (first + 1).clamp(max=last)
    span = (coarse[second] - coarse[first]).clamp(min=1)
    weight = ((fine - coarse[first]) / span).clamp(0, 1)
    return first, second, weight.to(widths)
