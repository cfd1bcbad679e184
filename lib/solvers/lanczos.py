"""Block Lanczos for the two largest eigenvalues of a symmetric matrix that is only known by its products."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.errors import LabError

# rows (k, N) -> rows @ matrix; as rows, because a product with two columns is five times slower on a CPU
Product = Callable[[Tensor], Tensor]

BLOCK = 2
CHECK_EVERY = 0.1  # of the steps so far, and at least two: a check costs their number cubed
MAX_STEPS = 400
# a new direction shorter than this, for a matrix of norm 1, is rounding: the space is exhausted
BREAKDOWN = {torch.float32: 1e-5, torch.float64: 1e-12}
# residuals that rounding leaves whatever the number of steps
FLOOR = {torch.float32: 2e-6, torch.float64: 5e-13}


@dataclass(frozen=True, eq=False)
class TopPair:
    """values: (2,) float64 on the CPU, falling; vectors: (2, N), orthonormal rows; steps: products it took."""

    values: Tensor
    vectors: Tensor
    steps: int

    @property
    def gap(self) -> float:
        """How far the second value lies below the first."""
        return float(self.values[0] - self.values[1])


def largest_two(
    product: Product, start: Tensor, *, tolerance: float, enough: float = 0.0, max_steps: int = MAX_STEPS
) -> TopPair:
    """The two largest eigenpairs of a symmetric matrix of norm about 1.

    start: (2, N), two independent directions that are not orthogonal to the wanted ones; its dtype and device are
    those of the work. tolerance: of the first vector, which is off by its residual over the gap between the values;
    the second pair is needed for the gap only, to a tenth of it. enough: a residual that is small enough whatever the
    gap. A block of two finds an eigenvalue that occurs twice, which plain Lanczos cannot. Orthogonalised twice against
    all directions. Raises LabError after max_steps.
    """
    count = start.shape[1]
    floor = max(enough, FLOOR[start.dtype])
    steps = min(max_steps, count // BLOCK)
    basis = start.new_empty((steps + 1) * BLOCK, count)
    projected = start.new_empty((steps + 1) * BLOCK, (steps + 1) * BLOCK)
    basis[:BLOCK], _ = _orthonormal(start, basis[:0])
    next_check = 2
    for step in range(1, steps + 1):
        low, high = (step - 1) * BLOCK, step * BLOCK
        known = basis[:high]
        image = product(basis[low:high])
        overlap = image @ known.T
        projected[low:high, :high] = overlap
        directions, lengths = _orthonormal(image - overlap @ known, known)
        exhausted = float(torch.linalg.vector_norm(lengths)) < BREAKDOWN[start.dtype]
        if exhausted or step in (next_check, steps):
            next_check = step + max(2, round(CHECK_EVERY * step))
            values, weights = torch.linalg.eigh(projected[:high, :high].cpu().double())  # reads the lower half
            # what a Ritz vector's image has outside the space lies wholly in the new directions
            residual = torch.linalg.vector_norm(lengths.T @ weights[low:high, -2:], dim=0)
            gap = float(values[-1] - values[-2])
            converged = residual[1] <= max(tolerance * gap, floor) and residual[0] <= max(0.1 * gap, floor)
            if converged or exhausted or high + BLOCK > count:
                return TopPair(values[[-1, -2]], weights[:, [-1, -2]].T.to(known) @ known, step)
        basis[high : high + BLOCK] = directions
    raise LabError(
        f"the eigenvector did not converge in {steps} steps of Lanczos (residual {float(residual[1]):.1e}, wanted "
        f"{max(tolerance * gap, floor):.1e}): the graph may have many parts that hardly touch; take method='dense'"
    )


def orthonormal_to(rows: Tensor, known: Tensor) -> Tensor:
    """Orthonormal rows that span, with the orthonormal rows of `known`, what `rows` span with them."""
    for _ in range(2):
        rows = torch.linalg.qr((rows - (rows @ known.T) @ known).T).Q.T
    return rows


def _orthonormal(rows: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Q (2, N), orthonormal and orthogonal to `known`, and L (2, 2) float64 on the CPU with rows = L Q.

    Where a row is left as rounding only, any direction that is orthogonal to the rest takes its place: a random one.
    """
    # on the CPU, because a GPU decomposes two columns no faster and would wait for each of their numbers
    columns, upper = torch.linalg.qr(rows.T.cpu().double())
    for idx in range(BLOCK):
        if abs(float(upper[idx, idx])) < BREAKDOWN[rows.dtype]:
            generator = torch.Generator().manual_seed(len(known) + idx)
            columns[:, idx] = torch.randn(len(columns), generator=generator, dtype=torch.float64)
    found = columns.T.to(rows)
    columns, again = torch.linalg.qr((found - (found @ known.T) @ known).T.cpu().double())
    return columns.T.to(rows), (again @ upper).T
