"""What cleaning brings: `python -m lib.context_reg.cleaning` measures `minimum.free_minimum` on the shipped network.

No network learns anything here: the context loss works on finished predictions, as in `nocturne apply context_reg IN
OUT --clean`.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, cast

import torch
import typer
from torch import nn

from lib.context_reg.camvid_experiment import SEEDS
from lib.context_reg.compare import MEASURES
from lib.context_reg.comparison import CLEAR, Case, is_clear, plan_for, said_points
from lib.context_reg.minimum import SIGMA, WEIGHT, free_minimum
from lib.context_reg.networks import SHIPPED, Host, load_network
from lib.context_reg.pretrain import TEST_SEED
from lib.context_reg.scenes import simulated_rooms
from lib.context_reg.train import train
from lib.context_reg.weak_experiment import CASE, HEIGHT_PX, NUM_ROOMS, NUM_STEPS, NUM_TESTS, WIDTH
from lib.data.labels import LabelledPicture
from lib.metrics.segmentation import SegmentationMeter
from lib.show.tables import Table, table

GROUPS = 6  # of pictures, each scored by itself, so that differences have an interval


@torch.no_grad()
def predictions(network: nn.Module, pictures: Sequence[LabelledPicture]) -> list[torch.Tensor]:
    """Probabilities (C, H, W) of every picture by a network that reads RGB, on the CPU."""
    device = next(network.parameters()).device
    return [network(one.image[None].to(device))[0].softmax(0).cpu() for one in pictures]


def cleaned(
    found: Sequence[torch.Tensor],
    pictures: Sequence[LabelledPicture],
    *,
    weight: float = WEIGHT,
    sigma: float = SIGMA,
) -> list[torch.Tensor]:
    """The predictions (C, H, W) after cleaning, with lambda `weight` beside a mean cross-entropy."""
    return [
        free_minimum(one, picture.image, weight=weight, sigma=sigma)
        for one, picture in zip(found, pictures, strict=True)
    ]


def scores(found: Sequence[torch.Tensor], pictures: Sequence[LabelledPicture]) -> dict[str, float]:
    """Scores in per cent by measure name of the predictions (C, H, W) of all pictures together."""
    meter = SegmentationMeter(len(found[0]))
    for one, picture in zip(found, pictures, strict=True):
        meter.add(one.argmax(0), picture.labels)
    return meter.scores()


def cleaning_table(networks: Mapping[str, nn.Module], pictures: Sequence[LabelledPicture]) -> Table:
    """Scores of each network's predictions as they are and cleaned; all pictures together, no interval."""
    rows = []
    for name, network in networks.items():
        found = predictions(network, pictures)
        for said, ones in ((name, found), (f"{name}, cleaned", cleaned(found, pictures))):
            by_name = scores(ones, pictures)
            rows.append([said, *(by_name[measure] for measure in MEASURES)])
    return table(rows, ["", *(f"{measure} (%)" for measure in MEASURES)], digits=1)


def gains(network: nn.Module, pictures: Sequence[LabelledPicture]) -> dict[str, list[float]]:
    """Cleaned minus as it is, in points by measure, one value a group of pictures; none where a group has no value."""
    size = len(pictures) // GROUPS
    changes: dict[str, list[float]] = {measure: [] for measure in MEASURES}
    for first in range(0, size * GROUPS, size):
        some = pictures[first : first + size]
        found = predictions(network, some)
        before, after = scores(found, some), scores(cleaned(found, some), some)
        for measure, values in changes.items():
            change = after[measure] - before[measure]
            if not math.isnan(change):  # a group without a small object
                values.append(change)
    return changes


def gains_of_hosts(
    rooms: Sequence[LabelledPicture],
    tests: Sequence[LabelledPicture],
    *,
    host: Host,
    width: int,
    num_steps: int,
    seeds: Sequence[int],
) -> dict[str, list[float]]:
    """Cleaned minus as it is on all `tests`, in points by measure, one value a seed of a host's first training.

    rooms, tests: with the four super-classes. num_steps: as in `plan_for`, half of what is trained here.
    """
    plan = plan_for(Case(host, "rgb", CASE.num_classes), width=width, num_steps=num_steps, device="cpu")
    changes: dict[str, list[float]] = {measure: [] for measure in MEASURES}
    for seed in seeds:
        network = train(rooms, network=plan.network, settings=plan.first.but(seed=seed)).network
        found = predictions(network, tests)
        before, after = scores(found, tests), scores(cleaned(found, tests), tests)
        for measure, values in changes.items():
            values.append(after[measure] - before[measure])
    return changes


def main(
    weights: Annotated[
        str, typer.Option(help="context_rooms (shipped), or a file of this project's training.")
    ] = SHIPPED,
    num_rooms: Annotated[int, typer.Option("--rooms", min=GROUPS, help="To clean and score.")] = 60,
    host: Annotated[
        str, typer.Option(help="segnet | fcn32s: train three as 3_table's `teach` does, in place of the weights.")
    ] = "",
) -> None:
    """Clean a network's predictions on unseen rooms and say what that changes, in points with 95 % intervals."""
    if host:
        rooms_of = partial(simulated_rooms, height_px=HEIGHT_PX, num_classes=CASE.num_classes)
        rooms, tests = rooms_of(NUM_ROOMS, seed=1000), rooms_of(NUM_TESTS, seed=2000)
        sizes = {"width": WIDTH, "num_steps": NUM_STEPS}
        changes = gains_of_hosts(rooms, tests, host=cast(Host, host), seeds=SEEDS, **sizes)
    else:
        loaded = load_network(weights)
        of = loaded.settings
        rooms = simulated_rooms(num_rooms, seed=TEST_SEED, height_px=of.seen_px, num_classes=of.num_classes)
        changes = gains(loaded.network, rooms)
    for measure, values in changes.items():
        said = f"{said_points(values, signed=True)}{CLEAR * is_clear(values)}" if values else "none"
        typer.echo(f"{measure}: {said}")


if __name__ == "__main__":
    typer.run(main)
