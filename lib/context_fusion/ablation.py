"""What each choice of the method is worth: one setting at a time, on the same nights, against the default."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from lib.context_fusion.comparison import DIGITS
from lib.context_fusion.evaluate import MEASURES, some_scores
from lib.context_fusion.methods import Case, algorithm_1, algorithm_2, case_of_scene
from lib.context_fusion.settings import ImageSettings, VideoSettings
from lib.data.origin import Origin
from lib.data.simulate import NightScene
from lib.data.simulate.sensor import expose, to_linear
from lib.show import sweeps
from lib.show.canvas import ShownFigure
from lib.show.sweeps import Axis, Sweep, axis_of, numbers, run_sweep
from lib.show.tables import Table

Settings = ImageSettings | VideoSettings
# first what happens to the movers, then what happens around them
ABLATION_MEASURES = (
    "psnr_inside",
    "fidelity_inside",
    "ghosting_inside",
    "seam_energy",
    "psnr_outside",
    "ghosting_outside",
    "colour_shift",
    "flicker",
)


STILL, VIDEO = ImageSettings(), VideoSettings()
AXES: dict[str, Axis[Any]] = {
    axis.name: axis
    for axis in (
        axis_of("importance rule", STILL, {rule: {"rule": rule} for rule in ("threshold", "max", "reference")}),
        axis_of("gradient threshold", STILL, numbers("gradient_threshold", (5.0, 10.0, 20.0, 40.0), " levels")),
        axis_of("light threshold", STILL, numbers("intensity_threshold", (64.0, 128.0, 192.0), " levels")),
        axis_of("motion threshold", VIDEO, numbers("difference_threshold", (5.0, 10.0, 20.0, 40.0), " levels")),
        axis_of("half window c", VIDEO, numbers("half_window", (0, 2, 5, 8), " frames"), published="5 frames"),
        axis_of("denoising", VIDEO, numbers("susan_passes", (0, 1, 2, 3), " passes")),
        axis_of(
            "solver",
            VIDEO,
            {"direct": {}} | {f"multigrid, {n}": {"solver": "multigrid", "multigrid_cycles": n} for n in (1, 3)},
            published="multigrid, 3",
        ),
        axis_of(
            "padding", VIDEO, {name: {"padding": name} for name in ("none", "replicate", "black")}, published="black"
        ),
        axis_of("colour fit", VIDEO, {"on": {}, "off": {"colour_fit": False}}, published="on"),
    )
}


def run_axis(axis: Axis[Any], cases: Sequence[Case], *, every: int = 1) -> Sweep[Any]:
    """All settings of an axis on all nights, measured on every `every`-th frame."""
    return run_sweep(axis, lambda settings: [score_settings(settings, case, every=every) for case in cases])


def score_settings(settings: Settings, case: Case, *, every: int = 1) -> dict[str, float]:
    """ABLATION_MEASURES of Algorithm 2 with video settings, of Algorithm 1 on each frame with still ones."""
    fused = algorithm_1(case, settings) if isinstance(settings, ImageSettings) else algorithm_2(case, settings)
    return some_scores(fused, case, ABLATION_MEASURES, every=every)


def noise_floor(scenes: Sequence[NightScene], settings: Settings, *, every: int = 1) -> dict[str, float]:
    """Mean absolute change of each measure when nothing but the camera's noise is drawn anew.

    A setting whose change stays below it makes no difference that this comparison could see.
    """
    changes = []
    for number, scene in enumerate(scenes):
        again = retake(scene, generator=torch.Generator().manual_seed(10_000 + number))
        first, second = (score_settings(settings, case_of_scene(one), every=every) for one in (scene, again))
        changes.append({name: abs(first[name] - second[name]) for name in first})
    return {name: sum(change[name] for change in changes) / len(changes) for name in ABLATION_MEASURES}


def retake(scene: NightScene, *, generator: torch.Generator) -> NightScene:
    """The same night, filmed once more: other noise in the video, all else as it was."""
    frames = [
        expose(to_linear(frame.cpu()), generator=generator, settings=scene.settings).to(frame) for frame in scene.clean
    ]
    return replace(scene, video=torch.stack(frames))


def sweep_table(sweep: Sweep[Any]) -> Table:
    """Mean and 95 % interval of each setting over the nights, a star at the best."""
    return sweeps.sweep_table(sweep, MEASURES, digits=DIGITS)


def sweep_figure(sweep: Sweep[Any], floor: Mapping[str, float]) -> ShownFigure:
    """Changes from the default, one panel a measure, with the noise floor of `noise_floor`."""
    return sweeps.sweep_figure(sweep, MEASURES, floor)


def effects_table(swept: Sequence[Sweep[Any]], floors: Sequence[Mapping[str, float]]) -> Table:
    """Largest mean change that each choice makes to each measure, or "." where it drowns; see lib.show.sweeps."""
    return sweeps.effects_table(swept, floors, MEASURES)


def sweep_entries(sweep: Sweep[Any], *, data: str) -> list[dict[str, Any]]:
    """The scores of a sweep as keyword arguments of a run's `add_score`, in the table `ablation, <axis>`."""
    return sweeps.sweep_entries(sweep, MEASURES, data=data)


def floor_table(floors: Mapping[str, Mapping[str, float]]) -> Table:
    """The noise floor of each measure, one row an algorithm."""
    return sweeps.floor_table(floors, MEASURES)


def all_nights(scenes: Sequence[NightScene]) -> Origin:
    """One origin for scores over several simulated nights; it names the pictures under them and their licences."""
    names = list(dict.fromkeys(scene.origin.name for scene in scenes))
    licences = list(dict.fromkeys(scene.origin.licence for scene in scenes))
    return Origin("simulated nights", "simulated", "; ".join(licences), "", f"lib.data.simulate: {', '.join(names)}")
