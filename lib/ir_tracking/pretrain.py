"""Training of the shipped network from nothing: `python -m lib.ir_tracking.pretrain` writes data/weights.

It sees simulated scans of point targets and, for two pairs of five, warm bodies with a shape; nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Self, overload

import torch
import typer
from torch import Generator

from lib.data.weights import manifest_path
from lib.errors import SpecError
from lib.ir_tracking.bodies import BodySettings, body_clip
from lib.ir_tracking.network_settings import Head, Inputs, NetworkSettings
from lib.ir_tracking.pairs import PairSettings
from lib.ir_tracking.scan_settings import ScanSettings, Scenery
from lib.ir_tracking.simulator import ScanSimulator, TargetScan
from lib.ir_tracking.train import Precision, Trained, TrainingSettings, train
from lib.ir_tracking.weights import SHIPPED, save_network

SCENERIES: tuple[Scenery, ...] = ("sky", "clouds", "clouds", "ground")
OVERSAMPLINGS = ((1, 1), (2, 1), (2, 2), (2, 2), (2, 2), (3, 2))
SEED_STRIDE = 1_000_003
NETWORKS = {"small": NetworkSettings.small, "wide": NetworkSettings.wide}


@dataclass(frozen=True)
class Pretraining:
    """How much, on what scans and bodies, and how fast."""

    num_sequences: int = 720
    body_share: float = 0.4  # of the sequences
    side_px: int = 96  # of a scan
    num_frames: int = 16
    scr: tuple[float, float] = (1.2, 10.0)
    speed_px: float = 3.0  # at most
    body: BodySettings = field(default_factory=BodySettings)
    network: NetworkSettings = field(default_factory=NetworkSettings.small)
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            num_steps=1000,
            batch_size=16,
            learning_rates=(0.03, 5e-4),
            box_loss="l1",  # of boxes 3 pixels wide, smooth L1 hardly feels a tenth of a pixel
            pairs=PairSettings(max_gap=16, negative_share=0.05),
        )
    )
    seed: int = 0

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)


class SimulatedClips(Sequence[TargetScan]):
    """Scans and body clips, each made when it is first asked for and kept; the same number gives the same clip."""

    def __init__(self, plan: Pretraining) -> None:
        self.plan = plan
        self.made: dict[int, TargetScan] = {}

    def __len__(self) -> int:
        return self.plan.num_sequences

    @overload
    def __getitem__(self, idx: int) -> TargetScan: ...
    @overload
    def __getitem__(self, idx: slice) -> Sequence[TargetScan]: ...
    def __getitem__(self, idx: int | slice) -> TargetScan | Sequence[TargetScan]:
        if isinstance(idx, slice):
            return [self[number] for number in range(*idx.indices(len(self)))]
        if not 0 <= idx < len(self):
            raise IndexError(idx)
        if idx not in self.made:
            generator = Generator().manual_seed(self.plan.seed * SEED_STRIDE + idx)
            self.made[idx] = self._make(generator)
        return self.made[idx]

    def _make(self, generator: Generator) -> TargetScan:
        if _between(0, 1, generator) < self.plan.body_share:
            clip = body_clip(self.plan.body, generator)
            return TargetScan(clip.frames.half(), clip.boxes, clip.visible)
        scan = ScanSimulator(self._settings(generator), generator=generator).simulate().target(0)
        # grey levels of 14 bits fit
        return TargetScan(scan.frames.to(torch.int16), scan.boxes, scan.visible)

    def _settings(self, generator: Generator) -> ScanSettings:
        plan = self.plan
        scr = _evenly_in_logarithm(*plan.scr, generator)
        speed = _between(0, plan.speed_px, generator)
        return ScanSettings(
            height_px=plan.side_px,
            width_px=plan.side_px,
            num_frames=plan.num_frames,
            oversampling=OVERSAMPLINGS[_below(len(OVERSAMPLINGS), generator)],
            psf_sigma=_between(0.3, 0.55, generator),
            misregistration=_between(0, 0.1, generator),
            scenery=SCENERIES[_below(len(SCENERIES), generator)],
            clutter=_evenly_in_logarithm(0.003, 0.06, generator),
            slope=_between(2, 3, generator),
            drift_px=_between(0, 1, generator),
            dead=_evenly_in_logarithm(1e-5, 1e-3, generator),
            flashing=_evenly_in_logarithm(1e-5, 1e-3, generator),
            scr=(scr, scr),
            speed_px=(speed, speed),
            num_targets=1 + _below(2, generator),
        )


def pretrain(plan: Pretraining | None = None, *, checkpoint: Path | None = None) -> Trained:
    """The trained network; same plan, machine and number of threads, same weights. checkpoint: see `train`."""
    plan = plan or Pretraining()
    return train(SimulatedClips(plan), network=plan.network, settings=plan.training, checkpoint=checkpoint)


def _between(low: float, high: float, generator: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _evenly_in_logarithm(low: float, high: float, generator: Generator) -> float:
    return math.exp(_between(math.log(low), math.log(high), generator))


def _below(end: int, generator: Generator) -> int:
    return int(torch.randint(end, (1,), generator=generator))


def main(
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 1000,
    width: Annotated[str, typer.Option(help="small (shipped) | wide (AlexNet's).")] = "small",
    head: Annotated[
        str, typer.Option(help="depthwise | up_channel | correlation (no region selection).")
    ] = "depthwise",
    inputs: Annotated[str, typer.Option(help="all | filtered | frame (no filter).")] = "all",
    fusion: Annotated[bool, typer.Option(help="Conv3 to conv5 together; else conv5 alone.")] = True,
    precision: Annotated[str, typer.Option(help="full | bf16 (16 bits where that is safe).")] = "full",
    checkpoint: Annotated[Path | None, typer.Option(help="Written now and then; goes on from it.")] = None,
    out: Annotated[Path | None, typer.Option(help="Weights; the shipped file when left out.")] = None,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of clips, pairs and first weights.")] = 0,
) -> None:
    """Train a network on simulated scans and write its weights, whole or not at all."""
    plan = Pretraining()
    if width not in NETWORKS:
        raise SpecError(f"--width must be one of {', '.join(NETWORKS)}: got {width!r}")
    if width != "small" and out is None:
        raise SpecError("--width other than small needs --out: the shipped file is the small network's")
    chosen_head: Head = head  # type: ignore[assignment]
    chosen_inputs: Inputs = inputs  # type: ignore[assignment]
    chosen_precision: Precision = precision  # type: ignore[assignment]
    plan = plan.but(
        seed=seed,
        network=NETWORKS[width]().but(head=chosen_head, inputs=chosen_inputs, fusion=fusion),
        training=plan.training.but(num_steps=steps, device=device, seed=seed, precision=chosen_precision),
    )
    trained = pretrain(plan, checkpoint=checkpoint)
    save_network(trained.network, out or manifest_path().parent / f"{SHIPPED}.safetensors")
    last = trained.steps[-min(100, len(trained.steps)) :]
    if last:
        typer.echo(f"loss of the last {len(last)} steps: {sum(step.total for step in last) / len(last):.4f}")


if __name__ == "__main__":
    typer.run(main)
