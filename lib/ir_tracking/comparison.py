"""All trackers on all sequences: scores, curves (Figures 4 and 6 on sound axes), and ours beside the published rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from lib.data.origin import Origin
from lib.errors import DataMissing, LabError
from lib.ir_tracking.baselines import nano_track
from lib.ir_tracking.evaluate import (
    SHORT_BY_NAME,
    Case,
    MakeTracker,
    classic_trackers,
    counted_boxes,
    run_tracker,
    siamese,
)
from lib.ir_tracking.measures import DIGITS, MEASURES, TRACKING_NAMES, tracking_values
from lib.ir_tracking.weights import SHIPPED, load_network
from lib.metrics import precision_curve, success_curve, tracking_scores
from lib.metrics.tracking import MAX_PRECISION_PX, NUM_SUCCESS_THRESHOLDS
from lib.show import scores as shown
from lib.show.canvas import PALETTE, ShownFigure
from lib.show.plots import mean_interval, profile_plot
from lib.show.progress import progress
from lib.show.tables import Table, table

OURS = "ours"
STILL, KALMAN, CORRELATION, MIL = classic_trackers()
NANO = "NanoTrack (OpenCV)"
SHORT, NO_REGIONS, NO_FUSION, NO_FILTER = SHORT_BY_NAME
NETWORKS = {OURS: SHIPPED, **SHORT_BY_NAME}
CURVES = (OURS, KALMAN, CORRELATION, MIL, NANO, NO_REGIONS, NO_FILTER)  # as many as a figure keeps apart
NEAR_PX = 3.0
SHOWN_PX = 20  # of the precision curve


@dataclass(frozen=True)
class Trackers:
    """makers: of fresh trackers, by name. missing: why others can't run here."""

    makers: dict[str, MakeTracker]
    missing: dict[str, str]


def table_trackers(*, device: torch.device | str = "cpu", nano_root: str = "") -> Trackers:
    """Ours, the baselines, and ours with and without its parts after 300 steps; what can't run is named with why.

    nano_root: folder with NanoTrack's two ONNX files, `*backbone*.onnx` and `*head*.onnx`; "": none.
    """
    makers: dict[str, MakeTracker] = {OURS: siamese(load_network().to(device))}
    missing: dict[str, str] = {}
    for name, make in classic_trackers().items():
        try:
            make()
            makers[name] = make
        except LabError as reason:
            missing[name] = f"not run: {reason}"
    try:
        backbone, head = (_only(nano_root, part) for part in ("backbone", "head"))
        tracker = nano_track(backbone, head)
        tracker.make()
        makers[NANO] = lambda: nano_track(backbone, head)
    except LabError as reason:
        missing[NANO] = f"not run: {reason}"
    makers |= {name: siamese(load_network(weights).to(device)) for name, weights in SHORT_BY_NAME.items()}
    return Trackers(makers, missing)


@dataclass(frozen=True)
class Comparison:
    """What trackers did on some sequences.

    scores: tracker -> measure -> one value a sequence, in the order of `cases`. precision (51,), success (21,): mean
    curves over the sequences, 0..1, by tracker. last_error: tracker -> sequence -> centre error of its last frame that
    shows the target, px. fps: frames a second over all sequences, by tracker.
    """

    scores: shown.Scores
    precision: dict[str, Tensor]
    success: dict[str, Tensor]
    last_error: dict[str, dict[str, float]]
    fps: dict[str, float]
    cases: list[str]
    missing: dict[str, str] = field(default_factory=dict)


def compare_trackers(cases: Iterable[Case], trackers: Trackers, *, total: int | None = None) -> Comparison:
    """Every tracker on every sequence, by the protocol of lib.ir_tracking.evaluate; a sequence is in memory at a time.

    total: number of sequences, for the progress bar. Raises DataMissing without any.
    """
    makers = trackers.makers
    values: dict[str, list[dict[str, float]]] = {name: [] for name in makers}
    curves: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in makers}
    last: dict[str, dict[str, float]] = {name: {} for name in makers}
    seconds, num_steps, names = dict.fromkeys(makers, 0.0), 0, []
    for case in progress(cases, total=total, label="sequences"):
        names.append(case.name)
        num_steps += len(case.sequence.boxes) - 1
        for name, make in makers.items():
            run = run_tracker(make(), case.sequence)
            boxes, truth = counted_boxes(run, case.sequence)
            values[name].append(tracking_values(tracking_scores(boxes, truth)))
            curves[name].append((precision_curve(boxes, truth), success_curve(boxes, truth)))
            last[name][case.name] = _last_error(boxes, truth)
            seconds[name] += run.seconds
    if not names:
        raise DataMissing("no sequence to compare on: give at least one")
    precision, success = (
        {name: torch.stack([pair[part] for pair in held]).mean(dim=0) for name, held in curves.items()}
        for part in (0, 1)
    )
    fps = {name: num_steps / max(spent, 1e-9) for name, spent in seconds.items()}
    return Comparison(shown.by_seed(values), precision, success, last, fps, names, dict(trackers.missing))


def score_table(compared: Comparison, *, caption: str = "") -> Table:
    """Mean and 95 % interval over the sequences of every measure, a star at the best of each."""
    return shown.score_table(
        compared.scores, MEASURES, TRACKING_NAMES, digits=DIGITS, unranked=(STILL,), caption=caption
    )


def missing_table(compared: Comparison) -> Table:
    """What could not run here, and what would make it run."""
    return table([[name, why] for name, why in compared.missing.items()], ["tracker", "why"])


