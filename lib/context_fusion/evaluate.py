"""What the comparison measures, as plain functions: against the truth where it is known, and without it.

The paper compares by eye and gives no measure; these are ours, each defined in lib.metrics.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from statistics import median
from typing import Any

import torch
from torch import Tensor

from lib.context_fusion.gradients import luma_gradient_energy
from lib.context_fusion.importance import GREY_LEVELS
from lib.context_fusion.methods import Case
from lib.context_fusion.settings import ImageSettings, VideoSettings
from lib.context_fusion.still import fuse_image
from lib.context_fusion.video import VideoFuser
from lib.errors import ShapeError, SpecError
from lib.metrics import (
    COLOUR_SHIFT,
    FLICKER,
    GHOSTING,
    GRADIENT_FIDELITY,
    HALO,
    PSNR,
    SEAM_ENERGY,
    SSIM,
    HaloProfile,
    Measure,
    colour_shift,
    flicker,
    ghosting,
    gradient_fidelity,
    halo_profile,
    psnr,
    seam_energy,
    ssim,
)
from lib.solvers.poisson import gradient

HALO_REACH_PX = 16


@dataclass(frozen=True)
class TruthScores:
    """How near a result comes to what an ideal fusion shows: the night's movers, without noise, in the day picture."""

    psnr_inside: float
    psnr_outside: float
    ssim_inside: float
    ssim_outside: float
    fidelity_inside: float
    fidelity_outside: float


@dataclass(frozen=True)
class ContextScores:
    """What can be said without a truth; `flicker` is None for a still."""

    ghosting_inside: float
    ghosting_outside: float
    seam_energy: float
    halo: float
    colour_shift: float
    flicker: float | None


TRUTH_NAMES = [field.name for field in fields(TruthScores)]
CONTEXT_NAMES = [field.name for field in fields(ContextScores)]


def _placed(measure: Measure, name: str, where: str) -> Measure:
    return replace(measure, name=name, protocol=f"{measure.protocol}; {where}")


MEASURES: dict[str, Measure] = {
    "psnr_inside": _placed(PSNR, "PSNR inside", "against the truth, pixels of the movers"),
    "psnr_outside": _placed(PSNR, "PSNR outside", "against the truth, pixels outside the movers"),
    "ssim_inside": _placed(SSIM, "SSIM inside", "against the truth, windows centred in the movers"),
    "ssim_outside": _placed(SSIM, "SSIM outside", "against the truth, windows centred outside the movers"),
    "fidelity_inside": _placed(GRADIENT_FIDELITY, "gradients inside", "G is that of the truth, steps in the movers"),
    "fidelity_outside": _placed(GRADIENT_FIDELITY, "gradients outside", "G is that of the truth, steps outside them"),
    "ghosting_inside": _placed(GHOSTING, "day in movers", "of the day inside the movers, where the night is wanted"),
    "ghosting_outside": _placed(
        GHOSTING,
        "night in context",
        "of the night's background outside the movers, where the day's own gradient is the stronger one",
    ),
    "seam_energy": _placed(SEAM_ENERGY, "seam energy", "along the border of the movers"),
    "halo": _placed(HALO, "halo", f"against the day, up to {HALO_REACH_PX} px outside the movers"),
    "colour_shift": _placed(COLOUR_SHIFT, "colour shift", "against the day, outside the movers"),
    "flicker": _placed(FLICKER, "flicker", "pixels outside the movers in both frames"),
}


@dataclass(frozen=True)
class _View:
    """A result and its case on the frames that are measured."""

    shown: Tensor
    night: Tensor
    truth: Tensor
    inside: Tensor
    outside: Tensor
    day_wins: Tensor
    result: Tensor
    case: Case


def _view(result: Tensor, case: Case, every: int) -> _View:
    if result.shape != case.night.shape:
        raise ShapeError(f"result must have the night's shape: got {tuple(result.shape)}, {tuple(case.night.shape)}")
    inside = case.movers[::every]
    day_wins = luma_gradient_energy(case.day) > luma_gradient_energy(case.night_background)
    wanted = case.truth if case.truth is not None else torch.where(case.movers[:, None], case.night, case.day)
    return _View(
        result[::every], case.night[::every], wanted[::every], inside, ~inside, ~inside & day_wins, result, case
    )


