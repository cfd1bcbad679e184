"""What every training of this project needs: devices through fabric, a stop at what isn't finite, and checkpoints."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch

import lib
from lib.data.atomic import appears_whole
from lib.errors import DataMissing, LabError, SpecError, Unavailable

Precision = Literal["full", "bf16"]
# how fabric calls them
FABRIC_PRECISION: dict[Precision, Literal["32-true", "bf16-mixed"]] = {"full": "32-true", "bf16": "bf16-mixed"}
# apart enough that no seed meets the steps of the next one
SEED_STRIDE = 1_000_003


class Diverged(LabError):
    """A loss or a gradient is no longer finite; the message has the step, the total and its parts."""


def make_fabric(*, device: str, num_devices: int = 1, precision: Precision = "full") -> Any:
    """lightning-fabric's handle on devices, precision and data parallelism; several devices share a launch.

    Raises Unavailable where there are fewer devices than asked for.
    """
    from lightning_fabric import Fabric

    chosen = lib.device(device)
    if chosen.type == "cuda" and torch.cuda.device_count() < num_devices:
        raise Unavailable(f"{num_devices} GPUs are not on this machine: it has {torch.cuda.device_count()}")
    return Fabric(
        accelerator=chosen.type,
        devices=num_devices if chosen.index is None else [chosen.index],
        # processes that start anew, because the caller may have woken the GPU already
        strategy="ddp_spawn" if num_devices > 1 else "auto",
        precision=FABRIC_PRECISION[precision],
    )


def check_finite(step: int, loss_by_name: Mapping[str, float], gradient_norm: float, *, cure: str) -> None:
    """Passes a step whose loss and gradient are finite. Raises Diverged that names the step, the parts and the cure."""
    total = sum(loss_by_name.values())
    if math.isfinite(total) and math.isfinite(gradient_norm):
        return
    listed = ", ".join(f"{name} {value:.4g}" for name, value in loss_by_name.items())
    raise Diverged(
        f"training stopped at step {step}: total loss {total:.4g}, gradient norm {gradient_norm:.4g} ({listed}); "
        f"the weights are as after the step before; {cure}"
    )


def write_training(path: Path, kind: str, content: dict[str, Any]) -> None:
    """Checkpoint of a training: `content` is all that the next step depends on. Appears whole or not at all."""
    with appears_whole(path) as part:
        torch.save({"kind": kind, **content}, part)


def read_training(path: Path, kind: str, *, device: torch.device) -> dict[str, Any]:
    """What `write_training` wrote. Raises DataMissing for an unreadable file, SpecError for one of another kind."""
    try:
        held = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise DataMissing(f"{path} is no readable training checkpoint: give a file that a training wrote") from error
    if not isinstance(held, dict) or held.get("kind") != kind:
        raise SpecError(f"{path} must be a checkpoint of a {kind}: it holds something else")
    return held


def check_same_training(then: Mapping[str, Any], now: Mapping[str, Any], *, free: Collection[str], path: Path) -> None:
    """Passes a checkpoint of the same training; `free` settings may differ. Raises SpecError that names the others."""
    differ = [
        f"{name} {then.get(name)!r}, not {value!r}"
        for name, value in now.items()
        if name not in free and then.get(name) != value
    ]
    if differ:
        raise SpecError(
            f"{path} is of another training: it has {'; '.join(differ)}; give another file or the same settings"
        )
