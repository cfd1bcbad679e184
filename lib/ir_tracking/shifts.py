"""Running minima and maxima over a batch of planes: few passes over one flat vector, each of shifted neighbours."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

# a pass costs as much as it does to look at so many more neighbours; measured on 8-bit frames of 480x640
PASS_COST = 4


@dataclass(frozen=True)
class Extremum:
    """Lowest or highest: of two tensors, and over the first dimension of one."""

    of_two: Callable[..., Tensor]
    of_many: Callable[..., Tensor]
    is_lowest: bool

    def loser(self, dtype: torch.dtype) -> float:
        """The value that never wins."""
        if dtype.is_floating_point:
            return math.inf if self.is_lowest else -math.inf
        info = torch.iinfo(dtype)
        return info.max if self.is_lowest else info.min


LOWEST = Extremum(torch.minimum, torch.amin, is_lowest=True)
HIGHEST = Extremum(torch.maximum, torch.amax, is_lowest=False)

Step = Callable[[], object]


class Pass(NamedTuple):
    """Every cell becomes the extremum of `number` cells: itself and those 1, 2 ... times `shift` further on."""

    shift: int
    number: int


def doubling(length: int) -> list[Pass]:
    """Passes of two cells that cover `length` neighbours in a row: shifts 1, 2, 4 ..., and a last one that overlaps."""
    passes, covered = [], 1
    while covered < length:
        passes.append(Pass(min(covered, length - covered), 2))
        covered += passes[-1].shift
    return passes


@lru_cache(maxsize=256)
def striding(length: int, *, is_unit: bool = False) -> tuple[Pass, ...]:
    """One or two passes of many cells that cover `length` neighbours in a row, the cheapest on a CPU.

    is_unit: the neighbours lie beside each other in memory, where torch's reductions aren't vectorised: two passes of
    two cells come first, then one of shift 2 or more.
    """
    if length <= 4 and is_unit:
        return tuple(doubling(length))
    plans: list[list[Pass]] = []
    for covered in (3, 4) if is_unit else range(1, length + 1):
        start = doubling(covered) if is_unit else [Pass(1, covered)] if covered > 1 else []
        rest = length - covered
        shifts = [shift for shift in range(2 if is_unit else 1, covered + 1) if rest % shift == 0]
        if rest and shifts:
            plans.append([*start, Pass(max(shifts), rest // max(shifts) + 1)])
        elif not rest:
            plans.append(start)
    return tuple(min(plans, key=lambda plan: sum(PASS_COST + one.number for one in plan)))


class PaddedPlanes:
    """Planes (T, H, W) in flat vectors with `pad` cells around each plane, and steps that work on them.

    Rows are W + pad long and planes H + pad rows high: what is right of one row is left of the next. A move by whole
    pixels is then one number for all pixels of all planes, and each pass runs over contiguous memory.
    A step is a call that is ready to be made, again and again: looking up its cells takes as long as a pass over an
    8-bit frame. vectors: five in one block of memory, with anything in it.
    """

    def __init__(self, like: Tensor, *, pad: int) -> None:
        count, height, width = like.shape
        self.row = width + pad
        plane = (height + pad) * self.row
        self._shape, self._strides = (count, height, width), (plane, self.row, 1)
        self._first = pad + pad * self.row  # the first pixel of the first plane
        self._span = count * plane - self._first  # from there to behind the last pixel of the last plane
        # reductions of half precision convert every number
        self._takes_many = like.device.type == "cpu" and like.dtype not in (torch.float16, torch.bfloat16)
        # passes may read past the last cell: nothing that they find there reaches a pixel
        self.vectors = like.new_empty((5, self._span + 2 * self._first)).unbind()
        # what is around the planes: before the first and behind the last; beside rows; below planes but the last
        self._margins = [
            ((2, self._first), (self._first + self._span, 1), 0),
            ((count * (height + pad) - pad - 1, pad), (self.row, 1), self._first + width),
            ((count - 1, pad * self.row), (plane, 1), self._first + height * self.row),
        ]

    def content(self, vector: Tensor) -> Tensor:
        """The planes (T, H, W) in a vector, as a view."""
        return vector.as_strided(self._shape, self._strides, vector.storage_offset() + self._first)

    def surround(self, vector: Tensor, extremum: Extremum) -> list[Step]:
        """Steps that fill what is around the planes of a vector with the value that never wins."""
        value = extremum.loser(vector.dtype)
        return [
            partial(vector.as_strided(shape, strides, vector.storage_offset() + place).fill_, value)
            for shape, strides, place in self._margins
            if min(shape)
        ]

    def passes(self, length: int, *, step: int = 1) -> list[Pass]:
        """Passes over `length` cells that lie `step` cells apart, such as suit the device."""
        passes = striding(length, is_unit=step == 1) if self._takes_many else doubling(length)
        return [Pass(one.shift * step, one.number) for one in passes]

    def reduce(
        self, extremum: Extremum, vector: Tensor, passes: Sequence[Pass], *, start: int, out: Tensor, scratch: Tensor
    ) -> list[Step]:
        """Steps that write the extremum over a line or rectangle of cells to the vector `out`.

        vector: kept, surrounded by what never wins. start: where the line begins, in cells from the pixel. passes:
        each joins what the one before it found; several alternate between `scratch` and `out`.
        """
        steps: list[Step] = []
        place = self._first + start
        ahead = sum(one.shift * (one.number - 1) for one in passes)
        for number, (shift, count) in enumerate(passes, 1):
            ahead -= shift * (count - 1)  # what later passes need behind the last cell
            target = scratch if (len(passes) - number) % 2 else out
            to = self._first if number == len(passes) else place
            cells = target[to : to + self._span + ahead]
            seen = vector.as_strided((count, len(cells)), (shift, 1), vector.storage_offset() + place)
            steps.append(
                partial(extremum.of_two, seen[0], seen[1], out=cells)
                if count == 2
                else partial(extremum.of_many, seen, 0, out=cells)
            )
            vector = target
        return steps

    def reduce_each(self, extremum: Extremum, vector: Tensor, moves: Sequence[int], *, out: Tensor) -> list[Step]:
        """The same over any cells, given as moves from the pixel, at least two: one pass each."""
        first, second, *others = (vector[self._first + move : self._first + move + self._span] for move in moves)
        cells = out[self._first : self._first + self._span]
        return [
            partial(extremum.of_two, first, second, out=cells),
            *(partial(extremum.of_two, cells, other, out=cells) for other in others),
        ]