_SCORES: dict[str, Callable[[_View], float]] = {
    "psnr_inside": lambda view: psnr(view.shown, view.truth, mask=view.inside),
    "psnr_outside": lambda view: psnr(view.shown, view.truth, mask=view.outside),
    "ssim_inside": lambda view: ssim(view.shown, view.truth, mask=view.inside),
    "ssim_outside": lambda view: ssim(view.shown, view.truth, mask=view.outside),
    "fidelity_inside": lambda view: gradient_fidelity(view.shown, *gradient(view.truth), mask=view.inside),
    "fidelity_outside": lambda view: gradient_fidelity(view.shown, *gradient(view.truth), mask=view.outside),
    "ghosting_inside": lambda view: ghosting(view.shown, view.night, view.case.day, mask=view.inside),
    "ghosting_outside": lambda view: ghosting(
        view.shown, view.case.day, view.case.night_background, mask=view.day_wins
    ),
    "seam_energy": lambda view: seam_energy(view.shown, view.night, view.case.day, view.inside),
    "halo": lambda view: _halo(view).strength,
    "colour_shift": lambda view: colour_shift(view.shown, view.case.day, mask=view.outside),
    "flicker": lambda view: flicker(view.result, still=~view.case.movers),
}


def some_scores(result: Tensor, case: Case, names: Sequence[str], *, every: int = 1) -> dict[str, float]:
    """The measures of these names (keys of MEASURES), in this order, on every `every`-th frame; flicker on all.

    result: (T, 3, H, W). Raises SpecError for an unknown measure or one that needs a truth where there is none,
    ShapeError for a result of another shape or a case in which nothing or everything moves.
    """
    if unknown := [name for name in names if name not in MEASURES]:
        raise SpecError(f"{unknown[0]!r} is no measure; measures: {', '.join(MEASURES)}")
    if case.truth is None and (needing := [name for name in names if name in TRUTH_NAMES]):
        raise SpecError(f"{needing[0]} needs a truth, and this case has none; take context_scores")
    view = _view(result, case, every)
    return {name: _SCORES[name](view) for name in names}


def truth_scores(result: Tensor, case: Case, *, every: int = 1) -> TruthScores:
    """Scores of a result (T, 3, H, W) against the truth of its case; arguments and errors as in `some_scores`."""
    return TruthScores(**some_scores(result, case, TRUTH_NAMES, every=every))


def context_scores(result: Tensor, case: Case, *, every: int = 1) -> ContextScores:
    """Scores of a result (T, 3, H, W) that need no truth; arguments and errors as in `some_scores`."""
    names = [name for name in CONTEXT_NAMES if name != "flicker" or len(result) > 1]
    values: dict[str, Any] = some_scores(result, case, names, every=every)
    return ContextScores(**({"flicker": None} | values))


def all_scores(result: Tensor, case: Case, *, every: int = 1) -> dict[str, float]:
    """Every measure that the case allows, by its name in MEASURES."""
    by_name = asdict(context_scores(result, case, every=every))
    if case.truth is not None:
        by_name = asdict(truth_scores(result, case, every=every)) | by_name
    return {name: value for name, value in by_name.items() if value is not None}


def halo(result: Tensor, case: Case, *, every: int = 1) -> HaloProfile:
    """Luma deviation by distance from the movers: from the truth, or without one from N inside them and D outside."""
    return _halo(_view(result, case, every))


def _halo(view: _View) -> HaloProfile:
    return halo_profile(view.shown, view.truth, view.inside, max_distance_px=HALO_REACH_PX)


def identity_error(picture: Tensor) -> float:
    """Largest difference between a picture (3, H, W) and its fusion with itself, grey levels; 0 is perfect."""
    return float((fuse_image(picture, picture).image - picture).abs().max() * GREY_LEVELS)


def shift_before_and_after(
    fuse: Callable[[Case, Any], Tensor], case: Case, settings: ImageSettings | VideoSettings, *, every: int = 1
) -> tuple[float, float]:
    """Colour shift of the context without and with the colour fit of sec. 2.3, Delta E.

    fuse: `algorithm_1` or `algorithm_2`. Without the fit only the constant is set that Poisson leaves open.
    """
    before, after = (fuse(case, replace(settings, colour_fit=fitted)) for fitted in (False, True))
    shifts = [some_scores(shown, case, ["colour_shift"], every=every)["colour_shift"] for shown in (before, after)]
    return shifts[0], shifts[1]


def time_per_frame(night: Tensor, day: Tensor, *, settings: VideoSettings, num_frames: int) -> float:
    """Seconds that Algorithm 2 takes for a frame in full swing: median over `num_frames` pushes after warm-up.

    night: (T, 3, H, W), repeated as often as needed; day: (3, H, W), both on the device that is timed.
    """
    fuser = VideoFuser(day, settings)
    for idx in range(fuser.latency + 2):
        fuser.push(night[idx % len(night)])
    seconds = []
    for idx in range(num_frames):
        _synchronise(day)
        start = time.perf_counter()
        fuser.push(night[idx % len(night)])
        _synchronise(day)
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def _synchronise(like: Tensor) -> None:
    if like.device.type == "cuda":
        torch.cuda.synchronize(like.device)
