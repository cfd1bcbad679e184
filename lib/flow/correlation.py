"""Local correlation: dot products of each pixel's features with those of a window around it in a second picture.

Tiles of 8 x 8 pixels meet their window in one batched matrix product; the wanted displacements are a diagonal of the
result, which is a view. That is a few times the arithmetic of a loop over the displacements, in two kernels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 8


def local_correlation(first: Tensor, second: Tensor, *, radius: int) -> Tensor:
    """Sum over channels of first(x) second(x + d) for each displacement d, with zeros outside the picture.

    first, second: (B, C, H, W), any range. Divide the result by C for the mean of PWC-Net, by sqrt(C) for attention.
    Returns (B, (2 radius + 1)^2, H, W), displacements in row-major order: dy from -radius outermost, then dx; float32
    or wider, also under autocast, since sums over many channels overflow half precision.
    """
    wide = torch.promote_types(first.dtype, torch.float32)
    with torch.autocast(first.device.type, enabled=False):
        return _by_tiles(first.to(wide), second.to(wide), radius)


def _by_tiles(first: Tensor, second: Tensor, radius: int) -> Tensor:
    batch, channels, height, width = first.shape
    diameter = 2 * radius + 1
    rows, columns = -(-height // TILE), -(-width // TILE)
    below, right = rows * TILE - height, columns * TILE - width
    tiles = F.pad(first, (0, right, 0, below)).view(batch, channels, rows, TILE, columns, TILE)
    tiles = tiles.permute(0, 2, 4, 3, 5, 1).reshape(-1, TILE * TILE, channels)
    side = TILE + 2 * radius
    windows = F.pad(second, (radius, right + radius, radius, below + radius)).unfold(2, side, TILE)
    windows = windows.unfold(3, side, TILE).permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, side * side)
    products = torch.bmm(tiles, windows)
    # products[tile, (y, x), (v, u)] is wanted at v = y + dy, u = x + dx only
    row_step, column_step = TILE * side**2 + side, side**2 + 1
    wanted = products.as_strided(
        (len(products), diameter, diameter, TILE, TILE), (TILE**2 * side**2, side, 1, row_step, column_step)
    )
    wanted = wanted.reshape(batch, rows, columns, diameter**2, TILE, TILE).permute(0, 3, 1, 4, 2, 5)
    return wanted.reshape(batch, diameter**2, rows * TILE, columns * TILE)[..., :height, :width]
