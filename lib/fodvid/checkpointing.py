"""Checkpoints of the segmentation network's training: to go on from, and to segment with."""

from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from lib.data.atomic import appears_whole
from lib.errors import DataMissing, SpecError

KIND = "SegmentationNetwork training"
# may differ between the parts of a training
FREE = ("device", "num_devices")


def write_training(
    path: Path,
    *,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: Any,
    shape: dict[str, Any],
    counts: list[int],
) -> None:
    """Everything that the next step depends on, whole or not at all.

    settings: the training's dataclass. shape: what the network was built for. counts: steps, epochs, batches of the
    present epoch; all draws follow from them and the seed.
    """
    held = {
        "kind": KIND,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "settings": asdict(settings),
        "shape": shape,
        "counts": counts,
    }
    with appears_whole(path) as part:
        torch.save(held, part)


def read_training(path: Path, *, device: torch.device) -> dict[str, Any]:
    """What `write_training` wrote. Raises DataMissing for an unreadable file, SpecError for one of something else."""
    try:
        held = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise DataMissing(
            f"{path} is no readable training checkpoint: give a file that train_segmenter wrote"
        ) from error
    if not isinstance(held, dict) or held.get("kind") != KIND:
        raise SpecError(f"{path} must be a training checkpoint of a SegmentationNetwork: it holds something else")
    return held


def check_same_training(held: dict[str, Any], *, settings: Any, shape: dict[str, Any], path: Path) -> None:
    """Passes a checkpoint of the same training. Raises SpecError that names the settings that differ."""
    # a constant learning rate doesn't know how long the training lasts
    free = FREE if settings.final_rate < 1 else (*FREE, "epochs")
    now = {**asdict(settings), **shape}
    then = {**held["settings"], **held["shape"]}
    differ = [
        f"{name} {then.get(name)!r}, not {value!r}"
        for name, value in now.items()
        if name not in free and then.get(name) != value
    ]
    if differ:
        raise SpecError(
            f"{path} is of another training: it has {'; '.join(differ)}; give another file or the same settings"
        )
