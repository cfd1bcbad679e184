"""Importance W of the night picture: the three rules of sec. 3, their feather, and the motion masks of sec. 4."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.context_fusion.gradients import compiles, luma_and_gradient_energy, luma_gradient_energy
from lib.context_fusion.settings import Difference, ImageSettings
from lib.errors import SpecError
from lib.solvers.poisson import gradient

GREY_LEVELS = 255.0


def importance_of(night: Tensor, day: Tensor, reference: Tensor | None, settings: ImageSettings) -> Tensor:
    """W by the rule of the settings, feathered: (H, W), 0..1, in the pictures' dtype.

    Raises SpecError when the rule `reference` comes without an empty night picture.
    """
    if settings.rule == "max":
        importance = larger_gradient(night, day)
    elif settings.rule == "threshold":
        importance = strong_gradient_or_light(night, settings)
    else:
        if reference is None:
            raise SpecError("the rule 'reference' needs the empty night picture: pass reference=...")
        importance = change_from_reference(night, reference, settings) * strong_gradient_or_light(night, settings)
    return feather(importance, sigma_px=settings.feather_px)


def larger_gradient(night: Tensor, day: Tensor) -> Tensor:
    """1 where the night's luma gradient is at least as long as the day's, else 0 (rule `max`), (H, W)."""
    # in place: floats straight away, without the slow conversion from bool
    return luma_gradient_energy(night).ge_(luma_gradient_energy(day))


def strong_gradient_or_light(night: Tensor, settings: ImageSettings) -> Tensor:
    """1 where the night's luma gradient or luma exceeds its threshold, else 0 (rule `threshold`), (H, W)."""
    brightness, energy = luma_and_gradient_energy(night)
    strong = energy.gt_((settings.gradient_threshold / GREY_LEVELS) ** 2)
    return torch.maximum(strong, brightness.gt_(settings.intensity_threshold / GREY_LEVELS))


def change_from_reference(night: Tensor, reference: Tensor, settings: ImageSettings) -> Tensor:
    """|N - R|, largest channel, scaled from 0 at `reference_low` to 1 at `reference_high`, (H, W)."""
    change = (night - reference).abs().amax(dim=0) * GREY_LEVELS
    span = settings.reference_high - settings.reference_low
    return ((change - settings.reference_low) / span).clamp(0, 1)


def feather(importance: Tensor, *, sigma_px: float) -> Tensor:
    """Gaussian blur of W (H, W), cut at 4 sigma, mirrored at the border with its edge pixel; sigma 0 gives W."""
    if sigma_px == 0:
        return importance
    radius = int(4 * sigma_px + 0.5)
    taps = torch.arange(-radius, radius + 1, dtype=importance.dtype, device=importance.device)
    kernel = torch.exp(-taps.square() / (2 * sigma_px**2))
    kernel = kernel / kernel.sum()
    if compiles(importance):
        import cv2

        weights = kernel.numpy()
        blurred = cv2.sepFilter2D(importance.numpy(), -1, weights, weights, borderType=cv2.BORDER_REFLECT)
        return torch.from_numpy(blurred)
    rows, columns = (_mirrored_indices(length, radius).to(importance.device) for length in importance.shape)
    mirrored = importance[rows[:, None], columns][None, None]
    return F.conv2d(F.conv2d(mirrored, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[0, 0]


def _mirrored_indices(length: int, margin: int) -> Tensor:
    """Indices -margin .. length + margin - 1 folded back into 0 .. length - 1, edge repeated: 1, 0 | 0, 1, ..."""
    folded = torch.arange(-margin, length + margin) % (2 * length)
    return torch.minimum(folded, 2 * length - 1 - folded)


def motion_mask(frame: Tensor, previous: Tensor, *, threshold: float, difference: Difference) -> Tensor:
    """Where a frame differs from the one before, bool (H, W).

    frame, previous: (3, H, W), 0..1. threshold: grey levels, on the largest channel of |F_i - F_(i-1)| or, with
    difference="gradient", of its gradient's components.
    """
    change = frame - previous
    if difference == "gradient":
        change = torch.maximum(*(component.abs() for component in gradient(change)))
    return change.abs_().amax(dim=0) > threshold / GREY_LEVELS


def clean_mask(mask: Tensor) -> Tensor:
    """The mask (H, W) after a 3x3 median, which drops single pixels, and a 5x5 dilation; border repeated."""
    if mask.device.type == "cpu":
        import cv2
        import numpy as np

        cleaned = cv2.dilate(cv2.medianBlur(mask.to(torch.uint8).numpy(), 3), np.ones((5, 5), np.uint8))
        return torch.from_numpy(cleaned).bool()
    padded = F.pad(mask[None, None].float(), (1, 1, 1, 1), mode="replicate")
    votes = F.avg_pool2d(padded, 3, stride=1)
    return F.max_pool2d((votes > 0.5).float(), 5, stride=1, padding=2)[0, 0] > 0
