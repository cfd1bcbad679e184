"""The directional 3x3 kernels: how they start, and the loss that keeps them from vanishing (eq. 9)."""

import torch
from torch import Tensor

from lib.context_reg.settings import Initialisation, KernelLoss
from lib.errors import ShapeError, SpecError

# row, column of the eight neighbours, row by row: the first four and the last four are opposite to each other
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
RING = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))  # the same, clockwise from the upper left
RANDOM_KERNELS = 8


def initial_kernels(initialisation: Initialisation, *, num_kernels: int = 0, seed: int = 0) -> Tensor:
    """Kernels (J, 3, 3) of norm 1 whose taps add up to 0, float64; they correlate with the picture, none is flipped.

    initialisation: "differences": centre minus one neighbour over sqrt 2, row by row (Choice: the paper names none);
    "kirsch": eight compass kernels and the Laplacian, as in Meng et al. 2013; "random": normal numbers of `seed`.
    num_kernels: the first so many, 0 for all. Four differences are one of each pair of opposite neighbours.
    Raises SpecError for more than there are.
    """
    if initialisation == "random":
        generator = torch.Generator().manual_seed(seed)
        size = (num_kernels or RANDOM_KERNELS, 3, 3)
        kernels = torch.randn(size, generator=generator, dtype=torch.float64)
        kernels = kernels - kernels.mean(dim=(1, 2), keepdim=True)
    else:
        kernels = _differences() if initialisation == "differences" else _kirsch()
        if num_kernels > len(kernels):
            raise SpecError(
                f"{initialisation} has {len(kernels)} kernels: got num_kernels={num_kernels}; "
                "take fewer, or the initialisation random"
            )
        kernels = kernels[: num_kernels or None]
    return kernels / kernels.square().sum(dim=(1, 2), keepdim=True).sqrt()


def kernel_loss(kernels: Tensor, *, form: KernelLoss, norm_weight: float, sum_weight: float) -> Tensor:
    """Sum over the kernels of alpha (|d|^2 - 1)^2 + beta (sum d)^2, or as printed in eq. 9 + beta |d|^2.

    kernels: (J, 3, 3). norm_weight: alpha. sum_weight: beta.
    Choice: eq. 9 as printed pulls the norm below 1 (to sqrt 0.5 at the paper's constants) and leaves the sum free;
    the recommended form keeps difference kernels of norm 1, for which a flat region costs nothing.
    """
    if kernels.ndim != 3 or kernels.shape[1:] != (3, 3):
        raise ShapeError(f"kernels must be (J, 3, 3): got {tuple(kernels.shape)}")
    energy = kernels.square().sum(dim=(1, 2))
    second = energy if form == "printed" else kernels.sum(dim=(1, 2)).square()
    return (norm_weight * (energy - 1).square() + sum_weight * second).sum()


def _differences() -> Tensor:
    kernels = torch.zeros(len(NEIGHBOURS), 3, 3, dtype=torch.float64)
    kernels[:, 1, 1] = 1
    for kernel, (dy, dx) in zip(kernels, NEIGHBOURS, strict=True):
        kernel[1 + dy, 1 + dx] = -1
    return kernels


def _kirsch() -> Tensor:
    """Three adjacent 5s among -3s on the ring, turned by 45 degrees; last the Laplacian of eight neighbours."""
    kernels = torch.full((len(RING) + 1, 3, 3), -3.0, dtype=torch.float64)
    kernels[:, 1, 1] = 0
    for turn in range(len(RING)):
        for step in range(3):
            y, x = RING[(turn + step) % len(RING)]
            kernels[turn, y, x] = 5
    kernels[-1] = -1
    kernels[-1, 1, 1] = 8
    return kernels
