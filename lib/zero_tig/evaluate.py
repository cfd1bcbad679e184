"""What is measured: Table I's protocol against the truth, Figure 4's steadiness, noise, and the colours of water."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.metrics import (
    COLOUR_SHIFT,
    LPIPS,
    LPIPS_HM,
    MABD_ERROR,
    MABD_STILL,
    NOISE,
    PSNR_8BIT,
    PSNR_8BIT_HM,
    SSIM_8BIT,
    SSIM_8BIT_HM,
    UCIQE,
    UIQM,
    Measure,
    colour_shift,
    lpips,
    mabd,
    mabd_error,
    match_histogram,
    noise_level,
    psnr_8bit,
    score_or_reason,
    ssim_8bit,
    uciqe,
    uiqm,
)
from lib.metrics.perceptual import load_lpips
from lib.metrics.planes import luma
from lib.zero_tig.scenes import Case

TABLE_NAMES = ("psnr", "psnr_hm", "ssim", "ssim_hm", "lpips", "lpips_hm")
PERCEPTUAL_NAMES = ("lpips", "lpips_hm")
STEADY_NAMES = ("mabd_still", "mabd_equal", "mabd_error", "noise_kept", "colour_cast")
WATER_NAMES = ("uiqm", "uciqe", "channel_gap")
EQUAL = "after one gain for the whole clip that gives it the truth's mean luma"

NOISE_KEPT = Measure(
    "noise kept", "1", "lower", 0.0, f"{NOISE.protocol}; over that of the input, made equally bright by one gain"
)
CHANNEL_GAP = Measure(
    "channel gap", "grey levels", "lower", 0.0, "largest minus smallest of the mean R, G and B, mean over frames"
)

MEASURES: dict[str, Measure] = {
    "psnr": PSNR_8BIT,
    "psnr_hm": PSNR_8BIT_HM,
    "ssim": SSIM_8BIT,
    "ssim_hm": SSIM_8BIT_HM,
    "lpips": LPIPS,
    "lpips_hm": LPIPS_HM,
    "mabd_still": MABD_STILL,
    "mabd_equal": replace(MABD_STILL, name="MABD still, equal brightness", protocol=f"{MABD_STILL.protocol}; {EQUAL}"),
    "mabd_error": replace(MABD_ERROR, protocol=f"{MABD_ERROR.protocol}; {EQUAL}"),
    "noise_kept": NOISE_KEPT,
    "colour_cast": replace(COLOUR_SHIFT, name="colour cast", protocol=f"{COLOUR_SHIFT.protocol}; {EQUAL}"),
    "uiqm": UIQM,
    "uciqe": UCIQE,
    "channel_gap": CHANNEL_GAP,
}
DIGITS = {"dB": 2, "1": 3, "grey levels": 2, "grey levels^2": 2, "Delta E": 1}
NEEDS_TRUTH = {*TABLE_NAMES, "mabd_still", "mabd_equal", "mabd_error", "colour_cast"}


@dataclass(frozen=True)
class _View:
    """A result and its case, with what several measures need of them computed once."""

    result: Tensor
    case: Case

    @property
    def truth(self) -> Tensor:
        if self.case.truth is None:
            raise SpecError(f"the case {self.case.name} has no truth")
        return self.case.truth

    @cached_property
    def matched(self) -> Tensor:
        return match_histogram(self.result, self.truth)

    @cached_property
    def equal(self) -> Tensor:
        return at_brightness(self.result, self.truth)


_SCORES: dict[str, Callable[[_View], float]] = {
    "psnr": lambda view: psnr_8bit(view.result, view.truth),
    "psnr_hm": lambda view: psnr_8bit(view.matched, view.truth),
    "ssim": lambda view: ssim_8bit(view.result, view.truth),
    "ssim_hm": lambda view: ssim_8bit(view.matched, view.truth),
    "lpips": lambda view: lpips(view.result, view.truth),
    "lpips_hm": lambda view: lpips(view.matched, view.truth),
    "mabd_still": lambda view: float(mabd(view.result, mask=view.case.still).mean()),
    "mabd_equal": lambda view: float(mabd(view.equal, mask=view.case.still).mean()),
    "mabd_error": lambda view: mabd_error(mabd(view.equal), mabd(view.truth)),
    "noise_kept": lambda view: noise_kept(view.result, view.case.video),
    "colour_cast": lambda view: colour_shift(view.equal, view.truth),
    "uiqm": lambda view: uiqm(view.result),
    "uciqe": lambda view: uciqe(view.result),
    "channel_gap": lambda view: channel_gap(view.result),
}


def why_no_lpips() -> str:
    """Why LPIPS can't be measured here, with the cure, or "" where it can."""
    said = score_or_reason(lambda: float(load_lpips().training))
    return said if isinstance(said, str) else ""


def measures_for(case: Case, *, perceptual: bool = False) -> list[str]:
    """Names of the measures that this case has all data for, in their usual order.

    perceptual: LPIPS as well, which needs weights that are not shipped; without them it is left out.
    """
    names = [*TABLE_NAMES, *STEADY_NAMES, *(WATER_NAMES if case.underwater else ())]
    if not perceptual or why_no_lpips():
        names = [name for name in names if name not in PERCEPTUAL_NAMES]
    moving = {"mabd_still", "mabd_equal", "mabd_error"}
    has_pairs = len(case.video) > 1 and (case.still is None or bool((case.still[1:] & case.still[:-1]).any()))
    known = [name for name in names if case.truth is not None or name not in NEEDS_TRUTH]
    return [name for name in known if has_pairs or name not in moving]


def scores_of(result: Tensor, case: Case, names: Sequence[str] | None = None) -> dict[str, float]:
    """Measures of a result (T, 3, H, W), by their name in MEASURES; by default all that the case allows but LPIPS.

    Raises ShapeError for a result of another shape, SpecError for an unknown measure or one that needs a truth where
    there is none.
    """
    if result.shape != case.video.shape:
        raise ShapeError(f"result must have the video's shape: got {tuple(result.shape)}, {tuple(case.video.shape)}")
    names = measures_for(case) if names is None else names
    if unknown := [name for name in names if name not in MEASURES]:
        raise SpecError(f"{unknown[0]!r} is no measure; measures: {', '.join(MEASURES)}")
    view = _View(result, case)
    return {name: _SCORES[name](view) for name in names}


def at_brightness(video: Tensor, wanted: Tensor) -> Tensor:
    """A video (T, 3, H, W) times the one gain that gives it the mean luma of `wanted`, clipped at white.

    Choice: one gain for all frames, because one for each would hide flicker; it is taken before clipping.
    """
    gain = luma(wanted).mean() / luma(video).mean().clamp_min(1e-6)
    return (video * gain).clamp(0, 1)


def noise_kept(result: Tensor, video: Tensor) -> float:
    """Noise of a result (T, 3, H, W) over that of its input made equally bright; below 1 the method removed noise.

    Protocol: NOISE_KEPT. Raises ShapeError when shapes differ; an input without noise gives 1.
    """
    if result.shape != video.shape:
        raise ShapeError(f"result must have the video's shape: got {tuple(result.shape)}, {tuple(video.shape)}")
    before = noise_level(at_brightness(video, result))
    return noise_level(result) / before if before > 0 else 1.0


def channel_gap(video: Tensor) -> float:
    """How far the mean red, green and blue of a frame lie apart, grey levels, mean over frames; water takes the red."""
    means = 255 * video.reshape(-1, *video.shape[-3:]).mean((-2, -1))
    return float((means.amax(1) - means.amin(1)).mean())
