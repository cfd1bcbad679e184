"""Compiled CPU form of a step of `minimum`: gradient and Adam's step row by row, so that no gradient is stored."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from lib.context_reg.lanes import FLAGS

Array = NDArray[np.float32]
Factors = tuple[np.float32, ...]  # as `_move` takes them apart

kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=set(FLAGS))


@kernel
def _pull(pushes: Array, here: Array, there: Array, weights: Array) -> None:
    """Adds weight x sign of the difference: all (W), of pixels of a row and a neighbour of each."""
    for i in range(len(pushes)):
        difference = here[i] - there[i]
        pushes[i] += weights[i] * (np.float32(difference > 0) - np.float32(difference < 0))


@kernel
def _pull_row(pushes: Array, found: Array, weights: Array, y: int) -> None:
    """From all eight neighbours of row y of one class (H, W); weights: (4, H, W), as `minimum.pair_weights`."""
    height, width = found.shape
    here, but_first, but_last = found[y], found[y, 1:], found[y, : width - 1]
    _pull(pushes[: width - 1], but_last, but_first, weights[0, y])
    _pull(pushes[1:], but_first, but_last, weights[0, y])
    if y + 1 < height:
        below = found[y + 1]
        _pull(pushes[1:], but_first, below, weights[1, y, 1:])
        _pull(pushes, here, below, weights[2, y])
        _pull(pushes[: width - 1], but_last, below[1:], weights[3, y])
    if y > 0:
        above = found[y - 1]
        _pull(pushes[: width - 1], but_last, above[1:], weights[1, y - 1, 1:])
        _pull(pushes, here, above, weights[2, y - 1])
        _pull(pushes[1:], but_first, above, weights[3, y - 1])


@kernel
def _move(
    pushes: Array,
    through: Array,
    found: Array,
    start: Array,
    logits: Array,
    mean: Array,
    square: Array,
    factors: Factors,
) -> None:
    """Adam's step of a row of one class; through: sum over the classes of pushes x found. All (W)."""
    share, rate, spread, new, kept_square, new_square, least = factors
    for i in range(len(pushes)):
        gradient = (pushes[i] - through[i]) * found[i] + (found[i] - start[i]) * share
        now = mean[i] + new * (gradient - mean[i])
        squared = kept_square * square[i] + new_square * gradient * gradient
        mean[i], square[i] = now, squared
        logits[i] -= rate * now / (np.sqrt(squared) * spread + least)


@kernel
def step(
    found: Array,
    start: Array,
    weights: Array,
    logits: Array,
    mean: Array,
    square: Array,
    factors: Factors,
) -> None:
    """As `minimum._step`, on arrays (C, H, W) that are C-contiguous, weights (4, H, W)."""
    channels, height, width = found.shape
    pushes, through = np.empty((channels, width), np.float32), np.empty(width, np.float32)
    for y in range(height):
        pushes[:] = np.float32(0)
        through[:] = np.float32(0)
        for c in range(channels):
            _pull_row(pushes[c], found[c], weights, y)
            for i in range(width):
                through[i] += pushes[c, i] * found[c, y, i]
        for c in range(channels):
            _move(
                pushes[c],
                through,
                found[c, y],
                start[c, y],
                logits[c, y],
                mean[c, y],
                square[c, y],
                factors,
            )
