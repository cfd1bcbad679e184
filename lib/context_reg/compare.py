"""Hosts with and without the regulariser, side by side: same pictures, same budget, same seeds."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from lib.context_reg.batches import Data
from lib.context_reg.evaluate import count
from lib.context_reg.networks import Host, NetworkSettings
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.settings import RegularizationSettings
from lib.context_reg.train import Trained, train
from lib.data.atomic import appears_whole
from lib.data.labels import LabelledPicture
from lib.errors import DataMissing
from lib.metrics.segmentation import BOUNDARY_F, FW_IU, MEAN_ACCURACY, MEAN_IU, PIXEL_ACCURACY, SMALL_OBJECT_IU

MEASURES = {
    measure.name: measure for measure in (PIXEL_ACCURACY, MEAN_ACCURACY, MEAN_IU, FW_IU, BOUNDARY_F, SMALL_OBJECT_IU)
}
ALONE = "softmax loss alone"


@dataclass(frozen=True)
class Run:
    """One training and its scores in per cent on the test pictures.

    variant: what was added to the softmax loss. score_by_name, iu_by_class: without what has no value.
    seconds: of the training, with whatever else ran on the machine. first_loss, last_loss: mean parts of the loss over
    the first ten steps and the last tenth. kernels: (J, 3, 3) at the end.
    """

    host: str
    variant: str
    seed: int
    score_by_name: dict[str, float]
    iu_by_class: dict[str, float]
    seconds: float
    first_loss: dict[str, float]
    last_loss: dict[str, float]
    kernels: list[list[list[float]]] | None
    settings: dict[str, Any]


def shrunk(data: Data, size: tuple[int, int]) -> list[LabelledPicture]:
    """Labelled pictures of (height, width), all in memory: pictures by area, labels by the nearest pixel."""
    pictures: Any = data
    small = []
    for idx in range(len(pictures)):
        one = pictures[idx]
        hha = None if one.hha is None else _by_area(one.hha, size)
        labels = F.interpolate(one.labels[None, None].float(), size=size, mode="nearest-exact")[0, 0].long()
        small.append(replace(one, image=_by_area(one.image, size), labels=labels, depth=None, hha=hha))
    return small


def _by_area(image: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def run_once(
    data: Data,
    test: Data,
    *,
    network: NetworkSettings,
    settings: TrainingSettings,
    variant: str,
    vgg: str | Path | None = None,
    start: Mapping[str, Tensor] | None = None,
    seen: Callable[[Run, Trained], None] | None = None,
) -> Run:
    """Trains once and scores the result on the test pictures, whose labels nothing before has seen.

    vgg, start: as in `train`. seen: is given the run and what was trained, before the network is dropped.
    """
    started = time.perf_counter()
    trained = train(data, network=network, settings=settings, vgg=vgg, start=start)
    seconds = time.perf_counter() - started
    meter = count(trained.network, network, test)
    names = network.class_names or tuple(str(idx) for idx in range(network.num_classes))
    matrix = meter.matrix.double()
    iu = matrix.diagonal() / (matrix.sum(0) + matrix.sum(1) - matrix.diagonal())
    run = Run(
        host=network.host,
        variant=variant,
        seed=settings.seed,
        score_by_name=_there(meter.scores()),
        iu_by_class=_there({name: 100 * value for name, value in zip(names, iu.tolist(), strict=True)}),
        seconds=seconds,
        first_loss=_mean_loss(trained.steps[:10]),
        last_loss=_mean_loss(trained.steps[-len(trained.steps) // 10 :]),
        kernels=None if trained.kernels is None else trained.kernels.tolist(),
        settings={"network": asdict(network), "training": asdict(settings)},
    )
    if seen is not None:
        seen(run, trained)
    return run


def _there(values: Mapping[str, float]) -> dict[str, float]:
    """Without what is not a number, such as the IU of a class that is nowhere: JSON has no such value."""
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _mean_loss(steps: Sequence[Any]) -> dict[str, float]:
    names = steps[0].loss_by_name if steps else {}
    return {name: sum(step.loss_by_name[name] for step in steps) / len(steps) for name in names}


def run_all(
    data: Data,
    test: Data,
    *,
    networks: Sequence[tuple[NetworkSettings, TrainingSettings]],
    variants: Mapping[str, RegularizationSettings | None],
    seeds: Sequence[int],
    vgg: str | Path | None = None,
    alone_first: Mapping[Host, TrainingSettings] | None = None,
    folder: Path | None = None,
    seen: Callable[[Run, Trained], None] | None = None,
) -> list[Run]:
    """Every host by every variant by every seed; seeds outermost, so that what is there early can be compared.

    variants: what is added to the softmax loss, by name. folder: one JSON file a run, written whole; those that are
    there are read instead of run again. seen: as in `run_once`, for those that are run.
    alone_first: a training with the softmax loss alone, by host, once a seed; all variants of the seed go on from its
    weights. So they differ in what they were trained for since then, and by chance far less than two trainings from
    random weights.
    """
    runs = []
    for seed in seeds:
        for network, settings in networks:
            start: Mapping[str, Tensor] | None = None
            for variant, regularization in variants.items():
                chosen = settings.but(seed=seed, regularization=regularization)
                path = None if folder is None else folder / f"{network.host}-{variant.replace(' ', '_')}-{seed}.json"
                if path is not None and path.is_file():
                    runs.append(Run(**json.loads(path.read_text(encoding="utf-8"))))
                    continue
                if start is None and alone_first and network.host in alone_first:
                    first = alone_first[network.host].but(seed=seed, regularization=None)
                    start = train(data, network=network, settings=first, vgg=vgg).network.state_dict()
                run = run_once(
                    data, test, network=network, settings=chosen, variant=variant, vgg=vgg, start=start, seen=seen
                )
                if path is not None:
                    with appears_whole(path) as part:
                        part.write_text(json.dumps(asdict(run), indent=1), encoding="utf-8")
                runs.append(run)
    return runs


def read_runs(folder: Path) -> list[Run]:
    """The runs of a folder that `run_all` wrote, by name; DataMissing when there is none."""
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise DataMissing(f"{folder} holds no run; run the comparison first")
    return [Run(**json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def scores_of(runs: Sequence[Run], host: str, variant: str, measure: str) -> dict[int, float]:
    """One measure of one host and variant, by seed; without the seeds in which it has no value."""
    chosen = [run for run in runs if (run.host, run.variant) == (host, variant)]
    return {run.seed: run.score_by_name[measure] for run in chosen if measure in run.score_by_name}


def paired_differences(runs: Sequence[Run], host: str, variant: str, measure: str, *, base: str = ALONE) -> list[float]:
    """The variant minus the base, seed by seed, for seeds that have both: first weights and pictures are the same."""
    ours, theirs = (scores_of(runs, host, name, measure) for name in (variant, base))
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise DataMissing(f"no seed of {host} has both {variant} and {base}")
    return [ours[seed] - theirs[seed] for seed in shared]
