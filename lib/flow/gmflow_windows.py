"""Windows of GMFlow's attention: the grid cut into splits x splits windows, straight or shifted by half a window.

The authors shift by rolling the picture and mask what does not belong together. The same pixels meet if the grid is
cut at the shifted borders, so that the windows at the picture's edge are smaller: no mask, and less than half the work
for 2 x 2 windows.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 10_000


def window_attention(query: Tensor, key: Tensor, value: Tensor, *, splits: int, shifted: bool) -> Tensor:
    """Attention of one head among the tokens of each window.

    query, key, value: (B, H, W, C), H and W multiples of `splits`. Returns (B, H, W, C).
    """
    result = torch.empty_like(value)
    height, width = query.shape[1:3]
    for top, bottom, tall in _bands(height, splits, shifted):
        for left, right, wide in _bands(width, splits, shifted):
            block = (slice(None), slice(top, bottom), slice(left, right))
            q, k, v = (_to_windows(planes[block], tall, wide) for planes in (query, key, value))
            attended = F.scaled_dot_product_attention(q, k, v)
            result[block] = _from_windows(attended, tall, wide, bottom - top, right - left)
    return result


def sine_position(height: int, width: int, channels: int, *, like: Tensor) -> Tensor:
    """Position of each pixel as (height, width, channels) sines and cosines, y in the first half, x in the second.

    Positions 1 .. n are scaled to 2 pi and divided by 10000^(2 i / half); sine and cosine take turns.
    """
    half = channels // 2
    pairs = torch.arange(half // 2, device=like.device, dtype=torch.float32)
    wavelength = TEMPERATURE ** (2 * pairs / half)

    def waves(length: int) -> Tensor:
        steps = torch.arange(1, length + 1, device=like.device, dtype=torch.float32)
        angle = (steps * (2 * math.pi / (length + 1e-6)))[:, None] / wavelength  # 1e-6: the authors' guard
        return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)

    y = waves(height)[:, None].expand(height, width, half)
    x = waves(width)[None].expand(height, width, half)
    return torch.cat((y, x), dim=-1).to(like.dtype)


def add_window_position(tokens: Tensor, *, splits: int) -> Tensor:
    """Tokens (B, H, W, C) plus their position inside their straight window."""
    _, height, width, channels = tokens.shape
    position = sine_position(height // splits, width // splits, channels, like=tokens)
    return tokens + position.tile(splits, splits, 1)


def _bands(length: int, splits: int, shifted: bool) -> list[tuple[int, int, int]]:
    """Bands (start, stop, window length) of one axis that hold windows of one length each."""
    window = length // splits
    shift = window // 2 if shifted and splits > 1 else 0
    if shift == 0:
        return [(0, length, window)]
    rest = window - shift
    return [(0, shift, shift), (shift, length - rest, window), (length - rest, length, rest)]


def _to_windows(planes: Tensor, tall: int, wide: int) -> Tensor:
    """(B, H, W, C) as (windows, 1, tokens, C)."""
    batch, height, width, channels = planes.shape
    windows = planes.reshape(batch, height // tall, tall, width // wide, wide, channels).transpose(2, 3)
    return windows.reshape(-1, 1, tall * wide, channels)


def _from_windows(windows: Tensor, tall: int, wide: int, height: int, width: int) -> Tensor:
    """(windows, 1, tokens, C) as (B, H, W, C)."""
    rows, columns, channels = height // tall, width // wide, windows.shape[-1]
    return windows.reshape(-1, rows, columns, tall, wide, channels).transpose(2, 3).reshape(-1, height, width, channels)
