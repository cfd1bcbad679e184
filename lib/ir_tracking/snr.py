"""How far targets stand out before and after the filter (Figure 3 on sound axes), and what filter and peak detect."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from lib.ir_tracking.evaluate import Case
from lib.ir_tracking.measures import MEASURES, at_least, suppressions
from lib.ir_tracking.pairs import TargetSequence
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.stills import Still as StillFrame
from lib.ir_tracking.stills import StillScores, score_stills
from lib.metrics import FA, PD, SNR_DB, Suppression
from lib.show.canvas import ShownFigure
from lib.show.plots import profile_plot
from lib.show.scores import Finding
from lib.show.tables import Table, table

SHARES = (0.1, 0.5, 0.9)


def contrasts_of(cases: Iterable[Case], settings: FilterSettings | None = None) -> list[Suppression]:
    """Every target in one frame of four of each sequence, before and after the filter."""
    return [one for case in cases for one in suppressions(case.sequence, settings)]


def decibels_of(contrasts: Sequence[Suppression]) -> dict[str, list[float]]:
    """SNR before, after, and the SCR gain of every target, dB, each in rising order."""
    return {
        "SNR before": sorted(at_least(one.before.scr) for one in contrasts),
        "SNR after": sorted(at_least(one.after.scr) for one in contrasts),
        "SCR gain": sorted(at_least(one.scr_gain) for one in contrasts),
    }


def snr_table(contrasts: Mapping[str, Sequence[Suppression]]) -> Table:
    """Lowest tenth, median, highest tenth and largest value of SNR and gain, dB, by data."""
    rows: list[list[object]] = []
    for name, held in contrasts.items():
        for measure, values in decibels_of(held).items():
            rows.append([name, measure, len(values), *(quantile(values, share) for share in SHARES), values[-1]])
    columns = ["data", "dB", "targets", *(f"{100 * share:.0f} % below" for share in SHARES), "largest"]
    return table(rows, columns, digits=1)


def snr_over_time(sequence: TargetSequence, *, every: int = 1) -> ShownFigure:
    """SNR of a target from frame to frame, before and after the filter; frames that hide it are left out."""
    contrasts = suppressions(sequence, every=every)
    numbers = sequence.visible.nonzero()[:, 0].tolist()[::every]
    lines = {
        "before the filter": (numbers, [at_least(one.before.scr) for one in contrasts]),
        "after the filter": (numbers, [at_least(one.after.scr) for one in contrasts]),
    }
    return profile_plot(lines, x_label="frame", y_label="SNR of the target (dB)")


def snr_shares(contrasts: Mapping[str, Sequence[Suppression]], *, published_db: float) -> ShownFigure:
    """Share of targets whose SNR is at most a value, before and after the filter; a dashed line at the paper's
    largest."""
    lines = {}
    for name, held in contrasts.items():
        values = decibels_of(held)
        for when in ("SNR before", "SNR after"):
            share = [100 * (idx + 1) / len(held) for idx in range(len(held))]
            lines[f"{name}, {when.removeprefix('SNR ')}"] = (values[when], share)
    return profile_plot(lines, x_label="SNR at most (dB)", y_label="targets (%)", mark_x=published_db)


def stills_scores(stills: Sequence[StillFrame]) -> dict[str, StillScores]:
    """Filter and peak on single frames with four and with eight directions."""
    return {
        f"{directions} directions": score_stills(stills, settings=FilterSettings(directions=directions))
        for directions in (4, 8)
    }


def detection_table(scored: Mapping[str, StillScores]) -> Table:
    """Pd and Fa by threshold, and how often the strongest response of a frame is a target."""
    rows: list[list[object]] = []
    for name, scores in scored.items():
        hits = f"{scores.strongest_hits} of {scores.num_frames}"
        for threshold, counts in scores.detections.items():
            rows.append([name, threshold, 100 * counts.pd, f"{counts.fa:.1e}", hits])
    return table(
        rows, ["filter", "threshold (deviations)", f"{PD.name} (%)", FA.name, "strongest is a target"], digits=1
    )


def snr_entries(contrasts: Sequence[Suppression], *, table: str, data: str) -> list[dict[str, Any]]:
    """Medians of SNR and gain over targets as keyword arguments of a run's `add_score`."""
    values = decibels_of(contrasts)
    measures = {"SNR before": "snr_before", "SNR after": "snr_after", "SCR gain": "gain"}
    return [
        Finding("filter", MEASURES[name], median(values[shown])).score(table) | {"data": data}
        for shown, name in measures.items()
    ]


def stills_entries(scored: Mapping[str, StillScores], *, data: str) -> list[dict[str, Any]]:
    """Medians, Pd and Fa of stills as keyword arguments of a run's `add_score`, in the table `stills`."""
    entries = []
    for name, scores in scored.items():
        _, after = scores.median_snr_db
        entries += [Finding(name, SNR_DB, after).score("stills")]
        for threshold, counts in scores.detections.items():
            row = f"{name}, {threshold:g} deviations"
            entries += [Finding(row, PD, 100 * counts.pd).score("stills"), Finding(row, FA, counts.fa).score("stills")]
    return [entry | {"data": data} for entry in entries]


def quantile(values: Sequence[float], share: float) -> float:
    """The value in rising order below which this share lies, to the nearest one."""
    return values[min(round(share * (len(values) - 1)), len(values) - 1)]
