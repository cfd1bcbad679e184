"""The protocol: same cases every time, frames in which the target can't be seen don't count, every tracker anew."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib.data.infrared import InfraredSequences
from lib.data.origin import Origin
from lib.ir_tracking.baselines import NormalisedCorrelation, Still
from lib.ir_tracking.evaluate import Case, SimulatedSet, evaluate, run_tracker, score_run, siamese, simulated_cases
from lib.ir_tracking.scan_settings import MANOEUVRES, ScanSettings
from lib.ir_tracking.tracker import Tracker
from lib.ir_tracking.weights import load_network
from lib.metrics import centre_error
from tests.ir_tracking.moving_spots import spot_clip, straight

TINY = SimulatedSet(num_frames=4, settings=ScanSettings(height_px=48, width_px=64))


def test_cases_repeat_and_cover_sceneries_manoeuvres_and_crossings() -> None:
    first, again = list(simulated_cases(TINY)), list(simulated_cases(TINY))
    assert len(first) == 30
    names = " ".join(case.name for case in first)
    assert all(word in names for word in ("sky", "clouds", "ground", "crossing", *MANOEUVRES))
    assert all(torch.equal(one.sequence.frames, other.sequence.frames) for one, other in zip(first, again, strict=True))
    assert all(case.origin.kind == "simulated" for case in first)
    other = next(simulated_cases(TINY.but(seed=5)))
    assert not torch.equal(other.sequence.frames, first[0].sequence.frames)


def test_frames_without_the_target_and_the_first_do_not_count() -> None:
    clip = spot_clip(straight(10))
    run = run_tracker(NormalisedCorrelation(), clip)
    boxes = run.boxes.clone()
    boxes[0] += 50
    boxes[4] += 50
    visible = clip.visible.clone()
    visible[4] = False
    assert score_run(replace(run, boxes=boxes), replace(clip, visible=visible)).precision_3 == 1
    assert score_run(replace(run, boxes=boxes), clip).precision_3 == pytest.approx(8 / 9)


def test_means_are_over_sequences() -> None:
    origin = Origin("spots", "simulated", "MIT", "", "test")
    cases = [Case(str(length), spot_clip(straight(length)), origin) for length in (6, 20)]
    made: list[Still] = []

    def make() -> Still:
        made.append(Still())
        return made[-1]

    result = evaluate({"still": make, "correlation": NormalisedCorrelation}, cases)
    assert len(made) == 2
    still = result["still"]
    assert still.mean.aor == pytest.approx(sum(one.aor for one in still.by_case.values()) / 2)
    assert result["correlation"].mean.precision_3 == 1
    assert result["correlation"].fps > 0


@pytest.mark.parametrize("name", ["seq_cloud_a", "seq_cloud_b"])
def test_real_targets_are_kept_to_the_last_frame(reference: Path, name: str) -> None:
    root = reference / "realdata" / "infrared"
    if not (root / name).is_dir():
        pytest.skip(f"realdata/infrared/{name} is not in the reference material; set NOCTURNE_REFERENCE")
    sequences = InfraredSequences(root)
    sequence = sequences[sequences.names.index(name)]
    run = run_tracker(Tracker(load_network()), sequence)
    truth = sequence.boxes.double()
    assert float(centre_error(run.boxes, truth).max()) <= 3


def test_ours_beats_the_classics_on_a_hard_scan() -> None:
    hard = SimulatedSet(
        num_sequences=2, num_frames=40, scr=(2.5, 2.5), settings=ScanSettings(height_px=120, width_px=160)
    )
    cases = list(simulated_cases(hard))
    result = evaluate({"ours": siamese(load_network()), "correlation": NormalisedCorrelation}, cases)
    assert result["ours"].mean.precision_3 > 0.9
    assert result["ours"].mean.aor > 0.55
    assert result["ours"].mean.aor > result["correlation"].mean.aor
