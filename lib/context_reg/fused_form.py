"""The compiled CPU form (`fused`) behind the same three calls as `block_form`: float32 on the CPU."""

import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.context_reg.block_form import Basis, Wanted

Array = NDArray[np.floating]

WORTH_A_THREAD = 2**20  # numbers of a picture's probabilities
KEPT = 2  # arrays kept for the next step: the gradient's and the weights'

_kept: dict[tuple[tuple[int, ...], int], Array] = {}  # by shape and id, the last one let go of at the end


def weight_exponents(guide: Tensor, basis: Basis, known: Tensor | None) -> Tensor:
    """As `block_form.weight_exponents`."""
    from lib.context_reg import fused

    exponents = _memory((len(guide), len(basis.taps), *guide.shape[-2:]))
    for idx in range(len(guide)):
        _sweep(guide[idx], exponents[idx], basis, _of_picture(known, idx), None, False, fused.SQUARES)
    return exponents


def class_terms(
    probabilities: Tensor, weights: Tensor, basis: Basis, known: Tensor | None, wanted: Wanted
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """As `block_form.class_terms`; the shares take the place of `weights`. Torch's threads share the classes."""
    from lib.context_reg import fused

    gradient = _memory(tuple(probabilities.shape)) if wanted.probabilities else None
    channels = probabilities.shape[1]
    num_parts = max(1, min(torch.get_num_threads(), channels, probabilities[0].numel() // WORTH_A_THREAD))
    parts = [slice(k * channels // num_parts, (k + 1) * channels // num_parts) for k in range(num_parts)]

    @torch.no_grad()  # a thread starts with gradients on
    def work(idx: int, some: slice, shares: Tensor) -> tuple[float, Tensor]:
        into = None if gradient is None else gradient[idx, some]
        planes, pixels = probabilities[idx, some], _of_picture(known, idx)
        return _sweep(planes, shares, basis, pixels, into, wanted.kernels, fused.SIGNS)

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
        for part, of_part in results:
            loss += part
            on_coefficients += of_part
    return probabilities.new_tensor(loss), weights, gradient, on_coefficients if wanted.kernels else None


def guide_terms(
    guide: Tensor, shares: Tensor, basis: Basis, known: Tensor | None, wanted: Wanted
) -> tuple[Tensor | None, Tensor | None]:
    """As `block_form.guide_terms`."""
    from lib.context_reg import fused

    gradient = _memory(tuple(guide.shape)) if wanted.guide else None
    on_coefficients = torch.zeros_like(basis.taps)
    for idx in range(len(guide)):
        into = None if gradient is None else gradient[idx]
        pixels = _of_picture(known, idx)
        on_coefficients += _sweep(guide[idx], shares[idx], basis, pixels, into, wanted.guide_kernels, fused.PULL)[1]
    return gradient, on_coefficients if wanted.guide_kernels else None


def _sweep(
    planes: Tensor,
    weights: Tensor,
    basis: Basis,
    known: Array,
    gradient: Tensor | None,
    needs_coefficients: bool,
    rule: int,
) -> tuple[float, Tensor]:
    """What `fused.sweep` gives back, and the gradient on the coefficients (J, 9), zeros if not needed."""
    from lib.context_reg import fused

    coefficients = _in_pairs(basis.coefficients)
    on_coefficients = np.zeros_like(coefficients, dtype=np.float64)
    total = fused.sweep(
        planes.contiguous().numpy(),
        weights.numpy(),
        coefficients,
        _in_pairs(basis.taps),
        known,
        np.empty((0, 1, 1), np.float32) if gradient is None else gradient.numpy(),
        on_coefficients if needs_coefficients else on_coefficients[:0],
        rule,
    )
    return total, torch.from_numpy(on_coefficients[: len(basis.taps)]).to(basis.taps)


def _memory(shape: tuple[int, ...]) -> Tensor:
    """Float32, not initialised: an array of this shape that an earlier step has let go of, or a new one.

    New memory comes page by page and may take longer than all that is computed: at 480x640, 40 classes, 5 to 100 ms.
    """
    found = (_kept.pop(key, None) for key in reversed(list(_kept)) if key[0] == shape)  # None: another thread took it
    array = next((each for each in found if each is not None), None)
    if array is None:
        array = np.empty(shape, np.float32)
    lent = array[:]
    weakref.finalize(lent, _keep, array).atexit = False  # once no tensor holds it
    return torch.from_numpy(lent)


def _keep(array: Array) -> None:
    _kept[array.shape, id(array)] = array
    for key in list(_kept)[:-KEPT]:
        _kept.pop(key, None)


def forget_memory() -> None:
    """Gives back to the system what is kept for the next step."""
    _kept.clear()


def _in_pairs(rows: Tensor) -> Array:
    """(J, 9), with a kernel of zeros if their number is odd."""
    return np.pad(rows.numpy(), ((0, 1), (0, 0))) if len(rows) % 2 else rows.numpy()


def _of_picture(known: Tensor | None, idx: int) -> Array:
    # contiguous, as numba would compile all again for rows in another order
    return np.empty((0, 0), np.float32) if known is None else known[idx].contiguous().numpy()
