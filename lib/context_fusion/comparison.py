"""All methods on all cases: scores by seed, real cameras, and both as table rows and as scores for a record."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any, get_args

import torch
from torch import Tensor

from lib.context_fusion.evaluate import MEASURES, all_scores, halo, shift_before_and_after
from lib.context_fusion.methods import (
    METHODS,
    Case,
    algorithm_1,
    algorithm_2,
    case_of_scene,
    case_of_still,
    methods_for,
    on_device,
    simulated_night,
)
from lib.context_fusion.scenes import camera_pair
from lib.context_fusion.settings import ImageSettings, Rule, VideoSettings
from lib.data.fixed_camera import FixedCamera
from lib.data.images import resized
from lib.data.origin import Origin
from lib.data.samples import list_samples, sample_clip
from lib.data.simulate import NightScene, night_of_clip
from lib.show.canvas import method_colours
from lib.show.progress import progress
from lib.show.scores import Scores, by_seed, mean_scores
from lib.show.scores import score_entries as entries_of
from lib.show.scores import score_table as tabled
from lib.show.tables import Table, table

NIGHT = "night itself"
DIGITS = {"dB": 1, "1": 2, "grey levels": 2, "Delta E": 1}


def compare_methods(cases_by_seed: Sequence[Sequence[Case]], *, every: int = 1) -> Scores:
    """Every measure of every method, one value a seed: the mean over the seed's cases.

    The untouched night comes last, as what any method starts from. every: measure on every `every`-th frame.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    for cases in progress(cases_by_seed, label="seeds"):
        scored = [_score_all(case, every) for case in cases]
        for name in scored[0]:
            rows.setdefault(name, []).append(mean_scores([one[name] for one in scored]))
    return by_seed(rows)


def _score_all(case: Case, every: int) -> dict[str, dict[str, float]]:
    scores = {name: all_scores(fuse(case), case, every=every) for name, fuse in methods_for(case).items()}
    return scores | {NIGHT: all_scores(case.night, case, every=every)}


def results_of(case: Case, *, frame_idx: int) -> dict[str, Tensor]:
    """One frame (3, H, W) of night, day, truth where there is one, and every method's result, by name."""
    shown = {"night": case.night[frame_idx], "day": case.day}
    if case.truth is not None:
        shown["truth"] = case.truth[frame_idx]
    return shown | {name: fuse(case)[frame_idx] for name, fuse in methods_for(case).items()}


def halo_lines(case: Case, names: Iterable[str], *, every: int = 1) -> dict[str, tuple[list[float], list[float]]]:
    """Halo profiles as lines: method -> (distance from the movers' border in pixels, deviation in grey levels)."""
    profiles = {name: halo(METHODS[name](case), case, every=every) for name in names}
    return {name: (one.distance_px.tolist(), one.deviation.tolist()) for name, one in profiles.items()}


def method_colour() -> dict[str, str]:
    """One colour for each method, the same in every figure."""
    return method_colours(list(METHODS))


def score_table(scores: Scores, measures: Sequence[str], *, caption: str = "") -> Table:
    """Mean and 95 % interval of some measures, a star at the best of each; the night itself doesn't compete."""
    return tabled(scores, MEASURES, measures, digits=DIGITS, unranked=(NIGHT,), caption=caption)


def score_entries(
    scores: Mapping[str, Mapping[str, Sequence[float]]], *, table: str, data: str
) -> list[dict[str, Any]]:
    """The scores as keyword arguments of a run's `add_score`: mean, and the interval where there are several seeds."""
    return entries_of(scores, MEASURES, table=table, data=data)


def street_night(*, seed: int, num_frames: int, height_px: int, device: torch.device | str = "cpu") -> NightScene:
    """The real clip `street` of a fixed camera, darkened by the simulated camera; lamps and noise by the seed."""
    video = _street(num_frames, height_px)
    return on_device(night_of_clip(video, generator=torch.Generator().manual_seed(seed)), device)


