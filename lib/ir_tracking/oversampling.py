"""What finer sampling brings where scene, target and scan stay what they are: more pixels a target, more noise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import quantiles
from typing import Any

import torch
from torch import Generator, Tensor

from lib.ir_tracking.evaluate import MakeTracker, SimulatedSet, case_settings, counted_boxes, run_tracker
from lib.ir_tracking.measures import DIGITS, MEASURES, at_least, snr_values, suppressions
from lib.ir_tracking.scan_settings import ScanSettings
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.simulator import Scan, ScanSimulator, TargetScan
from lib.metrics import Measure
from lib.show import sweeps
from lib.show.canvas import ShownFigure
from lib.show.plots import score_plot
from lib.show.progress import progress
from lib.show.sweeps import Axis, Sweep
from lib.show.tables import Table

NEAR_PITCHES = 1.5  # 3 pixels at twofold oversampling
PROBE_SCR, PROBE_FRAMES = 8.0, 8  # of the scan that tells what contrast a target of given energy has
OVERSAMPLING_MEASURES: dict[str, Measure] = {
    "near": Measure(
        f"precision at {NEAR_PITCHES:g} pitches", "%", "higher", 100.0,
        f"frames that show the target, after the first, with a centre error of at most {NEAR_PITCHES:g} pitches",
    ),
    "error": Measure("centre error", "pitches", "lower", 0.0, "median distance of the centres, the same frames"),
    "snr_before": MEASURES["snr_before"],
    "snr_after": MEASURES["snr_after"],
    "snr_worst": replace(
        MEASURES["snr_after"], name="SNR after, worst tenth",
        protocol=f"tenth percentile over a sequence's frames; {MEASURES['snr_after'].protocol}",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class SameTarget:
    """A scan of the same scene and target by another sampling.

    factors: samples a pitch along and across the scan. energy: what the target adds to a frame, grey levels over one
    detector's area, mean of the frames.
    """

    scan: TargetScan
    factors: tuple[int, int]
    energy: float


def rescaled(settings: ScanSettings, factors: tuple[int, int]) -> ScanSettings:
    """The same field of view, scene, speeds and scan rate, sampled `factors` times a pitch along and across.

    Frame size and speeds follow in output pixels (speeds by the geometric mean of both factors); one sample collects
    light for as long as the scan takes to the next, so that its electrons fall with the samples along the scan.
    """
    along, across = (new / old for new, old in zip(factors, settings.oversampling, strict=True))
    finer = (along * across) ** 0.5
    slow, fast = settings.speed_px
    return replace(
        settings,
        oversampling=factors,
        height_px=round(settings.height_px * across),
        width_px=round(settings.width_px * along),
        speed_px=(slow * finer, fast * finer),
        drift_px=settings.drift_px * finer,
        jitter_px=settings.jitter_px * finer,
        electrons=settings.electrons / along,
    )


def same_target(scans: SimulatedSet, number: int, factors: tuple[int, int]) -> SameTarget:
    """Sequence `number` of the set, scanned with other factors at the same energy of the target, on the mean."""
    base = case_settings(scans, number)
    settings = rescaled(base, factors)
    generators = [Generator().manual_seed(scans.seed + number) for _ in range(3)]
    wanted, had = (energy_of_scr(one, generator) for one, generator in zip((base, settings), generators, strict=False))
    low, high = (value * wanted / had for value in base.scr)
    scan = ScanSimulator(replace(settings, scr=(low, high)), generator=generators[2]).simulate()
    return SameTarget(scan.target(0), factors, energy_in(scan, factors))


def energy_of_scr(settings: ScanSettings, generator: Generator) -> float:
    """What a target of SCR 1 adds to the frame, grey levels over one detector's area; mean of the first frames."""
    probe = replace(settings, scr=(PROBE_SCR, PROBE_SCR), num_targets=1, crossing=False, fades=0.0, occlusions=0.0)
    simulator = ScanSimulator(probe, generator=generator)
    scan = simulator.render(0, min(PROBE_FRAMES, len(simulator)))
    return energy_in(scan, settings.oversampling) / PROBE_SCR


