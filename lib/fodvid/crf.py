"""A fully connected CRF (Krahenbuhl and Koltun 2011) that draws a mask to the edges of its frame; table 4."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.checks import check_image
from lib.errors import ShapeError, SpecError
from lib.fodvid.lattice import PermutohedralLattice, exact_filter

Method = Literal["lattice", "exact"]
Array = NDArray[np.float64]
MAX_EXACT_PIXELS = 10_000


@dataclass(frozen=True)
class CrfSettings:
    """Kernels and their weights; defaults: the graph stage of the authors' LOCATE and of TokenCut-video."""

    iterations: int = 10
    smooth_px: float = 3.0  # standard deviation of the kernel that only knows places
    smooth_weight: float = 7.0
    colour_px: float = 50.0  # standard deviations of the kernel that knows colours too: places, and grey levels 0..255
    colour_levels: float = 5.0
    colour_weight: float = 10.0


# network stage of LOCATE
NETWORK_STAGE = CrfSettings(smooth_px=1.0, smooth_weight=3.0, colour_px=67.0, colour_levels=3.0, colour_weight=4.0)


def dense_crf(
    image: Tensor, mask: Tensor, *, settings: CrfSettings | None = None, method: Method = "lattice"
) -> Tensor:
    """Probability (H, W) float32 of the object after mean-field inference with Potts energies.

    image: (3, H, W), RGB, 0..1. mask: (H, W) bool; what it says counts as a probability of 0.73 (the negative log
    softmax of its two 0/1 planes, as in the authors' code). Kernels are normalised on both sides by the root of their
    row sums and include the pixel itself. method: `exact` multiplies all pairs of pixels, up to 10 000 of them;
    `lattice` filters both kernels on a permutohedral lattice, as the authors' library does, in linear time: of the 2304
    pixels of a natural picture 3 get another label than by `exact`, single probabilities any other value.
    Raises ShapeError for another form, SpecError for another method or too many pixels.
    """
    settings = settings or CrfSettings()
    check_image("image", image)
    if mask.dtype != torch.bool or mask.shape != image.shape[1:]:
        raise ShapeError(
            f"mask must be bool of the image's size {tuple(image.shape[1:])}: got {mask.dtype} {tuple(mask.shape)}"
        )
    if method not in ("lattice", "exact"):
        raise SpecError(f"method must be lattice or exact: got {method!r}")
    if method == "exact" and mask.numel() > MAX_EXACT_PIXELS:
        raise SpecError(f"the exact CRF takes up to {MAX_EXACT_PIXELS} pixels: got {mask.numel()}; take the lattice")
    height, width = mask.shape
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(np.float64)
    colours = image.detach().cpu().double().numpy().reshape(3, -1) * 255 / settings.colour_levels
    places = np.stack([x, y], axis=1)
    kernels = [
        (settings.smooth_weight, _normalised(places / settings.smooth_px, method)),
        (settings.colour_weight, _normalised(np.column_stack([places / settings.colour_px, *colours]), method)),
    ]
    # two labels: all that counts is how far the object's energy lies below the background's
    unary = np.where(mask.cpu().numpy().ravel(), 1.0, -1.0)
    object_share = _sigmoid(unary)
    for _ in range(settings.iterations):
        difference = (2 * object_share - 1)[:, None]
        object_share = _sigmoid(unary + sum(weight * kernel(difference)[:, 0] for weight, kernel in kernels))
    return torch.from_numpy(object_share.reshape(height, width)).to(mask.device, torch.float32)


def _normalised(points: Array, method: Method) -> Callable[[Array], Array]:
    """Multiplies by D^-1/2 K D^-1/2, K the Gaussian between the points."""
    filtered: Callable[[Array], Array]
    if method == "lattice":
        filtered = PermutohedralLattice(points)
    else:

        def filtered(values: Array) -> Array:
            return exact_filter(points, values)

    scale = 1 / np.sqrt(filtered(np.ones((len(points), 1))))
    return lambda values: scale * filtered(scale * values)


def _sigmoid(values: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))
