"""What tracks and filtered frames are scored by, under the names that tables and records use."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from lib.errors import DataMissing
from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.evaluate import PROTOCOL
from lib.ir_tracking.pairs import TargetSequence, one_frame
from lib.ir_tracking.settings import FilterSettings
from lib.metrics import (
    AOR,
    CENTRE_ERROR,
    PRECISION_3,
    PRECISION_5,
    PRECISION_20,
    SNR_DB,
    SUCCESS_AUC,
    Measure,
    Suppression,
    TrackingScores,
    decibels,
    suppression,
)

GUARD_PX = 1  # next to a true box, which holds 80 % of a point's energy
ERASED_DB = -20.0  # what a target counts that doesn't stand out at all
SNR_EVERY = 4  # of a sequence's frames


def _tracked(measure: Measure) -> Measure:
    return replace(measure, protocol=f"{measure.protocol}; {PROTOCOL}")


def _snr(name: str, what: str) -> Measure:
    about = f"{what}: median over a sequence's frames, one in {SNR_EVERY}; at least {ERASED_DB:g} dB; {SNR_DB.protocol}"
    return Measure(name, "dB", "higher", SNR_DB.best, about)


MEASURES: dict[str, Measure] = {
    "precision_3": _tracked(PRECISION_3),
    "precision_5": _tracked(PRECISION_5),
    "precision_20": _tracked(PRECISION_20),
    "aor": _tracked(AOR),
    "success_auc": _tracked(SUCCESS_AUC),
    "centre_error": _tracked(CENTRE_ERROR),
    "snr_before": _snr("SNR before", "of the frame"),
    "snr_after": _snr("SNR after", "of eq. 4's result"),
    "gain": _snr("SCR gain", "SCR of eq. 4's result over that of the frame, in dB"),
}
TRACKING_NAMES = ("precision_3", "precision_5", "precision_20", "aor", "success_auc", "centre_error")
SNR_NAMES = ("snr_before", "snr_after", "gain")
DIGITS = {"%": 1, "1": 3, "px": 2, "dB": 1, "pitches": 2}  # decimals in tables, by unit


def tracking_values(scores: TrackingScores) -> dict[str, float]:
    """Scores of a sequence by name, precisions in per cent."""
    values = {name: float(getattr(scores, name)) for name in TRACKING_NAMES}
    return {name: 100 * value if MEASURES[name].unit == "%" else value for name, value in values.items()}


def suppressions(
    sequence: TargetSequence, settings: FilterSettings | None = None, *, every: int = SNR_EVERY
) -> list[Suppression]:
    """Contrast of the target before and after the filter, in every `every`-th of the frames that show it.

    Raises DataMissing when none does.
    """
    shown = torch.nonzero(sequence.visible)[:, 0].tolist()[::every]
    if not shown:
        raise DataMissing("no frame shows the target: give a sequence with true boxes")
    return [_suppression(one_frame(sequence, number), sequence.boxes[number], settings) for number in shown]


def _suppression(frame: Tensor, box: Tensor, settings: FilterSettings | None) -> Suppression:
    plane = frame[0]
    after = suppress_background(plane, settings=settings).filtered
    return suppression(plane.float(), after.float(), box, guard_px=GUARD_PX)


def snr_values(contrasts: Sequence[Suppression]) -> dict[str, float]:
    """Medians of SNR before and after and of the SCR gain, dB, by name."""
    return {
        "snr_before": median(at_least(one.before.scr) for one in contrasts),
        "snr_after": median(at_least(one.after.scr) for one in contrasts),
        "gain": median(at_least(one.scr_gain) for one in contrasts),
    }


def at_least(ratio: float) -> float:
    """A ratio in decibels, ERASED_DB at the least, so that a mean with an erased target stays finite."""
    return max(decibels(ratio), ERASED_DB)
