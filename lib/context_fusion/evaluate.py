"""What the comparison measures, as plain functions: against the truth where it is known, and without it.

The paper compares by eye and gives no measure; these are ours, each defined in lib.metrics.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor

from lib.context_fusion.importance import GREY_LEVELS
from lib.context_fusion.methods import Case
from lib.context_fusion.settings import ImageSettings, VideoSettings
from lib.context_fusion.still import fuse_image
from lib.context_fusion.video import VideoFuser
from lib.errors import SpecError
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

HALO_REACH_PX = 24


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
        GHOSTING, "night in context", "of the night's background outside the movers, where the day is wanted"
    ),
    "seam_energy": _placed(SEAM_ENERGY, "seam energy", "along the border of the movers"),
    "halo": _placed(HALO, "halo", f"against the day, up to {HALO_REACH_PX} px outside the movers"),
    "colour_shift": _placed(COLOUR_SHIFT, "colour shift", "against the day, outside the movers"),
    "flicker": _placed(FLICKER, "flicker", "pixels outside the movers in both frames"),
}


def truth_scores(result: Tensor, case: Case, *, every: int = 1) -> TruthScores:
    """Scores of a result (T, 3, H, W) against the truth of its case, on every `every`-th frame.

    Raises SpecError for a case whose truth nobody knows, ShapeError when nothing or everything moves.
    """
    if case.truth is None:
        raise SpecError("truth_scores needs a case with a truth: take context_scores for real material")
    shown, truth, inside = result[::every], case.truth[::every], case.movers[::every]
    outside, field = ~inside, gradient(truth)
    return TruthScores(
        psnr(shown, truth, mask=inside),
        psnr(shown, truth, mask=outside),
        ssim(shown, truth, mask=inside),
        ssim(shown, truth, mask=outside),
        gradient_fidelity(shown, *field, mask=inside),
        gradient_fidelity(shown, *field, mask=outside),
    )


def context_scores(result: Tensor, case: Case, *, every: int = 1) -> ContextScores:
    """Scores of a result (T, 3, H, W) that need no truth, on every `every`-th frame; flicker on all of them.

    Raises ShapeError when nothing or everything moves.
    """
    shown, night, inside = result[::every], case.night[::every], case.movers[::every]
    steady = flicker(result, still=~case.movers) if len(result) > 1 else None
    return ContextScores(
        ghosting(shown, night, case.day, mask=inside),
        ghosting(shown, case.day, case.night_background, mask=~inside),
        seam_energy(shown, night, case.day, inside),
        halo(result, case, every=every).strength,
        context_shift(result, case, every=every),
        steady,
    )


def halo(result: Tensor, case: Case, *, every: int = 1) -> HaloProfile:
    """Luma deviation by distance from the movers: from the truth, or without one from N inside them and D outside."""
    wanted = case.truth if case.truth is not None else torch.where(case.movers[:, None], case.night, case.day)
    return halo_profile(result[::every], wanted[::every], case.movers[::every], max_distance_px=HALO_REACH_PX)


def context_shift(result: Tensor, case: Case, *, every: int = 1) -> float:
    """Colour shift against the day picture outside the movers, Delta E; the frames thinned by `every`."""
    return colour_shift(result[::every], case.day, mask=~case.movers[::every])


def all_scores(result: Tensor, case: Case, *, every: int = 1) -> dict[str, float]:
    """Every measure that the case allows, by its name in MEASURES."""
    scores: dict[str, float | None] = {}
    if case.truth is not None:
        scores |= asdict(truth_scores(result, case, every=every))
    scores |= asdict(context_scores(result, case, every=every))
    return {name: value for name, value in scores.items() if value is not None}


def mean_scores(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each measure over several cases, for instance the pictures of one seed."""
    return {name: fmean(one[name] for one in scores) for name in scores[0]}


def by_measure(scores: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """The values of each measure, one a seed."""
    return {name: [one[name] for one in scores] for name in scores[0]}


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
    return context_shift(before, case, every=every), context_shift(after, case, every=every)


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
