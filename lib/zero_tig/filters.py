"""Local means, variances and masks that the losses use, each as few passes over the picture as it allows."""

from functools import cache

import torch
import torch.nn.functional as F
from scipy.stats import norm
from torch import Tensor

BOX = 5  # side of the local means
BLUR_TAPS = 21
BLUR_SIGMAS = 1.0
TEXTURE_SIMILARITY = 0.975
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
QUIRK_LUMA = (0.144, 0.587, 0.299)  # of the published code: red and blue exchanged, sum 1.03
YCBCR = ((0.257, -0.148, 0.439), (0.504, -0.291, -0.368), (0.098, 0.439, -0.071))
QUIRK_YCBCR = ((0.257, -0.148, 0.439), (0.564, -0.291, -0.368), (0.098, 0.439, -0.071))
YCBCR_BIAS = (16 / 255, 128 / 255, 128 / 255)


def weighted_sum(image: Tensor, weights: tuple[float, ...]) -> Tensor:
    """One plane (..., 1, H, W) from the channels of (..., C, H, W), for instance luma."""
    return (image * image.new_tensor(weights).view(-1, 1, 1)).sum(dim=-3, keepdim=True)


def local_mean(image: Tensor) -> Tensor:
    """5x5 mean with mirrored borders, (B, C, H, W); m5 of the fact sheet."""
    return _box_mean(F.pad(image, (BOX // 2,) * 4, mode="reflect"))


def _box_mean(padded: Tensor) -> Tensor:
    """5x5 means of whole windows, (..., H, W) to (..., H - 4, W - 4): six shifted sums, where pooling adds 25."""
    for axis in (-1, -2):
        length = padded.shape[axis] - (BOX - 1)
        pairs = padded.narrow(axis, 0, length + 3) + padded.narrow(axis, 1, length + 3)
        padded = pairs.narrow(axis, 0, length) + pairs.narrow(axis, 2, length) + padded.narrow(axis, 4, length)
    return padded / BOX**2


def local_deviation(image: Tensor) -> Tensor:
    """Standard deviation in 5x5 windows with mirrored borders, (B, C, H, W); at least 3e-5."""
    mean = local_mean(image)
    return (local_mean(image.square()) - mean.square()).clamp_min(0).add(1e-9).sqrt()


def noise_energy(image: Tensor) -> Tensor:
    """V(x): 5x5 mean of (x - 5x5 mean) squared, zeros outside and 25 as divisor everywhere, (B, C, H, W)."""
    mean = _box_mean(F.pad(image, (BOX // 2,) * 4))
    return _box_mean(F.pad((image - mean).square(), (BOX // 2,) * 4))


def texture_mask(first: Tensor, second: Tensor, *, luma: tuple[float, ...] = LUMA) -> Tensor:
    """Where two noisy versions of a picture vary alike, so that it is texture and no noise.

    first, second: (B, 3, H, W). Returns (B, 1, H, W), 1 on texture and 0 on flat or noisy areas: similarity of the
    local standard deviations above 0.975. No gradient passes.
    """
    with torch.no_grad():
        a, b = (local_deviation(weighted_sum(image, luma)) for image in (first, second))
        similarity = 2 * a * b / (a.square() + b.square() + 1e-5)
        return (similarity > TEXTURE_SIMILARITY).to(first.dtype)


def blur(image: Tensor) -> Tensor:
    """21x21 blur per channel with mirrored borders, (B, C, H, W); almost a box, RMS radius 5.8 pixels.

    The published 2-D weights are the root of an outer product, which is the outer product of the roots: two 1-D passes.
    """
    taps = image.new_tensor(_blur_taps())
    channels, reach = image.shape[1], BLUR_TAPS // 2
    rows = F.pad(image, (reach,) * 4, mode="reflect")
    rows = F.conv2d(rows, taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(rows, taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


@cache
def _blur_taps() -> tuple[float, ...]:
    """Roots of the normal masses of 21 equal bins over +-(1 + 1/14) sigma, normalised to sum 1."""
    import numpy as np

    edge = BLUR_SIGMAS + (2 * BLUR_SIGMAS + 1) / (2 * BLUR_TAPS)
    roots = np.sqrt(np.diff(norm.cdf(np.linspace(-edge, edge, BLUR_TAPS + 1))))
    return tuple(float(root) for root in roots / roots.sum())


def ycbcr(image: Tensor) -> Tensor:
    """Y, Cb, Cr of each pixel, (B, 3, H, W), studio swing over 255."""
    matrix = image.new_tensor(YCBCR)
    return torch.einsum("bchw,cd->bdhw", image, matrix) + image.new_tensor(YCBCR_BIAS).view(1, 3, 1, 1)


def quirk_ycbcr(image: Tensor) -> Tensor:
    """The published conversion: consecutive triples of the planes taken for pixels, and 0.564 for 0.504."""
    triples = image.reshape(-1, 3) @ image.new_tensor(QUIRK_YCBCR) + image.new_tensor(YCBCR_BIAS)
    return triples.reshape(image.shape)
