"""What people reach for first in the dark: gamma curves, CLAHE, histogram equalisation, and plain brightening.

Each takes a frame (3, H, W) or a video (T, 3, H, W), RGB 0..1, and treats every frame by itself, so that a stream of
frames gives the same result as a whole clip. None of them knows noise or time.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lib.checks import check_image
from lib.errors import SpecError
from lib.metrics.planes import luma

DISPLAY_GAMMA = 2.2
GREY_LEVELS = 255
LARGEST_EXPONENT = 16.0  # 1/16 lifts grey level 1 to 180; farther than any picture with content needs
BISECTIONS = 24  # exponent to 1e-6
CLAHE_CLIP = 2.0  # OpenCV's limit in its own tutorial, times the mean bin count
CLAHE_TILES = 8
LARGEST_GAIN = 255.0  # one grey level becomes white

Frame8 = Callable[[np.ndarray], np.ndarray]


def gamma(video: Tensor, *, exponent: float = 1 / DISPLAY_GAMMA) -> Tensor:
    """Each value to the power of `exponent`; the default 1/2.2 is the curve that photo programs offer first.

    Raises SpecError for an exponent that is not positive.
    """
    _check(video)
    if not 0 < exponent < float("inf"):
        raise SpecError(f"exponent must be positive: got {exponent}; below 1 it brightens")
    return video.clamp(0, 1) ** exponent


def gamma_to_mean(video: Tensor, *, mean: float = 0.5) -> Tensor:
    """Each frame to the power that brings its mean luma to `mean`, found by bisection.

    Choice: exponents stay within 1/16..16, so that a black or white frame stays as it is and a nearly black one is not
    torn apart. Raises SpecError for a mean outside 0..1.
    """
    _check(video)
    if not 0 < mean < 1:
        raise SpecError(f"mean must lie between 0 and 1: got {mean}")
    frames = video.clamp(0, 1).reshape(-1, *video.shape[-3:])
    # on the logarithm of the exponent: mean luma falls steadily from 1 to 0
    top = float(np.log(LARGEST_EXPONENT))
    low, high = (frames.new_full((len(frames), 1, 1, 1), bound) for bound in (-top, top))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        too_bright = luma(frames ** middle.exp()).mean((-2, -1)).view_as(middle) > mean
        low, high = torch.where(too_bright, middle, low), torch.where(too_bright, high, middle)
    return (frames ** ((low + high) / 2).exp()).view_as(video)


def brighten_to_mean(video: Tensor, *, mean: float = 0.5) -> Tensor:
    """Each frame times the one gain that brings its mean luma to `mean`, clipped at white: a longer exposure.

    The gain is taken before clipping and is at most 255. Raises SpecError for a mean outside 0..1.
    """
    _check(video)
    if not 0 < mean < 1:
        raise SpecError(f"mean must lie between 0 and 1: got {mean}")
    level = luma(video).mean((-2, -1), keepdim=True).unsqueeze(-3)
    return (video * (mean / level.clamp_min(mean / LARGEST_GAIN))).clamp(0, 1)


def clahe(video: Tensor, *, clip_limit: float = CLAHE_CLIP, tiles: int = CLAHE_TILES) -> Tensor:
    """Contrast limited adaptive histogram equalisation of the lightness L of CIELab, by OpenCV in 8 bits.

    clip_limit: times the mean count of a bin, above which a tile's histogram is cut. tiles: per side.
    Returns 0..1 in 8-bit steps. Source: Zuiderveld 1994. Raises SpecError for settings that OpenCV can't take.
    """
    import cv2

    if not clip_limit > 0 or tiles < 1:
        raise SpecError(f"clip_limit must be positive and tiles at least 1: got {clip_limit} and {tiles}")
    equaliser = cv2.createCLAHE(clip_limit, (tiles, tiles))

    def one(frame: np.ndarray) -> np.ndarray:
        lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)
        lab[..., 0] = equaliser.apply(np.ascontiguousarray(lab[..., 0]))
        return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)

    return _each_in_8_bits(video, one)


def equalise_luma(video: Tensor) -> Tensor:
    """Histogram equalisation of the luma Y of YCrCb, chroma kept, by OpenCV in 8 bits.

    Returns 0..1 in 8-bit steps; a frame of one luma stays as it is.
    """
    import cv2

    def one(frame: np.ndarray) -> np.ndarray:
        planes = cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)
        planes[..., 0] = cv2.equalizeHist(np.ascontiguousarray(planes[..., 0]))
        return cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB)

    return _each_in_8_bits(video, one)


def _each_in_8_bits(video: Tensor, one: Frame8) -> Tensor:
    """A function of 8-bit RGB pictures (H, W, 3) on each frame."""
    _check(video)
    frames = (video.clamp(0, 1) * GREY_LEVELS).round().to(torch.uint8).reshape(-1, *video.shape[-3:])
    pictures = [one(np.ascontiguousarray(frame.permute(1, 2, 0).cpu().numpy())) for frame in frames]
    shown = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(video.device, video.dtype)
    return (shown / GREY_LEVELS).contiguous().view_as(video)


def _check(video: Tensor) -> None:
    """Passes a frame (3, H, W) or a video (T, 3, H, W), RGB 0..1."""
    check_image("video", video, ndim=4 if video.ndim == 4 else 3)
