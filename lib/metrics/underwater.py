"""UIQM and UCIQE: how good an underwater picture looks, without a reference. Source: Zero-TIG fact sheet 9.

Public codes disagree on both, so a number means something only beside its variant's name.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.metrics.colour import rgb_to_lab
from lib.metrics.measure import Measure
from lib.metrics.planes import check_pictures, eight_bit, luma, precise, sort_values

UiqmVariant = Literal["formula", "funie"]
UciqeVariant = Literal["float_lab", "authors", "popular"]

UIQM_WEIGHTS = (0.0282, 0.2953, 3.5753)  # Panetta et al. 2016, eq. (12): colourfulness, sharpness, contrast
UCIQE_WEIGHTS = (0.4680, 0.2745, 0.2576)  # Yang and Sowmya 2015, eq. (8): chroma, luminance, saturation
PLIP_MAXIMUM = 1026.0  # k and gamma of Panetta's parameterised logarithmic image arithmetic
TRIMMED = 0.1  # share of the values that each end of the trimmed mean leaves out
EXTREME = 0.01  # share of the pixels that are the darkest, and the brightest

UIQM = Measure(
    "UIQM",
    "1",
    "higher",
    float("inf"),
    "formula: 8-bit picture, 8x8 blocks, PLIP on luma 0..255, positive UIConM",
)
UIQM_FUNIE = Measure(
    "UIQM", "1", "higher", float("inf"), "FUnIE-GAN's port: 8-bit picture, 10x10 blocks, no PLIP, 0.144 for blue"
)
UCIQE = Measure(
    "UCIQE", "1", "higher", float("inf"), "float CIELab / 100, std of chroma, mean of top minus bottom 1 % of L"
)
UCIQE_AUTHORS = Measure(
    "UCIQE", "1", "higher", float("inf"), "authors' style: 8-bit CIELab / 255, a and b not centred, 99 % - 1 % quantile"
)
UCIQE_POPULAR = Measure(
    "UCIQE", "1", "higher", float("inf"), "popular port: float CIELab, L 0..100, strided luminance contrast, chroma / L"
)


@dataclass(frozen=True)
class UiqmParts:
    """UICM, UISM and UIConM of one picture."""

    colourfulness: float
    sharpness: float
    contrast: float

    @property
    def score(self) -> float:
        """0.0282 UICM + 0.2953 UISM + 3.5753 UIConM."""
        return sum(w * it for w, it in zip(UIQM_WEIGHTS, _values(self), strict=True))


@dataclass(frozen=True)
class UciqeParts:
    """Spread of chroma, contrast of luminance and mean saturation of one picture, in the variant's units."""

    chroma: float
    luminance: float
    saturation: float

    @property
    def score(self) -> float:
        """0.4680 sigma_c + 0.2745 con_l + 0.2576 mu_s."""
        return sum(w * it for w, it in zip(UCIQE_WEIGHTS, _values(self), strict=True))


def uiqm(image: Tensor, *, variant: UiqmVariant = "formula") -> float:
    """Underwater image quality measure; more colour, sharper edges and more contrast score higher.

    image: (3, H, W) or (T, 3, H, W), 0..1, at least one block a side; a video gives the mean over its frames.
    variant: `formula` as Panetta et al. 2016 print it, blocks of 8, on grey levels 0..255; `funie`, the port that
        underwater papers mostly quote, blocks of 10.
    Protocol: the picture as an 8-bit file holds it. Sum of m ln m over blocks, hence UIConM, is never positive as
    printed; Choice: its negative is taken, so that more contrast scores higher, up to m = 1/e: beyond it, -m ln m falls
    again, and a blurred picture can outscore a sharp one of strong contrast.
    Raises ShapeError for a smaller picture or numbers that are not finite, SpecError for another variant.
    """
    return _mean_score(image, lambda frame: uiqm_parts(frame, variant=variant).score)


