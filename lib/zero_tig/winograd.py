"""3x3 convolution by Winograd's F(4x4, 3x3): a quarter of the products, float32, on one thread of the CPU.

A tile of 4x4 results y needs 6x6 inputs d: y = A' [(G w G') * (B' d B)] A. With filters and inputs transformed, each
of the 36 points of a tile is a matrix product over the channels. The gradients are the same steps transposed: with
z = A dy A', the input's is B [(G w G')' z] B', added up where tiles overlap, and the filter's G' [z (B' d B)'] G.
A few rows of tiles go at a time, so that memory is bounded and the work stays in the cache.

Source: Lavin and Gray, Fast algorithms for convolutional neural networks, CVPR 2016.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]

TILE = 4  # results a side; the inputs a side are two more
NUM_POINTS = 36
# tiles at a time: from about 80 the matrix products run at full speed, and what they work on stays in the cache
CHUNK = 160
G = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
     (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip

# sums may be reordered and contracted; NaN and infinity keep their meaning
kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})

# Offsets are unsigned, because loops then vectorise (no wraparound of negative ones); each loop writes one line.
# Numba turns products of mixed types into float64, so that all constants have their type.
U = np.uint64
F0, F2, F4, F5, F8 = np.float32(0), np.float32(2), np.float32(4), np.float32(5), np.float32(8)


@dataclass(frozen=True)
class _Chunk:
    """Tile rows first..first + size of picture `idx`, with workspace for the points on the input and output side.

    inputs: (36, C, P), outputs: (36, K, P), P = size x tiles in a row. Point 6 k + i of a tile belongs to column k and
    row i of its transform.
    """

    idx: int
    first: int
    size: int
    inputs: Tensor
    outputs: Tensor


def convolve(image: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolution with zero padding: (B, C, H, W), (K, C, 3, 3) to (B, K, H, W); float32, contiguous, CPU, no grad."""
    pictures = image.numpy()
    points = _filter_points(weight)
    added = np.zeros(len(weight), np.float32) if bias is None else bias.contiguous().numpy()
    result = image.new_empty(len(image), len(weight), *image.shape[2:])
    targets = result.numpy()
    for chunk in _chunks(image, len(weight)):
        _input_points(pictures[chunk.idx], chunk.first, chunk.size, chunk.inputs.numpy())
        torch.bmm(points, chunk.inputs, out=chunk.outputs)
        _set_results(chunk.outputs.numpy(), chunk.first, chunk.size, added, targets[chunk.idx])
    return result


