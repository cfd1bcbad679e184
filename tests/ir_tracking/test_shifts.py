"""Passes cover a line, no cell more and none less, and steps write what a slow loop finds."""

from collections.abc import Sequence

import pytest
import torch

from lib.ir_tracking.shifts import HIGHEST, LOWEST, PaddedPlanes, Pass, doubling, striding


def covered(passes: Sequence[Pass]) -> list[int]:
    cells = {0}
    for shift, number in passes:
        cells = {cell + shift * times for cell in cells for times in range(number)}
    return sorted(cells)


@pytest.mark.parametrize("is_unit", [False, True])
def test_passes_cover_a_line_and_nothing_else(is_unit: bool) -> None:
    for length in range(1, 64):
        assert covered(doubling(length)) == list(range(length))
        passes = striding(length, is_unit=is_unit)
        assert covered(passes) == list(range(length))
        if is_unit:  # one after the other in memory only in passes of two
            assert all(shift > 1 or number == 2 for shift, number in passes)


def test_doubling_takes_as_few_passes_as_there_are() -> None:
    assert [len(doubling(length)) for length in (1, 2, 3, 4, 5, 8, 9, 16, 17)] == [0, 1, 2, 2, 3, 3, 4, 4, 5]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 7), (3, 1, 6), (1, 8, 1)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32])
def test_a_line_of_any_passes_ignores_what_is_around_the_planes(
    shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device
) -> None:
    pad = 4
    stack = torch.randint(0, 100, shape, generator=torch.Generator().manual_seed(0)).to(dtype).to(device)
    for extremum in (LOWEST, HIGHEST):
        planes = PaddedPlanes(stack, pad=pad)
        source, out, scratch = planes.vectors[:3]
        for vector in planes.vectors:
            vector.fill_(7)  # memory holds anything
        planes.content(source).copy_(stack)
        for step in planes.surround(source, extremum):
            step()
        for down, right in ((0, 1), (1, 1), (1, 0), (1, -1)):
            move = down * planes.row + right
            for make in (doubling, striding):
                passes = [Pass(shift * move, number) for shift, number in make(2 * pad + 1)]
                for step in planes.reduce(extremum, source, passes, start=-pad * move, out=out, scratch=scratch):
                    step()
                assert torch.equal(planes.content(out), slowly(stack, extremum.is_lowest, pad, down, right))
            moves = [-move, 0, 2 * move]
            for step in planes.reduce_each(extremum, source, moves, out=out):
                step()
            expected = slowly(stack, extremum.is_lowest, 2, down, right, only=(-1, 0, 2))
            assert torch.equal(planes.content(out), expected)


def slowly(
    stack: torch.Tensor, is_lowest: bool, reach: int, down: int, right: int, only: tuple[int, ...] | None = None
) -> torch.Tensor:
    count, height, width = stack.shape
    found = torch.empty_like(stack)
    for plane in range(count):
        for row in range(height):
            for column in range(width):
                places = [
                    (row + away * down, column + away * right)
                    for away in only or range(-reach, reach + 1)
                ]  # fmt: skip
                inside = [stack[plane, y, x] for y, x in places if 0 <= y < height and 0 <= x < width]
                values = torch.stack(inside)
                found[plane, row, column] = values.amin() if is_lowest else values.amax()
    return found
