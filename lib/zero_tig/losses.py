"""The eleven losses (eqs 4 to 9 and the code's own), with the weights that the published code trains with."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import ShapeError
from lib.zero_tig.downsample import pair_downsample
from lib.zero_tig.filters import (
    BLUR_TAPS,
    LUMA,
    QUIRK_LUMA,
    blur,
    local_mean,
    noise_energy,
    quirk_ycbcr,
    texture_mask,
    weighted_sum,
    ycbcr,
)
from lib.zero_tig.model import TrainingPass
from lib.zero_tig.settings import Settings

NAMES = ("over", "pix", "smooth", "res1", "cons1", "res2", "cons2", "ill", "inter", "var", "color")
BRIGHTEST_TARGET = 0.8  # eq. 6 in the code: reflectance above this counts as well exposed
SMALLEST_FACTOR = 1.0  # of alpha, code: S can't be above 1
# half of the 24 neighbours as (dy, dx); the other half is the same differences seen from the other side
NEIGHBOURS = ((1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2), (2, 1), (2, -1), (1, 2), (1, -2), (2, 2), (2, -2))
SMALLEST_SIDE = 2 * (BLUR_TAPS // 2 + 1)


@dataclass(frozen=True)
class Brightness:
    """alpha and beta of eqs 6 to 9, (B, 1, 1, 1) or, under water, (B, 3, 1, 1)."""

    alpha: Tensor
    beta: Tensor


def brightness(denoised: Tensor, settings: Settings) -> Brightness:
    """alpha = target / mean, within 1..largest_factor, and beta = 0.7 ** -alpha / alpha.

    denoised: L, (B, 3, H, W). In low light the mean is that of luma and the target 0.5 (eq. 6); under water each
    channel has its own mean, and the target is 0.3 (eq. 8), which lifts the red that the water took. Channels that are
    brighter than the target stay as they are: a bright picture keeps its cast unless `exposure` is raised.
    """
    if settings.underwater:
        mean = denoised.mean(dim=(2, 3), keepdim=True)
    else:
        luma = QUIRK_LUMA if settings.reference_quirks else LUMA
        mean = weighted_sum(denoised, luma).mean(dim=(2, 3), keepdim=True)
    alpha = (settings.target / (mean + 1e-9)).clamp(SMALLEST_FACTOR, settings.largest_factor)
    return Brightness(alpha, 0.7**-alpha / alpha)


def losses(trace: TrainingPass, settings: Settings) -> dict[str, Tensor]:
    """Every loss by name, weighted; their sum is what training minimises.

    Keys: over pix smooth res1 cons1 res2 cons2 ill inter var color. Each is a scalar on the pass's device.
    Raises ShapeError for frames too small for the windows of the losses.
    """
    full, weights = trace.full, settings.weights
    if min(full.denoised.shape[-2:]) < SMALLEST_SIDE:
        height, width = full.denoised.shape[-2:]
        raise ShapeError(f"training needs frames of at least {SMALLEST_SIDE} pixels a side: got {width}x{height}")
    dark = full.denoised.detach()
    level = brightness(dark, settings)
    return {
        "over": weights.over * over_loss(dark, full.illumination, level, settings),
        "pix": weights.pix * pix_loss(dark, full.illumination, level, settings),
        "smooth": weights.smooth_neighbours * neighbour_loss(full.illumination, dark, settings)
        + weights.smooth_variation * total_variation(full.illumination),
        "res1": weights.res1 * crossed_loss(trace.half_denoised, trace.half_frames + 1e-9),
        "cons1": weights.cons1 * paired_loss(trace.half_denoised, torch.cat(pair_downsample(full.denoised))),
        "res2": weights.res2 * crossed_loss(trace.half_outputs, trace.half_inputs.detach()),
        "cons2": weights.cons2 * paired_loss(trace.half_outputs[:, :3], torch.cat(pair_downsample(full.reflectance))),
        "ill": weights.ill * F.mse_loss(full.illumination_refined, full.illumination.detach()),
        "inter": weights.inter * inter_loss(full.reflectance, settings),
        "var": weights.var * F.mse_loss(noise_energy(full.rough), noise_energy(full.reflectance - full.rough)),
        "color": weights.color * colour_loss(full.reflectance, dark, full.illumination.detach()),
    }


def over_loss(dark: Tensor, illumination: Tensor, level: Brightness, settings: Settings) -> Tensor:
    """Eq. 6: the illumination is such that the picture becomes alpha times brighter.

    The code compares L / S, up to 0.8, with alpha L; with `over="illumination"` S with 1 / alpha, as printed.
    """
    if settings.over == "illumination":
        return F.mse_loss(illumination, (1 / level.alpha).expand_as(illumination))
    brightened = (dark / illumination).clamp(1e-9, BRIGHTEST_TARGET)
    return F.mse_loss(brightened, (level.alpha * dark).clamp(1e-9, 1))


def pix_loss(dark: Tensor, illumination: Tensor, level: Brightness, settings: Settings) -> Tensor:
    """Eqs 7 and 9: S close to beta (alpha L) ** alpha, which darkens dark areas of S more than bright ones.

    Choice: where nothing is missing (alpha = 1) S goes to 1, as eqs 6 and 8 ask; the formula would draw it to 1.43 L
    there, which flattens a bright channel to 0.7. With reference_quirks the formula holds everywhere.
    """
    target = (level.beta * (level.alpha * dark) ** level.alpha).clamp(1e-9, 1)
    if not settings.reference_quirks:
        target = torch.where(level.alpha > 1, target, 1.0)
    return F.mse_loss(illumination, target)


def neighbour_loss(illumination: Tensor, dark: Tensor, settings: Settings) -> Tensor:
    """Differences of S to its 24 neighbours, each weighted by how alike L's colours are there."""
    guide = quirk_ycbcr(dark) if settings.reference_quirks else ycbcr(dark)
    falloff = -1 / (2 * settings.neighbour_sigma**2)
    total = illumination.new_zeros(())
    for offset in NEIGHBOURS:
        difference = _shifted_difference(illumination, offset).abs().sum(dim=1)
        likeness = torch.exp(_shifted_difference(guide, offset).square().sum(dim=1) * falloff)
        total = total + 2 * (likeness * difference).mean()
    return total