def energy_in(scan: Scan, factors: tuple[int, int]) -> float:
    """What targets add to a frame, grey levels over one detector's area; mean of the frames.

    Each point of a target is in as many samples as a detector's area has.
    """
    added = (scan.frames - scan.empty).double().sum() / len(scan.frames)
    return abs(float(added)) / (factors[0] * factors[1])


def same_target_sweep(
    scans: SimulatedSet,
    factors: Sequence[tuple[int, int]],
    make: MakeTracker,
    *,
    settings: FilterSettings | None = None,
) -> Sweep[ScanSettings]:
    """OVERSAMPLING_MEASURES of one tracker under each sampling, on the same targets and scenes, one value a sequence.

    make: of trackers. settings: of the filter whose SNR is measured.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    for number in progress(range(scans.num_sequences), label="sequences"):
        for one in factors:
            scored = score_sampled(same_target(scans, number, one), make, settings=settings)
            rows.setdefault(label_of(one), []).append(scored)
    axis = Axis(
        "oversampling, same target",
        {label_of(one): rescaled(scans.settings, one) for one in factors},
        label_of(scans.settings.oversampling),
    )
    return Sweep(
        axis, {name: {row: [one[name] for one in held] for row, held in rows.items()} for name in OVERSAMPLING_MEASURES}
    )


def score_sampled(
    sampled: SameTarget, make: MakeTracker, *, settings: FilterSettings | None = None
) -> dict[str, float]:
    """OVERSAMPLING_MEASURES of a tracker on one sequence; distances in pitches of the detector."""
    boxes, truth = counted_boxes(run_tracker(make(), sampled.scan), sampled.scan)
    error = pitch_error(boxes, truth, sampled.factors)
    error = error[error.isfinite()]
    contrasts = suppressions(sampled.scan, settings, every=1)
    after = sorted(at_least(one.after.scr) for one in contrasts)
    values = snr_values(contrasts)
    return {
        "near": 100 * float((error <= NEAR_PITCHES).double().mean()),
        "error": float(error.median()),
        "snr_before": values["snr_before"],
        "snr_after": values["snr_after"],
        "snr_worst": quantiles(after, n=10)[0] if len(after) > 1 else after[0],
    }


def pitch_error(boxes: Tensor, truth: Tensor, factors: tuple[int, int]) -> Tensor:
    """Distance (T,) of the centres of boxes (T, 4) and true boxes, in pitches; NaN where there is no true box."""
    off = (boxes[:, :2] + boxes[:, 2:] / 2) - (truth[:, :2] + truth[:, 2:] / 2)
    return torch.linalg.vector_norm(off / torch.tensor(factors, dtype=off.dtype), dim=-1)


def label_of(factors: tuple[int, int]) -> str:
    """Factors in words, along the scan first."""
    return f"{factors[0]} x {factors[1]}"


def sweep_table(sweep: Sweep[ScanSettings]) -> Table:
    """Mean and 95 % interval under each sampling, a star at the best."""
    return sweeps.sweep_table(sweep, OVERSAMPLING_MEASURES, digits=DIGITS)


def snr_figure(sweep: Sweep[ScanSettings]) -> ShownFigure:
    """SNR after the filter under each sampling, dB, with the interval over the sequences."""
    return score_plot(sweep.scores["snr_after"], label="SNR after the filter (dB), higher is better")


def sweep_entries(sweep: Sweep[ScanSettings], *, data: str) -> list[dict[str, Any]]:
    """The scores as keyword arguments of a run's `add_score`, in the table `ablation, <axis>`."""
    return sweeps.sweep_entries(sweep, OVERSAMPLING_MEASURES, data=data)
