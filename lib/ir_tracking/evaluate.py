"""The protocol: which sequences, started how, scored over which frames, for ours and every baseline alike."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Generator, Tensor

from lib.data.origin import Origin
from lib.ir_tracking.baselines import AnyTracker, NormalisedCorrelation, Still, TopHatKalman, mil
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.pairs import TargetSequence, one_frame
from lib.ir_tracking.scan_settings import MANOEUVRES, ScanSettings, Scenery
from lib.ir_tracking.simulator import ScanSimulator
from lib.ir_tracking.tracker import Tracker
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.weights import load_network
from lib.metrics import TrackingScores, mean_of_tracks, tracking_scores

MakeTracker = Callable[[], AnyTracker]
TEST_SEED = 1_000  # of the first test sequence; training's clips have other seeds
SCENERIES: tuple[Scenery, ...] = ("sky", "clouds", "ground")
SHORT_BY_NAME = {
    "ours, 300 steps": "ir_siamese_short",
    "without region selection": "ir_siamese_no_regions",
    "without fusion": "ir_siamese_no_fusion",
    "without filter": "ir_siamese_no_filter",
}
PROTOCOL = (
    "started with the true box of the first frame, then never corrected; scored over the frames after it in which the "
    "target is visible; mean of the sequences' means"
)


@dataclass(frozen=True)
class Case:
    """A named test sequence: frames (T, 1, H, W), boxes (T, 4), visible (T,), and where they came from."""

    name: str
    sequence: TargetSequence
    origin: Origin


@dataclass(frozen=True)
class SimulatedSet:
    """The simulated test set; every manoeuvre in every scenery, a second target that crosses in each third sequence."""

    num_sequences: int = 30
    num_frames: int = 200
    scr: tuple[float, float] = (2.0, 8.0)
    settings: ScanSettings = field(default_factory=ScanSettings)
    seed: int = TEST_SEED

    def but(self, **changes: Any) -> "SimulatedSet":
        """The same with some fields changed."""
        return replace(self, **changes)


def simulated_cases(test_set: SimulatedSet | None = None) -> Iterator[Case]:
    """The test sequences, made one after the other; the same set gives the same frames."""
    test_set = test_set or SimulatedSet()
    for number in range(test_set.num_sequences):
        settings = case_settings(test_set, number)
        simulator = ScanSimulator(settings, generator=Generator().manual_seed(test_set.seed + number))
        scan = simulator.simulate()
        crosses = ", crossing" if settings.crossing else ""
        name = f"{number:02d} {settings.scenery}, {settings.manoeuvres[0]}{crosses}"
        yield Case(name, scan.target(0), scan.origin)


def case_settings(test_set: SimulatedSet, number: int) -> ScanSettings:
    """Settings of one test sequence: its scenery, its manoeuvre, and whether a second target crosses."""
    crosses = number // (len(SCENERIES) * len(MANOEUVRES)) % 2 == 1
    return replace(
        test_set.settings,
        num_frames=test_set.num_frames,
        scr=test_set.scr,
        scenery=SCENERIES[number % len(SCENERIES)],
        manoeuvres=(MANOEUVRES[number // len(SCENERIES) % len(MANOEUVRES)],),
        num_targets=2 if crosses else 1,
        crossing=crosses,
    )


@dataclass(frozen=True)
class Run:
    """What a tracker gave on one sequence: boxes (T, 4), scores (T,), seen (T,), and its seconds for T - 1 steps."""

    boxes: Tensor
    scores: Tensor
    seen: Tensor
    seconds: float


def run_tracker(tracker: AnyTracker, sequence: TargetSequence) -> Run:
    """Starts with the first true box, then steps through the rest."""
    tracks = [tracker.start(one_frame(sequence, 0), sequence.boxes[0])]
    seconds = 0.0
    for number in range(1, len(sequence.boxes)):
        frame = one_frame(sequence, number)
        started = time.perf_counter()
        tracks.append(tracker.step(frame))
        seconds += time.perf_counter() - started
    return Run(
        torch.tensor([track.box for track in tracks], dtype=torch.float64),
        torch.tensor([track.score for track in tracks]),
        torch.tensor([track.seen for track in tracks]),
        seconds,
    )


def score_run(run: Run, sequence: TargetSequence) -> TrackingScores:
    """Scores over the frames after the first in which the target is visible."""
    return tracking_scores(*counted_boxes(run, sequence))


def counted_boxes(run: Run, sequence: TargetSequence) -> tuple[Tensor, Tensor]:
    """Boxes and true boxes (T - 1, 4), float64, of the frames after the first; truth is NaN where nothing is seen."""
    truth = sequence.boxes.double().cpu()
    return run.boxes[1:], truth.where(sequence.visible.cpu()[:, None], torch.nan)[1:]


@dataclass(frozen=True)
class Result:
    """A tracker's scores: `mean` over cases, `by_case`, and frames per second over all of them."""

    mean: TrackingScores
    by_case: dict[str, TrackingScores]
    fps: float


def evaluate(trackers: Mapping[str, MakeTracker], cases: Iterable[Case]) -> dict[str, Result]:
    """Every tracker, made afresh for each case, on every case; the cases are made once."""
    scores: dict[str, dict[str, TrackingScores]] = {name: {} for name in trackers}
    seconds, num_steps = dict.fromkeys(trackers, 0.0), 0
    for case in cases:
        num_steps += len(case.sequence.boxes) - 1
        for name, make in trackers.items():
            run = run_tracker(make(), case.sequence)
            scores[name][case.name] = score_run(run, case.sequence)
            seconds[name] += run.seconds
    return {
        name: Result(mean_of_tracks(by_case.values()), by_case, num_steps / max(seconds[name], 1e-9))
        for name, by_case in scores.items()
    }


def classic_trackers() -> dict[str, MakeTracker]:
    """Baselines that need no weights."""
    return {
        "box held still": Still,
        "top-hat + Kalman": TopHatKalman,
        "normalised correlation": NormalisedCorrelation,
        "MIL (OpenCV)": mil,
    }


def ours_without() -> dict[str, MakeTracker]:
    """Ours, trained as briefly as its parts are, and ours without each: 300 steps of the same clips and pairs.

    Without region selection it is SiamFC with its three scales; without the filter neither the network, nor the
    centring, nor the search after loss sees it. Raises Unavailable where a file of weights is missing.
    """
    return {name: siamese(load_network(weights)) for name, weights in SHORT_BY_NAME.items()}


def siamese(network: SiameseNetwork, settings: TrackerSettings | None = None) -> MakeTracker:
    """Makes trackers around a trained network."""
    return lambda: Tracker(network, settings)