# reading the film and taking out its drift costs more than a night of it
@lru_cache(maxsize=1)
def _street(num_frames: int, height_px: int) -> Tensor:
    return torch.stack([resized(frame, height_px) for frame in sample_clip("street", max_frames=num_frames).video])


def case_without_truth(scene: NightScene) -> Case:
    """The case of a darkened real clip, whose movers are an estimate, so that nobody knows a truth."""
    case = case_of_scene(scene)
    return Case(case.night, case.day, case.reference, case.movers, None, case.night_background, case.fusion)


@dataclass(frozen=True)
class CameraComparison:
    """All methods on the nights of one real camera; one value a night. shown: results of its first night by name."""

    name: str
    origin: Origin
    scores: Scores
    shown: dict[str, Tensor]


def compare_on_cameras(root: str, *, height_px: int, device: torch.device | str = "cpu") -> list[CameraComparison]:
    """The comparison on each camera of a FixedCamera folder, day registered to each night; none for root "".

    Raises what FixedCamera raises for a folder of another layout.
    """
    if not root:
        return []
    folder = FixedCamera(root)
    found = []
    for camera in folder.cameras:
        indices = [idx for idx, name in enumerate(folder.names) if name.startswith(f"{camera}/")]
        pairs = [camera_pair(root, idx, height_px=height_px) for idx in indices]
        cases = [case_of_still(pair.night.to(device), pair.day.to(device)) for pair in pairs]
        scores = compare_methods([[case] for case in cases])
        found.append(CameraComparison(camera, pairs[0].origins[0], scores, results_of(cases[0], frame_idx=0)))
    return found


def shift_table(cases_by_seed: Sequence[Sequence[Case]], *, every: int = 1) -> Table:
    """Colour shift of the context without and with the colour fit, mean over all cases; one row a method of ours."""
    ways: dict[str, tuple[Callable[[Case, Any], Tensor], ImageSettings | VideoSettings]] = {
        "Algorithm 2": (algorithm_2, VideoSettings())
    }
    for rule in get_args(Rule):
        ways[f"rule {rule}"] = algorithm_1, ImageSettings(rule=rule)
    cases = [case for seed_cases in cases_by_seed for case in seed_cases]
    rows = []
    for name, (fuse, settings) in ways.items():
        shifts = [shift_before_and_after(fuse, case, settings, every=every) for case in cases]
        rows.append([name, fmean(before for before, _ in shifts), fmean(after for _, after in shifts)])
    return table(rows, ["colour shift (Delta E)", "before the fit", "after the fit"], digits=1)


def weight_table(cases_by_seed: Sequence[Sequence[Case]]) -> Table:
    """How much of the night the default takes: mean W inside and outside the movers over all cases."""
    cases = [case for seed_cases in cases_by_seed for case in seed_cases]
    inside = fmean(float(case.fusion.importance[case.movers].mean()) for case in cases)
    outside = fmean(float(case.fusion.importance[~case.movers].mean()) for case in cases)
    return table([["mean weight of the night", inside, outside]], ["", "inside the movers", "outside"], digits=2)


def timing_night(*, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Night frames (T, 3, 240, 320) and the day (3, 240, 320) on which the paper's one number is timed."""
    scene = simulated_night("pagoda", seed=0, num_frames=13, height_px=240)
    window = (..., slice(240), slice(320))
    return scene.video[window].contiguous().to(device), scene.day[window].contiguous().to(device)


def clip_origin(scenes: Sequence[NightScene]) -> Origin:
    """Origin of the darkened clip: a real film under simulated light, so no benchmark and no plain sample."""
    licence = next(info.licence for info in list_samples() if info.name == "street")
    source = f"lib.data.simulate over the sample clip street, {len(scenes)} nights"
    return Origin("street by simulated night", "simulated", licence, "", source)
