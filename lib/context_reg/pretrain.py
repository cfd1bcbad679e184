"""Training of the shipped network from nothing: `python -m lib.context_reg.pretrain` writes data/weights.

A SegNet of an eighth of the paper's width for the four super-classes, on simulated rooms alone, by the plan of the
comparison: first the softmax loss alone, then the regulariser beside it. It has never seen a photograph.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lib.context_reg.comparison import ROOMS_REGULARIZED, Case, plan_for
from lib.context_reg.evaluate import count
from lib.context_reg.networks import SHIPPED, save_network
from lib.context_reg.scenes import simulated_rooms
from lib.context_reg.train import Trained, train
from lib.data.labels import LabelledPicture
from lib.data.weights import manifest_path

CASE = Case("segnet", "rgb", 4)
TRAIN_SEED, TEST_SEED = 31, 32  # of the rooms; no notebook's have them


@dataclass(frozen=True)
class Pretraining:
    """How much, on what rooms, and how wide."""

    num_rooms: int = 300
    height_px: int = 96  # of the rooms that it learns from
    width: int = 8  # channels of the first block; 64 is the paper's
    num_steps: int = 400  # with the regulariser, after twice as many without
    seed: int = 0
    device: str = "auto"


def pretrain(rooms: Sequence[LabelledPicture], plan: Pretraining | None = None) -> Trained:
    """The trained network; same rooms, plan, machine and number of threads, same weights."""
    plan = plan or Pretraining()
    trainings = plan_for(CASE, width=plan.width, num_steps=plan.num_steps, device=plan.device)
    first = train(rooms, network=trainings.network, settings=trainings.first.but(seed=plan.seed))
    second = trainings.second.but(seed=plan.seed, regularization=ROOMS_REGULARIZED[CASE.host])
    return train(rooms, network=trainings.network, settings=second, start=first.network.state_dict())


def main(
    steps: Annotated[int, typer.Option(help="With the regulariser, after twice as many without.")] = 400,
    num_rooms: Annotated[int, typer.Option("--rooms", help="Rooms to learn from.")] = 300,
    num_tests: Annotated[int, typer.Option("--tests", help="Rooms to score the network on.")] = 60,
    out: Annotated[Path | None, typer.Option(help="Weights; the shipped file when left out.")] = None,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of first weights, order and what is drawn.")] = 0,
) -> None:
    """Train the small network on simulated rooms, write its weights, whole or not at all, and say how good it is."""
    plan = Pretraining(num_rooms=num_rooms, num_steps=steps, seed=seed, device=device)
    rooms_of = partial(simulated_rooms, height_px=plan.height_px, num_classes=CASE.num_classes)
    trained = pretrain(rooms_of(plan.num_rooms, seed=TRAIN_SEED), plan)
    settings = replace(trained.network_settings, seen_px=plan.height_px)
    save_network(trained.network, settings, out or manifest_path().parent / f"{SHIPPED}.safetensors")
    tests = rooms_of(num_tests, seed=TEST_SEED)
    scores = count(trained.network, settings, tests).scores()
    typer.echo(", ".join(f"{name} {value:.1f} %" for name, value in scores.items()))


if __name__ == "__main__":
    typer.run(main)
