"""Running minima and maxima over a batch of planes: log2(length) shifted passes over one flat vector."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Combine = Callable[..., Tensor]  # torch.minimum or torch.maximum


def doubling(length: int) -> list[int]:
    """Shifts whose passes cover `length` neighbours in a row: 1, 2, 4 ..., and a last one that overlaps."""
    shifts, covered = [], 1
    while covered < length:
        shifts.append(min(covered, length - covered))
        covered += shifts[-1]
    return shifts


class PaddedPlanes:
    """Planes (T, H, W) in flat vectors with `pad` cells around each plane, and the passes over them.

    Rows are W + pad long and planes H + pad rows high: what is right of one row is left of the next. A move by whole
    pixels is then one number for all pixels of all planes, and each pass runs over contiguous memory.
    high, low: two vectors; around the planes the first never wins a minimum and the second never a maximum. Memory:
    four vectors in one block.
    """

    def __init__(self, like: Tensor, *, pad: int) -> None:
        count, height, width = like.shape
        self.row = width + pad
        self._shape = (count, height, width)
        self._strides = ((height + pad) * self.row, self.row, 1)
        self._first = pad + pad * self.row  # the first pixel of the first plane
        self._numel = pad + (pad + count * (height + pad)) * self.row
        # passes may read past the last cell: nothing that they find there reaches a pixel
        self.high, self.low, *self._scratch = like.new_empty((4, self._numel + self._first)).unbind()
        self._heads = [vector[: self._numel] for vector in self._scratch]
        self.high.fill_(math.inf if like.dtype.is_floating_point else torch.iinfo(like.dtype).max)
        self.low.fill_(-math.inf if like.dtype.is_floating_point else torch.iinfo(like.dtype).min)

    def content(self, flat: Tensor, move: int = 0) -> Tensor:
        """The planes (T, H, W) in a vector, as a view; `move`: seen from so many cells further on."""
        return flat.as_strided(self._shape, self._strides, flat.storage_offset() + self._first + move)

    def reduce(self, combine: Combine, flat: Tensor, shifts: Sequence[int], *, start: int, out: Tensor) -> Tensor:
        """Writes the extremum over a line or rectangle of cells to `out` (T, H, W) and gives it back.

        flat: kept. start: where the line begins, in cells from the pixel. shifts: of the passes, in cells; each pass
        joins what is known with itself so many cells further on. Only the last pass skips the cells around the planes.
        """
        *before, last = shifts
        known = flat[: self._numel]
        for number, shift in enumerate(before):
            known = combine(known, flat[shift : shift + self._numel], out=self._heads[number % 2])
            flat = self._scratch[number % 2]
        return combine(self.content(flat, start), self.content(flat, start + last), out=out)

    def reduce_each(self, combine: Combine, flat: Tensor, moves: Sequence[int], *, out: Tensor) -> Tensor:
        """The same over any cells, given as moves from the pixel, at least two: one pass each."""
        first, *between, last = moves
        size = self._numel - 2 * self._first  # from the first pixel to the last, so that every pass is contiguous
        seen = [flat[self._first + move : self._first + move + size] for move in (first, *between)]
        extremum = self._scratch[0][self._first : self._first + size]
        extremum.copy_(seen[0])
        for other in seen[1:]:
            combine(extremum, other, out=extremum)
        return combine(self.content(self._scratch[0]), self.content(flat, last), out=out)
