"""Pair down-sampler: two half-size pictures of the same scene with independent noise (ZS-Noise2Noise)."""

from torch import Tensor

from lib.errors import ShapeError


def pair_downsample(image: Tensor) -> tuple[Tensor, Tensor]:
    """G1 and G2: means of the anti-diagonal and of the main-diagonal pair of each 2x2 block.

    image: (..., H, W), at least 2 pixels a side. Returns two tensors (..., H // 2, W // 2); an odd last row or column
    is dropped. Source: Zero-TIG sec. III-A, after Mansour and Heckel, CVPR 2023.
    Raises ShapeError for a picture of fewer than 2 pixels a side.
    """
    height, width = image.shape[-2:]
    if min(height, width) < 2:
        raise ShapeError(f"the pair down-sampler needs at least 2 pixels a side: got {width}x{height}")
    even = image[..., : height // 2 * 2, : width // 2 * 2]
    top_left, top_right = even[..., ::2, ::2], even[..., ::2, 1::2]
    bottom_left, bottom_right = even[..., 1::2, ::2], even[..., 1::2, 1::2]
    return (top_right + bottom_left) * 0.5, (top_left + bottom_right) * 0.5
