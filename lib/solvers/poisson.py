"""A picture from its gradient field: forward gradient, backward divergence and the Neumann Poisson problem.

Source: context_fusion sec. 2.2 (after Fattal et al. 2002). Forward gradient and backward divergence are negative
adjoints, so `solve_poisson(divergence(gx, gy))` minimises the squared distance between the gradient and (gx, gy).
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_form, check_planes
from lib.errors import ShapeError, SpecError

Method = Literal["dct", "multigrid"]


def gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    """Forward differences along x and y, zero in the last column and in the last row.

    image: (..., H, W), any range; both results have its shape. gx(x, y) = I(x+1, y) - I(x, y), gy likewise.
    """
    check_planes("image", image)
    return F.pad(image.diff(dim=-1), (0, 1)), F.pad(image.diff(dim=-2), (0, 0, 0, 1))


def divergence(gx: Tensor, gy: Tensor) -> Tensor:
    """Backward differences gx(x, y) - gx(x-1, y) + gy(x, y) - gy(x, y-1), with zero outside the picture.

    gx, gy: (..., H, W). The last column of gx and the last row of gy are border fluxes and count as they are.
    Raises ShapeError when the two shapes differ.
    """
    check_planes("gx", gx)
    check_planes("gy", gy)
    if gx.shape != gy.shape:
        raise ShapeError(f"gx and gy must have one shape: got {tuple(gx.shape)} and {tuple(gy.shape)}")
    result = gx + gy
    result[..., :, 1:] -= gx[..., :, :-1]
    result[..., 1:, :] -= gy[..., :-1, :]
    return result


def solve_poisson(div: Tensor, *, method: Method = "dct", cycles: int = 3, overwrite: bool = False) -> Tensor:
    """Zero-mean picture whose Laplacian is `div`, each plane apart, with a reflecting (Neumann) border.

    div: (..., H, W), float16 to float64, any size and device; a plane's mean, for which there is no solution, is
    taken off first. Returns the same shape and dtype; half precision is computed in float32.
    method: `dct` solves exactly (on the CPU by cyclic reduction and one cosine transform, elsewhere and under autograd
    by two cosine transforms); `multigrid` is the paper's full multigrid with `cycles` V(2,2) cycles on each level.
    overwrite: the solution may take the place of `div`, which saves fresh memory.
    Raises ShapeError for other shapes or values that are not finite, SpecError for an unknown method.
    """
    check_form("div", div)
    if method not in get_args(Method):
        raise SpecError(f"method must be one of {', '.join(get_args(Method))}: got {method!r}")
    if cycles < 1:
        raise SpecError(f"cycles must be at least 1: got {cycles}")
    planes = div.reshape(-1, *div.shape[-2:])
    if planes.dtype not in (torch.float32, torch.float64):
        planes = planes.float()
    if method == "multigrid":
        from lib.solvers import multigrid

        check_planes("div", div)
        solution = multigrid.solve(planes, cycles=cycles)
    elif planes.device.type == "cpu" and not planes.requires_grad:
        from lib.solvers import facr

        # sums up the rows in any case, and thereby checks the values on the way
        solution = facr.solve(planes.contiguous(), overwrite=overwrite)
    else:
        from lib.solvers import dct

        check_planes("div", div)
        solution = dct.solve(planes)
    return solution.view_as(div).to(div.dtype)
