"""The Triton kernels (`triton_kernels`) behind the same three calls as `block_form`: float32 on a CUDA device.

Never run on a GPU yet: checked by Triton's interpreter and by compilation ahead of time only, for compute capabilities
7.5 to 12.0; no time was measured. By count, a class and pixel with eight kernels takes 12 bytes of memory, where
reading the probability and writing its gradient takes 8, and about 530 instructions, which should take longer.
"""

import logging
import os
import shutil
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from lib.context_reg import block_form
from lib.context_reg.block_form import Basis, Wanted
from lib.context_reg.directional import initial_kernels

LOG = logging.getLogger(__name__)
TOLERANCE = 1e-4  # of the largest number, in `works_on`


@cache
def is_available() -> bool:
    """Whether this machine has what Triton needs to compile: the package, a C compiler and Python's header files."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    headers = Path(sysconfig.get_config_var("INCLUDEPY") or "", "Python.h")
    return find_spec("triton") is not None and compiler is not None and headers.is_file()


@cache
def works_on(device: torch.device) -> bool:
    """Whether a small case comes out there as by torch's operations. If not, a warning says why, once.

    Choice: looked at in each process, before the first loss, since these kernels have not met that GPU yet.
    """
    if not is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    planes, weights = (torch.rand(2, count, 9, 37, generator=generator).to(device) for count in (3, 5))
    known = (torch.rand(2, 9, 37, generator=generator) > 0.2).float().to(device)
    basis = Basis.of((initial_kernels("random", num_kernels=5) + 0.05).float().to(device))
    wanted = Wanted(probabilities=True, guide=False, kernels=True, guide_kernels=False)
    weights *= known[:, None]
    try:
        found = class_terms(planes, weights, basis, known, wanted)
    except Exception as error:  # whatever a compiler or driver raises
        LOG.warning("the Triton kernels of the context loss don't run on %s (%s): torch's operations do", device, error)
        return False
    for one, other in zip(found, block_form.class_terms(planes, weights, basis, known, wanted), strict=True):
        if one is not None and other is not None and (one - other).abs().max() > TOLERANCE * other.abs().max():
            LOG.warning("the Triton kernels of the context loss are wrong on %s: torch's operations compute it", device)
            return False
    return True


def weight_exponents(guide: Tensor, basis: Basis, known: Tensor | None) -> Tensor:
    """As `block_form.weight_exponents`."""
    from lib.context_reg import triton_kernels

    batch, _, height, width = guide.shape
    exponents = guide.new_empty(batch, len(basis.taps), height, width)
    for some in _groups(basis):
        _respond(guide, exponents[:, some], exponents[:, some], basis.coefficients[some], known, triton_kernels.SQUARES)
    return exponents


def class_terms(
    probabilities: Tensor, weights: Tensor, basis: Basis, known: Tensor | None, wanted: Wanted
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """As `block_form.class_terms`."""
    from lib.context_reg import triton_kernels

    weights, shares = weights.contiguous(), torch.empty_like(weights, memory_format=torch.contiguous_format)
    gradient = codes = None
    if wanted.probabilities:
        gradient = torch.empty_like(probabilities, memory_format=torch.contiguous_format)
        codes = torch.empty_like(gradient, dtype=torch.int16)
    on_coefficients = torch.zeros_like(basis.taps) if wanted.kernels else None
    for some in _groups(basis):
        rows = None if on_coefficients is None else on_coefficients[some]
        _respond(
            probabilities,
            weights[:, some],
            shares[:, some],
            basis.coefficients[some],
            known,
            triton_kernels.SIGNS,
            codes=codes,
            on_rows=rows,
        )
        if gradient is not None and codes is not None:
            _spread(codes, weights[:, some], basis.taps[some], known, gradient, adds=some.start > 0)
    return shares.sum(), shares, gradient, on_coefficients


def guide_terms(
    guide: Tensor, shares: Tensor, basis: Basis, known: Tensor | None, wanted: Wanted
) -> tuple[Tensor | None, Tensor | None]:
    """As `block_form.guide_terms`, which does the work where the guide asks for a gradient."""
    from lib.context_reg import triton_kernels

    if wanted.guide:
        return block_form.guide_terms(guide, shares, basis, known, wanted)
    if not wanted.guide_kernels:
        return None, None
    shares, on_coefficients = shares.contiguous(), torch.zeros_like(basis.taps)
    for some in _groups(basis):
        part, rows = shares[:, some], on_coefficients[some]
        _respond(guide, part, part, basis.coefficients[some], known, triton_kernels.PULL, on_rows=rows)
    return None, on_coefficients


def _groups(basis: Basis) -> Iterator[slice]:
    """Runs of kernels that are done in one go."""
    from lib.context_reg.triton_kernels import MOST_KERNELS

    for start in range(0, len(basis.taps), MOST_KERNELS):
        yield slice(start, min(start + MOST_KERNELS, len(basis.taps)))


def _respond(
    planes: Tensor,
    weights: Tensor,
    maps: Tensor,
    coefficients: Tensor,
    known: Tensor | None,
    rule: int,
    *,
    codes: Tensor | None = None,
    on_rows: Tensor | None = None,
) -> None:
    """`triton_kernels.respond` for a group of kernels; writes to maps, codes and on_rows (count, 9)."""
    from lib.context_reg import triton_kernels

    planes = planes.contiguous()
    _, channels, height, width = planes.shape
    grid, count, room = _grid(planes, rows_each=1), len(coefficients), _power_of_two(len(coefficients))
    sums = planes.new_empty(grid[0] * grid[1] * grid[2] if on_rows is not None else 0, 9, room)
    with torch.cuda.device_of(planes):
        triton_kernels.respond[grid](
            planes,
            weights,
            coefficients,
            planes if known is None else known.contiguous(),
            maps,
            planes if codes is None else codes,
            sums,
            channels,
            height,
            width,
            weights.stride(0),
            count,
            rule=rule,
            has_known=known is not None,
            needs_codes=codes is not None,
            needs_sums=on_rows is not None,
            kernels=room,
        )
    if on_rows is not None:
        on_rows.copy_(sums.sum(dim=0, dtype=torch.float64).T[:count])


def _spread(
    codes: Tensor, weights: Tensor, taps: Tensor, known: Tensor | None, gradient: Tensor, *, adds: bool
) -> None:
    """`triton_kernels.spread` for a group of kernels."""
    from lib.context_reg import triton_kernels

    _, channels, height, width = gradient.shape
    with torch.cuda.device_of(gradient):
        triton_kernels.spread[_grid(gradient, rows_each=2)](
            codes,
            weights,
            taps,
            gradient if known is None else known.contiguous(),
            gradient,
            channels,
            height,
            width,
            weights.stride(0),
            len(taps),
            has_known=known is not None,
            adds=adds,
            kernels=_power_of_two(len(taps)),
        )


def _grid(planes: Tensor, *, rows_each: int) -> tuple[int, int, int]:
    """Programs for the pixels of (N, C, H, W), of which a thread takes so many rows."""
    from lib.context_reg.triton_kernels import TILE_COLUMNS, TILE_ROWS

    batch, _, height, width = planes.shape
    return -(-width // TILE_COLUMNS.value), -(-height // (rows_each * TILE_ROWS.value)), batch


def _power_of_two(count: int) -> int:
    """The least that is not below."""
    return 1 << (count - 1).bit_length()
