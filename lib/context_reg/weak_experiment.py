"""The regulariser beside strokes in place of full labels: `python -m lib.context_reg.weak_experiment OUT`.

A SegNet of an eighth of the paper's width learns rooms, or CamVid where it is named, from one stroke in each region, a
hundredth of all pixels, by the plan of the comparison: alone first, then both variants from there. The regulariser acts
on the open pixels too. Scored on full labels. Every run is one JSON file, and what is there already is not run again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from lib.context_reg.camvid_experiment import BUDGETS, SEEDS, WITH, settings_of, summary
from lib.context_reg.compare import ALONE, Run, run_all, shrunk
from lib.context_reg.comparison import Case, Plan, plan_for
from lib.context_reg.scenes import simulated_rooms
from lib.context_reg.settings import RegularizationSettings
from lib.context_reg.weak_labels import labelled_share, with_strokes
from lib.data.camvid import CamVid
from lib.data.labels import LabelledPicture

CASE = Case("segnet", "rgb", 4)
WIDTH, HEIGHT_PX, NUM_ROOMS, NUM_TESTS, NUM_STEPS = 8, 72, 160, 40, 100  # of rooms; the profile `teach` of 3_table
VARIANTS: Mapping[str, RegularizationSettings | None] = {
    ALONE: None,
    WITH: RegularizationSettings(weight=0.1, sigma=0.05),
    f"{WITH}, lambda 0.3": RegularizationSettings(weight=0.3, sigma=0.05),
}


def run_weak(
    data: Sequence[LabelledPicture],
    test: Sequence[LabelledPicture],
    plan: Plan,
    *,
    seeds: Sequence[int] = SEEDS,
    vgg: str | Path | None = None,
    folder: Path | None = None,
) -> list[Run]:
    """VARIANTS for every seed, trained on strokes of that seed over `data` and scored on the full labels of `test`.

    vgg: start of the first training. folder: as in `run_all`.
    """
    runs = []
    for seed in seeds:
        runs += run_all(
            with_strokes(data, seed=seed), test, networks=[(plan.network, plan.second)], variants=VARIANTS,
            seeds=[seed], alone_first={plan.network.host: plan.first}, vgg=vgg, folder=folder,
        )  # fmt: skip
    return runs


def main(
    out: Annotated[Path, typer.Argument(help="Folder for one JSON file a run; made where it is not there.")],
    camvid: Annotated[Path | None, typer.Option(help="CamVid in place of rooms: holds train/ and val/.")] = None,
    vgg: Annotated[Path | None, typer.Option(help="VGG-16 to start from; random numbers when left out.")] = None,
    steps: Annotated[int, typer.Option(help="Of both variants, after twice as many alone.")] = NUM_STEPS,
    seed: Annotated[list[int], typer.Option(help="Seeds, one option each.")] = list(SEEDS),  # noqa: B006
) -> None:
    """Train with strokes, with and without the regulariser, and print what came out."""
    out.mkdir(parents=True, exist_ok=True)
    plan = plan_for(CASE, width=WIDTH, num_steps=steps, device="cpu")
    if camvid is None:
        data = simulated_rooms(NUM_ROOMS, seed=1000, height_px=HEIGHT_PX, num_classes=CASE.num_classes)
        test = simulated_rooms(NUM_TESTS, seed=2000, height_px=HEIGHT_PX, num_classes=CASE.num_classes)
    else:
        data, test = (shrunk(CamVid(camvid, split), BUDGETS[CASE.host].size) for split in ("train", "val"))
        plan = Plan(settings_of(CASE.host)[0], plan.first, plan.second)
    typer.echo(f"labelled with strokes: {100 * labelled_share(with_strokes(data, seed=seed[0])):.1f} % of all pixels")
    typer.echo(summary(run_weak(data, test, plan, seeds=seed, vgg=vgg, folder=out)))


if __name__ == "__main__":
    typer.run(main)
