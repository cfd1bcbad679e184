"""Checks of the ablation's exercises: each takes a student's function and says in one sentence how far it is."""

from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor

from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.evaluate import SimulatedSet, simulated_cases
from lib.ir_tracking.measures import snr_values, suppressions
from lib.ir_tracking.scan_settings import ScanSettings
from lib.ir_tracking.scan_targets import point_response
from lib.ir_tracking.settings import FilterSettings
from lib.show.answers import Answer, NotYetError, called, graded, number_from

SIDE = 41
UNSEEN = SimulatedSet(
    num_sequences=6, num_frames=24, scr=(1.5, 3.0), seed=5_000,
    settings=ScanSettings(height_px=96, width_px=128),
)  # fmt: skip
LARGEST_PX = 5
GAIN_DB = 3.0


def check_longest(answer: Callable[[int], object]) -> Answer:
    """Exercise 1: longest(line_length) -> side in pixels of the largest square target that eqs 2 and 3 leave untouched.

    Counted by filtering bright squares on a dark ground.
    """

    def examine() -> str:
        for length in (5, 11, 15):
            wanted = max(side for side in range(1, length + 3) if _kept(side, length))
            ours = number_from(answer, length)
            if ours == length:
                raise NotYetError(f"a square of {length} px holds a line of {length} px: it counts as background")
            if ours != wanted:
                raise NotYetError(f"lines of {length} px: a square of {wanted} px survives, yours says {ours:g}")
        return "a line must be longer than the target; how much longer is a matter of the clutter, as the table shows"

    return graded(examine)


def check_loss(answer: Callable[[int], object]) -> Answer:
    """Exercise 2: loss(k) -> how far, in dB, a point's strongest sample falls when it lies as badly as it can.

    k samples a pitch, one axis, against a point in the middle of a sample; by `point_response` with the optics'
    default.
    """

    def examine() -> str:
        for samples in (1, 2, 4):
            settings = ScanSettings(oversampling=(1, samples))
            best, worst = (
                float(point_response(torch.tensor([away], dtype=torch.float64), settings, axis="y"))
                for away in (0.0, 0.5)
            )
            wanted = 20 * torch.tensor(best / worst).log10().item()
            ours = number_from(answer, samples)
            if abs(ours + wanted) < 0.01:
                raise NotYetError("give the loss as a positive number of dB")
            if abs(ours - wanted / 2) < 0.01:
                raise NotYetError("20 log10 of a ratio of amplitudes, as for the SCR")
            if abs(ours - wanted) > 0.01:
                raise NotYetError(f"{samples} samples a pitch: {wanted:.2f} dB are lost, yours says {ours:.2f}")
        return "this is what oversampling is for: a faint target is never lost between two samples"

    return graded(examine)


def check_better(answer: Callable[[], object]) -> Answer:
    """Exercise 3: better() -> FilterSettings whose SCR gain is higher by GAIN_DB than the default's on unseen scans.

    Asked for: a square target of LARGEST_PX survives eqs 2 to 4.
    """

    def examine() -> str:
        settings = called(answer)
        if not isinstance(settings, FilterSettings):
            raise NotYetError(f"return FilterSettings(...): got {type(settings).__name__}")
        if not _survives(LARGEST_PX, settings):
            raise NotYetError(f"a target of {LARGEST_PX} x {LARGEST_PX} px doesn't survive; exercise 1 says why")
        ours, theirs = _gain(settings), _gain(FilterSettings())
        says = f"SCR gain {ours - theirs:+.1f} dB against the default"
        if ours - theirs < GAIN_DB:
            raise NotYetError(f"{says}; {GAIN_DB:+.0f} is asked for: what did the tables above say?")
        return says

    return graded(examine)


def _kept(side: int, length: int) -> bool:
    frame = _square(side)
    return bool((suppress_background(frame, settings=FilterSettings(length)).suppressed == frame).all())


def _survives(side: int, settings: FilterSettings) -> bool:
    frame = _square(side)
    return bool((suppress_background(frame, settings=settings).filtered == frame).all())


def _square(side: int) -> Tensor:
    """A bright square on a dark ground."""
    frame = torch.zeros(SIDE, SIDE)
    frame[8 : 8 + side, 8 : 8 + side] = 1
    return frame


def _gain(settings: FilterSettings) -> float:
    """Median SCR gain, dB, mean of the unseen scans."""
    return fmean(snr_values(suppressions(case.sequence, settings))["gain"] for case in simulated_cases(UNSEEN))