def uciqe(image: Tensor, *, variant: UciqeVariant = "float_lab") -> float:
    """Underwater colour image quality evaluation; more spread of chroma, contrast and saturation scores higher.

    image: (3, H, W) or (T, 3, H, W), 0..1; a video gives the mean over its frames.
    variant: `float_lab`, CIELab with centred a and b over 100, the reading that we take; `authors`, 8-bit CIELab whose
        a and b are not centred, by OpenCV on the CPU; `popular`, a port with chroma 0..100 and a luminance contrast
        that strides through all sorted values instead of taking the ends, therefore several times higher.
    Raises ShapeError for another shape or numbers that are not finite, SpecError for another variant.
    """
    return _mean_score(image, lambda frame: uciqe_parts(frame, variant=variant).score)


@torch.no_grad()
def uiqm_parts(image: Tensor, *, variant: UiqmVariant = "formula") -> UiqmParts:
    """UICM, UISM and UIConM of one picture (3, H, W); arguments and errors as in `uiqm`."""
    _check(image, variant, get_args(UiqmVariant))
    is_port = variant == "funie"
    block = 10 if is_port else 8
    if min(image.shape[-2:]) < block:
        raise ShapeError(f"UIQM needs at least {block} pixels a side: got {tuple(image.shape[-2:])}")
    levels = eight_bit(image)
    return UiqmParts(
        # the port's sum starts one value late
        _colourfulness(levels, first=1 if is_port else 0),
        _sharpness(levels, block, (0.299, 0.587, 0.144 if is_port else 0.114)),
        _contrast(levels.unsqueeze(0), block) if is_port else _plip_contrast(luma(precise(levels)), block),
    )


@torch.no_grad()
def uciqe_parts(image: Tensor, *, variant: UciqeVariant = "float_lab") -> UciqeParts:
    """Chroma, luminance and saturation terms of one picture (3, H, W); arguments and errors as in `uciqe`."""
    _check(image, variant, get_args(UciqeVariant))
    if variant == "authors":
        return _uciqe_authors(image)
    lab = precise(rgb_to_lab(image if image.dtype == torch.float64 else image.float()))
    luminance, chroma = lab[0], torch.hypot(lab[1], lab[2])
    ends = max(1, round(EXTREME * luminance.numel()))
    ordered = sort_values(luminance.flatten())[0]
    if variant == "popular":
        contrast = ordered.flip(0)[::ends].mean() - ordered[::ends].mean()
        saturation = torch.where((chroma > 0) & (luminance > 0), chroma / luminance, 0).mean()
        return UciqeParts(float(chroma.std(correction=0)), float(contrast), float(saturation))
    contrast = ordered[-ends:].mean() - ordered[:ends].mean()
    length = torch.hypot(chroma, luminance)
    saturation = torch.where(length > 0, chroma / length, 0).mean()
    return UciqeParts(float(chroma.std(correction=0)) / 100, float(contrast) / 100, float(saturation))


def _check(image: Tensor, variant: str, variants: tuple[str, ...]) -> None:
    check_pictures(image=image)
    if image.ndim != 3:
        raise ShapeError(f"image must be one picture (3, H, W): got {tuple(image.shape)}")
    if variant not in variants:
        raise SpecError(f"variant must be one of {', '.join(variants)}: got {variant!r}")


def _mean_score(image: Tensor, score: Callable[[Tensor], float]) -> float:
    check_pictures(image=image)
    frames = image.reshape(-1, *image.shape[-3:])
    return sum(map(score, frames)) / len(frames)


def _values(parts: UiqmParts | UciqeParts) -> tuple[float, ...]:
    return tuple(vars(parts).values())


