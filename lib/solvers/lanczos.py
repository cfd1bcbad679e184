"""Block Lanczos for the two largest eigenvalues of a symmetric matrix that is only known by its products."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.errors import LabError

# rows (k, N) -> rows @ matrix; as rows, because a product with two columns is five times slower on a CPU
Product = Callable[[Tensor], Tensor]

BLOCK = 2
CHECK_EVERY = 2
MAX_STEPS = 400
# a new direction shorter than this, for a matrix of norm 1, is rounding: the space is exhausted
BREAKDOWN = {torch.float32: 1e-5, torch.float64: 1e-12}


@dataclass(frozen=True, eq=False)
class TopPair:
    """values: (2,) float64 on the CPU, falling; vectors: (2, N), orthonormal rows; steps: products it took."""

    values: Tensor
    vectors: Tensor
    steps: int


def largest_two(product: Product, start: Tensor, *, tolerance: float, max_steps: int = MAX_STEPS) -> TopPair:
    """The two largest eigenpairs of a symmetric matrix of norm about 1.

    start: (2, N), two independent directions that are not orthogonal to the wanted ones; its dtype and device are
    those of the work. tolerance: of the first pair's residual; the second is needed for the gap only and may be off by
    a tenth of it. A block of two finds an eigenvalue that occurs twice, which plain Lanczos cannot.
    Orthogonalised twice against all directions. Raises LabError after max_steps.
    """
    count = start.shape[1]
    steps = min(max_steps, count // BLOCK)
    basis = start.new_empty((steps + 1) * BLOCK, count)
    projected = start.new_zeros((steps + 1) * BLOCK, (steps + 1) * BLOCK)
    basis[:BLOCK], _ = _orthonormal(start, basis[:0])
    for step in range(steps):
        low, high = step * BLOCK, (step + 1) * BLOCK
        known = basis[:high]
        image = product(basis[low:high])
        overlap = image @ known.T
        projected[low:high, :high] = overlap
        image = image - overlap @ known
        image = image - (image @ known.T) @ known
        directions, lengths = _orthonormal(image, known)
        exhausted = float(lengths.norm()) < BREAKDOWN[start.dtype]
        if exhausted or (step + 1) % CHECK_EVERY == 0 or step + 1 == steps:
            values, weights = torch.linalg.eigh(projected[:high, :high].cpu().double())  # reads the lower half
            # what a Ritz vector's image has outside the space lies wholly in the new directions
            residual = (lengths.T @ weights[low:high, -2:]).norm(dim=0)
            gap = float(values[-1] - values[-2])
            converged = residual[1] <= tolerance and residual[0] <= max(0.1 * gap, tolerance)
            if converged or exhausted or high + BLOCK > count:
                return TopPair(values[[-1, -2]], weights[:, [-1, -2]].T.to(known) @ known, step + 1)
        basis[high : high + BLOCK] = directions
    raise LabError(
        f"the eigenvector did not converge in {steps} steps of Lanczos (residual {float(residual[1]):.1e}, wanted "
        f"{tolerance:.1e}): the graph may have many parts that hardly touch; raise tau or take method='dense'"
    )


def _orthonormal(rows: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Q (2, N), orthonormal, and L (2, 2) float64 on the CPU with rows = L Q; the longer row comes first.

    Where one row is left as rounding only, any direction that is orthogonal to the rest takes its place: a random one.
    """
    norms = rows.norm(dim=1)
    longer = int(norms[1] > norms[0])
    shorter = 1 - longer
    first = rows[longer] / norms[longer].clamp_min(torch.finfo(rows.dtype).tiny)
    shared = rows[shorter] @ first
    rest = rows[shorter] - shared * first
    length = rest.norm()
    lengths = torch.zeros(2, 2, dtype=torch.float64)
    lengths[longer, 0], lengths[shorter, 0], lengths[shorter, 1] = float(norms[longer]), float(shared), float(length)
    if float(length) < BREAKDOWN[rows.dtype]:
        rest = torch.randn(rest.shape, generator=torch.Generator().manual_seed(len(known))).to(rest)
    for _ in range(2):
        rest = rest - (rest @ known.T) @ known
        rest = rest - (rest @ first) * first
        rest = rest / rest.norm()
    return torch.stack([first, rest]), lengths