def gradients(
    image: Tensor, weight: Tensor, of_result: Tensor, *, needs_image: bool, needs_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of the convolution with respect to image and weight, None for one that isn't needed.

    of_result: the loss's gradient with respect to the result, (B, K, H, W).
    """
    pictures, arriving = image.numpy(), of_result.numpy()
    transposed = _filter_points(weight).transpose(1, 2)
    of_image = image.new_empty(image.shape) if needs_image else None
    of_points = weight.new_zeros(NUM_POINTS, *weight.shape[:2]) if needs_weight else None
    for chunk in _chunks(image, len(weight)):
        _result_points(arriving[chunk.idx], chunk.first, chunk.size, chunk.outputs.numpy())
        if of_points is not None:
            _input_points(pictures[chunk.idx], chunk.first, chunk.size, chunk.inputs.numpy())
            torch.baddbmm(of_points, chunk.outputs, chunk.inputs.transpose(1, 2), out=of_points)
        if of_image is not None:
            torch.bmm(transposed, chunk.outputs, out=chunk.inputs)
            _add_inputs(chunk.inputs.numpy(), chunk.first, chunk.size, of_image[chunk.idx].numpy())
    return of_image, None if of_points is None else _filter_gradient(of_points)


def _chunks(image: Tensor, num_results: int) -> Iterator[_Chunk]:
    batch, channels, height, width = image.shape
    rows, tiles = -(-height // TILE), -(-width // TILE)
    most = max(1, min(rows, CHUNK // tiles))
    inputs = image.new_empty(NUM_POINTS * channels * most * tiles)
    outputs = image.new_empty(NUM_POINTS * num_results * most * tiles)
    for first in range(0, rows, most):
        size = min(most, rows - first)
        shapes = ((NUM_POINTS, count, size * tiles) for count in (channels, num_results))
        views = [flat[: np.prod(shape)].view(shape) for flat, shape in zip((inputs, outputs), shapes, strict=True)]
        for idx in range(batch):
            yield _Chunk(idx, first, size, *views)


def _filter_points(weight: Tensor) -> Tensor:
    """G w G' of each filter: (K, C, 3, 3) to (36, K, C)."""
    transform = weight.new_tensor(G)
    taps = weight.permute(3, 2, 0, 1).reshape(9, -1)
    return (torch.kron(transform, transform) @ taps).view(NUM_POINTS, *weight.shape[:2])


def _filter_gradient(of_points: Tensor) -> Tensor:
    """G' z G, (36, K, C) to (K, C, 3, 3): the transpose of `_filter_points`."""
    transform = of_points.new_tensor(G)
    of_taps = torch.kron(transform, transform).T @ of_points.flatten(1)
    return of_taps.view(3, 3, *of_points.shape[1:]).permute(2, 3, 1, 0).contiguous()


@kernel
def _input_points(image: Array, first: int, size: int, points: Array) -> None:
    """B' d B of tile rows first..first + size of a picture (C, H, W), whose tiles overlap by two pixels."""
    channels, _, width = image.shape
    row = np.zeros(TILE * ((width + TILE - 1) // TILE) + 2, np.float32)
    count = U(points.shape[2])
    flat = points.reshape(-1)
    tiles, half = np.empty(36 * points.shape[2], np.float32), np.empty(36 * points.shape[2], np.float32)
    for c in range(U(channels)):
        _take_tiles(image[c], TILE * first - 1, 1, 6, size, row, tiles)
        _apply_bt(tiles, U(0), U(6) * count, half, U(0), U(6) * count, U(6) * count)
        for k in range(U(6)):
            into = (U(6) * k * U(channels) + c) * count
            _apply_bt(half, U(6) * k * count, count, flat, into, U(channels) * count, count)


@kernel
def _result_points(gradient: Array, first: int, size: int, points: Array) -> None:
    """A y A' of tile rows first..first + size of the result's gradient (K, H, W)."""
    channels, _, width = gradient.shape
    row = np.zeros(TILE * ((width + TILE - 1) // TILE), np.float32)
    count = U(points.shape[2])
    flat = points.reshape(-1)
    tiles, half = np.empty(16 * points.shape[2], np.float32), np.empty(24 * points.shape[2], np.float32)
    for c in range(U(channels)):
        _take_tiles(gradient[c], TILE * first, 0, 4, size, row, tiles)
        _apply_a(tiles, U(0), U(4) * count, half, U(0), U(4) * count, U(4) * count)
        for k in range(U(6)):
            into = (U(6) * k * U(channels) + c) * count
            _apply_a(half, U(4) * k * count, count, flat, into, U(channels) * count, count)


@kernel
def _set_results(points: Array, first: int, size: int, bias: Array, result: Array) -> None:
    """A' m A plus the bias, into tile rows first..first + size of the result (K, H, W)."""
    channels, height, width = result.shape
    per_row = (width + TILE - 1) // TILE
    row = np.empty(TILE * per_row, np.float32)
    count = U(points.shape[2])
    flat = points.reshape(-1)
    tiles, half = np.empty(16 * points.shape[2], np.float32), np.empty(24 * points.shape[2], np.float32)
    for c in range(U(channels)):
        for k in range(U(6)):
            start = (U(6) * k * U(channels) + c) * count
            _apply_at(flat, start, U(channels) * count, half, U(4) * k * count, count, count)
        _apply_at(half, U(0), U(4) * count, tiles, U(0), U(4) * count, U(4) * count)
        added = bias[c]
        for y in range(TILE * first, min(TILE * (first + size), height)):
            t, i = divmod(y - TILE * first, TILE)
            _join_row(tiles, U(i) * count + U(t * per_row), U(4) * count, U(per_row), row)
            for x in range(width):
                result[c, y, x] = row[x] + added


@kernel
def _add_inputs(points: Array, first: int, size: int, gradient: Array) -> None:
    """B v B' of tile rows first..first + size, into the picture's gradient (C, H, W); overlapping tiles add up.

    Chunks come from top to bottom, so that a row is either new or was written by the tiles above.
    """
    channels, height, width = gradient.shape
    per_row = (width + TILE - 1) // TILE
    row = np.empty(TILE * per_row + 2, np.float32)
    count = U(points.shape[2])
    flat = points.reshape(-1)
    tiles, half = np.empty(36 * points.shape[2], np.float32), np.empty(36 * points.shape[2], np.float32)
    for c in range(U(channels)):
        for k in range(U(6)):
            start = (U(6) * k * U(channels) + c) * count
            _apply_b(flat, start, U(channels) * count, half, U(6) * k * count, count, count)
        _apply_b(half, U(0), U(6) * count, tiles, U(0), U(6) * count, U(6) * count)
        for t in range(size):
            for i in range(6):
                y = TILE * (first + t) + i - 1
                if y < 0 or y >= height:
                    continue
                start = U(i) * count + U(t * per_row)
                _join_row(tiles, start, U(6) * count, U(per_row), row)
                if i < 2 and first + t > 0:
                    for x in range(width):
                        gradient[c, y, x] += row[x + 1]
                else:  # the first to reach this row
                    for x in range(width):
                        gradient[c, y, x] = row[x + 1]


@kernel
def _take_tiles(plane: Array, top: int, left: int, side: int, size: int, row: Array, tiles: Array) -> None:
    """Tiles of side 4 or 6 from rows top, top + 4, ...: line `side` m + i has column m and row i of all of them.

    The plane lies in the row behind `left` zeros; what is outside is zero.
    """
    height, width = plane.shape
    per_row = U((len(row) - (side - TILE)) // TILE)
    count = U(size) * per_row
    for t in range(size):
        for i in range(side):
            y = top + TILE * t + i
            inside = 0 <= y < height
            if inside:
                for x in range(width):
                    row[left + x] = plane[y, x]
            for m in range(U(side)):
                into = (U(side) * m + U(i)) * count + U(t) * per_row
                if inside:
                    for j in range(per_row):
                        tiles[into + j] = row[U(4) * j + m]
                else:
                    for j in range(per_row):
                        tiles[into + j] = F0


@kernel
def _join_row(tiles: Array, start: np.uint64, step: np.uint64, per_row: np.uint64, row: Array) -> None:
    """One row of pixels from its columns in tiles of side 4, or of side 6 that overlap by two (by the row's length).

    Column m is the line from start + m step.
    """
    second, third, fourth = start + step, start + U(2) * step, start + U(3) * step
    if len(row) > U(4) * per_row:
        fifth, sixth = start + U(4) * step, start + U(5) * step
        for j in range(U(1), per_row):
            tiles[start + j] += tiles[fifth + j - U(1)]
        for j in range(U(1), per_row):
            tiles[second + j] += tiles[sixth + j - U(1)]
        row[U(4) * per_row] = tiles[fifth + per_row - U(1)]
        row[U(4) * per_row + U(1)] = tiles[sixth + per_row - U(1)]
    for j in range(per_row):
        row[U(4) * j] = tiles[start + j]
        row[U(4) * j + U(1)] = tiles[second + j]
        row[U(4) * j + U(2)] = tiles[third + j]
        row[U(4) * j + U(3)] = tiles[fourth + j]


# The transforms of one direction: line m of the source begins at start + m step, line o of the target at into + o jump.


@kernel
def _apply_bt(
    s: Array, start: np.uint64, step: np.uint64, t: Array, into: np.uint64, jump: np.uint64, count: np.uint64
) -> None:
    """B', six inputs to six points."""
    a, b, c = start, start + step, start + U(2) * step
    d, e, f = start + U(3) * step, start + U(4) * step, start + U(5) * step
    for p in range(count):
        t[into + p] = F4 * s[a + p] - F5 * s[c + p] + s[e + p]
    into += jump
    for p in range(count):
        t[into + p] = s[d + p] + s[e + p] - F4 * (s[b + p] + s[c + p])
    into += jump
    for p in range(count):
        t[into + p] = s[e + p] - s[d + p] + F4 * (s[b + p] - s[c + p])
    into += jump
    for p in range(count):
        t[into + p] = s[e + p] - s[c + p] + F2 * (s[d + p] - s[b + p])
    into += jump
    for p in range(count):
        t[into + p] = s[e + p] - s[c + p] - F2 * (s[d + p] - s[b + p])
    into += jump
    for p in range(count):
        t[into + p] = F4 * s[b + p] - F5 * s[d + p] + s[f + p]


@kernel
def _apply_b(
    s: Array, start: np.uint64, step: np.uint64, t: Array, into: np.uint64, jump: np.uint64, count: np.uint64
) -> None:
    """B, six points to six inputs."""
    a, b, c = start, start + step, start + U(2) * step
    d, e, f = start + U(3) * step, start + U(4) * step, start + U(5) * step
    for p in range(count):
        t[into + p] = F4 * s[a + p]
    into += jump
    for p in range(count):
        t[into + p] = F4 * (s[c + p] - s[b + p] + s[f + p]) + F2 * (s[e + p] - s[d + p])
    into += jump
    for p in range(count):
        t[into + p] = -F5 * s[a + p] - F4 * (s[b + p] + s[c + p]) - s[d + p] - s[e + p]
    into += jump
    for p in range(count):
        t[into + p] = s[b + p] - s[c + p] + F2 * (s[d + p] - s[e + p]) - F5 * s[f + p]
    into += jump
    for p in range(count):
        t[into + p] = s[a + p] + s[b + p] + s[c + p] + s[d + p] + s[e + p]
    into += jump
    for p in range(count):
        t[into + p] = s[f + p]


@kernel
def _apply_at(
    s: Array, start: np.uint64, step: np.uint64, t: Array, into: np.uint64, jump: np.uint64, count: np.uint64
) -> None:
    """A', six points to four results."""
    a, b, c = start, start + step, start + U(2) * step
    d, e, f = start + U(3) * step, start + U(4) * step, start + U(5) * step
    for p in range(count):
        t[into + p] = s[a + p] + s[b + p] + s[c + p] + s[d + p] + s[e + p]
    into += jump
    for p in range(count):
        t[into + p] = s[b + p] - s[c + p] + F2 * (s[d + p] - s[e + p])
    into += jump
    for p in range(count):
        t[into + p] = s[b + p] + s[c + p] + F4 * (s[d + p] + s[e + p])
    into += jump
    for p in range(count):
        t[into + p] = s[b + p] - s[c + p] + F8 * (s[d + p] - s[e + p]) + s[f + p]


@kernel
def _apply_a(
    s: Array, start: np.uint64, step: np.uint64, t: Array, into: np.uint64, jump: np.uint64, count: np.uint64
) -> None:
    """A, four results to six points."""
    a, b, c, d = start, start + step, start + U(2) * step, start + U(3) * step
    for p in range(count):
        t[into + p] = s[a + p]
    into += jump
    for p in range(count):
        t[into + p] = s[a + p] + s[b + p] + s[c + p] + s[d + p]
    into += jump
    for p in range(count):
        t[into + p] = s[a + p] - s[b + p] + s[c + p] - s[d + p]
    into += jump
    for p in range(count):
        t[into + p] = s[a + p] + F2 * s[b + p] + F4 * s[c + p] + F8 * s[d + p]
    into += jump
    for p in range(count):
        t[into + p] = s[a + p] - F2 * s[b + p] + F4 * s[c + p] - F8 * s[d + p]
    into += jump
    for p in range(count):
        t[into + p] = s[d + p]