def sequence_table(compared: Comparison, names: Sequence[str]) -> Table:
    """Precision at 3 px, AOR and the error in the last frame of some trackers, sequence by sequence."""
    rows: list[list[object]] = []
    for name in (one for one in names if one in compared.scores):
        for number, case in enumerate(compared.cases):
            held = {measure: compared.scores[name][measure][number] for measure in ("precision_3", "aor")}
            error = compared.last_error[name][case]
            rows.append([case, name, held["precision_3"], held["aor"], error, error <= NEAR_PX])
    columns = ["sequence", "tracker", "precision at 3 px (%)", "AOR", "error, last frame (px)", "kept"]
    return table(rows, columns, digits={columns[2]: 1, columns[3]: 3, columns[4]: 1})


def colours() -> dict[str, str]:
    """One colour for each tracker that figures show, the same in all of them."""
    return dict(zip(CURVES, PALETTE, strict=True))


def precision_figure(compared: Comparison) -> ShownFigure:
    """Figure 6 on a sound axis: share of frames within a centre error, over the error."""
    x = list(range(min(SHOWN_PX, MAX_PRECISION_PX) + 1))
    lines = {name: (x, (100 * compared.precision[name][: len(x)]).tolist()) for name in _drawn(compared)}
    return profile_plot(
        lines, x_label="centre error at most (px)", y_label="frames (%)", colours=colours(), mark_x=NEAR_PX
    )


def success_figure(compared: Comparison) -> ShownFigure:
    """Figure 4 on a sound axis: share of frames whose overlap is above a threshold, over the threshold."""
    x = [idx / (NUM_SUCCESS_THRESHOLDS - 1) for idx in range(NUM_SUCCESS_THRESHOLDS)]
    lines = {name: (x, (100 * compared.success[name]).tolist()) for name in _drawn(compared)}
    return profile_plot(lines, x_label="overlap (IoU) above", y_label="frames (%)", colours=colours())


def score_entries(compared: Comparison, *, table: str, data: str) -> list[dict[str, Any]]:
    """The scores as keyword arguments of a run's `add_score`, with the weights of each network."""
    entries = shown.score_entries(compared.scores, MEASURES, table=table, data=data)
    return [entry | {"weights": NETWORKS.get(entry["row"], "")} for entry in entries]


def text_entries(compared: Comparison, *, largest_snr_db: float, fps: float, data: str) -> list[dict[str, Any]]:
    """Ours at the places of the numbers that the paper's text gives; their protocols say in what they differ.

    largest_snr_db: of all targets after the filter. fps: of filter and tracking on a frame of the paper's size.
    """
    values = compared.scores[OURS]
    chosen = {
        "SNR maximum": (replace(MEASURES["snr_after"], protocol="largest SNR of a target after the filter, eq. 13 with "
                                "the background's mean removed"), [largest_snr_db]),
        "AOR": (MEASURES["aor"], values["aor"]),
        "mean precision": (MEASURES["precision_3"], values["precision_3"]),
    }  # fmt: skip
    entries = []
    for column, (measure, held) in chosen.items():
        [entry] = shown.score_entries(
            {"proposed": {"value": held}}, {"value": replace(measure, name=column)}, table="text", data=data
        )
        entries.append(entry | {"weights": SHIPPED})
    speed = {
        "table": "text", "row": "proposed", "column": "speed", "value": fps, "unit": "frame/s", "better": "higher",
        "protocol": "median time of filter of the whole frame and tracking, 640x480, small network", "data": data,
        "weights": SHIPPED,
    }  # fmt: skip
    return [*entries, speed]


def beside_published(
    printed: Mapping[str, Mapping[str, str]], ours: Mapping[str, float], *, caption: str = ""
) -> Table:
    """The text's numbers as printed, row by row, and ours below them. Nothing here is a verdict."""
    columns = list(dict.fromkeys(column for row in printed.values() for column in row))
    rows = [[f"{row}, published", *(held.get(column, "-") for column in columns)] for row, held in printed.items()]
    rows.append(["ours, here", *(f"{ours[column]:.3g}" if column in ours else "-" for column in columns)])
    return table(rows, ["", *columns], caption=caption)


def mean_of(compared: Comparison, name: str, measure: str) -> float:
    """Mean over the sequences of one tracker's measure."""
    return fmean(compared.scores[name][measure])


def difference(compared: Comparison, first: str, second: str, measure: str) -> tuple[float, float]:
    """Mean paired difference of two trackers over the sequences, and half its 95 % interval."""
    pairs = zip(compared.scores[first][measure], compared.scores[second][measure], strict=True)
    return mean_interval([one - other for one, other in pairs])


def cases_origin(name: str, cases: Sequence[Case]) -> Origin:
    """One origin for scores over several sequences; names, licences and sources each once."""
    origins = [case.origin for case in cases]
    names, licences, sources, sums = (
        "; ".join(dict.fromkeys(filter(None, values)))
        for values in zip(*((one.name, one.licence, one.source, one.sha256) for one in origins), strict=True)
    )
    return Origin(name, origins[0].kind, licences, sums, f"{names}; {sources}")


def _drawn(compared: Comparison) -> list[str]:
    return [name for name in CURVES if name in compared.scores]


def _last_error(boxes: Tensor, truth: Tensor) -> float:
    """Distance of the centres in the last frame with a true box."""
    frame = int(truth.isfinite().all(dim=-1).nonzero()[-1])
    centres = [one[frame, :2] + one[frame, 2:] / 2 for one in (boxes, truth)]
    return float(torch.linalg.vector_norm(centres[0] - centres[1]))


def _only(root: str, part: str) -> Path:
    """The ONNX file of a folder with this word in its name."""
    if not root:
        raise DataMissing("name the folder of NanoTrack's two ONNX files with nano_root")
    found = sorted(Path(root).glob(f"*{part}*.onnx"))
    if not found:
        raise DataMissing(f"the folder holds no *{part}*.onnx; give NanoTrack's backbone and head")
    return found[0]
