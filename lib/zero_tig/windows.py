"""3x3 convolution between few and many channels as one matrix product with the 3x3 windows of the narrow side.

Two operations that are each other's transpose do everything, a few rows at a time, float32, on one thread of the CPU:
`product_of_windows` (from the narrow side) and `sum_of_windows` (onto the narrow side).
"""

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]

# pixels at a time: the windows of a dozen channels then stay in the cache
CHUNK = 1 << 12

kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})


def product_of_windows(matrix: Tensor, image: Tensor, bias: Tensor | None = None) -> Tensor:
    """Each pixel's window times a matrix, plus the bias: (K, 9 C) and (B, C, H, W) to (B, K, H, W).

    A window holds the 9 pixels of its first channel row by row, then those of the next; zeros outside the picture.
    """
    batch, channels, height, width = image.shape
    added = matrix.new_zeros(len(matrix)) if bias is None else bias
    result = image.new_empty(batch, len(matrix), height, width)
    for idx, rows, windows in _chunks(image, 9 * channels):
        _take_windows(image[idx].numpy(), rows.start, rows.stop, windows.numpy())
        torch.addmm(added[:, None], matrix, windows, out=result[idx, :, rows].flatten(1))
    return result


def sum_of_windows(matrix: Tensor, image: Tensor, bias: Tensor | None = None) -> Tensor:
    """Transpose of `product_of_windows`: (9 K, C) and (B, C, H, W) to (B, K, H, W), each product added as a window."""
    batch, _, height, width = image.shape
    result = image.new_zeros(batch, len(matrix) // 9, height, width)
    for idx, rows, windows in _chunks(image, len(matrix)):
        torch.mm(matrix, image[idx, :, rows].flatten(1), out=windows)
        _add_windows(windows.numpy(), rows.start, rows.stop, result[idx].numpy())
    return result if bias is None else result.add_(bias[:, None, None])


def correlation_with_windows(wide: Tensor, narrow: Tensor) -> Tensor:
    """Sum over pixels of the wide picture times the narrow one's window: (B, K, H, W), (B, C, H, W) to (K, 9 C)."""
    total = wide.new_zeros(wide.shape[1], 9 * narrow.shape[1])
    for idx, rows, windows in _chunks(narrow, 9 * narrow.shape[1]):
        _take_windows(narrow[idx].numpy(), rows.start, rows.stop, windows.numpy())
        torch.addmm(total, wide[idx, :, rows].flatten(1), windows.T, out=total)
    return total


def _chunks(image: Tensor, num_lines: int) -> Iterator[tuple[int, slice, Tensor]]:
    """Picture, rows and workspace (lines, pixels) for a few rows at a time."""
    batch, _, height, width = image.shape
    most = max(1, min(height, CHUNK // width))
    workspace = image.new_empty(num_lines * most * width)
    for first in range(0, height, most):
        last = min(first + most, height)
        windows = workspace[: num_lines * (last - first) * width].view(num_lines, -1)
        for idx in range(batch):
            yield idx, slice(first, last), windows


@kernel
def _take_windows(picture: Array, first: int, last: int, windows: Array) -> None:
    """Line 9 c + 3 i + k of the windows: channel c of the rows first..last, moved up by i - 1 and left by k - 1."""
    channels, height, width = picture.shape
    row = np.zeros(width + 2, picture.dtype)
    for c in range(channels):
        for i in range(3):
            for y in range(first, last):
                if 0 <= y + i - 1 < height:
                    for x in range(width):
                        row[x + 1] = picture[c, y + i - 1, x]
                else:
                    for x in range(width):
                        row[x + 1] = 0
                line, start = np.uint64(9 * c + 3 * i), np.uint64((y - first) * width)
                for k in range(np.uint64(3)):
                    for x in range(np.uint64(width)):
                        windows[line + k, start + x] = row[x + k]


@kernel
def _add_windows(windows: Array, first: int, last: int, picture: Array) -> None:
    """Adds each line of the windows back to where `_take_windows` would have taken it from."""
    channels, height, width = picture.shape
    row = np.zeros(width + 2, picture.dtype)
    for c in range(channels):
        for i in range(3):
            for y in range(first, last):
                if not 0 <= y + i - 1 < height:
                    continue
                line, start = np.uint64(9 * c + 3 * i), np.uint64((y - first) * width)
                for x in range(width + 2):
                    row[x] = 0
                for k in range(np.uint64(3)):
                    for x in range(np.uint64(width)):
                        row[x + k] += windows[line + k, start + x]
                for x in range(width):
                    picture[c, y + i - 1, x] += row[x + 1]