def _shifted_difference(planes: Tensor, offset: tuple[int, int]) -> Tensor:
    """Pixel minus its neighbour at (dy, dx), where both are inside."""
    dy, dx = offset
    height, width = planes.shape[-2:]
    near = planes[..., : height - dy, max(0, -dx) : width - max(0, dx)]
    far = planes[..., dy:, max(0, dx) : width - max(0, -dx)]
    return near - far


def total_variation(image: Tensor) -> Tensor:
    """2 (mean squared step down + mean squared step right), summed over channels, mean over the batch."""
    down = (image[..., 1:, :] - image[..., :-1, :]).square().mean()
    right = (image[..., 1:] - image[..., :-1]).square().mean()
    return 2 * image.shape[1] * (down + right)


def crossed_loss(halves: Tensor, targets: Tensor) -> Tensor:
    """Eq. 4: what was made from one half must predict the other, whose noise is independent; sum of both ways."""
    return 2 * F.mse_loss(halves, torch.cat(targets.chunk(2)[::-1]))


def paired_loss(halves: Tensor, targets: Tensor) -> Tensor:
    """Eq. 5: shrinking then denoising equals denoising then shrinking; sum over both halves."""
    return 2 * F.mse_loss(halves, targets)


def inter_loss(reflectance: Tensor, settings: Settings) -> Tensor:
    """Flat and noisy areas are drawn to their local mean, texture stays: both halves, r to (1 - M) m5(r) + M r."""
    first, second = pair_downsample(reflectance)
    luma = QUIRK_LUMA if settings.reference_quirks else LUMA
    mask = texture_mask(first, second, luma=luma)
    textured = first if settings.reference_quirks else second
    return F.mse_loss(first, torch.lerp(local_mean(first), first, mask)) + F.mse_loss(
        second, torch.lerp(local_mean(second), textured, mask)
    )


def colour_loss(reflectance: Tensor, dark: Tensor, illumination: Tensor) -> Tensor:
    """The blurred result has the blurred colours of L / S, which is the reference and gets no gradient."""
    reference = (dark / illumination).clamp(0, 1)
    return F.mse_loss(blur(reflectance), blur(reference))