def _colourfulness(levels: Tensor, *, first: int) -> float:
    """UICM: distance of the opponent colours' trimmed means from grey, and their spread about these means."""
    red, green, blue = levels
    opponents = (red - green, (red + green) / 2 - blue)
    means = torch.stack([_trimmed_mean(it.flatten(), first) for it in opponents])
    spreads = [(precise(it) - mean).square().mean() for it, mean in zip(opponents, means, strict=True)]
    return float(-0.0268 * means.square().sum().sqrt() + 0.1586 * torch.stack(spreads).sum().sqrt())


def _trimmed_mean(values: Tensor, first: int) -> Tensor:
    """Mean without the lowest and the highest tenth; `first` more values at the low end are left out of the sum."""
    low, high = math.ceil(TRIMMED * len(values)), math.floor(TRIMMED * len(values))
    kept = precise(sort_values(values)[0])[low : len(values) - high]
    return kept[first:].sum() / max(1, len(kept))


def _sharpness(levels: Tensor, block: int, weights: tuple[float, float, float]) -> float:
    """UISM: EME of each channel times its Sobel magnitude, EME = 2/blocks sum ln(max/min), blocks with a 0 skipped."""
    padded = F.pad(levels.unsqueeze(1), (1, 1, 1, 1), mode="replicate")
    smooth_x = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    smooth_y = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    steps_y = smooth_x[..., 2:, :] - smooth_x[..., :-2, :]
    steps_x = smooth_y[..., 2:] - smooth_y[..., :-2]
    edges = torch.hypot(steps_x, steps_y) * levels.unsqueeze(1)
    highest, lowest = (precise(it) for it in _block_extrema(edges, block))
    ratio = torch.where(lowest > 0, highest / lowest, 1).log()
    return float((2 * ratio.mean((1, 2, 3)) * ratio.new_tensor(weights)).sum())


def _contrast(levels: Tensor, block: int) -> float:
    """UIConM of the port: -mean over blocks of m ln m, m = (max - min) / (max + min) over pixels and channels."""
    highest, lowest = (precise(it) for it in _block_extrema(levels, block))
    return -float(_entropy(highest.amax(1) - lowest.amin(1), highest.amax(1) + lowest.amin(1)).mean())


def _plip_contrast(grey: Tensor, block: int) -> float:
    """UIConM, taken positive: logAMEE of (H, W), 0..255, with PLIP difference, sum and scaling by 1 / blocks."""
    highest, lowest = _block_extrema(grey[None, None], block)
    difference = PLIP_MAXIMUM * (highest - lowest) / (PLIP_MAXIMUM - lowest)
    total = _entropy(difference, highest + lowest - highest * lowest / PLIP_MAXIMUM)
    return -float(PLIP_MAXIMUM - PLIP_MAXIMUM * (1 - total.sum() / PLIP_MAXIMUM) ** (1 / total.numel()))


def _entropy(difference: Tensor, total: Tensor) -> Tensor:
    """m ln m of m = difference / total; 0 where one of both is 0."""
    share = torch.where((difference > 0) & (total > 0), difference / total, 1)
    return share * share.log()


def _block_extrema(planes: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Highest and lowest value of each whole block of (B, C, H, W); rows and columns that fill no block are cut."""
    return F.max_pool2d(planes, block), -F.max_pool2d(-planes, block)


def _uciqe_authors(image: Tensor) -> UciqeParts:
    import cv2
    import numpy as np

    pixels = eight_bit(image).byte().permute(1, 2, 0).contiguous().cpu().numpy()
    luminance, green_red, blue_yellow = np.moveaxis(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), -1, 0) / 255.0
    chroma = np.hypot(green_red, blue_yellow)
    # a and b are 128 for grey: chroma is 0 only at one corner of the colour space that no sRGB picture reaches
    spread = np.sqrt(np.mean(np.abs(1 - (chroma.mean() / chroma) ** 2)))
    low, high = np.quantile(luminance, (EXTREME, 1 - EXTREME))
    return UciqeParts(float(spread), float(high - low), float(np.mean(chroma / np.hypot(chroma, luminance))))
