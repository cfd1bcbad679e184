"""The context loss on finished predictions: `python -m lib.context_reg.cleaning` measures it on the shipped network.

No network learns anything here: the logits of one picture are moved to where cross-entropy to the prediction and
context loss together are least (`walkthrough.free_minimum`), which is what a conditional random field is used for.
Choice: ours; the paper uses the loss in training alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
import typer
from torch import nn

from lib.context_reg.compare import MEASURES
from lib.context_reg.comparison import CLEAR, is_clear, said_points
from lib.context_reg.networks import SHIPPED, load_network
from lib.context_reg.pretrain import TEST_SEED
from lib.context_reg.scenes import simulated_rooms
from lib.context_reg.walkthrough import free_minimum
from lib.data.labels import LabelledPicture
from lib.metrics.segmentation import SegmentationMeter
from lib.show.tables import Table, table

# of 0.3 to 30 and 0.01 to 0.1: the best for the shipped network on 10 rooms of seed 41, which no reported number has
WEIGHT, SIGMA = 10.0, 0.02
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


def main(
    weights: Annotated[
        str, typer.Option(help="context_rooms (shipped), or a file of this project's training.")
    ] = SHIPPED,
    num_rooms: Annotated[int, typer.Option("--rooms", min=GROUPS, help="To clean and score.")] = 60,
) -> None:
    """Clean a network's predictions on unseen rooms and say what that changes, in points with 95 % intervals."""
    loaded = load_network(weights)
    settings = loaded.settings
    rooms = simulated_rooms(num_rooms, seed=TEST_SEED, height_px=settings.seen_px, num_classes=settings.num_classes)
    for measure, values in gains(loaded.network, rooms).items():
        said = f"{said_points(values, signed=True)}{CLEAR * is_clear(values)}" if values else "none"
        typer.echo(f"{measure}: {said}")


if __name__ == "__main__":
    typer.run(main)
