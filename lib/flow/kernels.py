"""Compiled CPU form of the warp: all channels of a strip of pixels in one pass, without a sampling grid.

All arrays are C-contiguous float32: pictures (B, C, H, W) with at least two rows and columns, flow (B, 2, H, W).
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy")

# pixels of a row that are located before the channels follow: their indices and weights stay in the nearest cache
STRIP = 512


@kernel
def warp(image: Array, flow: Array, pad_with_zeros: bool, result: Array) -> int:
    """Bilinear samples of `image` at each pixel plus its flow; gives back how many flow vectors are not finite."""
    num_images, num_channels, height, width = image.shape
    source = image.reshape(num_images, num_channels, height * width)
    target = result.reshape(num_images, num_channels, height * width)
    corners, weights = np.empty(STRIP, np.uint32), np.empty((4, STRIP), np.float32)
    num_bad = 0
    for index in range(num_images):
        for y in range(height):
            for start in range(0, width, STRIP):
                length = min(STRIP, width - start)
                num_bad += _locate(flow[index], y, start, length, pad_with_zeros, corners, weights)
                first = y * width + start
                place = corners, weights, np.uint64(length), np.uint64(width)
                for channel in range(0, num_channels - 2, 3):
                    planes, rows = source[index, channel : channel + 3], target[index, channel : channel + 3, first:]
                    _sample_three(planes, *place, rows)
                for channel in range(num_channels - num_channels % 3, num_channels):
                    _sample(source[index, channel], *place, target[index, channel, first:])
    return num_bad


@kernel
def _locate(
    flow: Array, y: int, start: int, length: int, pad_with_zeros: bool, corners: NDArray[np.uint32], weights: Array
) -> int:
    """Flat index of the upper left of the 2x2 pixels to read, and their weights; counts vectors that are not finite.

    At the sides the 2x2 pixels move inside and the weights move to those of them that count.
    """
    _, height, width = flow.shape
    one, zero = np.float32(1), np.float32(0)
    last_left, last_upper = np.float32(width - 2), np.float32(height - 2)
    num_bad = 0
    for i in range(np.uint64(length)):  # unsigned: without Python's wraparound the loop vectorises
        across, down = flow[0, y, np.uint64(start) + i], flow[1, y, np.uint64(start) + i]
        num_bad += across - across + (down - down) != zero
        # split before adding the pixel's position, which would round small displacements
        whole_across, whole_down = np.floor(across), np.floor(down)
        column, line = whole_across + np.float32(start + np.int32(i)), whole_down + np.float32(y)
        on_right, on_lower = across - whole_across, down - whole_down
        on_left, on_upper = one - on_right, one - on_lower
        left = column if column > zero else zero
        left = left if left < last_left else last_left
        upper = line if line > zero else zero
        upper = upper if upper < last_upper else last_upper
        inside = zero if pad_with_zeros else one
        if column < left:
            on_left, on_right = (on_right if pad_with_zeros and column == -one else inside), zero
        if column > left:
            on_left, on_right = zero, (on_left if pad_with_zeros and column == left + one else inside)
        if line < upper:
            on_upper, on_lower = (on_lower if pad_with_zeros and line == -one else inside), zero
        if line > upper:
            on_upper, on_lower = zero, (on_upper if pad_with_zeros and line == upper + one else inside)
        corners[i] = np.int32(upper) * np.int32(width) + np.int32(left)
        weights[0, i], weights[1, i] = on_upper * on_left, on_upper * on_right
        weights[2, i], weights[3, i] = on_lower * on_left, on_lower * on_right
    return num_bad


@kernel
def _sample(plane: Array, corners: NDArray[np.uint32], weights: Array, length: int, width: int, row: Array) -> None:
    """Weighted sums of 2x2 pixels of one channel for a strip."""
    one = np.uint64(1)
    for i in range(length):
        upper = np.uint64(corners[i])
        lower = upper + width
        row[i] = (
            weights[0, i] * plane[upper]
            + weights[1, i] * plane[upper + one]
            + weights[2, i] * plane[lower]
            + weights[3, i] * plane[lower + one]
        )


@kernel
def _sample_three(
    planes: Array, corners: NDArray[np.uint32], weights: Array, length: int, width: int, rows: Array
) -> None:
    """The same for the three channels of a picture at once, which read indices and weights once: a third faster."""
    red, green, blue = planes[0], planes[1], planes[2]
    red_row, green_row, blue_row = rows[0], rows[1], rows[2]
    one = np.uint64(1)
    for i in range(length):
        upper = np.uint64(corners[i])
        lower = upper + width
        a, b, c, d = weights[0, i], weights[1, i], weights[2, i], weights[3, i]
        red_row[i] = a * red[upper] + b * red[upper + one] + c * red[lower] + d * red[lower + one]
        green_row[i] = a * green[upper] + b * green[upper + one] + c * green[lower] + d * green[lower + one]
        blue_row[i] = a * blue[upper] + b * blue[upper + one] + c * blue[lower] + d * blue[lower + one]
