"""How noisy a single picture is, without a reference."""

import torch
from torch import Tensor

from lib.errors import ShapeError
from lib.metrics.measure import Measure
from lib.metrics.planes import GREY_LEVELS, check_pictures

MAD_TO_SIGMA = 1 / 0.6744897501960817  # median |x| of a unit normal distribution: Donoho and Johnstone 1994
MASK_GAIN = 6.0  # root of the sum of squares of the mask below

NOISE = Measure(
    "noise",
    "grey levels",
    "lower",
    0.0,
    "median |mask [1 -2 1; -2 4 -2; 1 -2 1]| / (6 x 0.6745), windows without clipped pixels, mean over R, G, B, frames",
)


@torch.no_grad()
def noise_level(image: Tensor) -> float:
    """Standard deviation of the picture's noise, estimated from its finest structure, grey levels.

    image: (3, H, W) or (T, 3, H, W), 0..1, at least 3 pixels a side; a video gives the mean over its frames.
    Protocol: the mask of Immerkaer 1996 (the difference of two Laplacians, blind to planes and straight edges along
    the axes), its median absolute response as in wavelet denoising (Donoho and Johnstone 1994) instead of the mean, so
    that texture on less than half of the picture counts little. Windows that touch 0 or 1 are left out, because
    clipping hides noise, unless all do. White noise is assumed: noise that is smooth over pixels counts as less.
    On 8-bit pictures it moves in steps of a quarter grey level. A gain is a gain of the noise: brighten two pictures
    equally before they are compared.
    Raises ShapeError below 3 pixels a side.
    """
    check_pictures(image=image)
    if min(image.shape[-2:]) < 3:
        raise ShapeError(f"the noise mask needs at least 3 pixels a side: got {tuple(image.shape[-2:])}")
    planes = image.reshape(-1, *image.shape[-2:]).float()
    return GREY_LEVELS * sum(_plane_noise(plane) for plane in planes) / len(planes)


def _plane_noise(plane: Tensor) -> float:
    """Noise of one channel (H, W), in its own unit."""
    rows = plane[:-2] - 2 * plane[1:-1] + plane[2:]
    response = (rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]).abs()
    free = (plane > 0) & (plane < 1)
    free = free[:-2] & free[1:-1] & free[2:]
    free = free[:, :-2] & free[:, 1:-1] & free[:, 2:]
    counted = response[free] if free.any() else response.flatten()
    return float(counted.median()) * MAD_TO_SIGMA / MASK_GAIN
