"""The compiled CPU forms behind the same three calls as `block_form`: float32 on the CPU.

`row_pairs` where all pixels count, `fused` where some are ignored.
"""

import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.context_reg.block_form import Basis, Wanted

Array = NDArray[np.floating]

GROUP = 4  # the compiled form takes so many kernels at a time
WORTH_A_THREAD = 2**20  # numbers of a picture's probabilities
KEPT = 2  # arrays kept for the next step: the gradient's and the weights'

_kept: dict[tuple[int, ...], Array] = {}


def weight_exponents(guide: Tensor, basis: Basis, counted: Tensor | None) -> Tensor:
    """As `block_form.weight_exponents`."""
    from lib.context_reg import fused

    exponents = _memory((len(guide), len(basis.taps), *guide.shape[-2:]))
    for idx in range(len(guide)):
        _sweep(guide[idx], exponents[idx], basis, _of_picture(counted, idx), None, False, fused.SQUARES)
    return exponents


def class_terms(
    probabilities: Tensor, weights: Tensor, basis: Basis, counted: Tensor | None, wanted: Wanted
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """As `block_form.class_terms`; the shares take the place of `weights`. Torch's threads share the classes."""
    from lib.context_reg import fused

    gradient = _gradient_of(probabilities, counted) if wanted.probabilities else None
    num_parts = max(1, min(torch.get_num_threads(), probabilities[0].numel() // WORTH_A_THREAD))
    parts = torch.arange(probabilities.shape[1]).chunk(num_parts)

    @torch.no_grad()  # a thread starts with gradients on
    def work(idx: int, classes: Tensor, shares: Tensor) -> tuple[float, Tensor]:
        some = slice(int(classes[0]), int(classes[-1]) + 1)
        into = None if gradient is None else gradient[idx, some]
        planes, neighbours = probabilities[idx, some], _of_picture(counted, idx)
        return _sweep(planes, shares, basis, neighbours, into, wanted.kernels, fused.SIGNS)

    loss, on_coefficients = 0.0, torch.zeros_like(basis.taps)
    for idx in range(len(probabilities)):
        shares = [weights[idx], *(weights[idx].clone() for _ in parts[1:])]
        if len(parts) == 1:
            results = [work(idx, parts[0], shares[0])]
        else:
            with ThreadPoolExecutor(max_workers=len(parts)) as pool:
                results = list(pool.map(work, [idx] * len(parts), parts, shares))
        for more in shares[1:]:
            weights[idx] += more
        loss += sum(each for each, _ in results)
        on_coefficients += sum(each for _, each in results)
    return probabilities.new_tensor(loss), weights, gradient, on_coefficients if wanted.kernels else None


def guide_terms(
    guide: Tensor, shares: Tensor, basis: Basis, counted: Tensor | None, wanted: Wanted
) -> tuple[Tensor | None, Tensor | None]:
    """As `block_form.guide_terms`."""
    from lib.context_reg import fused

    gradient = _gradient_of(guide, counted) if wanted.guide else None
    on_coefficients = torch.zeros_like(basis.taps)
    for idx in range(len(guide)):
        into = None if gradient is None else gradient[idx]
        neighbours = _of_picture(counted, idx)
        on_coefficients += _sweep(guide[idx], shares[idx], basis, neighbours, into, wanted.guide_kernels, fused.PULL)[1]
    return gradient, on_coefficients if wanted.guide_kernels else None


def _sweep(
    planes: Tensor,
    weights: Tensor,
    basis: Basis,
    counted: Array,
    gradient: Tensor | None,
    needs_coefficients: bool,
    rule: int,
) -> tuple[float, Tensor]:
    """Sum of `weights` after `fused.sweep`, and the gradient on the coefficients (J, 9), zeros if not needed."""
    from lib.context_reg import fused, row_pairs

    coefficients, values = _grouped(basis.coefficients), planes.contiguous().numpy()
    on_coefficients = np.zeros_like(coefficients, dtype=np.float64)
    into = np.empty((0, 1, 1), np.float32) if gradient is None else gradient.numpy()
    results = (into, on_coefficients if needs_coefficients else on_coefficients[:0], rule)
    if len(counted):
        total = fused.sweep(values, weights.numpy(), coefficients, _grouped(basis.taps), counted, *results)
    else:
        total = row_pairs.sweep(values, weights.numpy(), coefficients, _grouped(basis.taps), *results)
    return total, torch.from_numpy(on_coefficients[: len(basis.taps)]).to(basis.taps)


def _gradient_of(planes: Tensor, counted: Tensor | None) -> Tensor:
    """To be written by `row_pairs`, or added to by `fused`."""
    gradient = _memory(tuple(planes.shape))
    return gradient if counted is None else gradient.zero_()


def _memory(shape: tuple[int, ...]) -> Tensor:
    """Float32, not initialised: an array of this shape that an earlier step has let go of, or a new one.

    New memory comes page by page and may take longer than all that is computed: at 480x640, 40 classes, 5 to 100 ms.
    """
    array = _kept.pop(shape, None)
    if array is None:
        array = np.empty(shape, np.float32)
    lent = array[:]
    weakref.finalize(lent, _keep, array).atexit = False  # once no tensor holds it
    return torch.from_numpy(lent)


def _keep(array: Array) -> None:
    _kept[array.shape] = array
    for shape in list(_kept)[:-KEPT]:
        _kept.pop(shape, None)


def forget_memory() -> None:
    """Gives back to the system what is kept for the next step."""
    _kept.clear()


def _grouped(rows: Tensor) -> Array:
    """(J, 9) with kernels of zeros up to whole groups."""
    filled = rows.new_zeros(-(-len(rows) // GROUP) * GROUP, 9)
    filled[: len(rows)] = rows
    return filled.numpy()


def _of_picture(counted: Tensor | None, idx: int) -> Array:
    if counted is None:
        return np.empty((0, 1, 1), np.float32)
    return counted[:, idx, 0].contiguous().numpy()
